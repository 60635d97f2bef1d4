//! Joins the layers defaults < file < environment < flags, and remembers where each value came from.
//!
//! Every layer is checked key by key before it is joined, so that a message names the file or variable, the key, what
//! was found and what was expected. All problems are reported at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use config::{Config, File, FileFormat, Source, Value, ValueKind};

use super::keys::{self, KEYS};
use super::{Environment, Settings};

/// Environment variables that begin with this are settings: `RUSHMALL__HTTP__PORT` is `http.port`.
const VARIABLE_PREFIX: &str = "RUSHMALL__";
/// HS256 keys shorter than this can be guessed.
const JWT_SECRET_BYTES_MIN: usize = 32;
/// The two legs of the outbox hold one connection each while they tell; for webhooks they need another, and others wait.
const SERVER_CONNECTIONS_MIN: u32 = 4;
/// Words in keys that were copied from an example.
const WELL_KNOWN: &[&str] = &["secret", "changeme", "change-me", "change_me", "password", "example", "your-", "gomall"];

/// Where the layers above the defaults come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A `.toml`, `.yaml` or `.yml` file.
    pub file: Option<PathBuf>,
    /// The process environment; only names that begin with `RUSHMALL__` are looked at.
    pub environment: Vec<(String, String)>,
    /// Command-line flags: name of the flag, key, value.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything else.
    Default,
    /// This file.
    File(PathBuf),
    /// This environment variable.
    Variable(String),
    /// This command-line flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// The origin of every key that is not a default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance(BTreeMap<String, Origin>);

impl Provenance {
    /// Where the value of `key` (e.g. `http.port`) came from.
    #[must_use]
    pub fn of(&self, key: &str) -> &Origin {
        self.0.get(key).unwrap_or(&Origin::Default)
    }
}

/// The settings and where they came from.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Their origins.
    pub provenance: Provenance,
}

/// One thing that is wrong, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system or the parser said.
        why: String,
    },
    /// There is no such key.
    #[error("{origin}: {key}: unknown key{}", suggestion.map(|key| format!(", did you mean {key}?")).unwrap_or_default())]
    Unknown {
        /// Where it stands.
        origin: Origin,
        /// The key as written.
        key: String,
        /// A key that is spelled much like it.
        suggestion: Option<&'static str>,
    },
    /// The value does not fit its key.
    #[error("{origin}: {key}: got {got}, expected {expected}")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// What was found; never a secret.
        got: String,
        /// What would fit.
        expected: String,
    },
}

/// Everything that is wrong with the settings, one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

/// Joins the layers and checks the result.
///
/// # Errors
/// [`Problems`] with every problem of the first stage that has any: reading the layers, then checking them together.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut layers = Layers::default();
    if let Some(path) = &sources.file {
        layers.add_file(path);
    }
    for (name, text) in &sources.environment {
        if let Some(key) = name.strip_prefix(VARIABLE_PREFIX) {
            let key = key.to_ascii_lowercase().replace("__", ".");
            layers.add(&key, &Value::new(None, text.as_str()), &Origin::Variable(name.clone()));
        }
    }
    for (flag, key, text) in &sources.flags {
        layers.add(key, &Value::new(None, text.as_str()), &Origin::Flag(flag));
    }
    layers.join()
}

#[derive(Default)]
struct Layers {
    values: BTreeMap<String, Value>,
    provenance: Provenance,
    problems: Vec<Problem>,
}

impl Layers {
    fn add_file(&mut self, path: &Path) {
        match read_file(path) {
            Ok(table) => self.add_table("", &table, &Origin::File(path.to_owned())),
            Err(why) => self.problems.push(Problem::File { path: path.to_owned(), why }),
        }
    }

    fn add_table(&mut self, prefix: &str, table: &config::Map<String, Value>, origin: &Origin) {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            match &value.kind {
                ValueKind::Table(inner) if keys::accepts(&key).is_none() => {
                    self.add_table(&format!("{key}."), inner, origin);
                }
                ValueKind::Nil => {} // `key:` without a value, in YAML: as if it were not there
                _ => self.add(&key, value, origin),
            }
        }
    }

    fn add(&mut self, key: &str, value: &Value, origin: &Origin) {
        let Some(accepts) = keys::accepts(key) else {
            let suggestion = keys::closest(key);
            self.problems.push(Problem::Unknown { origin: origin.clone(), key: key.to_owned(), suggestion });
            return;
        };
        match accepts.read(value) {
            Some(value) => {
                self.values.insert(key.to_owned(), value);
                self.provenance.0.insert(key.to_owned(), origin.clone());
            }
            None => self.problems.push(Problem::Value {
                origin: origin.clone(),
                key: key.to_owned(),
                got: found(key, value),
                expected: accepts.to_string(),
            }),
        }
    }

    fn join(self) -> Result<Loaded, Problems> {
        let Self { values, provenance, problems } = self;
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let settings = settings_from(values)
            .map_err(|why| Problems(vec![Problem::File { path: PathBuf::from("settings"), why: why.to_string() }]))?;
        let problems = cross_check(&settings, &provenance);
        if problems.is_empty() { Ok(Loaded { settings, provenance }) } else { Err(Problems(problems)) }
    }
}

