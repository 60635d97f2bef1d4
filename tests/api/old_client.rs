//! GoMall's web client, request by request as it sends them, against the demo shop.

use std::sync::Arc;

use reqwest::Method;
use rushmall::ops::seed;
use serde_json::{Value, json};

use crate::support::client::Person;
use crate::support::shop::TestShop;

const CATEGORIES: [&str; 8] =
    ["手机数码", "电脑办公", "家用电器", "服饰鞋包", "美妆护肤", "食品生鲜", "家居家装", "礼品鲜花"];

async fn demo() -> TestShop {
    let mut shop = TestShop::open().await;
    let ledger = Arc::clone(&shop.inside().ledger);
    seed::fill(shop.books.db(), &*ledger, shop.clock.now_ms()).await.expect("the demo catalogue");
    shop.restart().await; // seeded behind its back
    shop
}

/// Signed up and in, as its first two pages do.
async fn enter(shop: &TestShop) -> Person {
    let visitor = shop.visitor();
    let form = json!({
        "username": "xiaoming", "password": "123456", "confirm_password": "123456", "email": "", "phone": "13800138000"
    });
    visitor.post("/api/user/register", &form).await.accepted();
    let signed_in = visitor.post("/api/user/login", &json!({ "username": "xiaoming", "password": "123456" })).await;
    let data = signed_in.accepted();
    assert!(data["refresh_token"].is_string() && data["expires_in"].is_number(), "{data}");
    visitor.signed_in(data["user"]["id"].as_i64().expect("an id"), "xiaoming", data["token"].as_str().expect("a token"))
}

/// It reads the list once, without parameters, and wants the order there with an id.
async fn finds_in_list(who: &Person, order_no: &Value) -> Value {
    let page = who.get("/api/order").await.accepted();
    let list = page["list"].as_array().expect("a list");
    let order = list.iter().find(|order| order["order_no"] == *order_no).unwrap_or_else(|| panic!("not in {page}"));
    assert!(order["id"].as_i64().is_some_and(|id| id > 0), "{order}");
    order.clone()
}

#[tokio::test]
async fn the_old_client_browses_by_page_category_and_keyword() {
    let shop = demo().await;
    let visitor = shop.visitor();
    let first = visitor.get("/api/product?page=1&page_size=12&category=&keyword=&min_price=&max_price=&sort=").await;
    let first = first.accepted();
    assert!(first["total"].as_i64().is_some_and(|total| total >= 4), "{first}");
    for product in first["list"].as_array().expect("a list") {
        for field in ["id", "name", "description", "price", "stock", "category", "image_url", "created_at"] {
            assert!(!product[field].is_null(), "{field} is missing in {product}");
        }
        visitor.get(&format!("/api/product/{}", product["id"])).await.accepted();
    }
    let known = visitor.get("/api/category").await.accepted().to_string();
    let mut found = 0;
    for category in CATEGORIES {
        assert!(known.contains(category), "{category} is not in {known}");
        let page = visitor.get(&format!("/api/product?category={category}&page=1&page_size=12")).await.accepted();
        for product in page["list"].as_array().expect("a list") {
            assert_eq!(product["category"], category);
            found += 1;
        }
    }
    assert!(found >= 4, "only {found} products are in a category of the old client");
    let keyword = first["list"][0]["name"].as_str().expect("a name").chars().take(2).collect::<String>();
    let hits = visitor.get(&format!("/api/product?keyword={keyword}")).await.accepted();
    assert!(hits["total"].as_i64().is_some_and(|total| total >= 1), "{keyword}: {hits}");
}

#[tokio::test]
async fn the_old_client_fills_its_cart_and_checks_out() {
    let shop = demo().await;
    let ann = enter(&shop).await;
    ann.post("/api/cart", &json!({ "product_id": 1, "quantity": 1 })).await.accepted();
    // and as a query without a body
    ann.ask(Method::POST, "/api/cart?product_id=2&quantity=2", None, &[]).await.accepted();
    let cart = ann.get("/api/cart").await.accepted();
    assert_eq!((cart["items"].as_array().map(Vec::len), cart["total_count"].as_i64()), (Some(2), Some(3)), "{cart}");
    for item in cart["items"].as_array().expect("items") {
        for field in ["id", "product_id", "product_name", "product_image", "price", "quantity", "sub_total"] {
            assert!(!item[field].is_null(), "{field} is missing in {item}");
        }
    }
    ann.put("/api/cart", &json!({ "product_id": 2, "quantity": 1 })).await.accepted();
    ann.ask(Method::DELETE, "/api/cart?product_id=1", None, &[]).await.accepted();
    let orders = ann.post("/api/order/checkout", &json!({})).await.accepted();
    assert_eq!(orders.as_array().map(Vec::len), Some(1), "{orders}");
    finds_in_list(&ann, &orders[0]["order_no"]).await;
    assert_eq!(ann.get("/api/cart").await.accepted()["total_count"], 0);
    shop.assert_stock_conserved(2).await;
}

