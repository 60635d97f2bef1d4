//! What each key accepts: the table behind every message about a setting. A test holds it against [`Settings`], so
//! that a new field cannot be forgotten here.
//!
//! [`Settings`]: super::Settings

use std::fmt;

use config::{Value, ValueKind};

use super::networks::Network;
use crate::domain::reconciliation::TimeOfDay;

/// What a key accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Accepts {
    /// Any text.
    Text,
    /// Text with at least one character.
    SomeText,
    /// A whole number within bounds, both included.
    Whole(i64, i64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// A list of IP addresses and networks.
    Networks,
    /// A list of origins of web pages.
    Origins,
    /// Empty, or a URL with one of these schemes.
    Url(&'static [&'static str]),
    /// A list of webhook targets.
    Targets,
    /// A filter of `tracing`.
    LogFilter,
    /// Hour and minute.
    Time,
}

use Accepts::{LogFilter, Networks, OneOf, Origins, SomeText, Switch, Targets, Text, Time, Url, Whole};

const DAY_MS: i64 = 24 * 3_600_000;
const YEAR_MS: i64 = 366 * DAY_MS;
/// No wait inside the server is longer than this.
const WAIT_MS_MAX: i64 = 3_600_000;
const HTTP: &[&str] = &["http", "https"];

