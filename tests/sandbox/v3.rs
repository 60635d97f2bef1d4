//! WeChat Pay v3: every endpoint with signed requests, every refusal with its code.

use std::io::Read as _;

use reqwest::Method;
use rushmall::payment::crypto::sha1_hex_lower;
use rushmall::payment::times;
use rushmall::payment::wechat_v3::signing::Request;
use serde_json::{Value, json};

use super::stage::{Stage, until, within_a_day};

const NATIVE: &str = "/v3/pay/transactions/native";
const NOTIFY: &str = "https://shop.example/notify";

#[actix_rt::test]
async fn an_order_is_created_again_with_a_fresh_code_and_refused_with_other_parameters() {
    let stage = Stage::open().await;
    let order = stage.order("ORDER_0001", 1_999, NOTIFY);
    let first = stage.v3(Method::POST, NATIVE, Some(order.clone())).await;
    let cashier = first.headers["sandbox-cashier-url"].to_str().unwrap().to_owned();
    assert!(cashier.starts_with(&format!("{}/cashier/", stage.url)));
    assert!(first.headers.contains_key("request-id"));
    let first = first.ok();
    let again = stage.v3(Method::POST, NATIVE, Some(order.clone())).await.ok();
    assert!(first["code_url"].as_str().unwrap().starts_with("weixin://wxpay/bizpayurl?pr="));
    assert_ne!(first["code_url"], again["code_url"]);

    let mut dearer = order.clone();
    dearer["amount"]["total"] = json!(2_000);
    stage.v3(Method::POST, NATIVE, Some(dearer.clone())).await.refused(403, "OUT_TRADE_NO_USED");
    let mut later = order.clone();
    later["time_expire"] = json!(times::rfc3339(stage.clock.now_ms() + 3_600_000));
    stage.v3(Method::POST, NATIVE, Some(later)).await.refused(400, "INVALID_REQUEST");
    stage.knob(json!({ "taken_code": "INVALID_REQUEST" })).await;
    stage.v3(Method::POST, NATIVE, Some(dearer)).await.refused(400, "INVALID_REQUEST");

    stage.pay("ORDER_0001").await;
    stage.v3(Method::POST, NATIVE, Some(order.clone())).await.refused(400, "ORDERPAID");
    stage.knob(json!({ "paid_code": "ORDER_PAID", "paid_status": 403 })).await;
    stage.v3(Method::POST, NATIVE, Some(order)).await.refused(403, "ORDER_PAID");
}

#[actix_rt::test]
async fn the_other_ways_to_pay_answer_in_their_shapes() {
    let stage = Stage::open().await;
    let mut order = stage.order("JSAPI_0001", 100, NOTIFY);
    stage.v3(Method::POST, "/v3/pay/transactions/jsapi", Some(order.clone())).await.refused(400, "PARAM_ERROR");
    order["payer"] = json!({ "openid": "oABC" });
    let prepared = stage.v3(Method::POST, "/v3/pay/transactions/jsapi", Some(order)).await.ok();
    assert!(prepared["prepay_id"].as_str().unwrap().starts_with("wx"));
    stage.pay("JSAPI_0001").await;
    let paid = stage.query("JSAPI_0001").await;
    assert_eq!((&paid["trade_type"], &paid["payer"]["openid"]), (&json!("JSAPI"), &json!("oABC")));

    let mut order = stage.order("H5_0000001", 100, NOTIFY);
    order["scene_info"] = json!({ "payer_client_ip": "127.0.0.1", "h5_info": { "type": "Wap" } });
    let prepared = stage.v3(Method::POST, "/v3/pay/transactions/h5", Some(order)).await.ok();
    assert!(prepared["h5_url"].as_str().unwrap().contains("/cashier/"));
    let order = stage.order("APP_000001", 100, NOTIFY);
    let prepared = stage.v3(Method::POST, "/v3/pay/transactions/app", Some(order)).await.ok();
    assert!(prepared["prepay_id"].is_string());
}

