//! A cart of several lines is ordered as one or not at all: t20, r10, r11; wherever carts lie.

use std::time::Instant;

use futures::future::join_all;
use rushmall::actors::checkout::{OrderLine, OrderRequest};
use rushmall::domain::stock::OrderDetails;
use rushmall::domain::{BuyerId, ProductId, Quantity};
use serde_json::json;

use crate::claims::PATIENCE;
use crate::counting::{STOCK_SHORT, by_code, free_pool};
use crate::support::shop::TestShop;

#[tokio::test]
async fn t20_r11_one_short_line_and_nothing_is_ordered_the_cart_stays_and_a_retry_orders_all() {
    for shop in TestShop::each_cart_store().await {
        one_short_line_in(shop).await;
    }
}

async fn one_short_line_in(shop: TestShop) {
    let admin = shop.admin().await;
    let mut products = Vec::new();
    for (name, stock) in [("plenty", 10), ("short", 5), ("more", 10)] {
        products.push(admin.make_product(name, 19.99, stock).await);
    }
    let ann = shop.register("ann").await;
    for product in &products {
        ann.add_to_cart(product, 3).await.accepted();
    }
    admin.set_stock(&products[1], 2).await.accepted();
    let cart = ann.cart().await.accepted();
    let mut before = shop.books.footprint().await;
    for _ in 0..3 {
        let refused = ann.checkout().await.with_status(200).rejected(STOCK_SHORT);
        assert_eq!((refused["product_id"].as_i64(), refused["stock"].as_i64()), (Some(products[1].id), Some(2)));
        shop.at_rest().await;
    }
    assert_eq!(ann.cart().await.accepted(), cart);
    assert_eq!(ann.orders().await.len(), 0);
    // tombstones of what was given back may stay; units, orders and cart are as before
    let mut after = shop.books.footprint().await;
    (before[0], after[0]) = (0, 0);
    assert_eq!(after, before);

    admin.set_stock(&products[1], 3).await.accepted();
    let orders = ann.checkout().await.accepted();
    assert_eq!(orders.as_array().map(Vec::len), Some(3), "{orders}");
    for order in orders.as_array().expect("orders") {
        assert_eq!((order["quantity"].as_i64(), order["total_price"].as_f64()), (Some(3), Some(59.97)));
    }
    assert_eq!(ann.cart().await.accepted()["items"], json!([]));
    ann.checkout().await.rejected(50_001);
    assert_eq!(ann.orders().await.len(), 3);
    for (product, left) in products.iter().zip([7, 0, 7]) {
        shop.assert_stock_conserved(product.id).await;
        assert_eq!(free_pool(&shop.books, product).await.free, left);
    }
}

#[tokio::test]
async fn r10_two_lines_of_the_same_product_are_both_counted() {
    let shop = TestShop::open().await;
    let product = shop.admin().await.make_product("twice", 3.0, 3).await;
    let ann = shop.register("ann").await;
    let line = |units: i64| OrderLine {
        order_no: shop.inside().numbers.next(),
        product: ProductId(product.id),
        quantity: Quantity::try_from(units).expect("a quantity"),
    };
    let request =
        |lines| OrderRequest { buyer: BuyerId(ann.user_id), lines, details: OrderDetails::default(), cart_owner: None };
    let too_many = request(vec![line(2), line(2)]);
    shop.inside().checkout.place_orders(&too_many).await.expect_err("four of three");
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(free_pool(&shop.books, &product).await.free, 3);
    let fits = request(vec![line(2), line(1)]);
    let placed = shop.inside().checkout.place_orders(&fits).await.expect("three of three");
    assert_eq!(shop.inside().checkout.place_orders(&fits).await.expect("repeated"), placed);
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(free_pool(&shop.books, &product).await.held, 3);
}

#[tokio::test]
async fn t20_ten_carts_over_the_same_shelves_never_half_order() {
    for shop in TestShop::each_cart_store().await {
        ten_carts_in(shop).await;
    }
}

async fn ten_carts_in(shop: TestShop) {
    let admin = shop.admin().await;
    let mut products = Vec::new();
    for (name, stock) in [("a", 7), ("b", 5), ("c", 9)] {
        products.push(admin.make_product(name, 2.5, stock).await);
    }
    let buyers = admin.make_buyers(12, "carts-").await;
    for (place, buyer) in buyers.iter().enumerate() {
        // in different orders, so that two of them would wait for each other if lines were locked as they come
        let mut shelf = products.clone();
        shelf.rotate_left(place % 3);
        for product in &shelf {
            buyer.add_to_cart(product, 1).await.accepted();
        }
    }
    let mut answers = join_all(buyers.iter().map(|buyer| buyer.checkout())).await;
    let codes = by_code(&answers);
    assert!(codes.keys().all(|code| [0, STOCK_SHORT].contains(code)), "{codes:?}");
    let done = *codes.get(&0).unwrap_or(&0) as i64;
    assert!(done <= 5, "{codes:?}");
    for (buyer, answer) in buyers.iter().zip(&answers) {
        let (orders, items) = (buyer.orders().await.len(), buyer.cart().await.accepted()["items"].clone());
        let lines = items.as_array().map_or(0, Vec::len);
        assert_eq!((orders, lines), if answer.is_accepted() { (3, 0) } else { (0, 3) }, "{answer:?}");
    }
    // units that losers held for a moment are all back
    for (product, stock) in products.iter().zip([7, 5, 9]) {
        shop.assert_stock_conserved(product.id).await;
        let free = free_pool(&shop.books, product).await;
        assert_eq!((free.free, free.held), (stock - done, done), "{free:?}");
    }
    // and whoever is left may still buy what is there, once sold out is looked at again
    let until = Instant::now() + PATIENCE;
    loop {
        for (buyer, answer) in buyers.iter().zip(&mut answers).filter(|(_, answer)| !answer.is_accepted()) {
            *answer = buyer.checkout().await;
            assert!([0, STOCK_SHORT].contains(&answer.code), "{answer:?}");
        }
        shop.at_rest().await;
        if free_pool(&shop.books, &products[1]).await.free == 0 {
            break;
        }
        assert!(Instant::now() < until, "five sets could be sold");
    }
}

#[tokio::test]
async fn a_double_click_on_checkout_orders_the_cart_once() {
    for shop in TestShop::each_cart_store().await {
        double_click_in(shop).await;
    }
}

async fn double_click_in(shop: TestShop) {
    let product = shop.admin().await.make_product("cart", 2.5, 50).await;
    let ann = shop.register("ann").await;
    ann.add_to_cart(&product, 5).await.accepted();
    let answers = join_all((0..8).map(|_| ann.checkout())).await;
    shop.assert_stock_conserved(product.id).await;
    let ordered = ann.orders().await;
    assert_eq!(ordered.len(), 1, "{:?} made {} orders", by_code(&answers), ordered.len());
    assert_eq!(free_pool(&shop.books, &product).await.held, 5);
}
