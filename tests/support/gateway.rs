//! The sandbox gateway of a shop under test: the buyer's telephone, the provider's moods, and its books.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Method;
use rushmall::clock::Clock;
use rushmall::payment::sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::{Answer, Person};
use super::ground::aside;

/// Keys take a while to make: once for all shops of a test's process.
fn keys() -> &'static Path {
    static KEYS: OnceLock<TempDir> = OnceLock::new();
    let made = KEYS.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory for keys");
        let options = Options {
            data_dir: dir.path().to_owned(),
            public_url: "http://127.0.0.1:1".to_owned(),
            time_scale: 1,
            control_token: None,
            clock: Clock::default(),
        };
        aside(async move || Sandbox::open(options).await.expect("the sandbox opens").close().await);
        dir
    });
    made.path()
}

/// Puts ready keys where a shop's sandbox looks for its own.
pub fn lend_keys(data_dir: &Path) {
    for part in ["merchant", "platform"] {
        let into = data_dir.join("sandbox").join(part);
        std::fs::create_dir_all(&into).expect("a directory");
        for file in std::fs::read_dir(keys().join(part)).expect("keys") {
            let file = file.expect("a file");
            std::fs::copy(file.path(), into.join(file.file_name())).expect("copied");
        }
    }
}

/// The control of a sandbox.
pub struct Gateway {
    http: reqwest::Client,
    control: String,
}

impl Gateway {
    /// That of the shop with this address.
    pub fn of(base: &str) -> Self {
        Self { http: reqwest::Client::new(), control: format!("{base}/sandbox/control") }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.http.request(method, format!("{}{path}", self.control)).body(body.to_string()).send().await;
        let answer = answer.expect("the sandbox answers");
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// The buyer scans and pays.
    pub async fn pay(&self, out_trade_no: &str) -> Value {
        self.ask(Method::POST, &format!("/trades/{out_trade_no}/pay"), json!({})).await
    }

    /// The same a moment before the end, told a moment after it.
    pub async fn pay_in_time(&self, out_trade_no: &str) -> Value {
        self.ask(Method::POST, &format!("/trades/{out_trade_no}/pay"), json!({"in_time": true})).await
    }

    /// The buyer tries to pay; whether it went is the gateway's business.
    pub async fn try_pay(&self, out_trade_no: &str, in_time: bool) -> bool {
        let request = self.http.post(format!("{}/trades/{out_trade_no}/pay", self.control));
        let answer = request.body(json!({ "in_time": in_time }).to_string()).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// One trade, its refunds and notifications.
    pub async fn trade(&self, out_trade_no: &str) -> Value {
        self.ask(Method::GET, &format!("/trades/{out_trade_no}"), json!({})).await
    }

    /// What goes wrong from now on, e.g. `{"kind": "drop", "operation": "notify"}`.
    pub async fn breaks(&self, fault: Value) {
        self.ask(Method::POST, "/faults", fault).await;
    }

    /// Nothing goes wrong any more.
    pub async fn heals(&self) {
        self.ask(Method::DELETE, "/faults", json!({})).await;
    }

    /// Turns knobs.
    pub async fn turn(&self, knobs: Value) {
        self.ask(Method::PATCH, "/knobs", knobs).await;
    }

    /// Sums over all trades and refunds.
    pub async fn totals(&self) -> Value {
        self.ask(Method::GET, "/state", json!({})).await["totals"].clone()
    }
}

impl Person {
    /// Opens a charge.
    pub async fn open_charge(&self, channel: &str, order_no: &str) -> Answer {
        self.post(&format!("/api/pay/{channel}/unified-order"), &json!({ "order_no": order_no })).await
    }

    /// Asks how a charge stands.
    pub async fn query_charge(&self, channel: &str, order_no: &str) -> Answer {
        self.get(&format!("/api/pay/{channel}/query?order_no={order_no}")).await
    }

    /// Asks for the end of a charge.
    pub async fn close_charge(&self, channel: &str, order_no: &str) -> Answer {
        self.post(&format!("/api/pay/{channel}/close"), &json!({ "order_no": order_no })).await
    }

    /// Asks for money back.
    pub async fn ask_refund(&self, channel: &str, order_no: &str, fen: i64) -> Answer {
        let body = json!({ "order_no": order_no, "refund_fee": fen, "reason": "changed my mind" });
        self.post(&format!("/api/pay/{channel}/refund"), &body).await
    }

    /// Waits until the order stands so.
    pub async fn sees(&self, order_no: &str, status: i64) {
        for _ in 0..200 {
            if self.order_status(order_no).await == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{order_no} is {} and not {status}", self.order_status(order_no).await);
    }
}