#[actix_rt::test]
async fn a_query_tells_how_a_trade_stands() {
    let stage = Stage::open().await;
    let mchid = &stage.merchant.wechat.mchid;
    let unknown = format!("/v3/pay/transactions/out-trade-no/NOBODYS_01?mchid={mchid}");
    stage.v3(Method::GET, &unknown, None).await.refused(404, "ORDER_NOT_EXIST");
    stage.create("ORDER_0001", 1_000, NOTIFY).await;
    let unpaid = stage.query("ORDER_0001").await;
    assert_eq!(unpaid["trade_state"], "NOTPAY");
    assert!(unpaid.get("transaction_id").is_none() && unpaid.get("amount").is_none());

    stage.control(Method::POST, "/trades/ORDER_0001/fail", json!({})).await;
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "PAYERROR");
    let coupon = json!({ "coupon_fen": 300, "payer": "oBuyer" });
    stage.control(Method::POST, "/trades/ORDER_0001/pay", coupon).await;
    let paid = stage.query("ORDER_0001").await;
    assert_eq!((&paid["trade_state"], &paid["attach"]), (&json!("SUCCESS"), &json!("a=1&b=2")));
    assert_eq!((&paid["amount"]["total"], &paid["amount"]["payer_total"]), (&json!(1_000), &json!(700)));
    assert!(times::from_rfc3339(paid["success_time"].as_str().unwrap()).is_some());

    let number = paid["transaction_id"].as_str().unwrap();
    let theirs = stage.v3(Method::GET, &format!("/v3/pay/transactions/id/{number}?mchid={mchid}"), None).await.ok();
    assert_eq!(theirs, paid);
    stage
        .v3(Method::GET, &format!("/v3/pay/transactions/id/{number}?mchid=1"), None)
        .await
        .refused(400, "MCH_NOT_EXISTS");
}

#[actix_rt::test]
async fn only_unpaid_trades_are_closed() {
    let stage = Stage::open().await;
    let close = async |number: &str| {
        let body = json!({ "mchid": stage.merchant.wechat.mchid });
        stage.v3(Method::POST, &format!("/v3/pay/transactions/out-trade-no/{number}/close"), Some(body)).await
    };
    stage.create("ORDER_0001", 1_000, NOTIFY).await;
    let closed = close("ORDER_0001").await;
    assert_eq!((closed.status, closed.body.as_str()), (204, ""));
    closed.signature.expect("an empty answer is signed too");
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "CLOSED");
    close("ORDER_0001").await.refused(400, "ORDER_CLOSED");
    let order = stage.order("ORDER_0001", 1_000, NOTIFY);
    stage.v3(Method::POST, NATIVE, Some(order)).await.refused(400, "ORDER_CLOSED");

    stage.create("ORDER_0002", 1_000, NOTIFY).await;
    stage.pay("ORDER_0002").await;
    close("ORDER_0002").await.refused(400, "ORDERPAID");
    close("NOBODYS_01").await.refused(404, "ORDER_NOT_EXIST");
    stage.knob(json!({ "close_of_unknown": "accept", "close_of_closed": "accept", "close_status": 200 })).await;
    assert_eq!(close("NOBODYS_01").await.status, 200);
    assert_eq!(close("ORDER_0001").await.status, 200);
}

#[actix_rt::test]
async fn a_refund_is_accepted_once_and_processed_later() {
    let stage = Stage::open().await;
    stage.knob(json!({ "terms": { "refund_takes_ms": 40_000 } })).await;
    stage.create("ORDER_0001", 1_000, NOTIFY).await;
    stage.refund("ORDER_0001", "R1", (400, 1_000), "").await.refused(403, "TRADE_ERROR");
    stage.refund("NOBODYS_01", "R1", (400, 1_000), "").await.refused(404, "RESOURCE_NOT_EXISTS");
    stage.pay("ORDER_0001").await;

    let first = stage.refund("ORDER_0001", "R1", (400, 1_000), "").await.ok();
    assert_eq!((&first["status"], &first["amount"]["refund"]), (&json!("PROCESSING"), &json!(400)));
    let again = stage.refund("ORDER_0001", "R1", (400, 1_000), "").await.ok();
    assert_eq!(first["refund_id"], again["refund_id"]);
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "REFUND");
    stage.refund("ORDER_0001", "R1", (401, 1_000), "").await.refused(400, "INVALID_REQUEST");
    stage.refund("ORDER_0001", "R2", (601, 1_000), "").await.refused(400, "INVALID_REQUEST");
    stage.refund("ORDER_0001", "R2", (600, 999), "").await.refused(400, "INVALID_REQUEST");
    stage.refund("ORDER_0001", "R2", (0, 1_000), "").await.refused(400, "PARAM_ERROR");

    stage.knob(json!({ "terms": { "refunds_are_funded": false } })).await;
    stage.refund("ORDER_0001", "R2", (600, 1_000), "").await.refused(403, "NOT_ENOUGH");
    stage.knob(json!({ "terms": { "refunds_are_funded": true, "refund_pause_ms": 60_000 } })).await;
    stage.refund("ORDER_0001", "R2", (600, 1_000), "").await.refused(429, "FREQUENCY_LIMITED");
    stage.control(Method::POST, "/clock", json!({ "by_ms": 60_000 })).await;
    stage.refund("ORDER_0001", "R2", (600, 1_000), "").await.ok();

    let query =
        async |number: &str| stage.v3(Method::GET, &format!("/v3/refund/domestic/refunds/{number}"), None).await;
    until("R1 has succeeded", async || (query("R1").await.ok()["status"] == "SUCCESS").then_some(())).await;
    assert!(query("R1").await.ok()["success_time"].is_string());
    query("R9").await.refused(404, "RESOURCE_NOT_EXISTS");
    stage.control(Method::POST, "/clock", json!({ "by_ms": 366_i64 * 86_400_000 })).await;
    stage.refund("ORDER_0001", "R3", (1, 1_000), "").await.refused(400, "INVALID_REQUEST");
}

