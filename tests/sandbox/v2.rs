//! WeChat Pay v2: every endpoint, both ways to sign, and what its XML reader refuses.

use reqwest::Method;
use rushmall::payment::times;
use rushmall::payment::wechat_v2::signing::SignType;
use rushmall::payment::wechat_v2::xml::{self, Fields};
use serde_json::json;

use super::stage::{Stage, until, within_a_day};

fn order<'a>(number: &'a str, fee: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("body", "台灯 <lamp> & more"),
        ("out_trade_no", number),
        ("total_fee", fee),
        ("spbill_create_ip", "127.0.0.1"),
        ("notify_url", "https://shop.example/v2"),
        ("trade_type", "NATIVE"),
        ("product_id", "1"),
    ]
}

async fn ask(stage: &Stage, path: &str, pairs: &[(&str, &str)]) -> Fields {
    stage.v2(path, pairs, SignType::HmacSha256).await
}

fn code(fields: &Fields) -> &str {
    fields.get("err_code").or_else(|| fields.get("error_code")).map_or("", String::as_str)
}

#[actix_rt::test]
async fn an_order_lives_its_whole_life() {
    let stage = Stage::open().await;
    for sign_type in [SignType::Md5, SignType::HmacSha256] {
        let number = format!("ORDER_{}", sign_type.name().replace('-', "_"));
        let created = stage.v2("/pay/unifiedorder", &order(&number, "1000"), sign_type).await;
        assert_eq!((created["result_code"].as_str(), created["trade_type"].as_str()), ("SUCCESS", "NATIVE"));
        assert!(created["code_url"].starts_with("weixin://") && created["prepay_id"].starts_with("wx"));
        let again = stage.v2("/pay/unifiedorder", &order(&number, "1000"), sign_type).await;
        assert_ne!(created["code_url"], again["code_url"]);
    }
    let number = "ORDER_MD5";
    let used = ask(&stage, "/pay/unifiedorder", &order(number, "999")).await;
    assert_eq!(code(&used), "OUT_TRADE_NO_USED");

    let query = async || ask(&stage, "/pay/orderquery", &[("out_trade_no", number)]).await;
    assert_eq!(query().await["trade_state"], "NOTPAY");
    stage.pay(number).await;
    let paid = query().await;
    assert_eq!((paid["trade_state"].as_str(), paid["total_fee"].as_str()), ("SUCCESS", "1000"));
    assert!(times::from_compact(&paid["time_end"]).is_some());
    let theirs = ask(&stage, "/pay/orderquery", &[("transaction_id", &paid["transaction_id"])]).await;
    assert_eq!(theirs["out_trade_no"], number);
    assert_eq!(code(&ask(&stage, "/pay/unifiedorder", &order(number, "1000")).await), "ORDERPAID");
    assert_eq!(code(&ask(&stage, "/pay/closeorder", &[("out_trade_no", number)]).await), "ORDERPAID");

    let other = "ORDER_HMAC_SHA256";
    assert_eq!(ask(&stage, "/pay/closeorder", &[("out_trade_no", other)]).await["result_code"], "SUCCESS");
    assert_eq!(code(&ask(&stage, "/pay/closeorder", &[("out_trade_no", other)]).await), "ORDERCLOSED");
    assert_eq!(code(&ask(&stage, "/pay/unifiedorder", &order(other, "1000")).await), "ORDERCLOSED");
    assert_eq!(code(&ask(&stage, "/pay/orderquery", &[("out_trade_no", "NOBODYS")]).await), "ORDERNOTEXIST");
}

