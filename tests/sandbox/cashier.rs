//! The page that a buyer sees.

use reqwest::Method;
use serde_json::json;

use super::stage::Stage;

/// The address of a trade's cashier.
async fn address(stage: &Stage, number: &str) -> String {
    let trade = stage.control(Method::GET, &format!("/trades/{number}"), json!({})).await;
    trade["cashier_url"].as_str().unwrap().to_owned()
}

async fn look(stage: &Stage, url: &str, language: &str) -> (u16, String) {
    let answer = stage.http.get(url).header("Accept-Language", language).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[actix_rt::test]
async fn a_buyer_leaves_fails_and_pays_in_his_language() {
    let stage = Stage::open().await;
    stage.knob(json!({ "code_url": "cashier" })).await;
    let order = stage.order("ORDER_0001", 1_999, "https://shop.example/notify");
    let made = stage.v3(Method::POST, "/v3/pay/transactions/native", Some(order)).await.ok();
    let url = made["code_url"].as_str().unwrap();
    let (status, page) = look(&stage, url, "zh-CN,zh;q=0.9").await;
    assert_eq!(status, 200);
    assert!(page.contains("¥19.99") && page.contains("确认支付") && page.contains("台灯 &lt;lamp&gt;"), "{page}");
    assert!(!page.contains("<lamp>"), "the merchant's text is no markup");
    assert!(look(&stage, url, "en").await.1.contains(">Pay<"));

    let press = async |action: &str| {
        let answer = stage.http.post(format!("{url}/{action}")).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        let back = reqwest::Url::parse(&format!("{url}/{action}")).unwrap();
        back.join(answer.headers()["location"].to_str().unwrap()).unwrap().to_string()
    };
    let back = press("cancel").await;
    assert!(look(&stage, &back, "en").await.1.contains("You left the cashier"));
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "NOTPAY");
    let back = press("fail").await;
    assert!(look(&stage, &back, "en").await.1.contains("The payment failed"));
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "PAYERROR");
    let back = press("pay").await;
    assert_eq!(back, *url);
    assert!(look(&stage, &back, "en").await.1.contains(">Paid<"));
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "SUCCESS");
    press("pay").await;
    assert_eq!(stage.http.post(format!("{url}/steal")).send().await.unwrap().status(), 404);
    assert_eq!(look(&stage, &format!("{}/cashier/nobodys", stage.url), "en").await.0, 404);
}

#[actix_rt::test]
async fn an_old_code_takes_no_money() {
    let stage = Stage::open().await;
    stage.create("ORDER_0001", 100, "https://shop.example/notify").await;
    let url = address(&stage, "ORDER_0001").await;
    stage.control(Method::POST, "/clock", json!({ "by_ms": 1_900_000 })).await;
    let (_, page) = look(&stage, &url, "en").await;
    assert!(page.contains("Too late") && !page.contains("<form"), "{page}");
    stage.http.post(format!("{url}/pay")).send().await.unwrap();
    assert_eq!(stage.query("ORDER_0001").await["trade_state"], "NOTPAY");
}
