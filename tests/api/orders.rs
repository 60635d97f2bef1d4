//! An order's life over HTTP, and what each step is answered in the wrong moment.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::shop::TestShop;

const UNPAID: i64 = 1;
const PAID: i64 = 2;
const SHIPPED: i64 = 3;
const COMPLETED: i64 = 4;

#[track_caller]
fn is(order: &Value, status: i64, text: &str) {
    assert_eq!((order["status"].as_i64(), order["status_text"].as_str()), (Some(status), Some(text)), "{order}");
}

#[tokio::test]
async fn an_order_is_placed_paid_shipped_and_received_and_tells_its_story() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("parcel", 12.5, 4).await;
    let ann = shop.register("ann").await;
    let placed = json!({ "product_id": product.id, "quantity": 2, "remark": "门口" });
    let order = ann.post("/api/order", &placed).await.accepted();
    is(&order, UNPAID, "待支付");
    assert!(order["id"].as_i64().is_some_and(|id| id > 0), "{order}");
    assert_eq!((order["remark"].as_str(), order["quantity"].as_i64()), (Some("门口"), Some(2)));
    assert_eq!((order["user_id"].as_i64(), order["product_id"].as_i64()), (Some(ann.user_id), Some(product.id)));
    for time in ["created_at", "pay_deadline"] {
        assert!(order[time].as_str().is_some_and(|at| at.ends_with("+08:00") && at.len() == 25), "{order}");
    }
    let order_no = order["order_no"].as_str().expect("a number").to_owned();
    // not yet
    ann.confirm(&order_no).await.rejected(30_008);
    admin.ship(&order_no).await.rejected(30_008);
    admin.refund(&order_no).await.rejected(30_008);

    is(&ann.pay(&order_no).await.accepted(), PAID, "已支付");
    ann.pay(&order_no).await.rejected(30_007);
    ann.cancel(&order_no).await.rejected(30_007);
    ann.confirm(&order_no).await.rejected(30_003);
    let shipped = admin.ship(&order_no).await.accepted();
    is(&shipped, SHIPPED, "已发货");
    assert_eq!((shipped["carrier"].as_str(), shipped["shipped_at"].is_string()), (Some("SF"), true));
    is(&ann.confirm(&order_no).await.accepted(), COMPLETED, "已完成");

    let detail = ann.order(&order_no).await.accepted();
    let events: Vec<&str> =
        detail["timeline"].as_array().expect("a timeline").iter().filter_map(|e| e["event"].as_str()).collect();
    let story = ["order_placed", "payment_started", "payment_captured", "order_shipped", "order_completed"];
    assert_eq!(events, story);
    for time in ["paid_at", "shipped_at", "completed_at"] {
        assert!(detail[time].is_string(), "{time}: {detail}");
    }
    let seen = shop.visitor().get(&format!("/api/product/{}", product.id)).await.accepted();
    assert_eq!((seen["stock"].as_i64(), seen["sales"].as_i64()), (Some(2), Some(2)), "{seen}");
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_cancelled_order_is_over_and_its_units_are_for_sale_again() {
    let shop = TestShop::open().await;
    let product = shop.admin().await.make_product("regret", 12.5, 4).await;
    let ann = shop.register("ann").await;
    let order_no = ann.place_order(&product, 4).await.order_no();
    ann.place_order(&product, 1).await.rejected(20_003);
    let cancelled = ann.cancel(&order_no).await.accepted();
    is(&cancelled, 5, "已取消");
    assert_eq!(cancelled["end_reason"], "buyer");
    ann.pay(&order_no).await.rejected(30_003);
    ann.confirm(&order_no).await.with_status(200);
    shop.assert_stock_conserved(product.id).await;
    let until = Instant::now() + Duration::from_secs(30);
    while ann.place_order(&product, 4).await.code == 20_003 {
        assert!(Instant::now() < until, "the units are never for sale again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn an_order_keeps_name_picture_and_price_of_its_day() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("old name", 10.0, 4).await;
    let ann = shop.register("ann").await;
    let order_no = ann.place_order(&product, 1).await.order_no();
    let change = json!({ "name": "new name", "price": 99, "image_url": "/photos/2.jpg" });
    admin.put(&format!("/api/product/{}", product.id), &change).await.accepted();
    let order = ann.order(&order_no).await.accepted();
    assert_eq!((order["product_name"].as_str(), order["total_price"].as_f64()), (Some("old name"), Some(10.0)));
    ann.pay(&order_no).await.accepted();
    assert_eq!(shop.books.count("SELECT amount_fen AS n FROM payments").await, 1_000);
    assert_eq!(ann.place_order(&product, 1).await.accepted()["total_price"], 99.0);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn administrators_see_every_order_and_can_filter_them() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (first, second) = (admin.make_product("a", 1.0, 9).await, admin.make_product("b", 1.0, 9).await);
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let paid = ann.place_order(&first, 1).await.order_no();
    ann.pay(&paid).await.accepted();
    ann.place_order(&second, 1).await.accepted();
    bob.place_order(&second, 2).await.accepted();
    for (query, count) in [
        (String::new(), 3),
        (format!("?user_id={}", ann.user_id), 2),
        (format!("?product_id={}", second.id), 2),
        ("?status=2".to_owned(), 1),
        (format!("?status=1&user_id={}&product_id={}", bob.user_id, second.id), 1),
        ("?needs_review=true".to_owned(), 0),
    ] {
        let page = admin.get(&format!("/api/admin/orders{query}")).await.accepted();
        assert_eq!(page["total"], count, "{query}: {page}");
    }
    let cancelled = admin.post(&format!("/api/admin/orders/{paid}/cancel"), &json!({})).await;
    cancelled.rejected(30_007);
    admin.post(&format!("/api/admin/orders/{paid}/explode"), &json!({})).await.with_status(404);
    // what administrators do is written down
    let acts = admin.get("/api/admin/audit?page_size=100").await.accepted().to_string();
    assert!(acts.contains("product.create"), "{acts}");
    shop.assert_stock_conserved(first.id).await;
}
