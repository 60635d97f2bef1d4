//! Everything on one product at once, and an administrator who edits meanwhile: t8, t9, r15, t28.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::counting::{ALREADY_BOUGHT, SOLD_OUT, STOCK_SHORT, accepted, by_code, free_pool, sale_pool};
use crate::support::client::Person;
use crate::support::shop::TestShop;
use crate::support::verbs::{Product, SalePlan};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t8_orders_checkouts_and_a_sale_of_one_product_never_oversell() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("everywhere", 9.9, 40).await;
    admin.plan_sale(&product, SalePlan::open_now(15)).await;
    let buyers = admin.make_buyers(90, "t8-").await;
    for buyer in &buyers[60..] {
        buyer.add_to_cart(&product, 1).await.accepted();
    }
    let (in_sale, ordered, checked_out) = futures::join!(
        join_all(buyers[..30].iter().map(|buyer| buyer.buy(&product))),
        join_all(buyers[30..60].iter().map(|buyer| buyer.place_order(&product, 1))),
        join_all(buyers[60..].iter().map(|buyer| buyer.checkout()))
    );
    assert_eq!((by_code(&in_sale).get(&0), by_code(&in_sale).get(&SOLD_OUT)), (Some(&15), Some(&15)));
    let from_shelf: Vec<_> = ordered.into_iter().chain(checked_out).collect();
    let codes = by_code(&from_shelf);
    assert_eq!((codes.get(&0), codes.get(&STOCK_SHORT)), (Some(&25), Some(&35)), "{codes:?}");
    shop.assert_stock_conserved(product.id).await;
    let (free, sale) = (free_pool(&shop.books, &product).await, sale_pool(&shop.books, &product).await);
    assert_eq!((free.free, free.held, sale.free, sale.held), (0, 25, 0, 15));
    assert_eq!(shop.books.orders(product.id).await.len(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_editing_a_product_while_it_sells_does_not_touch_its_stock() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("edited", 30.0, 60).await;
    admin.plan_sale(&product, SalePlan::open_now(30)).await;
    let buyers = admin.make_buyers(60, "t9-").await;
    let path = format!("/api/product/{}", product.id);
    let edits = async {
        for round in 0..15 {
            let edit = json!({ "name": format!("edited {round}"), "price": 30.0 + f64::from(round) });
            admin.put(&path, &edit).await.accepted();
        }
    };
    let ((), in_sale, ordered) = futures::join!(
        edits,
        join_all(buyers[..30].iter().map(|buyer| buyer.buy(&product))),
        join_all(buyers[30..].iter().map(|buyer| buyer.place_order(&product, 1)))
    );
    assert_eq!(accepted(&in_sale).len(), 30);
    assert_eq!(accepted(&ordered).len(), 30);
    for answer in &ordered {
        let price = answer.data["total_price"].as_f64().expect("a price");
        assert!((30.0..45.0).contains(&price), "{price} was never the price");
    }
    shop.assert_stock_conserved(product.id).await;
    let free = free_pool(&shop.books, &product).await;
    assert_eq!((free.put_in, free.free, free.held), (30, 0, 30), "{free:?}");
    let seen = admin.get(&path).await.accepted();
    assert_eq!(
        (seen["name"].as_str(), seen["price"].as_f64(), seen["stock"].as_i64()),
        (Some("edited 14"), Some(44.0), Some(0))
    );
    for row in shop.books.orders(product.id).await {
        assert_eq!((row.quantity, row.version), (1, 1), "an order was edited: {row:?}");
    }
    let sale_total = "SELECT COALESCE(SUM(total_fen), 0) AS n FROM orders WHERE pool <> 0";
    assert_eq!(shop.books.count(sale_total).await, 30 * 990, "the sale has its own price");
}

#[tokio::test]
async fn t9_a_product_off_the_shelf_is_not_sold_and_comes_back_with_its_stock() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("shy", 30.0, 6).await;
    admin.plan_sale(&product, SalePlan::open_now(3)).await;
    let ann = shop.register("ann").await;
    let path = format!("/api/product/{}", product.id);
    let off = admin.put(&path, &json!({ "status": 0 })).await.accepted();
    assert_eq!((off["status"].as_i64(), off["stock"].as_i64(), off["name"].as_str()), (Some(0), Some(3), Some("shy")));
    ann.buy(&product).await.rejected(20_002);
    ann.place_order(&product, 1).await.rejected(20_002);
    assert_eq!(shop.books.orders(product.id).await.len(), 0);
    admin.put(&path, &json!({ "status": 1 })).await.accepted();
    ann.buy(&product).await.order_no();
    ann.place_order(&product, 1).await.order_no();
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r15_t28_stock_is_set_and_sales_are_restocked_while_everybody_buys() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("restocked", 5.0, 100).await;
    let sale = admin.plan_sale(&product, SalePlan::open_now(20)).await;
    let buyers = admin.make_buyers(120, "r15-").await;
    let edits = async {
        for round in 0..8 {
            admin.set_stock(&product, 20 + round).await.accepted();
            let units = 5 + (round * 3) % 11;
            let restocked = admin.change_sale(&sale, &json!({ "stock": units })).await;
            assert!([0, STOCK_SHORT].contains(&restocked.code), "{restocked:?}");
            let again = admin.post("/api/seckill/init", &json!({ "product_id": product.id, "stock": units })).await;
            assert!([0, STOCK_SHORT].contains(&again.code), "{again:?}");
        }
    };
    let ((), in_sale, ordered) = futures::join!(
        edits,
        join_all(buyers[..60].iter().map(|buyer| buyer.buy(&product))),
        join_all(buyers[60..].iter().map(|buyer| buyer.place_order(&product, 1)))
    );
    let codes = by_code(&in_sale);
    assert!(codes.keys().all(|code| [0, SOLD_OUT].contains(code)), "{codes:?}");
    let codes = by_code(&ordered);
    assert!(codes.keys().all(|code| [0, STOCK_SHORT].contains(code)), "{codes:?}");
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.held, accepted(&in_sale).len() as i64);
    assert_eq!(free_pool(&shop.books, &product).await.held, accepted(&ordered).len() as i64);
    // what was set last, less what was sold since, is what is seen
    admin.set_stock(&product, 33).await.accepted();
    assert_eq!(admin.get(&format!("/api/product/{}", product.id)).await.accepted()["stock"], 33);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn t28_a_sale_that_is_initialised_again_forgets_nobody() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("again", 5.0, 20).await;
    let init = json!({ "product_id": product.id, "stock": 5 });
    let first = admin.post("/api/seckill/init", &init).await.accepted();
    assert_eq!((first["product_id"].as_i64(), first["stock"].as_i64()), (Some(product.id), Some(5)));
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let order_no = ann.buy(&product).await.order_no();
    admin.post("/api/seckill/init", &init).await.accepted();
    assert_eq!(ann.buy(&product).await.rejected(ALREADY_BOUGHT)["order_no"], order_no.as_str());
    bob.buy(&product).await.order_no();
    shop.assert_stock_conserved(product.id).await;
    let sale = sale_pool(&shop.books, &product).await;
    assert_eq!((sale.free, sale.held), (4, 2), "{sale:?}");

    let before = shop.books.footprint().await;
    for stock in [json!(0), json!(-1), json!(1.5), json!("x"), json!(1_000_000_000_000_i64), Value::Null, json!([5])] {
        let answer = admin.post("/api/seckill/init", &json!({ "product_id": product.id, "stock": stock })).await;
        assert_eq!((answer.status, answer.code), (400, 60_006), "stock {stock}: {answer:?}");
    }
    // more than there is
    admin.post("/api/seckill/init", &json!({ "product_id": product.id, "stock": 5_000 })).await.rejected(STOCK_SHORT);
    admin.post("/api/seckill/init", &json!({ "product_id": 999, "stock": 5 })).await.rejected(20_001);
    ann.post("/api/seckill/init", &init).await.with_status(403).rejected(10_010);
    shop.at_rest().await;
    assert_eq!(shop.books.footprint().await, before);
}

