//! `Idempotency-Key`: t19, r1, r2, r3.

use std::time::Instant;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::claims::PATIENCE;
use crate::counting::{PAID, by_code, free_pool, sale_pool, text};
use crate::support::client::{Answer, Person};
use crate::support::shop::TestShop;
use crate::support::verbs::{Product, SIMULATED};

/// The envelope without what differs from answer to answer.
fn essence(answer: &Answer) -> (u16, i64, Value) {
    (answer.status, answer.code, answer.data.clone())
}

/// Sent twice in a row and then by twenty at once: one answer for all, or "still at work".
async fn is_done_once(who: &Person, path: &str, body: &Value, key: &str) -> Value {
    let crowd = join_all((0..20).map(|_| who.post_once(path, body, key))).await;
    let codes = by_code(&crowd);
    assert!(codes.keys().all(|code| [0, 409].contains(code)), "{path}: {codes:?}");
    for busy in crowd.iter().filter(|answer| answer.code == 409) {
        assert_eq!(busy.status, 409);
        assert!(busy.headers.contains_key("retry-after") || busy.data["retry_after_ms"].is_number(), "{busy:?}");
    }
    let first = crowd.iter().find(|answer| answer.is_accepted()).expect("one was accepted");
    for other in crowd.iter().filter(|answer| answer.is_accepted()) {
        assert_eq!(essence(other), essence(first), "{path}");
    }
    let again = who.post_once(path, body, key).await;
    assert_eq!(essence(&again), essence(first), "{path} asked again");
    assert_eq!(again.headers.get("idempotent-replayed").map(|value| value.as_bytes()), Some(&b"true"[..]));
    again.accepted()
}

#[tokio::test]
async fn t19_r1_r3_a_purchase_under_one_key_is_made_once() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("keyed", 9.9, 10).await;
    admin.plan_sale(&product, crate::support::verbs::SalePlan::open_now(10).per_buyer(10)).await;
    let ann = shop.register("ann").await;
    let bought = is_done_once(&ann, "/api/seckill", &json!({ "product_id": product.id }), "sale-1").await;
    let orders = ann.orders().await;
    assert_eq!((orders.len(), &orders[0]["order_no"]), (1, &bought["order_no"]), "{orders:?}");
    // another key is another purchase
    let second = ann.buy_once(&product, "sale-2").await.order_no();
    assert_ne!(second, text(&bought, "order_no"));
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.free, 8);
}

#[tokio::test]
async fn t19_r1_r3_an_order_a_checkout_and_a_payment_under_one_key_are_made_once() {
    for shop in TestShop::each_cart_store().await {
        all_once_in(shop).await;
    }
}

async fn all_once_in(shop: TestShop) {
    let admin = shop.admin().await;
    let (first, second) = (admin.make_product("a", 1.0, 20).await, admin.make_product("b", 2.0, 20).await);
    let ann = shop.register("ann").await;
    let body = json!({ "product_id": first.id, "quantity": 3 });
    let order = is_done_once(&ann, "/api/order", &body, "order").await;
    ann.add_to_cart(&first, 2).await.accepted();
    ann.add_to_cart(&second, 4).await.accepted();
    let orders = is_done_once(&ann, "/api/order/checkout", &json!({}), "checkout").await;
    assert_eq!(orders.as_array().map(Vec::len), Some(2), "{orders}");
    assert_eq!(ann.orders().await.len(), 3);
    let path = format!("/api/order/{}/pay", text(&order, "order_no"));
    let paid = is_done_once(&ann, &path, &json!({ "pay_type": SIMULATED }), "pay").await;
    assert_eq!(paid["status"], PAID);
    assert_eq!(shop.books.count("SELECT COUNT(*) AS n FROM payments").await, 1);
    shop.assert_stock_conserved(first.id).await;
    assert_eq!(free_pool(&shop.books, &first).await.free, 15);
    assert_eq!(free_pool(&shop.books, &second).await.free, 16);
}