/// Every leaf of the settings in the order of the sections.
pub(super) const KEYS: &[(&str, Accepts)] = &[
    ("environment", OneOf(&["development", "production"])),
    ("node.name", SomeText),
    ("node.slot", Whole(0, 15)),
    ("http.host", SomeText),
    ("http.port", Whole(0, 65_535)),
    ("http.workers", Whole(0, 1_024)),
    ("http.body_bytes_max", Whole(1_024, 1 << 30)),
    ("http.request_timeout_ms", Whole(100, WAIT_MS_MAX)),
    ("http.drain_grace_ms", Whole(0, WAIT_MS_MAX)),
    ("http.shutdown_timeout_ms", Whole(0, WAIT_MS_MAX)),
    ("http.connections_per_worker_max", Whole(1, 1_000_000)),
    ("http.allowed_origins", Origins),
    ("http.tls_certificate_file", Text),
    ("http.tls_key_file", Text),
    ("http.trusted_proxies", Networks),
    ("database.url", Url(&["sqlite", "mysql", "postgres"])),
    ("database.read_url", Url(&["mysql", "postgres"])),
    ("database.synchronous", OneOf(&["full", "normal"])),
    ("database.connections_max", Whole(1, 1_000)),
    ("database.acquire_timeout_ms", Whole(10, WAIT_MS_MAX)),
    ("database.read_timeout_ms", Whole(10, WAIT_MS_MAX)),
    ("database.transaction_timeout_ms", Whole(10, WAIT_MS_MAX)),
    ("redis.url", Url(&["redis"])),
    ("redis.prefix", SomeText),
    ("redis.connect_timeout_ms", Whole(10, WAIT_MS_MAX)),
    ("redis.command_timeout_ms", Whole(10, WAIT_MS_MAX)),
    ("amqp.url", Url(&["amqp"])),
    ("amqp.prefix", SomeText),
    ("amqp.connect_timeout_ms", Whole(10, WAIT_MS_MAX)),
    ("amqp.confirm_timeout_ms", Whole(10, WAIT_MS_MAX)),
    ("amqp.window_messages", Whole(1, 65_536)),
    ("amqp.prefetch_messages", Whole(1, 65_535)),
    ("amqp.deliveries_max", Whole(2, 1_000)),
    ("auth.jwt_secret", Text),
    ("auth.issuer", SomeText),
    ("auth.access_token_s", Whole(5, 24 * 3_600)),
    ("auth.refresh_token_s", Whole(60, 366 * 24 * 3_600)),
    ("auth.hashing_concurrency", Whole(1, 1_024)),
    ("auth.sessions_per_user_max", Whole(1, 10_000)),
    ("orders.pay_deadline_ms", Whole(1, YEAR_MS)),
    ("orders.auto_complete_ms", Whole(1, YEAR_MS)),
    ("orders.sweep_interval_ms", Whole(10, WAIT_MS_MAX)),
    ("orders.ticket_orphan_after_ms", Whole(100, DAY_MS)),
    ("orders.prepared_expires_ms", Whole(100, DAY_MS)),
    ("orders.batch_tickets_max", Whole(1, 1_024)),
    ("orders.ticket_attempts_max", Whole(1, 100)),
    ("orders.cart_lines_max", Whole(1, 10_000)),
    ("orders.low_stock_units", Whole(0, 100_000_000)),
    ("limits.address_per_second", Whole(1, 1_000_000)),
    ("limits.address_burst", Whole(1, 1_000_000)),
    ("limits.api_per_second", Whole(1, 1_000_000)),
    ("limits.api_burst", Whole(1, 1_000_000)),
    ("limits.seckill_per_second", Whole(1, 1_000_000)),
    ("limits.seckill_burst", Whole(1, 1_000_000)),
    ("limits.login_per_second", Whole(1, 1_000_000)),
    ("limits.login_burst", Whole(1, 1_000_000)),
    ("limits.sign_ins_per_minute", Whole(1, 1_000)),
    ("limits.registrations_per_minute", Whole(1, 1_000)),
    ("limits.queue_wait_max_ms", Whole(0, WAIT_MS_MAX)),
    ("limits.exempt", Networks),
    ("waiting_room.admissions_per_second", Whole(0, 1_000_000)),
    ("waiting_room.waiting_max", Whole(1, 1_000_000)),
    ("waiting_room.turn_ms", Whole(1_000, WAIT_MS_MAX)),
    ("actors.arbiters", Whole(0, 1_024)),
    ("actors.inventory_in_flight_max", Whole(1, 10_000_000)),
    ("actors.session_in_flight_max", Whole(1, 1_000_000)),
    ("actors.order_in_flight_max", Whole(1, 1_000_000)),
    ("actors.sessions_live_max", Whole(1, 100_000_000)),
    ("actors.orders_live_max", Whole(1, 100_000_000)),
    ("actors.idle_after_ms", Whole(10, YEAR_MS)),
    ("actors.ask_timeout_ms", Whole(10, WAIT_MS_MAX)),
    ("payment.simulated", Switch),
    ("payment.sandbox", Switch),
    ("payment.notify_base_url", Url(HTTP)),
    ("payment.connect_timeout_ms", Whole(10, WAIT_MS_MAX)),
    ("payment.request_timeout_ms", Whole(10, WAIT_MS_MAX)),
    ("payment.bill_timeout_ms", Whole(10, WAIT_MS_MAX)),
    ("payment.in_flight_max", Whole(1, 100_000)),
    ("payment.breaker_failures_max", Whole(1, 1_000_000)),
    ("payment.breaker_pause_ms", Whole(1, WAIT_MS_MAX)),
    ("payment.certificate_refresh_ms", Whole(60_000, DAY_MS)),
    ("payment.reconcile_at", Time),
    ("payment.reconcile_days_max", Whole(1, 90)),
    ("payment.wechat_v3.enabled", Switch),
    ("payment.wechat_v3.base_url", Url(HTTP)),
    ("payment.wechat_v3.backup_url", Url(HTTP)),
    ("payment.wechat_v3.mchid", Text),
    ("payment.wechat_v3.appid", Text),
    ("payment.wechat_v3.serial", Text),
    ("payment.wechat_v3.private_key", Text),
    ("payment.wechat_v3.private_key_file", Text),
    ("payment.wechat_v3.api_v3_key", Text),
    ("payment.wechat_v3.api_v3_key_file", Text),
    ("payment.wechat_v3.public_key_id", Text),
    ("payment.wechat_v3.public_key_file", Text),
    ("payment.wechat_v3.fetch_certificates", Switch),
    ("payment.wechat_v2.enabled", Switch),
    ("payment.wechat_v2.base_url", Url(HTTP)),
    ("payment.wechat_v2.backup_url", Url(HTTP)),
    ("payment.wechat_v2.mchid", Text),
    ("payment.wechat_v2.appid", Text),
    ("payment.wechat_v2.api_key", Text),
    ("payment.wechat_v2.api_key_file", Text),
    ("payment.wechat_v2.sign_type", OneOf(&["md5", "hmac-sha256"])),
    ("payment.wechat_v2.identity_file", Text),
    ("payment.alipay.enabled", Switch),
    ("payment.alipay.gateway_url", Url(HTTP)),
    ("payment.alipay.app_id", Text),
    ("payment.alipay.seller_id", Text),
    ("payment.alipay.private_key", Text),
    ("payment.alipay.private_key_file", Text),
    ("payment.alipay.public_key_file", Text),
    ("payment.alipay.app_certificate_file", Text),
    ("payment.alipay.alipay_certificate_file", Text),
    ("payment.alipay.root_certificates_file", Text),
    ("webhooks.targets", Targets),
    ("webhooks.request_timeout_ms", Whole(10, WAIT_MS_MAX)),
    ("webhooks.in_flight_max", Whole(1, 1_000)),
    ("webhooks.give_up_after_ms", Whole(1, YEAR_MS)),
    ("audit.origin", SomeText),
    ("audit.key_file", Text),
    ("audit.head_every_s", Whole(1, 24 * 3_600)),
    ("feed.sockets_per_user_max", Whole(1, 10_000)),
    ("feed.visitor_sockets_max", Whole(0, 1_000_000)),
    ("feed.frames_queued_max", Whole(1, 1_000_000)),
    ("feed.frame_bytes_max", Whole(128, 16 << 20)),
    ("feed.idle_timeout_ms", Whole(300, DAY_MS)),
    ("feed.ticket_ms", Whole(100, WAIT_MS_MAX)),
    ("feed.tickets_max", Whole(1, 100_000_000)),
    ("alerts.check_every_ms", Whole(100, WAIT_MS_MAX)),
    ("alerts.repeat_after_ms", Whole(1_000, YEAR_MS)),
    ("alerts.dead_letters_per_minute", Whole(1, 1_000_000_000)),
    ("alerts.reviews", Whole(1, 1_000_000_000)),
    ("alerts.dead_tickets", Whole(1, 1_000_000_000)),
    ("alerts.outbox_lag_ms", Whole(100, DAY_MS)),
    ("alerts.queue_messages", Whole(1, 1_000_000_000)),
    ("alerts.deadline_lag_ms", Whole(100, DAY_MS)),
    ("alerts.effect_lag_ms", Whole(100, DAY_MS)),
    ("alerts.drift_every_ms", Whole(0, DAY_MS)),
    ("alerts.drift_products", Whole(1, 10_000)),
    ("alerts.webhook_url", Url(HTTP)),
    ("alerts.webhook_secret", Text),
    ("alerts.webhook_timeout_ms", Whole(10, WAIT_MS_MAX)),
    ("alerts.webhook_attempts_max", Whole(1, 100)),
    ("uploads.file_bytes_max", Whole(1_024, 100 << 20)),
    ("uploads.files_max", Whole(1, 100)),
    ("uploads.pixels_max", Whole(10_000, 100_000_000)),
    ("uploads.user_files_max", Whole(0, 1_000_000)),
    ("uploads.user_bytes_max", Whole(0, 1 << 40)),
    ("uploads.total_bytes_max", Whole(0, 1 << 50)),
    ("uploads.requests_at_once", Whole(1, 1_000)),
    ("uploads.request_timeout_ms", Whole(100, WAIT_MS_MAX)),
    ("uploads.decoding_concurrency", Whole(1, 64)),
    ("telemetry.log", LogFilter),
    ("telemetry.log_format", OneOf(&["pretty", "json"])),
    ("telemetry.otlp_endpoint", Url(HTTP)),
    ("features.rehearsal", Switch),
];

