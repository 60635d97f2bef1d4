//! Where other systems want to be told by HTTP, named by the operator and by nobody else.

use serde::{Deserialize, Serialize};

use super::payment::{Secret, is_safe_url};

/// The most targets.
pub const TARGETS_MAX: usize = 16;
const NAME_CHARS_MAX: usize = 32;
const SECRET_BYTES_MIN: usize = 16;

/// Outgoing webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// Who is told; at most 16. In the environment a TOML list: `[{name = "…", url = "…", secret = "…", events = ["…"]}]`.
    pub targets: Vec<WebhookTarget>,
    /// Longest wait for a target's answer.
    pub request_timeout_ms: u64,
    /// Deliveries to one target at the same time.
    pub in_flight_max: usize,
    /// What was not taken for so long is given up, and waits for an administrator.
    pub give_up_after_ms: i64,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { targets: Vec::new(), request_timeout_ms: 10_000, in_flight_max: 8, give_up_after_ms: 3 * 24 * 3_600_000 }
    }
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookTarget {
    /// Names it in the database and for administrators: letters, digits, `-`; keep it when the URL changes.
    pub name: String,
    /// Where events are posted to.
    pub url: String,
    /// Signs them; at least 16 bytes.
    pub secret: Secret,
    /// The file that holds it.
    pub secret_file: String,
    /// Kinds of events (docs/EVENTS.md), `order.*`, or `*`.
    pub events: Vec<String>,
}

impl WebhookSettings {
    /// What is missing or wrong, in words.
    pub(super) fn lacks(&self, production: bool) -> Vec<String> {
        let mut lacks = Vec::new();
        if self.targets.len() > TARGETS_MAX {
            lacks.push(format!("at most {TARGETS_MAX} targets"));
        }
        for (place, target) in self.targets.iter().enumerate() {
            let name = &target.name;
            let is_word = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if name.is_empty() || name.len() > NAME_CHARS_MAX || !is_word(name) {
                lacks.push(format!("a name of 1 to {NAME_CHARS_MAX} letters, digits or - for target {}", place + 1));
            }
            if self.targets[..place].iter().any(|other| other.name == *name) {
                lacks.push(format!("one target {name}"));
            }
            if !is_safe_url(&target.url, production) {
                lacks.push(format!("an https URL for {name} (http only on the loopback, outside production)"));
            }
            if target.secret.0.is_empty() == target.secret_file.is_empty() {
                lacks.push(format!("secret or secret_file for {name}, one of the two"));
            } else if target.secret_file.is_empty() && target.secret.0.len() < SECRET_BYTES_MIN {
                lacks.push(format!("a secret of at least {SECRET_BYTES_MIN} bytes for {name}"));
            }
            if target.events.is_empty() {
                lacks.push(format!("events for {name}, such as \"order.paid\", \"order.*\" or \"*\""));
            }
        }
        lacks
    }
}

impl WebhookTarget {
    /// The secret, from its file if it lies there.
    ///
    /// # Errors
    /// If the file cannot be read, or holds too little.
    pub fn read_secret(&self) -> std::io::Result<Secret> {
        if self.secret_file.is_empty() {
            return Ok(self.secret.clone());
        }
        let text = std::fs::read_to_string(&self.secret_file)?.trim().to_owned();
        if text.len() < SECRET_BYTES_MIN {
            let why = format!("{}: a secret has at least {SECRET_BYTES_MIN} bytes", self.secret_file);
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
        }
        Ok(Secret(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> WebhookTarget {
        WebhookTarget {
            name: "warehouse".to_owned(),
            url: "https://warehouse.example/rushmall".to_owned(),
            secret: Secret("sixteen bytes or more".to_owned()),
            secret_file: String::new(),
            events: vec!["order.*".to_owned()],
        }
    }

    fn lacks(target: WebhookTarget) -> usize {
        WebhookSettings { targets: vec![target], ..WebhookSettings::default() }.lacks(true).len()
    }

    #[test]
    fn a_target_is_complete_or_refused() {
        assert_eq!(lacks(target()), 0);
        for wrong in [
            WebhookTarget { name: "a b".to_owned(), ..target() },
            WebhookTarget { name: String::new(), ..target() },
            WebhookTarget { url: "http://warehouse.example".to_owned(), ..target() },
            WebhookTarget { url: "ftp://warehouse.example".to_owned(), ..target() },
            WebhookTarget { secret: Secret("short".to_owned()), ..target() },
            WebhookTarget { secret: Secret::default(), ..target() },
            WebhookTarget { secret_file: "too".to_owned(), ..target() },
            WebhookTarget { events: Vec::new(), ..target() },
        ] {
            assert_eq!(lacks(wrong.clone()), 1, "{wrong:?}");
        }
        let twice = WebhookSettings { targets: vec![target(), target()], ..WebhookSettings::default() };
        assert_eq!(twice.lacks(true), ["one target warehouse"]);
        let many = WebhookSettings {
            targets: (0..17).map(|n| WebhookTarget { name: format!("t{n}"), ..target() }).collect(),
            ..WebhookSettings::default()
        };
        assert_eq!(many.lacks(true).len(), 1);
    }
}
