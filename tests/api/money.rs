//! Yuan on the wire, fen inside: t15, t17.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::Person;
use crate::support::shop::TestShop;

/// The answer's text, because a parsed number has forgotten how it was written.
async fn text_of(who: &Person, path: &str) -> String {
    let response = who.request(Method::GET, path).send().await.expect("an answer");
    response.text().await.expect("a text")
}

#[tokio::test]
async fn t17_three_at_19_99_are_59_97_everywhere() {
    let shop = TestShop::open().await;
    let product = shop.admin().await.make_product("odd", 19.99, 10).await;
    let ann = shop.register("ann").await;
    ann.add_to_cart(&product, 3).await.accepted();
    let cart = text_of(&ann, "/api/cart").await;
    assert!(cart.contains("\"sub_total\":59.97") && cart.contains("\"total_price\":59.97"), "{cart}");
    let order_no = ann.place_order(&product, 3).await.order_no();
    for path in ["/api/order".to_owned(), format!("/api/order/{order_no}")] {
        let order = text_of(&ann, &path).await;
        assert!(order.contains("\"total_price\":59.97") && order.contains("\"price\":19.99"), "{order}");
    }
    assert_eq!(shop.books.count("SELECT total_fen AS n FROM orders").await, 5_997);
    ann.pay(&order_no).await.accepted();
    assert_eq!(shop.books.count("SELECT amount_fen AS n FROM payments").await, 5_997);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn t17_a_tenth_and_two_tenths_are_three_tenths_and_whole_yuan_have_two_decimals() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let ann = shop.register("ann").await;
    for (name, price) in [("tenth", "0.1"), ("two tenths", "0.2"), ("text", "\"0.30\""), ("whole", "7")] {
        let body = format!(r#"{{"name":"{name}","price":{price},"stock":5}}"#);
        let made = admin.send_raw(Method::POST, "/api/product", "application/json", body).await.accepted();
        ann.post("/api/cart", &json!({ "product_id": made["id"] })).await.accepted();
    }
    let cart = text_of(&ann, "/api/cart").await;
    for shown in ["\"price\":0.10", "\"price\":0.20", "\"price\":0.30", "\"price\":7.00", "\"total_price\":7.60"] {
        assert!(cart.contains(shown), "{shown} is not in {cart}");
    }
}

#[tokio::test]
async fn a_total_beyond_what_the_shop_handles_is_refused() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let dear = json!({ "name": "dear", "price": 9_000_000_000_i64, "stock": 999 });
    let made = admin.post("/api/product", &dear).await;
    let Some(id) = made.data["id"].as_i64() else {
        assert_eq!((made.status, made.code), (400, 20_006), "{made:?}");
        return;
    };
    let ann = shop.register("ann").await;
    let answer = ann.post("/api/order", &json!({ "product_id": id, "quantity": 999 })).await;
    assert!([0, 30_009].contains(&answer.code), "{answer:?}");
    shop.assert_stock_conserved(id).await;
}

#[tokio::test]
async fn t15_what_a_client_says_about_money_is_ignored() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("honest", 50.0, 10).await;
    admin.plan_sale(&product, crate::support::verbs::SalePlan::open_now(5)).await;
    let ann = shop.register("ann").await;
    let cheap = json!({
        "product_id": product.id, "quantity": 1, "price": 0.01, "total_price": 0.01, "amount": 1, "total_fee": 1,
        "discount": 49.99
    });
    let order = ann.post("/api/order", &cheap).await.accepted();
    assert_eq!(order["total_price"], 50.0);
    let bought = ann.post("/api/seckill", &cheap).await.accepted();
    assert_eq!(bought["price"], 9.9);
    for order_no in [&order["order_no"], &bought["order_no"]] {
        let path = format!("/api/order/{}/pay", order_no.as_str().expect("a number"));
        let pay = json!({ "pay_type": 9, "amount": 0.01, "total_fee": 1, "total_price": 0.01, "price": 0 });
        ann.post(&path, &pay).await.accepted();
    }
    assert_eq!(shop.books.count("SELECT SUM(amount_fen) AS n FROM payments").await, 5_000 + 990);
    let refunded: Value = admin.get("/api/admin/orders").await.accepted()["list"].clone();
    let totals: Vec<f64> =
        refunded.as_array().expect("orders").iter().filter_map(|o| o["total_price"].as_f64()).collect();
    assert!(totals.contains(&50.0) && totals.contains(&9.9), "{totals:?}");
    shop.assert_stock_conserved(product.id).await;
}