/// What `key` accepts; `None` if there is no such key.
pub(super) fn accepts(key: &str) -> Option<Accepts> {
    KEYS.iter().find(|(name, _)| *name == key).map(|(_, accepts)| *accepts)
}

/// Keys and sections (with a dot at the end) that a running server takes over. `config/change.rs` knows two cases more.
const LIVE: &[&str] = &[
    "http.allowed_origins",
    "http.tls_certificate_file",
    "http.tls_key_file",
    "http.trusted_proxies",
    "orders.low_stock_units",
    "limits.",
    "waiting_room.",
    "payment.wechat_v3.serial",
    "payment.wechat_v3.private_key",
    "payment.wechat_v3.private_key_file",
    "payment.wechat_v3.api_v3_key",
    "payment.wechat_v3.api_v3_key_file",
    "payment.wechat_v3.public_key_id",
    "payment.wechat_v3.public_key_file",
    "payment.wechat_v3.fetch_certificates",
    "payment.wechat_v2.api_key",
    "payment.wechat_v2.api_key_file",
    "payment.wechat_v2.identity_file",
    "payment.alipay.private_key",
    "payment.alipay.private_key_file",
    "payment.alipay.public_key_file",
    "payment.alipay.app_certificate_file",
    "payment.alipay.alipay_certificate_file",
    "payment.alipay.root_certificates_file",
    "webhooks.targets",
    "feed.sockets_per_user_max",
    "alerts.",
    "telemetry.log",
    "features.",
];

