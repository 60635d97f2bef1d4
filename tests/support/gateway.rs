//! The sandbox gateway of a shop under test: the buyer's telephone, the provider's moods, and its books.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use reqwest::Method;
use rushmall::clock::Clock;
use rushmall::payment::sandbox::{Merchant, Options, Sandbox, Server};
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
            shows_cashier: false,
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

const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// All money that came, by the shop's books.
pub const CAPTURED_FEN: &str = "SELECT COALESCE(SUM(amount_fen), 0) AS n FROM payments WHERE state = 'captured'";
/// All money that went back.
pub const REFUNDED_FEN: &str = "SELECT COALESCE(SUM(amount_fen), 0) AS n FROM refunds WHERE state = 'succeeded'";

/// A sum over all providers of what [`Gateway::totals`] says.
pub fn sum(totals: &Value, field: &str) -> i64 {
    let sums = totals.as_array().expect("a row for each provider").iter();
    sums.map(|row| row[field].as_i64().expect("a number")).sum()
}

/// The control of a sandbox.
#[derive(Clone)]
pub struct Gateway {
    http: reqwest::Client,
    control: String,
}

impl Gateway {
    /// That of the shop with this address.
    pub fn of(base: &str) -> Self {
        Self::at(&format!("{base}/sandbox/control"))
    }

    /// The control at that address.
    pub fn at(control: &str) -> Self {
        // a connection of a killed process must not be used again
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(ANSWER_WITHIN);
        Self { http: http.build().expect("an HTTP client"), control: control.to_owned() }
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
        self.tries(out_trade_no, "pay", json!({ "in_time": in_time })).await == Some(true)
    }

    /// The buyer or the provider tries something with a trade (`pay`, `fail`, `scan`, `close`); `None`: nobody answered.
    pub async fn tries(&self, out_trade_no: &str, what: &str, how: Value) -> Option<bool> {
        let request = self.http.post(format!("{}/trades/{out_trade_no}/{what}", self.control));
        let answer = request.body(how.to_string()).send().await.ok()?;
        Some(answer.status().is_success())
    }

    /// The buyer does something else: `enter`, `fail`, `scan`; or pays in a way, e.g. `{"coupon_fen": 300}`.
    pub async fn act(&self, out_trade_no: &str, action: &str, how: Value) -> Value {
        self.ask(Method::POST, &format!("/trades/{out_trade_no}/{action}"), how).await
    }

    /// A refund ends now: `SUCCESS`, `ABNORMAL`, `CLOSED`.
    pub async fn settle(&self, out_refund_no: &str, status: &str) {
        self.ask(Method::POST, &format!("/refunds/{out_refund_no}/settle"), json!({ "status": status })).await;
    }

    /// All notifications about a trade are delivered once more, now.
    pub async fn tells_again(&self, out_trade_no: &str) {
        let notices = self.trade(out_trade_no).await["notifications"].clone();
        for notice in notices.as_array().expect("a list") {
            let id = notice["id"].as_str().or_else(|| notice["notice"]["id"].as_str()).expect("an id");
            self.ask(Method::POST, &format!("/notifications/{id}/send"), json!({})).await;
        }
    }

    /// How often a kind of call or delivery was made about a number.
    pub async fn heard(&self, operation: &str, number: &str) -> usize {
        let log = self.ask(Method::GET, "/log?limit=1000", json!({})).await;
        let lines = log.as_array().expect("a list").iter();
        lines.filter(|line| line["operation"] == operation && line["number"] == number).count()
    }

    /// How often all faults that stand have struck.
    pub async fn strikes(&self) -> i64 {
        let faults = self.ask(Method::GET, "/faults", json!({})).await;
        faults.as_array().expect("a list").iter().filter_map(|fault| fault["hits"].as_i64()).sum()
    }

    /// Waits until they have struck so often.
    pub async fn has_struck(&self, times: i64) {
        for _ in 0..1_000 {
            if self.strikes().await >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the faults have struck {} times and not {times}", self.strikes().await);
    }

    /// One trade, its refunds and notifications.
    pub async fn trade(&self, out_trade_no: &str) -> Value {
        self.ask(Method::GET, &format!("/trades/{out_trade_no}"), json!({})).await
    }

    /// Captured and returned fen of one trade; nothing if there is none.
    pub async fn money_of(&self, out_trade_no: &str) -> (i64, i64) {
        let answer = self.http.get(format!("{}/trades/{out_trade_no}", self.control)).send().await;
        let answer = answer.expect("the sandbox answers");
        if answer.status() == 404 {
            return (0, 0);
        }
        let trade: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        let fen = |value: &Value| value.as_i64().unwrap_or_else(|| panic!("no sum in {trade}"));
        (if trade["state"] == "paid" { fen(&trade["order"]["total_fen"]) } else { 0 }, fen(&trade["refunded_fen"]))
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

/// A sandbox gateway of its own, beside the shops under test.
pub struct OwnGateway {
    pub gateway: Gateway,
    pub merchant: Merchant,
    dir: TempDir,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl OwnGateway {
    pub fn open() -> Self {
        let dir = tempfile::tempdir().expect("a directory for the gateway");
        lend_keys(dir.path());
        let options = Options {
            data_dir: dir.path().join("sandbox"),
            public_url: String::new(),
            time_scale: 1,
            control_token: None,
            shows_cashier: false,
            clock: Clock::default(),
        };
        let (report, started) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let server = Server::open("127.0.0.1", 0, options).await.expect("the sandbox opens");
                let merchant = server.sandbox().merchant().clone();
                report.send((server.address, merchant, server.handle())).expect("the test waits");
                let _ = server.run().await; // what it owes stays in its books
            });
        });
        let (address, merchant, handle) = started.recv().expect("it listens");
        let gateway = Gateway::at(&format!("http://{address}/control"));
        Self { gateway, merchant, dir, handle, thread: Some(thread) }
    }

    /// Where the merchant's keys lie.
    pub fn merchant_dir(&self) -> PathBuf {
        self.dir.path().join("sandbox/merchant")
    }
}

impl Drop for OwnGateway {
    fn drop(&mut self) {
        drop(self.handle.stop(false)); // asked for at once, and not waited for
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Person {
    /// Asks for all the money back under an `Idempotency-Key`.
    pub async fn ask_refund_once(&self, channel: &str, order_no: &str, key: &str) -> Answer {
        let body = json!({ "order_no": order_no, "reason": "changed my mind" });
        self.post_once(&format!("/api/pay/{channel}/refund"), &body, key).await
    }

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
        for _ in 0..1_200 {
            if self.order_status(order_no).await == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{order_no} is {} and not {status}", self.order_status(order_no).await);
    }
}
