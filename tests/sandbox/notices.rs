//! Deliveries of v3: what they say, when they are repeated, and every way in which they go wrong.

use reqwest::Method;
use rushmall::payment::wechat_v3::signing::SignatureError;
use serde_json::{Value, json};

use super::hook::{Delivery, Hook};
use super::stage::{Stage, until};

/// A sandbox, an endpoint, and a trade whose notifications go there.
async fn prepared(number: &str) -> (Stage, Hook) {
    let (stage, hook) = (Stage::open().await, Hook::open().await);
    stage.create(number, 1_000, &hook.path("v3")).await;
    (stage, hook)
}

async fn acknowledged(stage: &Stage, number: &str) -> Value {
    until("the notification is acknowledged", async || {
        let notice = stage.notice(number).await;
        notice["delivered_ms"].is_number().then_some(notice)
    })
    .await
}

/// Sets a fault on deliveries that strikes once, lets the buyer pay, and waits for the first two deliveries.
async fn first_two(fault: Value) -> (Stage, Delivery, Delivery, Value) {
    let (stage, hook) = prepared("ORDER_0001").await;
    let mut fault = fault;
    (fault["operation"], fault["count"]) = (json!("notify"), json!(1));
    stage.fault(fault).await;
    hook.will_answer(&[(401, "no")]);
    stage.pay("ORDER_0001").await;
    let both = hook.wait_for(2).await;
    let notice = acknowledged(&stage, "ORDER_0001").await;
    both[1].check(&stage).expect("the second is the true one");
    assert_eq!(both[1].resource(&stage).unwrap()["amount"]["total"], 1_000);
    (stage, both[0].clone(), both[1].clone(), notice)
}

#[actix_rt::test]
async fn a_payment_is_told_sealed_and_signed() {
    let (stage, hook) = prepared("ORDER_0001").await;
    stage.pay("ORDER_0001").await;
    let delivery = hook.wait_for(1).await.remove(0);
    delivery.check(&stage).unwrap();
    assert_eq!(delivery.header("wechatpay-serial"), Some(stage.merchant.wechat.public_key_id.as_str()));
    let body = delivery.json();
    assert_eq!(
        (&body["event_type"], &body["resource_type"]),
        (&json!("TRANSACTION.SUCCESS"), &json!("encrypt-resource"))
    );
    assert_eq!(body["id"].as_str().unwrap().len(), 36);
    assert_eq!(delivery.resource(&stage).unwrap(), stage.query("ORDER_0001").await);
    acknowledged(&stage, "ORDER_0001").await;
}

#[actix_rt::test]
async fn the_additional_data_of_the_seal_may_be_empty_or_missing() {
    let (stage, hook) = prepared("ORDER_0001").await;
    stage.create("ORDER_0002", 1_000, &hook.path("v3")).await;
    stage.knob(json!({ "associated_data": "empty" })).await;
    stage.pay("ORDER_0001").await;
    let empty = hook.wait_for(1).await.remove(0);
    stage.knob(json!({ "associated_data": "missing" })).await;
    stage.pay("ORDER_0002").await;
    let missing = hook.wait_for(2).await.remove(1);
    assert_eq!(
        (&empty.json()["resource"]["associated_data"], missing.json()["resource"].get("associated_data")),
        (&json!(""), None)
    );
    assert!(empty.resource(&stage).is_some() && missing.resource(&stage).is_some());
}

#[actix_rt::test]
async fn every_end_of_a_refund_is_told() {
    let (stage, hook) = prepared("ORDER_0001").await;
    stage.pay("ORDER_0001").await;
    hook.wait_for(1).await;
    for (at, (outcome, event)) in
        [("SUCCESS", "REFUND.SUCCESS"), ("ABNORMAL", "REFUND.ABNORMAL"), ("CLOSED", "REFUND.CLOSED")].iter().enumerate()
    {
        stage.knob(json!({ "terms": { "refund_outcome": outcome, "refund_takes_ms": 0 } })).await;
        stage.refund("ORDER_0001", &format!("R{at}"), (100, 1_000), &hook.path("v3")).await.ok();
        let delivery = hook.wait_for(at + 2).await.remove(at + 1);
        delivery.check(&stage).unwrap();
        assert_eq!(delivery.json()["event_type"], *event);
        let resource = delivery.resource(&stage).unwrap();
        assert_eq!((&resource["refund_status"], &resource["amount"]["refund"]), (&json!(outcome), &json!(100)));
        assert_eq!(resource["amount"].get("currency"), None);
    }
}

