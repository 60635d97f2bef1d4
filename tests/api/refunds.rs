//! Money back: t18, r48.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::client::{Answer, Person};
use crate::support::shop::TestShop;

const REFUSED: i64 = 40_005;

async fn refund(admin: &Person, order_no: &str, fen: Value) -> Answer {
    let path = format!("/api/admin/orders/{order_no}/refund");
    admin.post(&path, &json!({ "refund_fee": fen, "reason": "damaged" })).await
}

async fn refunded_fen(shop: &TestShop) -> i64 {
    shop.books.count("SELECT COALESCE(SUM(amount_fen), 0) AS n FROM refunds").await
}

#[tokio::test]
async fn t18_parts_are_refunded_up_to_what_was_paid_and_no_fen_more() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("refunded", 19.8, 4).await;
    let ann = shop.register("ann").await;
    let order_no = ann.place_order(&product, 1).await.order_no();
    refund(&admin, &order_no, json!(100)).await.rejected(30_008); // nothing was paid
    ann.pay(&order_no).await.accepted();
    for bad in [json!(0), json!(-1), json!(1.5), json!("x"), json!(10_i64.pow(15))] {
        let answer = refund(&admin, &order_no, bad.clone()).await;
        assert_eq!((answer.status, answer.code), (400, 30_009), "{bad}: {answer:?}");
    }
    let too_much = refund(&admin, &order_no, json!(1_981)).await.with_status(200).rejected(REFUSED);
    assert_eq!(too_much["refundable_fee"], 1_980);
    refund(&admin, &order_no, json!(1_000)).await.accepted();
    shop.at_rest().await;
    let part = ann.order(&order_no).await.accepted();
    assert_eq!((part["refunded"].as_f64(), part["status"].as_i64()), (Some(10.0), Some(2)), "{part}");
    assert_eq!(refund(&admin, &order_no, json!(981)).await.rejected(REFUSED)["refundable_fee"], 980);
    refund(&admin, &order_no, json!(980)).await.accepted();
    shop.at_rest().await;
    let all = ann.order(&order_no).await.accepted();
    assert_eq!((all["refunded"].as_f64(), all["status"].as_i64()), (Some(19.8), Some(7)), "{all}");
    refund(&admin, &order_no, json!(1)).await.rejected(REFUSED);
    admin.refund(&order_no).await.rejected(REFUSED);
    assert_eq!(refunded_fen(&shop).await, 1_980);
    // never shipped: the unit is for sale again
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(admin.get(&format!("/api/product/{}", product.id)).await.accepted()["stock"], 4);
}

#[tokio::test]
async fn t18_r48_many_refunds_at_once_never_exceed_what_was_paid() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("contended", 10.0, 4).await;
    let ann = shop.register("ann").await;
    let order_no = ann.place_order(&product, 1).await.order_no();
    ann.pay(&order_no).await.accepted();
    let answers = join_all((0..10).map(|_| refund(&admin, &order_no, json!(300)))).await;
    let done = answers.iter().filter(|answer| answer.is_accepted()).count();
    assert_eq!(done, 3, "{answers:?}");
    for answer in answers.into_iter().filter(|answer| !answer.is_accepted()) {
        answer.rejected(REFUSED);
    }
    shop.at_rest().await;
    assert_eq!(refunded_fen(&shop).await, 900);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn t18_a_refund_is_the_administrators_and_under_one_key_it_is_made_once() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("keyed", 10.0, 4).await;
    let (ann, eve) = (shop.register("ann").await, shop.register("eve").await);
    let order_no = ann.place_order(&product, 1).await.order_no();
    ann.pay(&order_no).await.accepted();
    for person in [&ann, &eve] {
        refund(person, &order_no, json!(100)).await.with_status(403).rejected(10_010);
    }
    refund(&shop.visitor(), &order_no, json!(100)).await.with_status(401);
    let path = format!("/api/admin/orders/{order_no}/refund");
    let body = json!({ "refund_fee": 400, "reason": "once" });
    let first = admin.post_once(&path, &body, "r-1").await.accepted();
    assert_eq!(admin.post_once(&path, &body, "r-1").await.accepted(), first);
    admin.post_once(&path, &json!({ "refund_fee": 500, "reason": "once" }), "r-1").await.with_status(422);
    shop.at_rest().await;
    assert_eq!(refunded_fen(&shop).await, 400);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r50_a_refund_after_shipping_gives_the_money_back_and_not_the_unit() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("shipped", 10.0, 4).await;
    let ann = shop.register("ann").await;
    let order_no = ann.place_order(&product, 1).await.order_no();
    ann.pay(&order_no).await.accepted();
    admin.ship(&order_no).await.accepted();
    admin.refund(&order_no).await.accepted();
    shop.at_rest().await;
    assert_eq!(ann.order_status(&order_no).await, 7);
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(admin.get(&format!("/api/product/{}", product.id)).await.accepted()["stock"], 3);
}