/// True if a running server takes over another value of `key`; any other change needs a restart.
#[must_use]
pub fn is_live(key: &str) -> bool {
    LIVE.iter().any(|live| if live.ends_with('.') { key.starts_with(live) } else { key == *live })
}

/// The key that is spelled most like `key`, if any is close: at most a third of its letters differ.
pub(super) fn closest(key: &str) -> Option<&'static str> {
    let ranked = KEYS.iter().map(|(name, _)| (edits(key, name), *name));
    ranked.min().filter(|(edits, name)| *edits <= name.len() / 3).map(|(_, name)| name)
}

/// Letters to insert, remove or replace to turn one text into the other (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

impl fmt::Display for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Text => f.write_str("a text"),
            SomeText => f.write_str("a text that is not empty"),
            Whole(min, max) => write!(f, "a whole number {min}..{max}"),
            OneOf(words) => write!(f, "one of {}", words.join(", ")),
            Switch => f.write_str("true or false"),
            Networks => f.write_str("a list of IP addresses and networks like 10.0.0.0/8"),
            Origins => f.write_str("a list of origins like https://shop.example, or *"),
            Url(schemes) => write!(f, "a URL that begins with {}://, or an empty text", schemes.join("://, ")),
            Targets => f.write_str("a list of {name, url, secret or secret_file, events}"),
            LogFilter => f.write_str("a log filter like info or info,rushmall=debug"),
            Time => f.write_str("a time of day like 10:30"),
        }
    }
}

