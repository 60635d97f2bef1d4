//! What a shop does whose Redis, with the carts in it, is away or has lost everything; and what it holds up with it.

use std::time::{Duration, Instant};

use redis::Cmd;
use rushmall::domain::BuyerId;
use rushmall::persistence::limits::{ClickLimit, SharedClicks};
use rushmall::redis_link::RedisLink;
use serde_json::json;

use crate::support::client::Answer;
use crate::support::cut_wire::CutWire;
use crate::support::services::{REDIS, redis_settings, url_of};
use crate::support::shop::TestShop;

const CART_EMPTY: i64 = 50_001;
const TOO_FREQUENT: i64 = 60_010;
const UNAVAILABLE: i64 = 503;
const PATIENCE: Duration = Duration::from_secs(10);

async fn until_accepted(what: impl AsyncFn() -> Answer) -> serde_json::Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = what().await;
        if answer.is_accepted() || Instant::now() > until {
            return answer.accepted();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn r16_who_loses_redis_loses_carts_and_never_an_order() {
    let Some(url) = url_of(REDIS) else { return };
    let redis = redis_settings(&url);
    let link = RedisLink::connect(&redis).await.expect("redis answers");
    let shop = TestShop::on(Some(redis), |_| {}).await;
    let product = shop.admin().await.make_product("kept", 2.5, 50).await;
    let ann = shop.register("ann").await;
    ann.add_to_cart(&product, 5).await.accepted();
    ann.checkout_once("first").await.accepted();
    ann.add_to_cart(&product, 7).await.accepted();
    // all that this shop has in Redis; others use the same server
    let keys: Vec<String> = link.query(&Cmd::keys(link.key("*"))).await.expect("keys");
    assert!(!keys.is_empty());
    link.query::<i64>(&Cmd::del(&keys)).await.expect("deleted");
    assert_eq!(ann.cart().await.accepted()["items"], json!([]));
    ann.checkout().await.rejected(CART_EMPTY);
    assert_eq!(ann.checkout_once("first").await.accepted().as_array().map(Vec::len), Some(1), "the same answer");
    assert_eq!(ann.orders().await.len(), 1);
    ann.add_to_cart(&product, 1).await.accepted();
    ann.checkout().await.accepted();
    assert_eq!(ann.orders().await.len(), 2);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn without_redis_carts_say_so_and_all_else_goes_on() {
    let Some(url) = url_of(REDIS) else { return };
    let wire = CutWire::to(&url).await;
    let shop = TestShop::on(Some(redis_settings(&wire.url)), |_| {}).await;
    let admin = shop.admin().await;
    let product = admin.make_product("sold", 2.5, 50).await;
    let (on_sale, _) = admin.make_sale("rushed", 5).await;
    let ann = shop.register("ann").await;
    ann.add_to_cart(&product, 5).await.accepted();

    wire.cut();
    for answer in [ann.cart().await, ann.add_to_cart(&product, 1).await, ann.checkout().await] {
        assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
        answer.with_status(503).rejected(UNAVAILABLE);
    }
    ann.buy(&on_sale).await.order_no();
    ann.place_order_once(&product, 1, "direct").await.accepted();
    shop.register("bob").await; // limits hold on this node alone
    shop.at_rest().await;
    assert_eq!(ann.orders().await.len(), 2, "nothing of the cart was ordered");

    wire.mend();
    let cart = until_accepted(async || ann.cart().await).await;
    assert_eq!(cart["total_count"], 5, "{cart}");
    ann.checkout().await.accepted();
    assert_eq!(ann.cart().await.accepted()["total_count"], 0);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn t22_a_buyer_who_clicks_at_another_node_is_held_up_here() {
    let Some(url) = url_of(REDIS) else { return };
    let redis = redis_settings(&url);
    let other_node = SharedClicks::new(RedisLink::connect(&redis).await.expect("redis"), ClickLimit::of_bucket(5, 10));
    let shop = TestShop::on(Some(redis), |settings| {
        (settings.limits.seckill_per_second, settings.limits.seckill_burst) = (5, 10);
    })
    .await;
    let (product, _) = shop.admin().await.make_sale("limited", 5).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let click_elsewhere = async || {
        for _ in 0..60 {
            other_node.note(BuyerId(ann.user_id));
        }
        other_node.share().await
    };
    assert_eq!(click_elsewhere().await.first().map(|over| over.buyer), Some(BuyerId(ann.user_id)));
    let until = Instant::now() + PATIENCE;
    ann.buy(&product).await.order_no();
    let held_up = loop {
        click_elsewhere().await;
        let answer = ann.buy(&product).await;
        // more than one token in the time of one: the bucket was closed, not used up
        if answer.code == TOO_FREQUENT && answer.data["retry_after_ms"].as_u64() > Some(210) {
            break answer;
        }
        assert!(Instant::now() < until, "not held up: {answer:?}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    assert!(held_up.headers.contains_key("retry-after"), "{held_up:?}");
    held_up.with_status(429);
    bob.buy(&product).await.order_no();
    let again = until_not(TOO_FREQUENT, async || ann.buy(&product).await).await;
    assert_eq!(again, 60_004, "the window has passed: he may click, and has his order");
}

async fn until_not(code: i64, what: impl AsyncFn() -> Answer) -> i64 {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = what().await;
        if answer.code != code || Instant::now() > until {
            return answer.code;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
