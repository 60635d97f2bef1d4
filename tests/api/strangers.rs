//! Another buyer's order does not exist, and nobody makes himself an administrator: t16, t25.

use serde_json::json;

use crate::support::shop::TestShop;
use crate::support::wire::{Heard, Wire};

#[tokio::test]
async fn t16_another_buyers_order_can_neither_be_seen_nor_touched() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("private", 5).await;
    let (ann, eve) = (shop.register("ann").await, shop.register("eve").await);
    let order_no = ann.buy(&product).await.order_no();
    shop.at_rest().await;
    let before = shop.books.footprint().await;
    let order = ann.order(&order_no).await.accepted();

    let path = format!("/api/order/{order_no}");
    eve.get(&path).await.with_status(404).rejected(30_001);
    eve.pay(&order_no).await.with_status(404).rejected(30_001);
    eve.cancel(&order_no).await.with_status(404).rejected(30_001);
    eve.confirm(&order_no).await.with_status(404).rejected(30_001);
    eve.buy_result(&order_no).await.with_status(404).rejected(30_001);
    eve.post(&format!("{path}/ship"), &json!({ "carrier": "x", "tracking_no": "y" })).await.with_status(403);
    eve.refund(&order_no).await.with_status(403).rejected(10_010);
    assert_eq!(eve.orders().await.len(), 0);
    let visitor = shop.visitor();
    visitor.get(&path).await.with_status(401).rejected(10_008);
    visitor.pay(&order_no).await.with_status(401).rejected(10_008);

    // on the socket: subscribed by name, and told nothing
    let mut wire = Wire::open(&eve).await;
    wire.say(json!({ "type": "subscribe", "orders": [order_no], "since": 0 }).to_string()).await;
    assert_eq!(wire.frame("snapshot").await["orders"], json!([]));
    assert_eq!(ann.order(&order_no).await.accepted(), order);
    assert_eq!(shop.books.footprint().await, before);
    ann.pay(&order_no).await.accepted();
    assert_eq!(wire.hear_within(std::time::Duration::from_millis(300)).await, Heard::Silence);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn t16_another_buyers_address_cannot_be_used_or_changed() {
    let shop = TestShop::open().await;
    let product = shop.admin().await.make_product("sent", 3.0, 5).await;
    let (ann, eve) = (shop.register("ann").await, shop.register("eve").await);
    let home = json!({ "receiver": "安", "phone": "13800000000", "region": "北京", "detail": "一号" });
    let address = ann.post("/api/user/address", &home).await.accepted();
    let path = format!("/api/user/address/{}", address["id"]);
    eve.get(&path).await.with_status(404);
    eve.put(&path, &home).await.with_status(404);
    eve.delete(&path).await.with_status(404);
    let order = json!({ "product_id": product.id, "address_id": address["id"] });
    eve.post("/api/order", &order).await.with_status(400).rejected(30_009);
    let placed = ann.post("/api/order", &order).await.accepted();
    assert_eq!(placed["address"]["receiver"], "安");
    // the order keeps the address that it was placed with
    ann.delete(&path).await.accepted();
    let order_no = placed["order_no"].as_str().expect("a number");
    assert_eq!(ann.order(order_no).await.accepted()["address"]["detail"], "一号");
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn t25_nobody_is_administrator_by_registering_and_the_role_is_the_databases() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let ann = shop.register("ann").await;
    assert_eq!(ann.get("/api/user/profile").await.accepted()["role"], 1);
    ann.put("/api/user/profile", &json!({ "nickname": "a", "role": 2 })).await;
    assert_eq!(ann.get("/api/user/profile").await.accepted()["role"], 1);
    ann.get("/api/admin/users").await.with_status(403);
    admin.put(&format!("/api/admin/users/{}", ann.user_id), &json!({ "role": 2 })).await.accepted();
    let again = shop.visitor().log_in("ann", "ann-2026").await;
    again.get("/api/admin/users").await.accepted();
    // and back: the token still says administrator, the database does not
    admin.put(&format!("/api/admin/users/{}", ann.user_id), &json!({ "role": 1 })).await.accepted();
    let refused = again.get("/api/admin/users").await;
    assert!([401, 403].contains(&refused.status), "{refused:?}");
    let own = admin.put(&format!("/api/admin/users/{}", admin.user_id), &json!({ "role": 1 })).await;
    assert!(!own.is_accepted(), "the last administrator removed himself");
}
