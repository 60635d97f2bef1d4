//! Many claims on few units: t1, t2, r14, r18, r72, t34.

use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::counting::{
    ALREADY_BOUGHT, CANCELLED, ENDED, NOT_STARTED, SOLD_OUT, UNPAID, accepted, by_code, sale_pool, text,
};
use crate::support::client::Person;
use crate::support::shop::TestShop;
use crate::support::verbs::{Product, SalePlan};

/// Nothing that a shop does by itself takes longer, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn t1_r1_two_hundred_clicks_of_one_buyer_are_one_order() {
    let shop = TestShop::open().await;
    let (product, _) = shop.admin().await.make_sale("one each", 10).await;
    let ann = shop.register("ann").await;
    one_order_comes_of(&shop, &product, &vec![ann; 200]).await;
}

#[tokio::test]
async fn t1_two_hundred_connections_of_one_buyer_are_one_order() {
    let shop = TestShop::open().await;
    let (product, _) = shop.admin().await.make_sale("one each", 10).await;
    let ann = shop.register("ann").await;
    let devices: Vec<Person> = (0..200).map(|_| ann.elsewhere()).collect();
    one_order_comes_of(&shop, &product, &devices).await;
}

/// Exactly one is accepted, everybody else is told of that order, and nine of ten units are left.
async fn one_order_comes_of(shop: &TestShop, product: &Product, clickers: &[Person]) {
    let answers = join_all(clickers.iter().map(|clicker| clicker.buy(product))).await;
    let numbers = accepted(&answers);
    assert_eq!(numbers.len(), 1, "{:?}", by_code(&answers));
    for answer in answers.into_iter().filter(|answer| !answer.is_accepted()) {
        assert_eq!(text(&answer.rejected(ALREADY_BOUGHT), "order_no"), numbers[0]);
    }
    let orders = clickers[0].orders().await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!(orders[0]["order_no"], numbers[0].as_str());
    shop.assert_stock_conserved(product.id).await;
    let sale = sale_pool(&shop.books, product).await;
    assert_eq!((sale.free, sale.held, sale.gate), (9, 1, Some(9)), "{sale:?}");
}

#[tokio::test]
async fn t2_as_many_orders_as_units_or_buyers_whichever_is_less() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    for (users, stock) in [(60, 20), (20, 60), (30, 30), (5, 1)] {
        let (product, sale) = admin.make_sale(&format!("{users} for {stock}"), stock).await;
        let buyers = admin.make_buyers(users, &format!("t2-{users}-{stock}-")).await;
        let (answers, ()) = futures::join!(
            join_all(buyers.iter().map(|buyer| buyer.buy(&product))),
            watch_levels(&admin, sale.id, stock)
        );
        let sold = (users as i64).min(stock);
        let refused = users as i64 - sold;
        let codes = by_code(&answers);
        assert_eq!(codes.get(&0).map_or(0, |n| *n as i64), sold, "{codes:?}");
        assert_eq!(codes.get(&SOLD_OUT).map_or(0, |n| *n as i64), refused, "{codes:?}");
        shop.assert_stock_conserved(product.id).await;
        let rows = shop.books.orders(product.id).await;
        assert_eq!(rows.len() as i64, sold);
        let pool = sale_pool(&shop.books, &product).await;
        assert_eq!((pool.free, pool.held), (stock - sold, sold), "{pool:?}");
    }
}

/// While it sells, nobody ever sees fewer than no units or more than there are.
async fn watch_levels(admin: &Person, sale_id: i64, stock: i64) {
    for _ in 0..10 {
        let seen = admin.get("/api/seckill?page_size=100").await.accepted();
        let sales = seen["list"].as_array().expect("a list").clone();
        let sale = sales.iter().find(|sale| sale["id"] == sale_id).expect("the sale is listed");
        let left = sale["stock"].as_i64().expect("a level");
        assert!((0..=stock).contains(&left), "{left} of {stock} left");
    }
}

#[tokio::test]
async fn r14_the_last_unit_is_sold_once() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let buyers = admin.make_buyers(25, "r14-").await;
    for round in 0..8 {
        let (product, _) = admin.make_sale(&format!("last {round}"), 1).await;
        let answers = join_all(buyers.iter().map(|buyer| buyer.buy(&product))).await;
        let codes = by_code(&answers);
        assert_eq!((codes.get(&0), codes.get(&SOLD_OUT)), (Some(&1), Some(&24)), "round {round}: {codes:?}");
        shop.assert_stock_conserved(product.id).await;
        assert_eq!(shop.books.orders(product.id).await.len(), 1);
    }
}

