//! Alipay: every method, parameters in the query and in the form, key and certificate mode.

use rushmall::payment::alipay::signing as alipay_signing;
use rushmall::payment::crypto::{Certificate, PrivateKey, alipay_root_cert_sn};
use serde_json::{Value, json};

use super::stage::Stage;

fn content(number: &str, amount: &str) -> Value {
    json!({ "out_trade_no": number, "total_amount": amount, "subject": "台灯 lamp", "timeout_express": "30m" })
}

async fn ask(stage: &Stage, method: &str, content: Value) -> Value {
    stage.alipay(method, content, "", false).await
}

fn sub_code(answer: &Value) -> &str {
    answer["sub_code"].as_str().unwrap_or_default()
}

#[actix_rt::test]
async fn a_trade_exists_when_somebody_has_scanned_it() {
    let stage = Stage::open().await;
    let number = json!({ "out_trade_no": "ORDER_0001" });
    for in_query in [true, false, true] {
        let made = stage.alipay("alipay.trade.precreate", content("ORDER_0001", "19.99"), "", in_query).await;
        assert_eq!(made["code"], "10000");
        assert!(made["qr_code"].as_str().unwrap().starts_with("https://qr.alipay.com/"));
    }
    let other = ask(&stage, "alipay.trade.precreate", content("ORDER_0001", "20.00")).await;
    assert_eq!(sub_code(&other), "ACQ.CONTEXT_INCONSISTENT");
    for method in ["alipay.trade.query", "alipay.trade.close"] {
        assert_eq!(sub_code(&ask(&stage, method, number.clone()).await), "ACQ.TRADE_NOT_EXIST");
    }
    stage.control(reqwest::Method::POST, "/trades/ORDER_0001/scan", json!({})).await;
    let seen = ask(&stage, "alipay.trade.query", number.clone()).await;
    assert_eq!((&seen["trade_status"], &seen["total_amount"]), (&json!("WAIT_BUYER_PAY"), &json!("19.99")));
    stage.pay("ORDER_0001").await;
    let paid = ask(&stage, "alipay.trade.query", json!({ "trade_no": seen["trade_no"] })).await;
    assert_eq!((&paid["trade_status"], &paid["trade_no"]), (&json!("TRADE_SUCCESS"), &seen["trade_no"]));
    assert_eq!(sub_code(&ask(&stage, "alipay.trade.close", number).await), "ACQ.TRADE_STATUS_ERROR");
    let again = ask(&stage, "alipay.trade.precreate", content("ORDER_0001", "19.99")).await;
    assert_eq!(sub_code(&again), "ACQ.TRADE_HAS_SUCCESS");
    stage.control(reqwest::Method::POST, "/clock", json!({ "by_ms": 366_i64 * 86_400_000 })).await;
    let old = ask(&stage, "alipay.trade.query", json!({ "trade_no": seen["trade_no"] })).await;
    assert_eq!(old["trade_status"], "TRADE_FINISHED");
}

#[actix_rt::test]
async fn the_end_of_its_time_or_a_close_closes_a_scanned_trade() {
    let stage = Stage::open().await;
    for number in ["ORDER_0001", "ORDER_0002"] {
        ask(&stage, "alipay.trade.precreate", content(number, "1")).await;
        stage.control(reqwest::Method::POST, &format!("/trades/{number}/scan"), json!({})).await;
    }
    let closed = ask(&stage, "alipay.trade.close", json!({ "out_trade_no": "ORDER_0001" })).await;
    assert_eq!((&closed["code"], &closed["out_trade_no"]), (&json!("10000"), &json!("ORDER_0001")));
    stage.control(reqwest::Method::POST, "/clock", json!({ "by_ms": 1_800_001 })).await;
    for number in ["ORDER_0001", "ORDER_0002"] {
        let seen = ask(&stage, "alipay.trade.query", json!({ "out_trade_no": number })).await;
        assert_eq!(seen["trade_status"], "TRADE_CLOSED", "{number}");
        let again = ask(&stage, "alipay.trade.precreate", content(number, "1")).await;
        assert_eq!(sub_code(&again), "ACQ.TRADE_HAS_CLOSE");
    }
}

