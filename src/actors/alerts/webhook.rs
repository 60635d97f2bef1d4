//! Alerts on their way out of the house: one POST each, signed, in order, tried again a bounded number of times.
//!
//! What waits is bounded and lies in memory: a receiver that is away for long misses alerts, which are counted. Those that
//! still stand are told again after `alerts.repeat_after_ms`. The signature is HMAC-SHA256 in hex over
//! `<RushMall-Timestamp>.<body>`; a receiver refuses what is old or was seen (`id`).

use std::time::Duration;

use aws_lc_rs::hmac;
use reqwest::{StatusCode, redirect};
use serde_json::json;
use tokio::sync::mpsc;

use super::board::Telling;
use crate::clock::Clock;
use crate::config::AlertSettings;

/// Alerts that wait for the receiver; more are dropped.
const WAITING_MAX: usize = 256;
/// Pause before the second try, doubled up to the maximum.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The receiver that the settings name at the moment. Alerts that wait for an earlier one go there still.
#[derive(Clone, Debug)]
pub struct AlertWebhook {
    node: String,
    named: Option<AlertSettings>,
    webhook: Option<Webhook>,
}

impl AlertWebhook {
    /// Of this node; no receiver is named so far.
    #[must_use]
    pub const fn new(node: String) -> Self {
        Self { node, named: None, webhook: None }
    }

    /// Puts news on its way to the receiver that `settings` name, if they name one; never waits.
    pub fn send(&mut self, telling: &Telling, settings: &AlertSettings, clock: &Clock) {
        if self.named.as_ref().is_none_or(|named| !named.has_same_webhook(settings)) {
            self.webhook = Webhook::start(settings, self.node.clone(), clock.clone());
            self.named = Some(settings.clone());
        }
        if let Some(webhook) = &self.webhook {
            webhook.send(telling);
        }
    }
}

/// The way out; clones share it. It ends with the last of them.
#[derive(Clone, Debug)]
pub struct Webhook {
    waiting: mpsc::Sender<Parcel>,
    node: String,
    clock: Clock,
}

#[derive(Debug)]
struct Parcel {
    body: String,
    timestamp: String,
}

struct Sender {
    client: reqwest::Client,
    url: String,
    key: hmac::Key,
    attempts_max: u32,
}

/// What one try came to.
enum Tried {
    Delivered,
    Again(String),
    Refused(StatusCode),
}

/// `RushMall-Signature` of a body sent at `timestamp` (seconds since 1970): `v1=` and 64 hex digits.
#[must_use]
pub fn signature(secret: &[u8], timestamp: &str, body: &str) -> String {
    sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), timestamp, body)
}

fn sign(key: &hmac::Key, timestamp: &str, body: &str) -> String {
    format!("v1={}", hex::encode(hmac::sign(key, format!("{timestamp}.{body}").as_bytes())))
}

impl Webhook {
    /// Starts carrying, on this thread; `None` if the settings name no receiver or it cannot be spoken to.
    #[must_use]
    pub fn start(settings: &AlertSettings, node: String, clock: Clock) -> Option<Self> {
        if settings.webhook_url.is_empty() {
            return None;
        }
        let timeout = Duration::from_millis(settings.webhook_timeout_ms);
        let builder = reqwest::Client::builder()
            .user_agent(concat!("RushMall/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(timeout)
            .connect_timeout(timeout);
        // Plain HTTP needs no certificates on this machine.
        let is_plain = settings.webhook_url.starts_with("http:");
        let client = if is_plain { builder.tls_certs_only([]).build() } else { builder.build() };
        let client = client.inspect_err(|error| tracing::error!(%error, "alerts cannot be posted")).ok()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, settings.webhook_secret.0.as_bytes());
        let (url, attempts_max) = (settings.webhook_url.clone(), settings.webhook_attempts_max);
        let sender = Sender { client, url, key, attempts_max };
        let (waiting, parcels) = mpsc::channel(WAITING_MAX);
        actix_rt::spawn(sender.carry(parcels));
        Some(Self { waiting, node, clock })
    }

    /// Puts news on its way; never waits.
    pub fn send(&self, telling: &Telling) {
        let now_ms = self.clock.now_ms();
        let mut body = json!(telling);
        body["id"] = json!(crate::random::token());
        body["node"] = json!(self.node);
        body["sent_at_ms"] = json!(now_ms);
        let parcel = Parcel { body: body.to_string(), timestamp: now_ms.div_euclid(1_000).to_string() };
        if self.waiting.try_send(parcel).is_err() {
            metrics::counter!("rushmall_alert_webhook_total", "outcome" => "dropped").increment(1);
            tracing::warn!(kind = telling.alert.kind.word(), "too many alerts wait for the webhook, one is dropped");
        }
    }
}

impl Sender {
    async fn carry(self, mut parcels: mpsc::Receiver<Parcel>) {
        while let Some(parcel) = parcels.recv().await {
            let outcome = if self.deliver(&parcel).await { "delivered" } else { "failed" };
            metrics::counter!("rushmall_alert_webhook_total", "outcome" => outcome).increment(1);
        }
    }

    async fn deliver(&self, parcel: &Parcel) -> bool {
        let mut pause = PAUSE_FIRST;
        for attempt in 1..=self.attempts_max {
            match self.attempt(parcel).await {
                Tried::Delivered => return true,
                Tried::Refused(status) => {
                    tracing::error!(%status, "the webhook refuses an alert");
                    return false;
                }
                Tried::Again(why) if attempt < self.attempts_max => {
                    tracing::debug!(attempt, why, "alert not posted, trying again");
                    tokio::time::sleep(pause).await;
                    pause = PAUSE_MAX.min(pause * 2);
                }
                Tried::Again(why) => tracing::error!(attempt, why, "alert not posted"),
            }
        }
        false
    }

    async fn attempt(&self, parcel: &Parcel) -> Tried {
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/json")
            .header("rushmall-timestamp", &parcel.timestamp)
            .header("rushmall-signature", sign(&self.key, &parcel.timestamp, &parcel.body))
            .body(parcel.body.clone());
        match request.send().await {
            // Without the URL: it may hold a secret.
            Err(error) => Tried::Again(error.without_url().to_string()),
            Ok(answer) => match answer.status() {
                status if status.is_success() => Tried::Delivered,
                status if status.is_server_error() => Tried::Again(status.to_string()),
                status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => {
                    Tried::Again(status.to_string())
                }
                status => Tried::Refused(status),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256_of_time_and_body() {
        // printf '1795000000.{}' | openssl dgst -sha256 -hmac Jefe
        let expected = "v1=3e0af71d496cf886a635319b55c20c9920a32500a13d6b8521b2309a98347a0a";
        let made = signature(b"Jefe", "1795000000", "{}");
        assert_eq!(made, expected);
        assert_ne!(made, signature(b"Jefe", "1795000001", "{}"));
        assert_ne!(made, signature(b"jefe", "1795000000", "{}"));
    }
}