#[tokio::test]
async fn the_old_client_orders_and_pays_with_either_button() {
    let shop = demo().await;
    let ann = enter(&shop).await;
    for pay_type in [1, 2] {
        let placed = ann.post("/api/order", &json!({ "product_id": 3, "quantity": 1 })).await.accepted();
        let order = finds_in_list(&ann, &placed["order_no"]).await;
        assert_eq!(order["status"], 1);
        let path = format!("/api/order/{}/pay", placed["order_no"].as_str().expect("a number"));
        ann.post(&path, &json!({ "pay_type": pay_type })).await.accepted();
        let paid = finds_in_list(&ann, &placed["order_no"]).await;
        assert_eq!((paid["status"].as_i64(), paid["pay_type"].as_i64()), (Some(2), Some(pay_type)));
    }
    let one = ann.get("/api/order?page=1&page_size=10&status=").await.accepted();
    assert_eq!(one["total"], 2);
    shop.assert_stock_conserved(3).await;
}

#[tokio::test]
async fn the_old_client_buys_on_its_seckill_page() {
    let shop = demo().await;
    let ann = enter(&shop).await;
    for product_id in 1..=4 {
        let bought = if product_id % 2 == 0 {
            ann.ask(Method::POST, &format!("/api/seckill?product_id={product_id}"), None, &[]).await
        } else {
            ann.post("/api/seckill", &json!({ "product_id": product_id, "quantity": 1 })).await
        };
        let bought = bought.accepted();
        assert_eq!((bought["success"].as_bool(), bought["product_id"].as_i64()), (Some(true), Some(product_id)));
        finds_in_list(&ann, &bought["order_no"]).await;
        let again = ann.post("/api/seckill", &json!({ "product_id": product_id })).await.with_status(200);
        assert_eq!(again.rejected(60_004)["order_no"], bought["order_no"]);
    }
    for product_id in 1..=4 {
        shop.assert_stock_conserved(product_id).await;
    }
}

#[tokio::test]
async fn the_old_clients_pictures_are_there() {
    let shop = demo().await;
    let visitor = shop.visitor();
    for product_id in 1..=4 {
        let product = visitor.get(&format!("/api/product/{product_id}")).await.accepted();
        let path = product["image_url"].as_str().expect("a picture").to_owned();
        assert!(path.starts_with("/photos/") || path.contains("/photos/"), "{path}");
        let path = &path[path.find("/photos/").expect("photos")..];
        let response = visitor.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        let kind = response.headers()["content-type"].to_str().expect("a type").to_owned();
        assert!(kind.starts_with("image/"), "{path} is {kind}");
        assert!(response.bytes().await.expect("a body").len() > 100, "{path}");
    }
    for bad in ["/photos/none.jpg", "/photos/../Cargo.toml", "/photos/%2e%2e%2fCargo.toml", "/photos/"] {
        visitor.get(bad).await.with_status(404);
    }
}

#[tokio::test]
async fn the_old_client_is_told_in_its_msg_field_and_thrown_out_by_401_only() {
    let shop = demo().await;
    let ann = enter(&shop).await;
    let response =
        ann.request(Method::POST, "/api/order").json(&json!({ "product_id": 1, "quantity": 0 })).send().await;
    let body: Value = response.expect("an answer").json().await.expect("an envelope");
    assert_eq!(body["msg"], body["message"]);
    assert!(body["msg"].as_str().is_some_and(|text| !text.is_ascii()), "{body}");
    let refused = ann.post("/api/user/login", &json!({ "username": "xiaoming", "password": "654321" })).await;
    assert_eq!((refused.status, refused.code), (200, 10_004));
    ann.post("/api/auth/logout", &json!({})).await.accepted();
    ann.get("/api/order").await.with_status(401);
}