#[actix_rt::test]
async fn an_abnormal_refund_is_sent_again_and_a_closed_one_gives_its_sum_back() {
    let stage = Stage::open().await;
    stage.knob(json!({ "terms": { "refund_outcome": "PROCESSING", "refund_takes_ms": 0 } })).await;
    stage.create("ORDER_0001", 1_000, NOTIFY).await;
    stage.pay("ORDER_0001").await;
    let refund = stage.refund("ORDER_0001", "R1", (1_000, 1_000), "").await.ok();
    let status = async || {
        stage.v3(Method::GET, "/v3/refund/domestic/refunds/R1", None).await.ok()["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status().await, "PROCESSING");
    stage.control(Method::POST, "/refunds/R1/settle", json!({ "status": "ABNORMAL" })).await;
    assert_eq!(status().await, "ABNORMAL");
    stage.knob(json!({ "terms": { "refund_takes_ms": 1_000_000_000_000_i64 } })).await;
    let path = format!("/v3/refund/domestic/refunds/{}/apply-abnormal-refund", refund["refund_id"].as_str().unwrap());
    let body = json!({ "out_refund_no": "R1", "type": "MERCHANT_BANK_CARD" });
    assert_eq!(stage.v3(Method::POST, &path, Some(body)).await.ok()["status"], "ABNORMAL");
    stage.control(Method::POST, "/refunds/R1/settle", json!({ "status": "CLOSED" })).await;
    stage.control(Method::POST, "/refunds/R1/settle", json!({ "status": "SUCCESS" })).await;
    assert_eq!(status().await, "CLOSED", "an end is an end");
    stage.refund("ORDER_0001", "R2", (1_000, 1_000), "").await.ok();
}

#[actix_rt::test]
async fn a_bill_lists_the_day_and_its_hash_is_right() {
    within_a_day().await;
    let stage = Stage::open().await;
    let today = times::spaced(stage.clock.now_ms())[..10].to_owned();
    let bill = async |path: &str| stage.v3(Method::GET, &format!("{path}bill_date={today}"), None).await;
    bill("/v3/bill/tradebill?bill_type=ALL&").await.refused(400, "NO_STATEMENT_EXIST");
    stage.create("ORDER_0001", 1_234, NOTIFY).await;
    stage.pay("ORDER_0001").await;
    stage.knob(json!({ "terms": { "refund_takes_ms": 0 } })).await;
    stage.refund("ORDER_0001", "R1", (234, 1_234), "").await.ok();
    until("the refund has succeeded", async || {
        let refund = stage.v3(Method::GET, "/v3/refund/domestic/refunds/R1", None).await.ok();
        (refund["status"] == "SUCCESS").then_some(())
    })
    .await;

    let text = download(&stage, bill("/v3/bill/tradebill?bill_type=ALL&").await.ok()).await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("交易时间,公众账号ID,商户号"));
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines[1].contains(",`ORDER_0001,") && lines[1].contains(",`12.34,"), "{}", lines[1]);
    assert!(lines[2].contains(",`REFUND,") && lines[2].contains(",`R1,`2.34,"), "{}", lines[2]);
    assert_eq!(lines[4], "`2,`12.34,`2.34,`0.00,`0.00000,`12.34,`2.34");
    let fields = |line: &str| line.split(',').count();
    assert_eq!((fields(lines[0]), fields(lines[1]), fields(lines[2])), (27, 27, 27));

    let text = download(&stage, bill("/v3/bill/fundflowbill?").await.ok()).await;
    assert_eq!(text.lines().last().unwrap(), "`2,`1,`12.34,`1,`2.34");
    let zipped = bill("/v3/bill/tradebill?tar_type=GZIP&").await.ok();
    let path = zipped["download_url"].as_str().unwrap().strip_prefix(&stage.url).unwrap().to_owned();
    let file = stage.v3_bytes(&path).await;
    let mut unzipped = String::new();
    flate2::read::GzDecoder::new(&file[..]).read_to_string(&mut unzipped).unwrap();
    assert_eq!(zipped["hash_value"], sha1_hex_lower(unzipped.as_bytes()), "the hash is of the text");
    let only = download(&stage, bill("/v3/bill/tradebill?bill_type=REFUND&").await.ok()).await;
    assert_eq!(only.lines().count(), 4);
    stage.v3(Method::GET, "/v3/bill/tradebill?bill_date=2026-1", None).await.refused(400, "PARAM_ERROR");
    stage.knob(json!({ "bills_today": false })).await;
    bill("/v3/bill/tradebill?").await.refused(400, "PARAM_ERROR");
}

