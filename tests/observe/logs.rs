//! Log lines of a whole life with payments: JSON that machines read, with the trace of the request, and without secrets.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::gateway::{Gateway, lend_keys};
use crate::support::process::ShopProcess;

/// Secrets of the merchant: what stands in private keys, line by line, and every key and password among the settings.
fn secrets_of_the_merchant(data_dir: &Path) -> Vec<String> {
    let mut secrets = Vec::new();
    for part in ["merchant", "platform"] {
        for file in std::fs::read_dir(data_dir.join("sandbox").join(part)).expect("keys") {
            let path = file.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("a text");
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if name.ends_with("_key.pem") && !name.contains("public") {
                secrets
                    .extend(text.lines().filter(|line| line.len() >= 40 && !line.starts_with('-')).map(str::to_owned));
            }
            if name == "merchant.json" {
                let mut found = Vec::new();
                keys_of(&serde_json::from_str(&text).expect("JSON"), &mut found);
                assert!(found.len() >= 2, "no keys in {text}");
                secrets.extend(found);
            }
        }
    }
    assert!(secrets.len() > 20, "{} secrets", secrets.len());
    secrets
}

fn keys_of(value: &Value, found: &mut Vec<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::String(text) if name.ends_with("_key") && !name.contains("public") => found.push(text.clone()),
            other => keys_of(other, found),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t29_a_life_with_payments_leaves_no_secret_and_a_trace_in_every_line_of_a_request() {
    let mut shop = ShopProcess::prepare();
    lend_keys(shop.data_dir());
    shop.set("RUSHMALL__TELEMETRY__LOG", "trace");
    shop.set("RUSHMALL__TELEMETRY__LOG_FORMAT", "json");
    shop.set("RUSHMALL__PAYMENT__SANDBOX", "true");
    shop.start().await;
    let (admin, gateway) = (shop.admin().await, Gateway::of(&shop.visitor().address.base()));
    gateway.turn(json!({"terms": {"refund_takes_ms": 5}})).await;
    let (product, _) = admin.make_sale("logged", 4).await;
    let mut hidden = secrets_of_the_merchant(shop.data_dir());
    hidden.push(admin.token.clone());
    for channel in ["wechat", "alipay"] {
        let buyer = shop.register(&format!("{channel}-buyer")).await;
        hidden.push(buyer.token.clone());
        let order_no = buyer.buy(&product).await.order_no();
        let charge = buyer.open_charge(channel, &order_no).await.accepted();
        gateway.pay(charge["out_trade_no"].as_str().expect("a number")).await;
        buyer.sees(&order_no, 2).await;
        buyer.query_charge(channel, &order_no).await.accepted();
        buyer.ask_refund(channel, &order_no, 100).await.accepted();
        let forged = json!({"id": "x", "resource": {"ciphertext": "y"}}).to_string();
        for path in ["/api/pay/wechat/v3/notify", "/api/pay/wechat/notify", "/api/pay/alipay/notify"] {
            shop.visitor().send_raw(Method::POST, path, "application/json", forged.clone()).await;
        }
    }
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let header = format!("00-{trace}-00f067aa0ba902b7-01");
    let told = [("traceparent", header.as_str())];
    let broken = json!({"product_id": product.id, "quantity": -1});
    shop.visitor()
        .ask(Method::POST, "/api/user/login", Some(&json!({"username": "x", "password": "yyyyyyyy"})), &told)
        .await;
    admin.ask(Method::POST, "/api/seckill", Some(&broken), &told).await;
    admin.ask(Method::POST, "/api/seckill", Some(&json!({"product_id": product.id})), &told).await.order_no();
    shop.assert_clean().await;
    shop.signal(Signal::SIGTERM);
    assert!(shop.wait_for_end(Duration::from_secs(30)).await.is_some_and(|status| status.success()));

    let log = shop.log_text();
    let served = log.find("{\"timestamp\"").expect("lines of JSON");
    let lines: Vec<Value> = log[served..]
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(lines.len() > 200, "only {} lines", lines.len());
    for line in &lines {
        for part in ["timestamp", "level", "target"] {
            assert!(line[part].is_string(), "no {part}: {line}");
        }
        if line["span"]["name"] == "request" {
            assert_eq!(line["span"]["trace_id"].as_str().map(str::len), Some(32), "{line}");
        }
    }
    assert!(lines.iter().any(|line| line["span"]["trace_id"] == trace), "no line of the trace");
    for word in &hidden {
        let line = log.lines().find(|line| line.contains(word.as_str()));
        assert_eq!(line, None, "{word} stands in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r61_a_shop_whose_log_has_no_room_sells_on() {
    let mut shop = ShopProcess::prepare();
    shop.fill_log();
    shop.set("RUSHMALL__TELEMETRY__LOG", "debug");
    shop.start().await;
    let (product, _) = shop.admin().await.make_sale("not logged", 2).await;
    for name in ["ann", "bob"] {
        shop.register(name).await.buy(&product).await.order_no();
    }
    shop.assert_clean().await;
}
