//! Requests that go wrong on request.

use std::time::{Duration, Instant};

use reqwest::Method;
use rushmall::payment::wechat_v2::signing::{ApiV2Key, SignType, WrongSignature};
use rushmall::payment::wechat_v2::xml;
use rushmall::payment::wechat_v3::signing::SignatureError;
use serde_json::json;

use super::stage::{Stage, until};

const NATIVE: &str = "/v3/pay/transactions/native";
const NOTIFY: &str = "https://shop.example/notify";

async fn create(stage: &Stage, number: &str) -> Result<super::stage::Answer, reqwest::Error> {
    stage.try_v3(Method::POST, NATIVE, Some(stage.order(number, 100, NOTIFY)), None).await
}

async fn exists(stage: &Stage, number: &str) -> bool {
    let path = format!("/v3/pay/transactions/out-trade-no/{number}?mchid={}", stage.merchant.wechat.mchid);
    stage.v3(Method::GET, &path, None).await.status == 200
}

#[actix_rt::test]
async fn errors_and_limits_do_nothing_as_often_as_they_say() {
    let stage = Stage::open().await;
    for (kind, status, code) in [("system_error", 500, "SYSTEM_ERROR"), ("rate_limit", 429, "FREQUENCY_LIMITED")] {
        stage.fault(json!({ "kind": kind, "channel": "wechat_v3", "operation": "create", "count": 2 })).await;
        for _ in 0..2 {
            create(&stage, "ORDER_0001").await.unwrap().refused(status, code);
            assert!(!exists(&stage, "ORDER_0001").await);
        }
    }
    stage
        .fault(json!({ "kind": "server_error", "out_trade_no": "ORDER_0001", "operation": "create", "count": 1 }))
        .await;
    create(&stage, "ORDER_0002").await.unwrap().ok();
    let bare = create(&stage, "ORDER_0001").await.unwrap();
    assert_eq!((bare.status, bare.signature.is_err(), exists(&stage, "ORDER_0001").await), (500, true, false));
    create(&stage, "ORDER_0001").await.unwrap().ok();
}

#[actix_rt::test]
async fn a_hang_does_nothing_and_a_late_hang_has_done_it() {
    let stage = Stage::open().await;
    for (kind, number, done) in [("hang", "ORDER_0001", false), ("commit_then_hang", "ORDER_0002", true)] {
        stage.fault(json!({ "kind": kind, "ms": 300, "count": 1 })).await;
        let began = Instant::now();
        assert!(create(&stage, number).await.is_err(), "the connection breaks");
        assert!(began.elapsed() >= Duration::from_millis(300));
        assert_eq!(exists(&stage, number).await, done, "{kind}");
    }
    stage.fault(json!({ "kind": "delay", "ms": 300, "count": 1 })).await;
    let began = Instant::now();
    create(&stage, "ORDER_0003").await.unwrap().ok();
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[actix_rt::test]
async fn work_is_done_even_if_its_caller_has_left() {
    let stage = Stage::open().await;
    stage.create("ORDER_0001", 100, NOTIFY).await;
    stage.pay("ORDER_0001").await;
    stage.fault(json!({ "kind": "commit_then_hang", "ms": 30_000, "operation": "refund", "count": 1 })).await;
    let query = async || stage.v3(Method::GET, "/v3/refund/domestic/refunds/R1", None).await;
    tokio::select! {
        _ = stage.refund("ORDER_0001", "R1", (100, 100), "") => panic!("it hangs"),
        () = until("the work is done", async || (query().await.status == 200).then_some(())) => {}
    }
    assert_eq!(query().await.ok()["out_refund_no"], "R1");
}

#[actix_rt::test]
async fn an_answers_signature_is_wrong_or_stale_and_the_work_is_done() {
    let stage = Stage::open().await;
    stage.fault(json!({ "kind": "bad_answer_signature", "channel": "wechat_v3", "count": 1 })).await;
    let spoilt = create(&stage, "ORDER_0001").await.unwrap();
    assert_eq!((spoilt.status, spoilt.signature), (200, Err(SignatureError::Wrong)));
    stage.fault(json!({ "kind": "stale_answer", "operation": "query", "count": 1 })).await;
    let path = format!("/v3/pay/transactions/out-trade-no/ORDER_0001?mchid={}", stage.merchant.wechat.mchid);
    let stale = stage.v3(Method::GET, &path, None).await;
    assert!(matches!(stale.signature, Err(SignatureError::Stale(age)) if age >= 600));

    stage.fault(json!({ "kind": "bad_answer_signature", "channel": "wechat_v2", "count": 1 })).await;
    let key = ApiV2Key::from_text(&stage.merchant.wechat.api_v2_key).unwrap();
    let pairs = [("out_trade_no", "ORDER_0001"), ("nonce_str", "N")];
    let mut fields: xml::Fields = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    fields.insert("appid".to_owned(), stage.merchant.wechat.appid.clone());
    fields.insert("mch_id".to_owned(), stage.merchant.wechat.mchid.clone());
    key.sign(&mut fields, SignType::Md5);
    let answer = stage.post("/pay/orderquery", xml::write("xml", &fields)).await;
    assert_eq!(key.verify(&xml::read(answer.as_bytes()).unwrap()), Err(WrongSignature));
}

#[actix_rt::test]
async fn a_close_without_effect_says_that_it_worked() {
    let stage = Stage::open().await;
    stage.create("ORDER_0001", 100, NOTIFY).await;
    stage.fault(json!({ "kind": "no_effect", "count": 1 })).await;
    let body = json!({ "mchid": stage.merchant.wechat.mchid });
    let path = "/v3/pay/transactions/out-trade-no/ORDER_0001/close";
    assert_eq!(stage.v3(Method::POST, path, Some(body)).await.status, 204);
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "NOTPAY");
    stage.pay("ORDER_0001").await;
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "SUCCESS");
}

