//! Checkouts whose carts lie in Redis and whose request dies at each of their points: in the end the lines are ordered
//! once, or back in the cart. `points` kills the whole process at the same points, with carts in the database.

use std::time::{Duration, Instant};

use rushmall::failpoint;

use crate::support::client::Person;
use crate::support::ground::is_cluster;
use crate::support::shop::TestShop;
use crate::support::verbs::Product;

/// In the order in which a checkout passes them; true: its orders are written by then.
const POINTS: [(&str, bool); 8] = [
    ("checkout.take.before", false),
    ("checkout.take.after", false),
    ("checkout.reserve", false),
    ("checkout.write", false),
    ("placing.place.before", false),
    ("placing.place.after", true),
    ("checkout.conclude.before", true),
    ("checkout.conclude.after", true),
];
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than lines lie aside.
const CUT_OFF_MS: i64 = 60_000;

#[tokio::test(flavor = "multi_thread")]
async fn r54_t20_a_checkout_with_its_cart_in_redis_that_dies_is_ordered_once_or_back_in_the_cart() {
    for redis in TestShop::cart_places().into_iter().filter(|redis| redis.is_some() || is_cluster()) {
        let shop = TestShop::on(redis, |settings| {
            // an idempotency key's lease is as long as both together
            (settings.http.request_timeout_ms, settings.actors.ask_timeout_ms) = (1_000, 500);
        })
        .await;
        let admin = shop.admin().await;
        let products = [admin.make_product("a", 2.5, 1_000).await, admin.make_product("b", 2.5, 1_000).await];
        for (round, (point, is_written)) in POINTS.into_iter().enumerate() {
            let repeating = shop.register(&format!("repeating{round}")).await;
            dies_at(point, &repeating, &products).await;
            until(point, async || repeating.checkout_once("k").await.is_accepted()).await;
            assert_eq!(holdings(&repeating).await, (2, 0), "{point}, repeated");
            repeating.checkout_once("k").await.accepted();
            assert_eq!(holdings(&repeating).await, (2, 0), "{point}, repeated once more");

            let leaving = shop.register(&format!("leaving{round}")).await;
            let is_answered = dies_at(point, &leaving, &products).await;
            shop.travel(CUT_OFF_MS);
            // the order writer catches a panic and tries again: then the buyer has his answer
            let expected = if is_written || is_answered { (2, 0) } else { (0, 2) };
            let since = Instant::now();
            while holdings(&leaving).await != expected && since.elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            shop.at_rest().await;
            assert_eq!(holdings(&leaving).await, expected, "{point}, not repeated");
            for product in &products {
                shop.assert_stock_conserved(product.id).await;
            }
        }
    }
}

/// Fills a cart and checks it out into a panic; true if it was ordered all the same.
async fn dies_at(point: &str, who: &Person, products: &[Product]) -> bool {
    for product in products {
        who.add_to_cart(product, 2).await.accepted();
    }
    assert!(failpoint::arm(&format!("{point}=panic@1")));
    let answer = who.checkout_once("k").await;
    assert!(failpoint::visits().get(point).is_some_and(|visits| *visits > 0), "{point} was not reached: {answer:?}");
    answer.is_accepted()
}

/// Orders, and lines in the cart.
async fn holdings(who: &Person) -> (usize, usize) {
    let cart = who.cart().await.accepted();
    (who.orders().await.len(), cart["items"].as_array().map_or(0, Vec::len))
}

async fn until(point: &str, is_so: impl AsyncFn() -> bool) {
    let give_up_at = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < give_up_at, "{point}: it does not come to that");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
