//! Checkouts whose carts lie in Redis: the process is killed at each of their points, and the story ends as if nothing
//! had happened.

use crate::chapters::Chapter;
use crate::points::{explore, is_wanted, kill_at_each};
use crate::script::Script;
use crate::support::services::{REDIS, redis_settings, url_of};

#[tokio::test(flavor = "multi_thread")]
async fn r54_t20_a_checkout_with_its_cart_in_redis_recovers_from_every_crash() {
    let (Some(redis), Some(amqp)) = (url_of(REDIS), url_of("RUSHMALL_TEST_AMQP_URL")) else { return };
    let prefix = redis_settings(&redis).prefix;
    let settings = [
        ("RUSHMALL__REDIS__URL", redis.as_str()),
        ("RUSHMALL__REDIS__PREFIX", prefix.as_str()),
        ("RUSHMALL__AMQP__URL", amqp.as_str()),
        ("RUSHMALL__AMQP__PREFIX", prefix.as_str()),
    ];
    let mut atlas = explore(&[Chapter::Checkout], &settings).await;
    atlas.visits.retain(|(point, _)| ["checkout.", "placing."].iter().any(|area| point.starts_with(area)));
    assert!(atlas.visits.len() >= 8, "{:?}", atlas.visits);
    let deaths = kill_at_each(&atlas.visits, &atlas, &settings).await;
    assert_eq!(deaths as usize, atlas.visits.iter().filter(|(point, _)| is_wanted(point)).count());
}

/// Nobody repeats the checkout: the lines come back by themselves when it is certain that it is not ordered.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_that_nobody_repeats_is_ordered_or_back_in_the_cart() {
    let (Some(redis), Some(amqp)) = (url_of(REDIS), url_of("RUSHMALL_TEST_AMQP_URL")) else { return };
    let prefix = redis_settings(&redis).prefix;
    let settings = [
        ("RUSHMALL__REDIS__URL", redis.as_str()),
        ("RUSHMALL__REDIS__PREFIX", prefix.as_str()),
        ("RUSHMALL__AMQP__URL", amqp.as_str()),
        ("RUSHMALL__AMQP__PREFIX", prefix.as_str()),
        ("RUSHMALL__ORDERS__PREPARED_EXPIRES_MS", "2000"),
    ];
    let mut script = Script::open(&settings).await;
    for point in ["checkout.take.after", "checkout.write", "placing.place.after", "checkout.conclude.before"] {
        let stage = script.stage(2, 10, 1).await;
        let buyer = &stage.buyers[0];
        for product in &stage.products {
            buyer.add_to_cart(product, 2).await.accepted();
        }
        script.admin.arm(&format!("{point}=kill@1")).await.accepted();
        assert!(!buyer.checkout().await.was_heard(), "{point} was not the end");
        assert!(script.revive(std::time::Duration::from_secs(5)).await);
        let until = std::time::Instant::now() + std::time::Duration::from_secs(15);
        let (orders, lines) = loop {
            let cart = script.insist(async || buyer.cart().await).await.accepted();
            let lines = cart["items"].as_array().map_or(0, Vec::len);
            let orders = script.insist(async || buyer.get("/api/order").await).await.accepted();
            let orders = orders["list"].as_array().map_or(0, Vec::len);
            if orders + lines > 0 {
                break (orders, lines);
            }
            assert!(std::time::Instant::now() < until, "{point}: the lines are neither ordered nor in the cart");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        let expected =
            if ["placing.place.after", "checkout.conclude.before"].contains(&point) { (2, 0) } else { (0, 2) };
        assert_eq!((orders, lines), expected, "{point}");
    }
    script.shop.assert_clean().await;
}