async fn download(stage: &Stage, offer: Value) -> String {
    let url = offer["download_url"].as_str().unwrap();
    let file = stage.v3(Method::GET, url.strip_prefix(&stage.url).unwrap(), None).await;
    assert_eq!((file.status, file.signature.is_err()), (200, true), "a file is not signed");
    assert_eq!(offer["hash_value"], sha1_hex_lower(file.body.as_bytes()));
    file.body
}

#[actix_rt::test]
async fn a_request_that_is_not_believed_changes_nothing() {
    let stage = Stage::open().await;
    let order = stage.order("ORDER_0001", 1_000, NOTIFY).to_string();
    let (mchid, now_ms) = (stage.merchant.wechat.mchid.clone(), stage.clock.now_ms());
    let request = Request { method: "POST", path_and_query: NATIVE, body: &order };
    let signed = |at_ms| stage.signer().sign_request(&mchid, request, at_ms).unwrap();
    let send = async |header: &str| stage.send_v3(Method::POST, NATIVE, order.clone(), (header, None)).await.unwrap();

    let stale = signed(now_ms - 301_000).to_header();
    let mut unknown = signed(now_ms);
    unknown.serial = "0123456789ABCDEF".to_owned();
    let mut stranger = signed(now_ms);
    stranger.mchid = "1".to_owned();
    let mut wrong = signed(now_ms);
    wrong.nonce = "A".repeat(32);
    for header in
        [stale, unknown.to_header(), stranger.to_header(), wrong.to_header(), "Bearer x".to_owned(), String::new()]
    {
        send(&header).await.refused(401, "SIGN_ERROR");
    }
    let header = signed(now_ms).to_header();
    let other_body = stage.send_v3(Method::POST, NATIVE, order.replace("1000", "1"), (&header, None));
    other_body.await.unwrap().refused(401, "SIGN_ERROR");
    let path = format!("/v3/pay/transactions/out-trade-no/ORDER_0001?mchid={mchid}");
    stage.v3(Method::GET, &path, None).await.refused(404, "ORDER_NOT_EXIST");
    send(&signed(now_ms).to_header()).await.ok();
}

#[actix_rt::test]
async fn parameters_out_of_bounds_are_named() {
    let stage = Stage::open().await;
    let good = stage.order("ORDER_0001", 1_000, NOTIFY);
    for (pointer, value) in [
        ("/out_trade_no", json!("short")),
        ("/out_trade_no", json!("has a space")),
        ("/description", json!("")),
        ("/description", json!("x".repeat(128))),
        ("/amount/total", json!(0)),
        ("/amount/total", json!(1.5)),
        ("/amount/currency", json!("USD")),
        ("/notify_url", json!("http://shop.example/notify")),
        ("/notify_url", json!("https://shop.example/notify?a=1")),
        ("/time_expire", json!("tomorrow")),
        ("/attach", json!("x".repeat(129))),
    ] {
        let mut order = good.clone();
        *order.pointer_mut(pointer).unwrap() = value.clone();
        let answer = stage.v3(Method::POST, NATIVE, Some(order)).await;
        let field = answer.json()["detail"]["field"].as_str().unwrap_or_default().to_owned();
        assert!(pointer.contains(&field) && !field.is_empty(), "{pointer} {value}: {}", answer.body);
        answer.refused(400, "PARAM_ERROR");
    }
    let mut order = good;
    order["appid"] = json!("wx0");
    stage.v3(Method::POST, NATIVE, Some(order)).await.refused(400, "APPID_MCHID_NOT_MATCH");
}
