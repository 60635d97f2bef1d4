//! Units left by push: for buyers on `/ws`, for everybody on `/ws/stock`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::shop::TestShop;
use crate::support::verbs::SalePlan;
use crate::support::wire::{Heard, Wire};

fn watch(products: &[i64]) -> String {
    json!({ "type": "watch", "products": products }).to_string()
}

/// The next level of a product that fits.
async fn level(wire: &mut Wire, product: i64, fits: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..20 {
        let frame = wire.frame("stock").await;
        if frame["product_id"] == product && fits(&frame) {
            return frame;
        }
    }
    panic!("no such level of product {product}");
}

#[tokio::test]
async fn a_visitor_is_told_at_once_and_then_whenever_units_or_the_sale_change() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale("watched", 5).await;
    let plain = admin.make_product("no sale", 3.0, 7).await;
    let ann = shop.register("ann").await;
    let mut wire = Wire::try_path(&shop.address, "/stock").await.expect("no account is needed");
    wire.frame("welcome").await;
    wire.say(watch(&[product.id, plain.id, 999_999])).await;
    assert_eq!(wire.frame("watching").await["products"], json!([product.id, plain.id]));
    let (mut first, mut other) = (Value::Null, Value::Null);
    while first.is_null() || other.is_null() {
        let frame = wire.frame("stock").await;
        if frame["product_id"] == product.id { first = frame } else { other = frame }
    }
    assert_eq!((&first["sale_id"], &first["left"], &first["state"]), (&json!(sale.id), &json!(5), &json!("open")));
    assert_eq!((&other["sale_id"], &other["free"], &other["state"]), (&Value::Null, &json!(7), &json!("none")));

    ann.buy(&product).await.accepted();
    assert_eq!(level(&mut wire, product.id, |frame| frame["left"] == 4).await["state"], "open");
    // nothing changes: nothing is told
    assert_eq!(wire.hear_within(Duration::from_millis(1_200)).await, Heard::Silence);
    admin.command_actor("inventory", &product.id.to_string(), "pause").await.accepted();
    level(&mut wire, product.id, |frame| frame["state"] == "paused").await;
    admin.command_actor("inventory", &product.id.to_string(), "resume").await.accepted();
    level(&mut wire, product.id, |frame| frame["state"] == "open").await;
    admin.close_sale(&sale).await.accepted();
    // units leave the sale before they are on the shelf: a look in between sees fewer
    level(&mut wire, product.id, |frame| frame["state"] == "closed" && frame["left"] == 0 && frame["free"] == 4).await;
    // another choice ends the first
    wire.say(watch(&[plain.id])).await;
    wire.frame("watching").await;
    level(&mut wire, plain.id, |frame| frame["free"] == 7).await;
    admin.set_stock(&product, 9).await.accepted();
    assert_eq!(wire.hear_within(Duration::from_millis(1_200)).await, Heard::Silence);
    shop.at_rest().await;
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_sale_opens_by_push_and_a_buyer_hears_it_beside_his_orders() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("to come", 10.0, 5).await;
    admin.plan_sale(&product, SalePlan { opens_in_s: 3_600, ..SalePlan::open_now(5) }).await;
    let ann = shop.register("ann").await;
    let mut wire = Wire::open(&ann).await;
    wire.say(json!({ "type": "subscribe", "orders": "all" }).to_string()).await;
    wire.frame("snapshot").await;
    wire.say(watch(&[product.id])).await;
    level(&mut wire, product.id, |frame| frame["state"] == "upcoming").await;
    shop.travel(3_600_000);
    level(&mut wire, product.id, |frame| frame["state"] == "open").await;
    let order_no = ann.buy(&product).await.order_no();
    let (mut has_order, mut has_level) = (false, false);
    while !(has_order && has_level) {
        match wire.hear().await {
            Heard::Frame(frame) if frame["type"] == "order" => has_order |= frame["order_no"] == order_no.as_str(),
            Heard::Frame(frame) if frame["type"] == "stock" => has_level |= frame["left"] == 4,
            Heard::Frame(_) | Heard::Pong => {}
            end => panic!("the order and the level did not come, but {end:?}"),
        }
    }
    shop.at_rest().await;
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn visitors_sockets_are_bounded_in_number_words_and_products() {
    let shop = TestShop::with(|settings| settings.feed.visitor_sockets_max = 2).await;
    let mut first = Wire::try_path(&shop.address, "/stock").await.expect("a place");
    let mut second = Wire::try_path(&shop.address, "/stock").await.expect("a place");
    assert_eq!(Wire::try_path(&shop.address, "/stock").await.err(), Some(503));
    for bad in ["{", "1", r#"{"type":"subscribe","orders":"all"}"#, &watch(&(1..=21).collect::<Vec<_>>())] {
        first.say(bad).await;
        assert_eq!(first.frame("error").await["code"], 400, "{bad}");
    }
    first.say(json!({ "type": "ping" }).to_string()).await;
    first.frame("pong").await;
    for _ in 0..10 {
        second.say("nonsense").await;
    }
    second.say("nonsense").await;
    assert_eq!(second.closing().await, Heard::Closed(1008));
    // its place is free again, as soon as the connection has ended
    let until = Instant::now() + Duration::from_secs(30);
    while Wire::try_path(&shop.address, "/stock").await.is_err() {
        assert!(Instant::now() < until, "a closed socket keeps its place");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