#[actix_rt::test]
async fn a_refund_moves_money_once() {
    let stage = Stage::open().await;
    ask(&stage, "alipay.trade.precreate", content("ORDER_0001", "10.00")).await;
    let refund = async |request_no: &str, amount: &str| {
        let body = json!({ "out_trade_no": "ORDER_0001", "refund_amount": amount, "out_request_no": request_no });
        ask(&stage, "alipay.trade.refund", body).await
    };
    assert_eq!(sub_code(&refund("R1", "3.00").await), "ACQ.TRADE_NOT_EXIST");
    stage.pay("ORDER_0001").await;
    stage.knob(json!({ "alipay_refund_hidden_ms": 3_600_000 })).await;
    let moved = refund("R1", "3.00").await;
    assert_eq!((&moved["fund_change"], &moved["refund_fee"]), (&json!("Y"), &json!("3.00")));
    assert_eq!(refund("R1", "3.00").await["fund_change"], "N");
    assert_eq!(sub_code(&refund("R1", "3.01").await), "ACQ.DISCORDANT_REPEAT_REQUEST");
    assert_eq!(sub_code(&refund("R2", "7.01").await), "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL");

    let query = async |request_no: &str| {
        let body = json!({ "out_trade_no": "ORDER_0001", "out_request_no": request_no });
        ask(&stage, "alipay.trade.fastpay.refund.query", body).await
    };
    let hidden = query("R1").await;
    assert_eq!((&hidden["code"], hidden.get("refund_status")), (&json!("10000"), None));
    stage.knob(json!({ "alipay_refund_hidden_ms": 0 })).await;
    let told = query("R1").await;
    assert_eq!((&told["refund_status"], &told["refund_amount"]), (&json!("REFUND_SUCCESS"), &json!("3.00")));
    assert!(query("R9").await.get("refund_status").is_none());
    assert_eq!(refund("R2", "7.00").await["refund_fee"], "10.00");
    let whole = ask(&stage, "alipay.trade.query", json!({ "out_trade_no": "ORDER_0001" })).await;
    assert_eq!(whole["trade_status"], "TRADE_CLOSED");
}

#[actix_rt::test]
async fn a_page_payment_sends_the_browser_to_the_cashier() {
    let stage = Stage::open().await;
    let mut order = content("ORDER_0001", "5.00");
    order["product_code"] = json!("FAST_INSTANT_TRADE_PAY");
    let form = alipay_signing::write_form(&stage.alipay_params("alipay.trade.page.pay", &order, ""));
    let answer = stage.http.get(format!("{}/gateway.do?{form}", stage.url)).send().await.unwrap();
    assert_eq!(answer.status(), 302);
    let cashier = answer.headers()["location"].to_str().unwrap();
    assert!(stage.http.get(cashier).send().await.unwrap().text().await.unwrap().contains("5.00"));
    let seen = ask(&stage, "alipay.trade.query", json!({ "out_trade_no": "ORDER_0001" })).await;
    assert_eq!(seen["trade_status"], "WAIT_BUYER_PAY", "looking at it is scanning it");
}

#[actix_rt::test]
async fn requests_that_are_not_believed_are_refused_by_the_gateway() {
    let stage = Stage::open().await;
    let good = stage.alipay_params("alipay.trade.precreate", &content("ORDER_0001", "5.00"), "");
    for (name, value, expected) in [
        (
            "biz_content",
            "{\"out_trade_no\":\"ORDER_0001\",\"total_amount\":\"0.01\",\"subject\":\"x\"}",
            "isv.invalid-signature",
        ),
        ("sign", "AAAA", "isv.invalid-signature"),
        ("app_id", "2021", "isv.invalid-app-id"),
        ("sign_type", "RSA", "isv.invalid-signature-type"),
        ("timestamp", "now", "isv.invalid-timestamp"),
        ("method", "alipay.trade.steal", "isv.invalid-method"),
        ("app_cert_sn", "00", "isv.invalid-app-cert-sn"),
    ] {
        let mut params = good.clone();
        params.insert(name.to_owned(), value.to_owned());
        let body = stage.post("/gateway.do", alipay_signing::write_form(&params)).await;
        let refusal: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(sub_code(&refusal["error_response"]), expected, "{body}");
    }
    let missing = ask(&stage, "alipay.trade.query", json!({})).await;
    assert_eq!((&missing["code"], sub_code(&missing)), (&json!("40001"), "isv.missing-parameter"));
}

#[actix_rt::test]
async fn certificate_mode_names_the_certificates_of_both_sides() {
    let stage = Stage::open().await;
    let alipay = &stage.merchant.alipay;
    let of = |file: &str| Certificate::from_pem(&stage.merchant_file(file)).unwrap().alipay_sn;
    let body = json!({ "alipay_cert_sn": of(&alipay.alipay_certificate_file) });
    let method = "alipay.open.app.alipaycert.download";
    let mut params = stage.alipay_params(method, &body, "");
    params.remove("sign");
    params.insert("app_cert_sn".to_owned(), of(&alipay.app_certificate_file));
    let root = alipay_root_cert_sn(&stage.merchant_file(&alipay.alipay_root_certificate_file)).unwrap();
    params.insert("alipay_root_cert_sn".to_owned(), root);
    let key = PrivateKey::from_pem(&stage.merchant_file(&alipay.private_key_file)).unwrap();
    alipay_signing::sign_request(&mut params, &key).unwrap();
    let text = stage.post("/gateway.do", alipay_signing::write_form(&params)).await;
    let answer = alipay_signing::read_answer(&text, method).unwrap();
    assert_eq!(answer.certificate_sn, Some(of(&alipay.alipay_certificate_file)));
    assert!(stage.believed(&text, method)["alipay_cert_content"].is_string());
}