impl Accepts {
    /// The value as this key stores it; `None` if it does not fit. Text from the environment or a flag counts as
    /// what it spells: `8080` as a number, `a,b` as a list.
    pub(super) fn read(self, value: &Value) -> Option<Value> {
        let kind = match self {
            Text => ValueKind::String(text(value)?),
            SomeText => ValueKind::String(text(value).filter(|text| !text.trim().is_empty())?),
            Whole(min, max) => ValueKind::I64(whole(value).filter(|number| (min..=max).contains(number))?),
            OneOf(words) => ValueKind::String(text(value).filter(|word| words.contains(&word.as_str()))?),
            Switch => ValueKind::Boolean(switch(value)?),
            Networks => list(texts(value).filter(|all| all.iter().all(|one| one.parse::<Network>().is_ok()))?),
            Origins => list(texts(value).filter(|all| all.iter().all(|one| is_origin(one)))?),
            Url(schemes) => ValueKind::String(text(value).filter(|url| is_url(url, schemes))?),
            Targets => targets(value)?,
            LogFilter => ValueKind::String(text(value).filter(|filter| is_log_filter(filter))?),
            Time => ValueKind::String(text(value).filter(|time| time.parse::<TimeOfDay>().is_ok())?),
        };
        Some(Value::new(None, kind))
    }
}

fn text(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn whole(value: &Value) -> Option<i64> {
    match &value.kind {
        ValueKind::I64(number) => Some(*number),
        ValueKind::U64(number) => i64::try_from(*number).ok(),
        ValueKind::String(text) => text.trim().replace('_', "").parse().ok(),
        _ => None,
    }
}

fn switch(value: &Value) -> Option<bool> {
    match &value.kind {
        ValueKind::Boolean(on) => Some(*on),
        ValueKind::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match &value.kind {
        ValueKind::Array(values) => values.iter().map(text).collect(),
        ValueKind::String(joined) => {
            Some(joined.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
        }
        _ => None,
    }
}

fn list(texts: Vec<String>) -> ValueKind {
    ValueKind::Array(texts.into_iter().map(|text| Value::new(None, ValueKind::String(text))).collect())
}

fn targets(value: &Value) -> Option<ValueKind> {
    let list = match &value.kind {
        ValueKind::Array(_) => value.clone(),
        ValueKind::String(text) => {
            let table = config::File::from_str(&format!("targets = {text}"), config::FileFormat::Toml);
            config::Source::collect(&table).ok()?.remove("targets")?
        }
        _ => return None,
    };
    list.clone().try_deserialize::<Vec<super::WebhookTarget>>().ok()?;
    Some(list.kind)
}

/// `*`, or a scheme, a host and perhaps a port as a browser writes them: small letters, no path.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return text == super::ANY_ORIGIN };
    let is_host = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || ".-_:[]".contains(letter);
    ["http", "https"].contains(&scheme) && !authority.is_empty() && authority.chars().all(is_host)
}

fn is_url(text: &str, schemes: &[&str]) -> bool {
    text.is_empty()
        || schemes.iter().any(|scheme| {
            text.strip_prefix(scheme)
                .and_then(|rest| rest.strip_prefix(':'))
                .is_some_and(|rest| rest.starts_with("//") || *scheme == "sqlite")
        })
}

fn is_log_filter(text: &str) -> bool {
    !text.trim().is_empty() && tracing_subscriber::EnvFilter::try_new(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn leaves(prefix: &str, value: &serde_json::Value, found: &mut Vec<String>) {
        match value.as_object() {
            Some(table) => {
                for (name, value) in table {
                    let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                    leaves(&key, value, found);
                }
            }
            None => found.push(prefix.to_owned()),
        }
    }

    #[test]
    fn the_table_has_exactly_the_keys_of_the_settings() {
        let mut found = Vec::new();
        leaves("", &serde_json::to_value(Settings::default()).unwrap(), &mut found);
        found.sort();
        let mut listed: Vec<String> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
        listed.sort();
        assert_eq!(listed, found);
    }

    #[test]
    fn a_typo_finds_its_key_and_nonsense_finds_none() {
        assert_eq!(closest("http.prot"), Some("http.port"));
        assert_eq!(closest("auth.jwt_secrett"), Some("auth.jwt_secret"));
        assert_eq!(closest("order.pay_deadline_ms"), Some("orders.pay_deadline_ms"));
        assert_eq!(closest("redis.cluster.nodes"), None);
    }
}