#[tokio::test]
async fn r2_the_same_key_with_another_request_is_422_and_nothing_happens() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("keyed", 9.9, 10).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let order_no = ann.place_order_once(&product, 1, "k").await.order_no();
    let before = shop.books.footprint().await;
    ann.place_order_once(&product, 2, "k").await.with_status(422).rejected(422);
    ann.post_once("/api/order/checkout", &json!({}), "k").await.with_status(422).rejected(422);
    ann.pay_once(&order_no, "k").await.with_status(422).rejected(422);
    assert_eq!(shop.books.footprint().await, before);
    // another user's key of the same name is his own
    assert_ne!(bob.place_order_once(&product, 1, "k").await.order_no(), order_no);
    for bad in ["", " ", "a b", &"x".repeat(101)] {
        let answer = ann.place_order_once(&product, 1, bad).await;
        assert_eq!((answer.status, answer.code), (400, 400), "{bad:?}: {answer:?}");
    }
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn t19_a_refusal_is_repeated_under_its_key_and_a_not_now_is_not() {
    let shop = TestShop::with(|settings| settings.actors.inventory_in_flight_max = 1).await;
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale("keyed", 1).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    ann.buy(&product).await.order_no();
    bob.buy_once(&product, "one").await.rejected(60_003);
    admin.set_stock(&product, 5).await.accepted();
    admin.change_sale(&sale, &json!({ "stock": 3 })).await.accepted();
    bob.buy_once(&product, "one").await.rejected(60_003); // as it was
    // busy: the same key may try again, and then it buys
    let key = product.id.to_string();
    admin.command_actor("inventory", &key, "pause").await.accepted();
    let cid = shop.register("cid").await;
    let waiting = tokio::spawn({
        let (cid, product) = (cid.clone(), product);
        async move { cid.buy(&product).await }
    });
    let queued = async || admin.actor("inventory", &key).await.accepted()["vitals"]["queued"].as_u64();
    let until = Instant::now() + PATIENCE;
    while queued().await != Some(1) {
        assert!(Instant::now() < until, "he has not come to the one place in the mailbox");
    }
    bob.buy_once(&product, "two").await.with_status(503);
    admin.command_actor("inventory", &key, "resume").await.accepted();
    waiting.await.expect("he waited").order_no();
    let bought = bob.buy_once(&product, "two").await.order_no();
    assert_eq!(bob.buy_once(&product, "two").await.order_no(), bought);
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(shop.books.orders(product.id).await.len(), 3);
}

#[tokio::test]
async fn t19_a_key_is_kept_over_a_restart_and_forgotten_after_a_day() {
    let mut shop = TestShop::open().await;
    let product = shop.admin().await.make_product("keyed", 9.9, 10).await;
    let ann = shop.register("ann").await;
    let first = ann.place_order_once(&product, 1, "k").await.order_no();
    shop.restart().await;
    assert_eq!(ann.place_order_once(&product, 1, "k").await.order_no(), first);
    ann.pay(&first).await.accepted();
    shop.travel(25 * 3_600_000);
    assert_ne!(ann.place_order_once(&product, 1, "k").await.order_no(), first);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn t19_what_an_administrator_makes_under_one_key_is_made_once() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let category = is_done_once(&admin, "/api/category", &json!({ "name": "茶" }), "category").await;
    let body = json!({ "name": "茶杯", "price": 9.9, "stock": 30, "category": "茶" });
    let made = is_done_once(&admin, "/api/product", &body, "product").await;
    assert_eq!((&made["category_id"], &made["stock"]), (&category["id"], &json!(30)));
    let product = Product { id: made["id"].as_i64().expect("an id") };
    let sale = json!({ "product_id": product.id, "price": 5, "stock": 10,
        "start_at": "2040-01-01T00:00:00+08:00", "end_at": "2040-01-02T00:00:00+08:00" });
    is_done_once(&admin, "/api/seckill/sale", &sale, "sale").await;
    let opened = json!({ "product_id": product.id, "stock": 8 });
    is_done_once(&admin, "/api/seckill/init", &opened, "init").await;
    admin.post_once("/api/product", &opened, "product").await.with_status(400).rejected(20_006);
    let other = json!({ "name": "茶壶", "price": 9.9, "stock": 30 });
    admin.post_once("/api/product", &other, "product").await.with_status(422).rejected(422);
    assert_eq!(shop.visitor().get("/api/product").await.accepted()["total"], 1);
    assert_eq!(shop.books.count("SELECT COUNT(*) AS n FROM sales").await, 2);
    assert_eq!(free_pool(&shop.books, &product).await.free, 12);
    shop.assert_stock_conserved(product.id).await;
}