#[tokio::test]
async fn r18_a_cancelled_order_frees_the_buyers_limit_exactly_once() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("two each", 20.0, 10).await;
    admin.plan_sale(&product, SalePlan::open_now(10).per_buyer(2)).await;
    let ann = shop.register("ann").await;
    let first = ann.buy(&product).await.order_no();
    ann.buy(&product).await.order_no();
    ann.buy(&product).await.rejected(ALREADY_BOUGHT);
    // however often he cancels it, one unit comes back
    for answer in join_all((0..5).map(|_| ann.cancel(&first))).await {
        assert_eq!(answer.accepted()["status"], CANCELLED);
    }
    shop.at_rest().await;
    ann.buy(&product).await.order_no();
    ann.cancel(&first).await.accepted();
    shop.at_rest().await;
    ann.buy(&product).await.rejected(ALREADY_BOUGHT);
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.free, 8);
}

#[tokio::test]
async fn t10_after_a_cancel_or_a_timeout_the_unit_is_back_once_and_may_be_bought_again() {
    let shop = TestShop::open().await;
    let (product, _) = shop.admin().await.make_sale("one unit", 1).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let cancelled = ann.buy(&product).await.order_no();
    bob.buy(&product).await.rejected(SOLD_OUT);
    ann.cancel(&cancelled).await.accepted();
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.free, 1);

    let late = buy_when_back(&bob, &product).await;
    shop.at_rest().await;
    shop.travel(31 * 60_000);
    wait_for_status(&bob, &late, CANCELLED).await;
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.free, 1);

    let again = buy_when_back(&ann, &product).await;
    assert_ne!(again, cancelled);
    shop.at_rest().await;
    assert_eq!(ann.order_status(&again).await, UNPAID);
    ann.pay(&again).await.accepted();
    shop.assert_stock_conserved(product.id).await;
    let sale = sale_pool(&shop.books, &product).await;
    assert_eq!((sale.free, sale.held, sale.sold), (0, 0, 1));
}

/// Sold out is looked at again every 200 ms: a little later the returned unit can be had.
async fn buy_when_back(buyer: &Person, product: &Product) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = buyer.buy(product).await;
        if answer.code != SOLD_OUT {
            return answer.order_no();
        }
        assert!(Instant::now() < until, "the returned unit is never for sale again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the sweep has moved the order.
pub async fn wait_for_status(who: &Person, order_no: &str, status: i64) {
    let until = Instant::now() + PATIENCE;
    loop {
        let now = who.order_status(order_no).await;
        if now == status {
            return;
        }
        assert!(Instant::now() < until, "{order_no} is {now} and never became {status}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test]
async fn t34_r72_before_the_sale_after_it_sold_out_and_again_each_have_their_code() {
    let mut shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("windowed", 30.0, 5).await;
    admin.plan_sale(&product, SalePlan { opens_in_s: 3_600, closes_in_s: 7_200, ..SalePlan::open_now(1) }).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);

    let early = ann.buy(&product).await.with_status(200).rejected(NOT_STARTED);
    assert!(early["start_at"].as_str().is_some_and(|at| at.ends_with("+08:00")), "{early}");
    shop.restart().await;
    ann.buy(&product).await.rejected(NOT_STARTED);
    assert_eq!(sale_pool(&shop.books, &product).await.free, 1, "refused before any decrement");

    shop.travel(3_600_000 + 1_000);
    let order_no = ann.buy(&product).await.order_no();
    assert_eq!(text(&ann.buy(&product).await.rejected(ALREADY_BOUGHT), "order_no"), order_no);
    bob.buy(&product).await.rejected(SOLD_OUT);
    shop.at_rest().await;
    shop.restart().await;
    assert_eq!(text(&ann.buy(&product).await.rejected(ALREADY_BOUGHT), "order_no"), order_no);
    bob.buy(&product).await.rejected(SOLD_OUT);

    shop.travel(3_600_000);
    bob.buy(&product).await.rejected(ENDED);
    shop.restart().await;
    bob.buy(&product).await.rejected(ENDED);
    wait_for_status(&ann, &order_no, CANCELLED).await;
    ann.buy(&product).await.rejected(ENDED);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_product_without_a_sale_and_a_product_that_does_not_exist_are_told_apart() {
    let shop = TestShop::open().await;
    let product = shop.admin().await.make_product("ordinary", 30.0, 5).await;
    let ann = shop.register("ann").await;
    ann.buy(&product).await.rejected(60_008);
    ann.buy(&Product { id: 999_999 }).await.rejected(20_001);
    assert_eq!(shop.books.tickets().await, 0);
}
