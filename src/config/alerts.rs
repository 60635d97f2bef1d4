//! Settings of alerts: from where on something is worth telling, how often, and to whom.

use serde::{Deserialize, Serialize};

use super::Secret;

/// What operators are told, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertSettings {
    /// Pause between two looks.
    pub check_every_ms: u64,
    /// An alert that lasts is told again after so long.
    pub repeat_after_ms: i64,
    /// Messages that actors of one node did not handle within a minute.
    pub dead_letters_per_minute: u64,
    /// Orders that wait for a human.
    pub reviews: u64,
    /// Tickets that were given up.
    pub dead_tickets: u64,
    /// Age of the oldest commit that was not told.
    pub outbox_lag_ms: i64,
    /// Batches of tickets that wait for an order writer.
    pub queue_messages: u64,
    /// Time over the deadline after which an unpaid order should have ended.
    pub deadline_lag_ms: i64,
    /// Time after which an owed effect should have been done.
    pub effect_lag_ms: i64,
    /// Pause between two comparisons of Redis with the database; 0: none.
    pub drift_every_ms: u64,
    /// Busy products that are compared each time.
    pub drift_products: usize,
    /// Where alerts are posted as JSON; empty: nowhere.
    pub webhook_url: String,
    /// Signs them (HMAC-SHA256); at least 16 bytes.
    pub webhook_secret: Secret,
    /// Longest wait for the receiver.
    pub webhook_timeout_ms: u64,
    /// Tries of one alert.
    pub webhook_attempts_max: u32,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            check_every_ms: 5_000,
            repeat_after_ms: 15 * 60_000,
            dead_letters_per_minute: 100,
            reviews: 1,
            dead_tickets: 1,
            outbox_lag_ms: 10_000,
            queue_messages: 1_000,
            deadline_lag_ms: 30_000,
            effect_lag_ms: 60_000,
            drift_every_ms: 60_000,
            drift_products: 20,
            webhook_url: String::new(),
            webhook_secret: Secret::default(),
            webhook_timeout_ms: 5_000,
            webhook_attempts_max: 5,
        }
    }
}

/// Shortest secret that signs alerts, in bytes.
const SECRET_BYTES_MIN: usize = 16;

impl AlertSettings {
    /// True if alerts are posted to the same receiver in the same manner.
    #[must_use]
    pub fn has_same_webhook(&self, other: &Self) -> bool {
        self.webhook_url == other.webhook_url
            && self.webhook_secret == other.webhook_secret
            && self.webhook_timeout_ms == other.webhook_timeout_ms
            && self.webhook_attempts_max == other.webhook_attempts_max
    }

    /// What a webhook lacks: key, what it is, what it must be.
    pub(super) fn lacks(&self, production: bool) -> Vec<(&'static str, String, &'static str)> {
        let mut lacks = Vec::new();
        if self.webhook_url.is_empty() {
            return lacks;
        }
        let secret = self.webhook_secret.0.len();
        if secret < SECRET_BYTES_MIN {
            lacks.push((
                "alerts.webhook_secret",
                format!("{secret} bytes"),
                "at least 16 bytes beside alerts.webhook_url",
            ));
        }
        if production && !self.webhook_url.starts_with("https:") {
            lacks.push(("alerts.webhook_url", "http".to_owned(), "https in production"));
        }
        lacks
    }
}
