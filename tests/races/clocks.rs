//! The wall clock jumps: r59, r65.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::claims::{PATIENCE, wait_for_status};
use crate::counting::{CANCELLED, PAID, SOLD_OUT, UNPAID, sale_pool};
use crate::support::shop::TestShop;
use crate::support::socket::Listener;
use crate::support::verbs::SalePlan;

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn r59_an_hour_forth_and_back_locks_nobody_out() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("jump", 9.9, 10).await;
    admin.plan_sale(&product, SalePlan { opens_in_s: -2 * 3_600, ..SalePlan::open_now(10) }).await;
    let people: Vec<_> = admin.make_buyers(4, "jump-").await;
    let before = people[0].buy(&product).await.order_no();
    shop.at_rest().await;
    shop.travel(HOUR_MS);
    wait_for_status(&people[0], &before, CANCELLED).await; // its time is over, by the only clock there is
    let during = people[1].buy(&product).await.order_no();
    shop.at_rest().await;
    shop.travel(-HOUR_MS);
    // signed in, not throttled, can buy and pay
    let after = people[2].buy(&product).await.order_no();
    shop.at_rest().await;
    for (buyer, order_no) in [(&people[1], &during), (&people[2], &after)] {
        assert_eq!(buyer.order_status(order_no).await, UNPAID, "{order_no}");
        buyer.pay(order_no).await.accepted();
        assert_eq!(buyer.order_status(order_no).await, PAID);
    }
    people[0].buy(&product).await.order_no();
    people[3].place_order(&admin.make_product("other", 1.0, 3).await, 1).await.order_no();
    // newest first by number, whatever the clock said
    assert_eq!(people[0].orders().await.len(), 2);
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.sold, 2);
}

#[tokio::test]
async fn r59_sold_out_is_looked_at_again_though_the_clock_went_back() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("flag", 9.9, 1).await;
    admin.plan_sale(&product, SalePlan { opens_in_s: -2 * 3_600, ..SalePlan::open_now(1) }).await;
    let buyers = admin.make_buyers(2, "flag-").await;
    let order_no = buyers[0].buy(&product).await.order_no();
    buyers[1].buy(&product).await.rejected(SOLD_OUT);
    shop.travel(-HOUR_MS);
    shop.at_rest().await;
    buyers[0].cancel(&order_no).await.accepted();
    let until = Instant::now() + PATIENCE;
    while buyers[1].buy(&product).await.code == SOLD_OUT {
        assert!(Instant::now() < until, "sold out for as long as the clock went back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(shop.books.orders(product.id).await.len(), 2);
}

#[tokio::test]
async fn r59_what_is_owed_is_done_though_the_clock_went_back() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("owed", 2).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    shop.at_rest().await;
    ann.pay(&order_no).await.accepted();
    let refund = format!("/api/admin/orders/{order_no}/refund");
    admin.post(&refund, &json!({ "reason": "test" })).await.accepted();
    shop.travel(-2_000);
    wait_for_status(&ann, &order_no, 7).await;
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r59_a_deadline_that_was_passed_while_the_shop_was_closed_fires_at_the_start() {
    let mut shop = TestShop::open().await;
    let (product, _) = shop.admin().await.make_sale("asleep", 2).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    let mut listener = Listener::open(&ann).await;
    shop.at_rest().await;
    listener.listen(Duration::from_millis(100)).await;
    shop.travel(29 * 60_000 + 59_000);
    listener.vanish();
    shop.restart().await;
    shop.travel(2_000);
    wait_for_status(&ann, &order_no, CANCELLED).await;
    // r65: told although nobody listened when it happened
    listener.resume().await;
    listener.wait_for(&order_no, CANCELLED).await;
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.free, 2);
}