#[actix_rt::test]
async fn refunds_are_listed_by_number() {
    let stage = Stage::open().await;
    ask(&stage, "/pay/unifiedorder", &order("ORDER_0001", "1000")).await;
    let refund = async |number: &str, fee: &str, total: &str| {
        let pairs =
            [("out_trade_no", "ORDER_0001"), ("out_refund_no", number), ("refund_fee", fee), ("total_fee", total)];
        ask(&stage, "/secapi/pay/refund", &pairs).await
    };
    assert_eq!(code(&refund("R1", "300", "1000").await), "INVALID_REQUEST");
    stage.pay("ORDER_0001").await;
    let first = refund("R1", "300", "1000").await;
    assert_eq!(first["refund_fee"], "300");
    assert_eq!(refund("R1", "300", "1000").await["refund_id"], first["refund_id"]);
    assert_eq!(code(&refund("R1", "301", "1000").await), "PARAM_ERROR");
    assert_eq!(code(&refund("R2", "701", "1000").await), "REFUND_FEE_MISMATCH");
    assert_eq!(code(&refund("R2", "700", "900").await), "PARAM_ERROR");
    refund("R2", "200", "1000").await;
    stage.knob(json!({ "terms": { "refunds_are_funded": false } })).await;
    assert_eq!(code(&refund("R3", "1", "1000").await), "NOTENOUGH");

    let listed = until("both refunds have succeeded", async || {
        let listed = ask(&stage, "/pay/refundquery", &[("out_trade_no", "ORDER_0001")]).await;
        let done = ["refund_status_0", "refund_status_1"].iter().all(|name| listed[*name] == "SUCCESS");
        done.then_some(listed)
    })
    .await;
    assert_eq!(listed["refund_count"], "2");
    assert_eq!((listed["out_refund_no_0"].as_str(), listed["out_refund_no_1"].as_str()), ("R1", "R2"));
    assert!(times::from_spaced(&listed["refund_success_time_0"]).is_some());
    let one = ask(&stage, "/pay/refundquery", &[("refund_id", &first["refund_id"])]).await;
    assert_eq!((one["refund_count"].as_str(), one["out_refund_no_0"].as_str()), ("1", "R1"));
    assert_eq!(code(&ask(&stage, "/pay/refundquery", &[("out_refund_no", "R9")]).await), "REFUNDNOTEXIST");
    assert_eq!(ask(&stage, "/pay/orderquery", &[("out_trade_no", "ORDER_0001")]).await["trade_state"], "REFUND");
}

#[actix_rt::test]
async fn both_versions_share_one_ledger() {
    let stage = Stage::open().await;
    ask(&stage, "/pay/unifiedorder", &order("ORDER_0001", "1000")).await;
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "NOTPAY");
    let v3 = stage.order("ORDER_0001", 1_000, "https://shop.example/v2");
    stage.v3(Method::POST, "/v3/pay/transactions/native", Some(v3)).await.refused(403, "OUT_TRADE_NO_USED");
}

#[actix_rt::test]
async fn a_bill_is_plain_text_and_its_absence_is_xml() {
    within_a_day().await;
    let stage = Stage::open().await;
    let today = times::compact(stage.clock.now_ms())[..8].to_owned();
    let pairs = [("bill_date", today.as_str()), ("bill_type", "ALL")];
    assert_eq!(code(&ask(&stage, "/pay/downloadbill", &pairs).await), "20002");
    ask(&stage, "/pay/unifiedorder", &order("ORDER_0001", "1000")).await;
    stage.pay("ORDER_0001").await;
    let mut fields: Fields = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    fields.insert("appid".to_owned(), stage.merchant.wechat.appid.clone());
    fields.insert("mch_id".to_owned(), stage.merchant.wechat.mchid.clone());
    fields.insert("nonce_str".to_owned(), "N".to_owned());
    let key = rushmall::payment::wechat_v2::signing::ApiV2Key::from_text(&stage.merchant.wechat.api_v2_key).unwrap();
    key.sign(&mut fields, SignType::Md5);
    let text = stage.post("/pay/downloadbill", xml::write("xml", &fields)).await;
    assert!(text.lines().nth(1).unwrap().contains(",`ORDER_0001,"), "{text}");
}

#[actix_rt::test]
async fn messages_that_are_not_believed_are_refused_without_a_signature() {
    let stage = Stage::open().await;
    let refusal = async |body: &str| {
        let answer = stage.post("/pay/orderquery", body.to_owned()).await;
        let fields = xml::read(answer.as_bytes()).unwrap();
        assert_eq!(fields["return_code"], "FAIL");
        assert!(!fields.contains_key("sign"));
        code(&fields).to_owned()
    };
    assert_eq!(refusal("").await, "POST_DATA_EMPTY");
    assert_eq!(refusal("{}").await, "XML_FORMAT_ERROR");
    let entity = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><a>&e;</a></xml>";
    assert_eq!(refusal(entity).await, "XML_FORMAT_ERROR");
    assert_eq!(refusal("<xml><out_trade_no>A</out_trade_no><sign>00</sign></xml>").await, "SIGNERROR");
}