#[actix_rt::test]
async fn refusals_errors_and_redirects_are_repeated_with_the_same_id() {
    let (stage, hook) = prepared("ORDER_0001").await;
    hook.will_answer(&[(500, ""), (302, ""), (401, "{}")]);
    stage.pay("ORDER_0001").await;
    let all = hook.wait_for(4).await;
    let ids: Vec<Value> = all.iter().map(|delivery| delivery.json()["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    for delivery in &all {
        delivery.check(&stage).unwrap();
    }
    let notice = acknowledged(&stage, "ORDER_0001").await;
    assert_eq!((&notice["attempts"], &notice["due_ms"]), (&json!(4), &Value::Null));
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!(hook.deliveries().len(), 4, "an acknowledged notification is not repeated");
}

#[actix_rt::test]
async fn the_schedule_ends_and_a_hand_can_send_again() {
    let (stage, hook) = prepared("ORDER_0001").await;
    stage.fault(json!({ "kind": "drop", "operation": "notify" })).await;
    stage.pay("ORDER_0001").await;
    for _ in 0..400 {
        tokio::time::sleep(std::time::Duration::from_millis(120)).await;
        if stage.notice("ORDER_0001").await["due_ms"].is_null() {
            break;
        }
        stage.control(Method::POST, "/clock", json!({ "by_ms": 21_600_000 })).await;
    }
    let notice = stage.notice("ORDER_0001").await;
    assert_eq!((&notice["attempts"], &notice["delivered_ms"]), (&json!(16), &Value::Null), "{notice}");
    assert_eq!(hook.deliveries().len(), 0, "every one was dropped");
    stage.control(Method::DELETE, "/faults", json!({})).await;
    let path = format!("/notifications/{}/send", notice["id"].as_str().unwrap());
    stage.control(Method::POST, &path, json!({})).await;
    hook.wait_for(1).await;
    acknowledged(&stage, "ORDER_0001").await;
}

#[actix_rt::test]
async fn a_forged_delivery_is_signed_by_a_stranger() {
    let (stage, forged, _, notice) = first_two(json!({ "kind": "forge" })).await;
    assert_eq!(forged.check(&stage), Err(SignatureError::Wrong));
    assert_eq!(notice["attempts"], 2);
}

#[actix_rt::test]
async fn an_endpoint_that_takes_a_forgery_is_found_out() {
    let (stage, hook) = prepared("ORDER_0001").await;
    stage.fault(json!({ "kind": "forge", "count": 1 })).await;
    stage.fault(json!({ "kind": "drop" })).await;
    stage.pay("ORDER_0001").await;
    hook.wait_for(1).await;
    until("it is noted", async || {
        let status = stage.notice("ORDER_0001").await["last_status"].as_str().unwrap().to_owned();
        (status == "forge: ACKNOWLEDGED 204").then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn a_probe_looks_like_the_platforms() {
    let (stage, probe, _, _) = first_two(json!({ "kind": "probe" })).await;
    assert_eq!(probe.check(&stage), Err(SignatureError::Probe));
    assert!(probe.header("wechatpay-signature").unwrap().starts_with("WECHATPAY/SIGNTEST/"));
}

#[actix_rt::test]
async fn a_stale_delivery_and_one_of_an_unknown_serial() {
    let (stage, stale, _, _) = first_two(json!({ "kind": "stale" })).await;
    assert!(matches!(stale.check(&stage), Err(SignatureError::Stale(age)) if age >= 600));
    let (stage, unknown, _, _) = first_two(json!({ "kind": "unknown_serial" })).await;
    assert!(matches!(unknown.check(&stage), Err(SignatureError::UnknownSerial(_))));
}

#[actix_rt::test]
async fn a_broken_tag_is_well_signed_and_does_not_open() {
    let (stage, broken, _, _) = first_two(json!({ "kind": "broken_tag" })).await;
    broken.check(&stage).unwrap();
    assert_eq!(broken.resource(&stage), None);
}

#[actix_rt::test]
async fn a_wrong_amount_and_an_unknown_order_are_well_signed() {
    let (stage, wrong, _, _) = first_two(json!({ "kind": "wrong_amount", "by_fen": -999 })).await;
    wrong.check(&stage).unwrap();
    assert_eq!(wrong.resource(&stage).unwrap()["amount"]["total"], 1);
    let (stage, unknown, _, _) = first_two(json!({ "kind": "unknown_order" })).await;
    unknown.check(&stage).unwrap();
    assert!(unknown.resource(&stage).unwrap()["out_trade_no"].as_str().unwrap().starts_with("NOBODYS"));
}

#[actix_rt::test]
async fn duplicates_come_at_once_and_are_all_the_same() {
    let (stage, hook) = prepared("ORDER_0001").await;
    stage.fault(json!({ "kind": "duplicate", "times": 9, "count": 1 })).await;
    stage.pay("ORDER_0001").await;
    let all = hook.wait_for(10).await;
    assert!(all.iter().all(|delivery| delivery.body == all[0].body));
    assert_eq!(acknowledged(&stage, "ORDER_0001").await["attempts"], 1);
}

#[actix_rt::test]
async fn a_replay_repeats_the_acknowledged_bytes() {
    let (stage, hook) = prepared("ORDER_0001").await;
    stage.fault(json!({ "kind": "replay", "after_ms": 50, "count": 1 })).await;
    stage.pay("ORDER_0001").await;
    let both = hook.wait_for(2).await;
    assert_eq!(both[0].body, both[1].body);
    assert_eq!(both[0].header("wechatpay-nonce"), both[1].header("wechatpay-nonce"));
}

#[actix_rt::test]
async fn a_held_back_delivery_comes_after_the_next_one() {
    let (stage, hook) = prepared("ORDER_0001").await;
    stage.create("ORDER_0002", 2_000, &hook.path("v3")).await;
    stage.fault(json!({ "kind": "reorder", "ms": 60_000, "count": 1 })).await;
    stage.pay("ORDER_0001").await;
    until("it is held back", async || (stage.notice("ORDER_0001").await["last_status"] == "held back").then_some(()))
        .await;
    stage.pay("ORDER_0002").await;
    let both = hook.wait_for(2).await;
    let of = |delivery: &Delivery| delivery.resource(&stage).unwrap()["out_trade_no"].clone();
    assert_eq!((of(&both[0]), of(&both[1])), (json!("ORDER_0002"), json!("ORDER_0001")));
}

#[actix_rt::test]
async fn a_delay_holds_a_delivery_for_its_time() {
    let (stage, hook) = prepared("ORDER_0001").await;
    stage.fault(json!({ "kind": "delay", "ms": 700, "operation": "notify", "count": 1 })).await;
    let began = std::time::Instant::now();
    stage.pay("ORDER_0001").await;
    hook.wait_for(1).await;
    assert!(began.elapsed() >= std::time::Duration::from_millis(700));
}
