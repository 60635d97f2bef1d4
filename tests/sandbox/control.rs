//! The back stage: what it refuses, what it remembers, and what merchants find in their directory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use reqwest::Method;
use serde_json::{Value, json};

use super::stage::Stage;

#[actix_rt::test]
async fn the_page_and_the_sums_are_there() {
    let stage = Stage::open().await;
    let page = stage.http.get(format!("{}/control", stage.url)).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("Sandbox gateway"));
    stage.create("ORDER_0001", 1_000, "https://shop.example/notify").await;
    stage.pay("ORDER_0001").await;
    stage.refund("ORDER_0001", "R1", (300, 1_000), "").await.ok();
    let state = stage.control(Method::GET, "/state", json!({})).await;
    let sums = &state["totals"][0];
    assert_eq!((&sums["captured_fen"], &sums["refunded_fen"], &sums["paid"]), (&json!(1_000), &json!(300), &json!(1)));
    let log = stage.control(Method::GET, "/log", json!({})).await;
    assert!(
        log.as_array().unwrap().iter().any(|line| line["operation"] == "create" && line["outcome"] == "200"),
        "{log}"
    );
    assert!(!state.to_string().contains(&stage.merchant.wechat.api_v3_key), "secrets stay in the files");
}

#[actix_rt::test]
async fn pages_of_others_and_unknown_words_are_refused() {
    let stage = Stage::open().await;
    let faults = format!("{}/control/faults", stage.url);
    for (name, value) in [("Origin", "https://evil.example"), ("Origin", "null"), ("Host", "evil.example")] {
        let answer = stage.http.get(&faults).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{name}: {value}");
    }
    let own = stage.http.get(&faults).header("Origin", &stage.url).send().await.unwrap();
    assert_eq!(own.status(), 200);
    for (path, body) in [
        ("/faults", json!({ "kind": "explode" })),
        ("/faults", json!({ "kind": "drop", "operation": "query" })),
        ("/faults", json!({ "kind": "delay", "ms": 4_000_000 })),
        ("/faults", json!({ "kind": "drop", "percent": 0 })),
        ("/clock", json!({ "by_days": 1 })),
        ("/trades/ORDER_0001/pay", json!({ "price": 1 })),
    ] {
        assert_eq!(stage.try_control(Method::POST, path, body.clone()).await.0, 400, "{path} {body}");
    }
    assert_eq!(stage.try_control(Method::PATCH, "/knobs", json!({ "nope": 1 })).await.0, 400);
    assert_eq!(stage.try_control(Method::POST, "/trades/NOBODYS/pay", json!({})).await.0, 404);
    stage.create("ORDER_0001", 1_000, "https://shop.example/notify").await;
    stage.pay("ORDER_0001").await;
    assert_eq!(stage.try_control(Method::POST, "/trades/ORDER_0001/pay", json!({})).await.0, 409);
}

#[actix_rt::test]
async fn a_token_opens_the_back_stage_and_nothing_else_does() {
    let stage = Stage::guarded("open sesame").await;
    let get = async |path: &str, token: &str| {
        let request = stage.http.get(format!("{}/control{path}", stage.url)).header("Host", "sandbox.example");
        request.header("Authorization", format!("Bearer {token}")).send().await.unwrap().status().as_u16()
    };
    assert_eq!((get("/state", "").await, get("/state", "open sesam").await), (403, 403));
    assert_eq!(get("/state", "open sesame").await, 200);
    assert_eq!(get("", "").await, 200, "the page itself holds nothing and asks for the token");
}

#[actix_rt::test]
async fn a_payment_that_was_in_time_can_become_known_late() {
    let stage = Stage::open().await;
    stage.create("ORDER_0001", 1_000, "https://shop.example/notify").await;
    stage.control(Method::POST, "/clock", json!({ "by_ms": 1_900_000 })).await;
    assert_eq!(stage.try_control(Method::POST, "/trades/ORDER_0001/pay", json!({})).await.0, 409);
    stage.control(Method::POST, "/trades/ORDER_0001/pay", json!({ "in_time": true })).await;
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "SUCCESS");
}

#[actix_rt::test]
async fn a_payment_that_crossed_a_close_can_become_known_after_it() {
    let stage = Stage::open().await;
    stage.create("ORDER_0001", 1_000, "https://shop.example/notify").await;
    stage.control(Method::POST, "/trades/ORDER_0001/close", json!({})).await;
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "CLOSED");
    assert_eq!(stage.try_control(Method::POST, "/trades/ORDER_0001/pay", json!({})).await.0, 409);
    stage.control(Method::POST, "/trades/ORDER_0001/pay", json!({ "before_close": true })).await;
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "SUCCESS");
    assert!(stage.notice("ORDER_0001").await["attempts"].is_number(), "it is told");
    let again = stage.try_control(Method::POST, "/trades/ORDER_0001/pay", json!({ "before_close": true })).await;
    assert_eq!(again.0, 409, "money comes once");
}

#[actix_rt::test]
async fn the_wires_clock_travels_apart() {
    let stage = Stage::open().await;
    let path = format!("/v3/pay/transactions/out-trade-no/ORDER_0001?mchid={}", stage.merchant.wechat.mchid);
    stage.control(Method::POST, "/clock", json!({ "by_ms": 86_400_000 })).await;
    stage.v3(Method::GET, &path, None).await.refused(404, "ORDER_NOT_EXIST");
    stage.control(Method::POST, "/clock", json!({ "by_ms": 600_000, "clock": "wire" })).await;
    let refused = stage.v3(Method::GET, &path, None).await;
    assert_eq!((refused.status, refused.code()), (401, "SIGN_ERROR".to_owned()));
    stage.control(Method::DELETE, "/clock", json!({})).await;
    stage.v3(Method::GET, &path, None).await.refused(404, "ORDER_NOT_EXIST");
}

#[actix_rt::test]
async fn only_the_owner_can_read_what_the_merchant_gets() {
    let stage = Stage::open().await;
    let dir = stage.dir.path().join("merchant");
    for file in fs::read_dir(&dir).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
    let merchant: Value = serde_json::from_str(&stage.merchant_file("merchant.json")).unwrap();
    assert_eq!(
        (&merchant["gateway_url"], merchant["wechat"]["api_v3_key"].as_str().unwrap().len()),
        (&json!(stage.url), 32)
    );
    for (account, fields) in [("wechat", 4), ("alipay", 6)] {
        let names = merchant[account].as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_file"));
        let found = names.filter(|(_, name)| dir.join(name.as_str().unwrap()).exists()).count();
        assert_eq!(found, fields, "{account}");
    }
}