#[tokio::test]
async fn a_sale_closed_while_it_sells_gives_every_unit_back_to_the_shelf() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("closed", 5.0, 30).await;
    let sale = admin.plan_sale(&product, SalePlan::open_now(30)).await;
    let buyers = admin.make_buyers(40, "close-").await;
    let closing = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        // "not now" may be the answer in the middle of a rush; an administrator tries again
        let mut answer = admin.close_sale(&sale).await;
        for _ in 0..20 {
            if answer.status != 503 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer = admin.close_sale(&sale).await;
        }
        answer.accepted();
    };
    let (answers, ()) = futures::join!(join_all(buyers.iter().map(|buyer| buyer.buy(&product))), closing);
    let sold = accepted(&answers);
    shop.assert_stock_conserved(product.id).await;
    let (free, pool) = (free_pool(&shop.books, &product).await, sale_pool(&shop.books, &product).await);
    assert_eq!((pool.free, pool.held, free.free), (0, sold.len() as i64, 30 - sold.len() as i64));
    let late = shop.register("late").await;
    buy_is_over(&late, &product).await;
}

async fn buy_is_over(late: &Person, product: &Product) {
    let answer = late.buy(product).await;
    assert!([60_002, 60_008, 60_003].contains(&answer.code), "{answer:?}");
}