#[actix_rt::test]
async fn the_other_wires_say_the_same_in_their_words() {
    let stage = Stage::open().await;
    stage.fault(json!({ "kind": "system_error", "operation": "query", "count": 2 })).await;
    let v2 = stage.v2("/pay/orderquery", &[("out_trade_no", "ORDER_0001")], SignType::Md5).await;
    assert_eq!(v2["err_code"], "SYSTEMERROR");
    let alipay = stage.alipay("alipay.trade.query", json!({ "out_trade_no": "ORDER_0001" }), "", false).await;
    assert_eq!((&alipay["code"], &alipay["sub_code"]), (&json!("20000"), &json!("isp.unknow-error")));
}

#[actix_rt::test]
async fn a_query_that_says_closed_closes_nothing() {
    let stage = Stage::open().await;
    create(&stage, "ORDER_0001").await.unwrap().ok();
    stage.fault(json!({ "kind": "says_closed", "count": 1 })).await;
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "CLOSED");
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "NOTPAY");
    stage.pay("ORDER_0001").await;
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "SUCCESS");
}

#[actix_rt::test]
async fn a_buyer_who_is_at_it_is_neither_paid_nor_unpaid() {
    let stage = Stage::open().await;
    create(&stage, "ORDER_0001").await.unwrap().ok();
    let act =
        async |action: &str| stage.control(Method::POST, &format!("/trades/ORDER_0001/{action}"), json!({})).await;
    act("enter").await;
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "USERPAYING");
    let v2 = stage.v2("/pay/orderquery", &[("out_trade_no", "ORDER_0001")], SignType::Md5).await;
    assert_eq!(v2["trade_state"], "USERPAYING");
    act("fail").await;
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "PAYERROR");
    act("enter").await;
    act("pay").await;
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "SUCCESS");
    let (status, _) = stage.try_control(Method::POST, "/trades/ORDER_0001/enter", json!({})).await;
    assert_eq!(status, 409, "it is paid");
}

#[actix_rt::test]
async fn a_refund_of_alipay_that_moves_nothing_says_so_and_can_be_made() {
    let stage = Stage::open().await;
    let ask = async |method: &str, content| stage.alipay(method, content, "", false).await;
    let order = json!({ "out_trade_no": "A1", "total_amount": "10.00", "subject": "a lamp" });
    ask("alipay.trade.precreate", order).await;
    stage.pay("A1").await;
    stage.fault(json!({ "kind": "no_effect", "operation": "refund", "count": 1 })).await;
    let wanted = json!({ "out_trade_no": "A1", "out_request_no": "R1", "refund_amount": "4.00" });
    let nothing = ask("alipay.trade.refund", wanted.clone()).await;
    assert_eq!(
        (&nothing["code"], &nothing["fund_change"], &nothing["refund_fee"]),
        (&json!("10000"), &json!("N"), &json!("0.00"))
    );
    let asked = json!({ "out_trade_no": "A1", "out_request_no": "R1" });
    assert_eq!(ask("alipay.trade.fastpay.refund.query", asked).await.get("refund_status"), None);
    assert_eq!(ask("alipay.trade.refund", wanted).await["fund_change"], "Y");
}