fn settings_from(values: BTreeMap<String, Value>) -> Result<Settings, config::ConfigError> {
    let mut builder = Config::builder().add_source(Config::try_from(&Settings::default())?);
    for (key, value) in values {
        builder = builder.set_override(key, value)?;
    }
    builder.build()?.try_deserialize()
}

fn read_file(path: &Path) -> Result<config::Map<String, Value>, String> {
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => FileFormat::Toml,
        Some("yaml" | "yml") => FileFormat::Yaml,
        _ => return Err("expected a file that ends in .toml, .yaml or .yml".to_owned()),
    };
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    File::from_str(&text, format).collect().map_err(|error| error.to_string().trim_end().to_owned())
}

/// What stands there, as a person would quote it.
fn found(key: &str, value: &Value) -> String {
    match &value.kind {
        _ if super::show::is_secret(key) => "a value of another kind".to_owned(),
        ValueKind::String(text) => format!("\"{}\"", super::show::without_password(text)),
        ValueKind::Table(_) => "a section".to_owned(),
        ValueKind::Array(_) => "a list".to_owned(),
        _ => value.to_string(),
    }
}

/// Rules that need more than one key, or that hold only in production.
fn cross_check(settings: &Settings, provenance: &Provenance) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |key: &str, got: String, expected: &str| {
        let origin = provenance.of(key).clone();
        problems.push(Problem::Value { origin, key: key.to_owned(), got, expected: expected.to_owned() });
    };
    let secret = &settings.auth.jwt_secret;
    let production = settings.environment == Environment::Production;
    if production && secret.is_empty() {
        refuse(
            "auth.jwt_secret",
            "\"\"".to_owned(),
            "at least 32 random bytes in production (RUSHMALL__AUTH__JWT_SECRET, e.g. from `openssl rand -base64 48`)",
        );
    } else if production && secret.len() < JWT_SECRET_BYTES_MIN {
        refuse("auth.jwt_secret", format!("{} bytes", secret.len()), "at least 32 random bytes");
    } else if production && is_well_known(secret) {
        refuse("auth.jwt_secret", "a well-known or repetitive text".to_owned(), "at least 32 random bytes");
    }
    let (redis, amqp) = (settings.redis.url.is_empty(), settings.amqp.url.is_empty());
    if redis != amqp {
        let key = if redis { "redis.url" } else { "amqp.url" };
        refuse(key, "\"\"".to_owned(), "redis.url and amqp.url together, or neither (the embedded back ends)");
    }
    if settings.database.url.is_empty() && !settings.database.read_url.is_empty() {
        refuse("database.read_url", "a URL".to_owned(), "a replica only beside database.url");
    }
    let (url, connections_max) = (&settings.database.url, settings.database.connections_max);
    if !url.is_empty() && !url.starts_with("sqlite") && connections_max < SERVER_CONNECTIONS_MIN {
        refuse("database.connections_max", connections_max.to_string(), "at least 4 with a database server");
    }
    if settings.auth.refresh_token_s < settings.auth.access_token_s {
        let got = settings.auth.refresh_token_s.to_string();
        refuse("auth.refresh_token_s", got, "at least auth.access_token_s");
    }
    for (key, got, expected) in settings.limits.lacks() {
        refuse(key, got.to_string(), expected);
    }
    for (key, got, expected) in settings.http_lacks() {
        refuse(key, got.to_owned(), expected);
    }
    for (key, got, expected) in settings.alerts.lacks(production) {
        refuse(key, got, expected);
    }
    for (key, got, expected) in settings.payment.lacks(production) {
        refuse(key, got.to_owned(), expected);
    }
    for expected in settings.webhooks.lacks(production) {
        refuse("webhooks.targets", "something else".to_owned(), &expected);
    }
    problems
}

/// Copied from an example, or too few different characters to have been drawn at random.
fn is_well_known(secret: &str) -> bool {
    let lower = secret.to_ascii_lowercase();
    let different = secret.chars().collect::<std::collections::BTreeSet<_>>().len();
    different < 12 || WELL_KNOWN.iter().any(|word| lower.contains(word))
}

/// Every key that can be set, for listings.
pub(super) fn all_keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _)| *key)
}

#[cfg(test)]
mod tests;
