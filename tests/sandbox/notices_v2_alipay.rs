//! Deliveries of WeChat Pay v2 and of Alipay.

use reqwest::Method;
use rushmall::payment::alipay::signing::{SignatureError, read_form, verify_notice};
use rushmall::payment::wechat_v2::signing::{ApiV2Key, SignType, WrongSignature};
use rushmall::payment::wechat_v2::xml;
use serde_json::json;

use super::hook::{Hook, V2_SUCCESS};
use super::stage::{Stage, until};

async fn v2_order(stage: &Stage, hook: &Hook, sign_type: SignType) {
    let url = hook.path("v2");
    let pairs = [
        ("body", "台灯"),
        ("out_trade_no", "ORDER_0001"),
        ("total_fee", "1000"),
        ("spbill_create_ip", "127.0.0.1"),
        ("notify_url", url.as_str()),
        ("trade_type", "NATIVE"),
    ];
    assert_eq!(stage.v2("/pay/unifiedorder", &pairs, sign_type).await["result_code"], "SUCCESS");
}

async fn acknowledged(stage: &Stage) {
    until("the notification is acknowledged", async || {
        stage.notice("ORDER_0001").await["delivered_ms"].is_number().then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn v2_tells_a_payment_signed_as_it_was_ordered_until_it_hears_success() {
    for sign_type in [SignType::Md5, SignType::HmacSha256] {
        let (stage, hook) = (Stage::open().await, Hook::open().await);
        v2_order(&stage, &hook, sign_type).await;
        stage.fault(json!({ "kind": "forge", "count": 1 })).await;
        hook.will_answer(&[(200, "<xml><return_code>FAIL</return_code></xml>"), (200, "SUCCESS"), (200, V2_SUCCESS)]);
        stage.pay("ORDER_0001").await;
        let all = hook.wait_for(3).await;
        let key = ApiV2Key::from_text(&stage.merchant.wechat.api_v2_key).unwrap();
        let read = |at: usize| xml::read(all[at].body.as_bytes()).unwrap();
        assert_eq!(key.verify(&read(0)), Err(WrongSignature));
        assert_eq!((key.verify(&read(1)), key.verify(&read(2))), (Ok(sign_type), Ok(sign_type)));
        let told = read(2);
        assert_eq!((told["result_code"].as_str(), told["total_fee"].as_str()), ("SUCCESS", "1000"));
        assert!(!told.contains_key("trade_state"));
        acknowledged(&stage).await;
    }
}

#[actix_rt::test]
async fn v2_seals_the_end_of_a_refund() {
    let (stage, hook) = (Stage::open().await, Hook::open().await);
    v2_order(&stage, &hook, SignType::Md5).await;
    stage.pay("ORDER_0001").await;
    hook.wait_for(1).await;
    let url = hook.path("v2");
    let pairs = [
        ("out_trade_no", "ORDER_0001"),
        ("out_refund_no", "R1"),
        ("refund_fee", "300"),
        ("total_fee", "1000"),
        ("notify_url", url.as_str()),
    ];
    stage.fault(json!({ "kind": "broken_tag", "count": 1 })).await;
    hook.will_answer(&[(500, "")]);
    stage.v2("/secapi/pay/refund", &pairs, SignType::Md5).await;
    let all = hook.wait_for(3).await;
    let key = ApiV2Key::from_text(&stage.merchant.wechat.api_v2_key).unwrap().refund_key().unwrap();
    let open = |at: usize| {
        let outer = xml::read(all[at].body.as_bytes()).unwrap();
        assert!(!outer.contains_key("sign"));
        key.open(&outer["req_info"]).ok().and_then(|text| xml::read(&text).ok())
    };
    assert_eq!(open(1), None, "the broken one does not open");
    let told = open(2).unwrap();
    assert_eq!((told["refund_status"].as_str(), told["refund_fee"].as_str()), ("SUCCESS", "300"));
}

#[actix_rt::test]
async fn alipay_tells_payments_and_refunds_under_one_id_each_until_it_hears_success() {
    let (stage, hook) = (Stage::open().await, Hook::open().await);
    let content = json!({ "out_trade_no": "ORDER_0001", "total_amount": "10.00", "subject": "台灯 & lamp=1" });
    stage.alipay("alipay.trade.precreate", content, &hook.path("alipay"), false).await;
    stage.fault(json!({ "kind": "wrong_amount", "by_fen": 1, "count": 1 })).await;
    hook.will_answer(&[(200, "failure"), (200, "SUCCESS"), (200, "success\n")]);
    stage.pay("ORDER_0001").await;
    for _ in 0..2 {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        stage.control(Method::POST, "/clock", json!({ "by_ms": 600_000 })).await;
    }
    let all = hook.wait_for(3).await;
    let read = |at: usize| read_form(all[at].body.as_bytes()).unwrap();
    assert_eq!((read(0)["total_amount"].as_str(), read(1)["total_amount"].as_str()), ("10.01", "10.00"));
    for at in 0..3 {
        verify_notice(&read(at), &stage.alipay_key()).unwrap();
        assert_eq!(read(at)["notify_id"], read(0)["notify_id"]);
    }
    let told = read(2);
    assert_eq!(
        (told["trade_status"].as_str(), &told["seller_id"]),
        ("TRADE_SUCCESS", &stage.merchant.alipay.seller_id)
    );
    acknowledged(&stage).await;

    stage.fault(json!({ "kind": "forge", "count": 1 })).await;
    hook.will_answer(&[(200, "failure")]);
    let refund = json!({ "out_trade_no": "ORDER_0001", "refund_amount": "10.00" });
    stage.alipay("alipay.trade.refund", refund, "", false).await;
    let forged = read_form(hook.wait_for(4).await[3].body.as_bytes()).unwrap();
    assert_eq!(verify_notice(&forged, &stage.alipay_key()), Err(SignatureError::Wrong));
    stage.control(Method::POST, "/clock", json!({ "by_ms": 600_000 })).await;
    let told = read_form(hook.wait_for(5).await[4].body.as_bytes()).unwrap();
    verify_notice(&told, &stage.alipay_key()).unwrap();
    assert_eq!((told["trade_status"].as_str(), told["refund_fee"].as_str()), ("TRADE_CLOSED", "10.00"));
}
