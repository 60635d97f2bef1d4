//! The real process, killed at any moment: whatever it answered is there when it comes back.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use rushmall::payment::sandbox::Merchant;
use rushmall::payment::wechat_v2::signing::{ApiV2Key, SignType};
use rushmall::payment::wechat_v2::xml::{self, Fields};
use serde_json::{Value, json};

use super::hook::Hook;
use super::stage::{copy_keys, until};

/// Numbers that are dealt with before each kill.
const WORK_MIN: usize = 4;
const WORK_WITHIN: Duration = Duration::from_secs(30);

/// A process on one data directory and one port.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(dir: &Path, port: u16) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rushmall"))
            .args(["sandbox-pay", "--time-scale", "100", "--port", &port.to_string(), "--data-dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let open = lines.find_map(|line| line.ok()?.split_once("is open at ").map(|(_, url)| url.to_owned()));
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: open.expect("it opens") }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A merchant at v2, whose messages need no keys of the process.
struct Buyer {
    http: Client,
    merchant: Merchant,
}

impl Buyer {
    fn new(dir: &Path) -> Self {
        let merchant = std::fs::read_to_string(dir.join("merchant/merchant.json")).unwrap();
        // a connection of a killed process must not be used again
        let http = Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(10));
        let http = http.tls_certs_only([]).build().unwrap();
        Self { http, merchant: serde_json::from_str(&merchant).unwrap() }
    }

    /// `None` if there was no whole answer.
    async fn ask(&self, url: &str, path: &str, pairs: &[(&str, &str)]) -> Option<Fields> {
        let key = ApiV2Key::from_text(&self.merchant.wechat.api_v2_key).unwrap();
        let mut fields: Fields = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        fields.insert("appid".to_owned(), self.merchant.wechat.appid.clone());
        fields.insert("mch_id".to_owned(), self.merchant.wechat.mchid.clone());
        fields.insert("nonce_str".to_owned(), "N".to_owned());
        key.sign(&mut fields, SignType::Md5);
        let answer = self.http.post(format!("{url}{path}")).body(xml::write("xml", &fields)).send().await.ok()?;
        let fields = xml::read(&answer.bytes().await.ok()?).ok()?;
        key.verify(&fields).unwrap();
        Some(fields)
    }

    async fn control(&self, url: &str, path: &str, body: Value) -> Option<Value> {
        let request = self.http.post(format!("{url}/control{path}")).header("Content-Type", "application/json");
        let answer = request.body(body.to_string()).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }

    async fn listed(&self, url: &str, path: &str) -> Value {
        let text = self.http.get(format!("{url}/control{path}")).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Creates, pays and refunds until there is no answer, and counts the numbers; what was answered last for each.
    async fn shop(&self, url: &str, round: usize, notify_url: &str, done: &Cell<usize>) -> Vec<(String, &'static str)> {
        let mut answered = Vec::new();
        for at in 0.. {
            let number = format!("ROUND{round}_{at:05}");
            let pairs = [
                ("body", "lamp"),
                ("out_trade_no", number.as_str()),
                ("total_fee", "100"),
                ("spbill_create_ip", "127.0.0.1"),
                ("notify_url", notify_url),
                ("trade_type", "NATIVE"),
            ];
            if self.ask(url, "/pay/unifiedorder", &pairs).await.is_none() {
                break;
            }
            answered.push((number.clone(), "NOTPAY"));
            done.set(answered.len());
            if self.control(url, &format!("/trades/{number}/pay"), json!({})).await.is_none() {
                break;
            }
            answered.last_mut().unwrap().1 = "SUCCESS";
            if at % 2 == 0 {
                continue;
            }
            let refund_no = format!("{number}_r1");
            let pairs = [
                ("out_trade_no", number.as_str()),
                ("out_refund_no", refund_no.as_str()),
                ("refund_fee", "40"),
                ("total_fee", "100"),
                ("notify_url", notify_url),
            ];
            if self.ask(url, "/secapi/pay/refund", &pairs).await.is_none() {
                break;
            }
            answered.last_mut().unwrap().1 = "REFUND";
        }
        answered
    }
}

/// Below those that the system gives to connections: nobody takes it while the process is dead.
fn free_port() -> u16 {
    loop {
        let port = 20_000 + u16::try_from(rushmall::random::below(12_000)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[actix_rt::test]
async fn a_kill_loses_nothing_that_was_answered() {
    let (dir, hook, port) = (tempfile::tempdir().unwrap(), Hook::open().await, free_port());
    copy_keys(dir.path());
    let buyer = Buyer::new(dir.path());
    let notify_url = hook.path("v2");
    let mut answered = Vec::new();
    for round in 0..6 {
        let process = Process::start(dir.path(), port);
        let url = process.url.clone();
        let (began, done) = (Instant::now(), Cell::new(0));
        let killing = async {
            while done.get() < WORK_MIN && began.elapsed() < WORK_WITHIN {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(rushmall::random::below(350))).await;
            process.kill();
        };
        let (more, ()) = tokio::join!(buyer.shop(&url, round, &notify_url, &done), killing);
        answered.extend(more);
    }
    assert!(answered.len() > 20, "the process did some work: {}", answered.len());
    assert!(answered.iter().any(|(_, state)| *state == "REFUND"));

    let process = Process::start(dir.path(), port);
    for (number, expected) in &answered {
        let told = buyer.ask(&process.url, "/pay/orderquery", &[("out_trade_no", number)]).await.unwrap();
        // the step that was not answered may have been done
        let further: &[&str] = match *expected {
            "NOTPAY" => &["NOTPAY", "SUCCESS"],
            "SUCCESS" => &["SUCCESS", "REFUND"],
            _ => &["REFUND"],
        };
        assert!(further.contains(&told["trade_state"].as_str()), "{number}: {expected}, now {}", told["trade_state"]);
    }
    let sums = buyer.listed(&process.url, "/state").await["totals"][0].clone();
    let counted = |state: &str| answered.iter().filter(|(_, last)| *last == state).count();
    let paid = i64::try_from(counted("SUCCESS") + counted("REFUND")).unwrap();
    let refunded = i64::try_from(counted("REFUND")).unwrap();
    assert!((paid..=paid + 6).contains(&sums["paid"].as_i64().unwrap()), "{sums}, {paid}");
    assert_eq!(sums["captured_fen"].as_i64().unwrap(), sums["paid"].as_i64().unwrap() * 100);
    assert!((refunded * 40..=(refunded + 6) * 40).contains(&sums["refunded_fen"].as_i64().unwrap()), "{sums}");

    // whatever was paid is told, before the kill or after it
    until("every notification is acknowledged", async || {
        let notices = buyer.listed(&process.url, "/notifications?limit=1000").await;
        let notices = notices.as_array().unwrap();
        let told = notices.iter().filter(|notice| notice["delivered_ms"].is_number()).count();
        (told == notices.len() && i64::try_from(told).unwrap() >= paid + refunded).then_some(())
    })
    .await;
    process.kill();
}

#[actix_rt::test]
async fn faults_knobs_clocks_and_keys_outlive_a_kill() {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let process = Process::start(dir.path(), port);
    let buyer = Buyer::new(dir.path());
    let url = process.url.clone();
    buyer.control(&url, "/faults", json!({ "kind": "drop", "count": 3 })).await.unwrap();
    buyer.control(&url, "/clock", json!({ "by_ms": 86_400_000 })).await.unwrap();
    let serial = buyer.control(&url, "/certificates/rotate", json!({})).await.unwrap()["serial"].clone();
    let patch = buyer.http.patch(format!("{url}/control/knobs")).body(json!({ "close_status": 200 }).to_string());
    assert_eq!(patch.send().await.unwrap().status(), 200);
    process.kill();

    let process = Process::start(dir.path(), port);
    assert_eq!(buyer.listed(&url, "/faults").await[0]["count"], 3);
    assert_eq!(buyer.listed(&url, "/knobs").await["close_status"], 200);
    assert_eq!(buyer.listed(&url, "/clock").await["offsets"]["ledger_ms"], 86_400_000);
    let certificates = buyer.listed(&url, "/certificates").await;
    assert_eq!((&certificates["signs"], certificates["certificates"].as_array().unwrap().len()), (&serial, 2));
    let merchant: Merchant =
        serde_json::from_str(&std::fs::read_to_string(dir.path().join("merchant/merchant.json")).unwrap()).unwrap();
    assert_eq!(merchant.wechat.mchid, buyer.merchant.wechat.mchid);
    assert_eq!(serial, merchant.wechat.platform_certificate_serial);
    process.kill();
}
