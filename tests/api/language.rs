//! Words and times: Chinese unless English is asked for, both time formats in and one out.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::shop::TestShop;

#[tokio::test]
async fn refusals_are_chinese_unless_english_is_preferred() {
    let shop = TestShop::open().await;
    let ann = shop.register("ann").await;
    let body = json!({ "product_id": 1, "quantity": 0 });
    for (accepted, is_english) in [
        (None, false),
        (Some(""), false),
        (Some("zh-CN,zh;q=0.9,en;q=0.8"), false),
        (Some("fr"), false),
        (Some("*"), false),
        (Some("en"), true),
        (Some("en-US,en;q=0.9,zh;q=0.8"), true),
        (Some("zh;q=0.1, en-GB;q=0.7"), true),
    ] {
        let headers: Vec<(&str, &str)> = accepted.map(|value| ("accept-language", value)).into_iter().collect();
        for (method, path, body) in [
            (Method::POST, "/api/order", Some(&body)),
            (Method::GET, "/api/product/99999", None),
            (Method::GET, "/nothing", None),
        ] {
            let answer = ann.ask(method, path, body, &headers).await;
            assert!(!answer.message.is_empty(), "{answer:?}");
            assert_eq!(answer.message.is_ascii(), is_english, "{accepted:?}: {answer:?}");
        }
        let answer = ann.ask(Method::POST, "/api/order", Some(&body), &headers).await;
        let blamed = answer.data["errors"][0]["message"].as_str().expect("a message");
        assert_eq!(blamed.is_ascii(), is_english, "{answer:?}");
    }
    let visitor = shop.visitor();
    let spoken = visitor.ask(Method::GET, "/api/order", None, &[("accept-language", "en")]).await;
    assert!(spoken.message.is_ascii(), "{spoken:?}");
}

#[tokio::test]
async fn a_status_is_told_in_the_callers_language() {
    let shop = TestShop::open().await;
    let product = shop.admin().await.make_product("told", 1.0, 5).await;
    let ann = shop.register("ann").await;
    let order_no = ann.place_order(&product, 1).await.order_no();
    let path = format!("/api/order/{order_no}");
    let english = ann.ask(Method::GET, &path, None, &[("accept-language", "en")]).await.accepted();
    assert_eq!(
        (ann.get(&path).await.accepted()["status_text"].as_str(), english["status_text"].as_str()),
        (Some("待支付"), Some("unpaid"))
    );
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn both_time_formats_are_read_and_one_is_written() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    for (place, (start, end)) in [
        ("2031-01-01 08:00:00", "2031-01-02 08:00:00"),
        ("2031-01-01T08:00:00+08:00", "2031-01-02T08:00:00+08:00"),
        ("2031-01-01T00:00:00Z", "2031-01-02T00:00:00Z"),
        ("2030-12-31T19:00:00-05:00", "2031-01-01T19:00:00.000-05:00"),
    ]
    .into_iter()
    .enumerate()
    {
        let product = admin.make_product(&format!("timed {place}"), 5.0, 5).await;
        let sale = json!({ "product_id": product.id, "price": 1, "stock": 5, "start_at": start, "end_at": end });
        let made = admin.post("/api/seckill/sale", &sale).await.accepted();
        assert_eq!(
            (made["start_at"].as_str(), made["end_at"].as_str(), made["status"].as_str()),
            (Some("2031-01-01T08:00:00+08:00"), Some("2031-01-02T08:00:00+08:00"), Some("upcoming")),
            "{start}"
        );
        assert_eq!(made["per_user_limit"], Value::from(1));
    }
}
