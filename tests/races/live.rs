//! Sockets that come back: r64.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::counting::{CANCELLED, COMPLETED, PAID, text};
use crate::support::shop::TestShop;
use crate::support::socket::Listener;
use crate::support::verbs::SalePlan;
use crate::support::wire::Wire;

#[tokio::test]
async fn r64_whoever_comes_back_hears_what_he_missed_once_and_never_backwards() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("listened", 9.9, 20).await;
    admin.plan_sale(&product, SalePlan::open_now(20).per_buyer(10)).await;
    let ann = shop.register("ann").await;
    let mut listener = Listener::open(&ann).await;
    let first = ann.buy(&product).await.order_no();
    listener.wait_for(&first, 1).await;
    listener.vanish();
    // missed: the rest of the first order's life, all of the second's
    ann.pay(&first).await.accepted();
    admin.ship(&first).await.accepted();
    let second = ann.buy(&product).await.order_no();
    shop.at_rest().await;
    ann.cancel(&second).await.accepted();
    shop.at_rest().await;
    listener.resume().await;
    listener.wait_for(&first, 3).await;
    listener.wait_for(&second, CANCELLED).await;
    ann.confirm(&first).await.accepted();
    listener.wait_for(&first, COMPLETED).await;
    listener.listen(Duration::from_millis(150)).await;
    for order_no in [&first, &second] {
        let version = ann.order(order_no).await.accepted()["version"].as_i64().expect("a version");
        listener.assert_saw(order_no, version);
    }
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r64_many_reconnects_in_a_busy_sale_end_with_every_order_as_it_is() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("busy", 9.9, 40).await;
    admin.plan_sale(&product, SalePlan::open_now(40).per_buyer(40)).await;
    let ann = shop.register("ann").await;
    let mut listener = Listener::open(&ann).await;
    let buying = async {
        let mut numbers = Vec::new();
        for round in 0..20 {
            let order_no = ann.buy(&product).await.order_no();
            if round % 2 == 0 {
                ann.pay(&order_no).await.accepted();
            } else {
                ann.cancel(&order_no).await.accepted();
            }
            numbers.push(order_no);
        }
        numbers
    };
    let listening = async {
        for _ in 0..12 {
            listener.listen(Duration::from_millis(15)).await;
            listener.vanish();
            listener.resume().await;
        }
        listener
    };
    let (numbers, mut listener) = futures::join!(buying, listening);
    shop.at_rest().await;
    listener.vanish();
    listener.resume().await;
    listener.listen(Duration::from_millis(200)).await;
    // an order that ran on while it was away may be shown as it is, without its steps; but never an older state
    for order_no in &numbers {
        let version = ann.order(order_no).await.accepted()["version"].as_i64().expect("a version");
        let latest = listener.pushes.iter().rev().find(|push| push.order_no == *order_no).map(|push| push.version);
        assert_eq!(latest, Some(version), "{order_no}");
    }
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r64_a_first_subscription_shows_the_orders_as_they_are() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let products = join_all(["a", "b", "c"].map(|name| admin.make_product(name, 3.0, 5))).await;
    let ann = shop.register("ann").await;
    let mut numbers = Vec::new();
    for product in &products {
        numbers.push(ann.place_order(product, 1).await.order_no());
    }
    ann.pay(&numbers[0]).await.accepted();
    shop.at_rest().await;
    let mut wire = Wire::open(&ann).await;
    let welcome = wire.frame("welcome").await;
    wire.say(json!({ "type": "subscribe", "orders": "all" }).to_string()).await;
    let snapshot = wire.frame("snapshot").await;
    assert!(snapshot["seq"].as_i64() >= welcome["seq"].as_i64(), "{snapshot}");
    let orders = snapshot["orders"].as_array().expect("orders").clone();
    assert_eq!(orders.len(), 3, "{snapshot}");
    let paid = orders.iter().find(|order| order["order_no"] == numbers[0].as_str()).expect("the paid one");
    assert_eq!(paid["status"], PAID);
    // a sequence from the future, as after a restored backup, is no reason to hear nothing
    let from_the_future = json!({ "type": "subscribe", "orders": "all", "since": 999_999_999 }).to_string();
    wire.say(&from_the_future).await;
    assert_eq!(shown_in(&wire.frame("snapshot").await), numbers.iter().cloned().collect(), "to whoever was told them");
    let mut newcomer = Wire::open(&ann).await;
    newcomer.say(&from_the_future).await;
    let mut shown = shown_in(&newcomer.frame("snapshot").await);
    // where commits may become visible late, latest steps are told again instead
    while shown.len() < 3 {
        assert!(shown.insert(number(&newcomer.frame("order").await)), "an order was shown twice");
    }
    assert_eq!(shown, numbers.iter().cloned().collect(), "to whoever was told nothing");
    ann.pay(&numbers[1]).await.accepted();
    let (started, captured) = (wire.frame("order").await, wire.frame("order").await);
    assert_eq!((started["order_no"].as_str(), started["version"].as_i64()), (Some(numbers[1].as_str()), Some(2)));
    assert_eq!((captured["version"].as_i64(), captured["status"].as_i64()), (Some(3), Some(PAID)));
}

fn shown_in(snapshot: &Value) -> BTreeSet<String> {
    snapshot["orders"].as_array().expect("orders").iter().map(number).collect()
}

fn number(order: &Value) -> String {
    text(order, "order_no")
}
