//! Too much of it: t22, r58.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::claims::PATIENCE;
use crate::counting::{BUSY, SOLD_OUT, TOO_FREQUENT, accepted, by_code, sale_pool};
use crate::support::client::Answer;
use crate::support::ground::is_cluster;
use crate::support::shop::TestShop;

#[track_caller]
fn says_when_to_come_back(answer: &Answer) {
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    assert!(header("retry-after").is_some_and(|seconds| (1..=60).contains(&seconds)), "{answer:?}");
    assert_eq!(header("ratelimit-remaining"), Some(0), "{answer:?}");
    assert!(answer.data["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0), "{answer:?}");
}

/// Waits until so many have been turned away.
async fn until_turned_away(turned_away: &AtomicUsize, count: usize) {
    let until = Instant::now() + PATIENCE;
    while turned_away.load(Ordering::Relaxed) < count && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn t22_one_buyer_clicks_ten_times_at_once_and_five_a_second_whatever_address_he_claims() {
    let shop = TestShop::with(|settings| {
        (settings.limits.seckill_per_second, settings.limits.seckill_burst) = (5, 10);
    })
    .await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("limited", 1).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    bob.buy(&product).await.order_no();
    let since = Instant::now();
    let body = json!({ "product_id": product.id });
    let answers = join_all((0..40).map(async |click| {
        let address = format!("10.0.0.{click}");
        let claimed =
            [("X-Forwarded-For", address.as_str()), ("X-Real-IP", address.as_str()), ("Forwarded", "for=1.2.3.4")];
        ann.elsewhere().ask(Method::POST, "/api/seckill", Some(&body), &claimed).await
    }))
    .await;
    let refilled = since.elapsed().as_millis() as usize * 5 / 1_000 + 1;
    let codes = by_code(&answers);
    let passed = *codes.get(&SOLD_OUT).unwrap_or(&0);
    assert!((10..=10 + refilled).contains(&passed), "{codes:?} in {:?}", since.elapsed());
    assert_eq!(passed + codes.get(&TOO_FREQUENT).unwrap_or(&0), 40, "{codes:?}");
    for answer in answers.into_iter().filter(|answer| answer.code == TOO_FREQUENT) {
        assert_eq!(answer.status, 429);
        says_when_to_come_back(&answer);
    }
    // nobody else pays for it, and a second later he may click five times again
    shop.register("cid").await.buy(&product).await.rejected(SOLD_OUT);
    if is_cluster() {
        // all nodes together count by Redis' clock, which no test moves
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    shop.travel(1_000);
    for _ in 0..5 {
        ann.buy(&product).await.rejected(SOLD_OUT);
    }
}

#[tokio::test]
async fn r58_a_full_mailbox_answers_busy_at_once_and_drops_nobody_who_was_let_in() {
    let shop = TestShop::with(|settings| settings.actors.inventory_in_flight_max = 4).await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("full", 20).await;
    let buyers = admin.make_buyers(16, "r58-").await;
    admin.command_actor("inventory", &product.id.to_string(), "pause").await.accepted();
    let refusals = AtomicUsize::new(0);
    let resumed = async {
        until_turned_away(&refusals, 12).await;
        admin.command_actor("inventory", &product.id.to_string(), "resume").await.accepted();
    };
    let clicks = join_all(buyers.iter().map(async |buyer| {
        let since = Instant::now();
        let answer = buyer.buy(&product).await;
        refusals.fetch_add(usize::from(!answer.is_accepted()), Ordering::Relaxed);
        (answer, since.elapsed())
    }));
    let (answers, ()) = futures::join!(clicks, resumed);
    let (let_in, turned_away): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(answer, _)| answer.is_accepted());
    assert_eq!((let_in.len(), turned_away.len()), (4, 12));
    for (answer, took) in &turned_away {
        assert_eq!((answer.status, answer.code), (503, BUSY), "{answer:?}");
        says_when_to_come_back(answer);
        assert!(*took < Duration::from_secs(4), "\"busy\" took {took:?}");
    }
    // whoever was turned away had nothing taken and may come again
    for (place, buyer) in buyers.iter().enumerate() {
        let orders = buyer.orders().await.len();
        assert!(orders <= 1, "buyer {place} has {orders} orders");
        if orders == 0 {
            buyer.buy(&product).await.order_no();
        }
    }
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.held, 16);
}

#[tokio::test]
async fn r58_a_buyer_with_too_much_in_flight_is_busy_alone() {
    let shop = TestShop::with(|settings| settings.actors.session_in_flight_max = 2).await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("full", 20).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    admin.command_actor("session", &ann.user_id.to_string(), "pause").await.accepted();
    let refusals = AtomicUsize::new(0);
    let resumed = async {
        until_turned_away(&refusals, 10).await;
        bob.buy(&product).await.order_no();
        admin.command_actor("session", &ann.user_id.to_string(), "resume").await.accepted();
    };
    let looks = join_all((0..12).map(async |_| {
        let answer = ann.get("/api/order").await;
        refusals.fetch_add(usize::from(!answer.is_accepted()), Ordering::Relaxed);
        answer
    }));
    let (answers, ()) = futures::join!(looks, resumed);
    let codes = by_code(&answers);
    assert_eq!((codes.get(&0), codes.get(&BUSY)), (Some(&2), Some(&10)), "{codes:?}");
    answers.iter().filter(|answer| !answer.is_accepted()).for_each(says_when_to_come_back);
    assert_eq!(ann.buy(&product).await.code, 0);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r58_an_actor_held_by_an_administrator_answers_in_time_and_loses_nothing() {
    let shop = TestShop::with(|settings| settings.actors.ask_timeout_ms = 4_000).await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("held", 5).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    bob.buy(&product).await.order_no();
    admin.command_actor("inventory", &product.id.to_string(), "pause").await.accepted();
    let since = Instant::now();
    let answer = ann.buy(&product).await;
    assert!(since.elapsed() < Duration::from_secs(12), "{:?}", since.elapsed());
    assert_eq!(answer.status, 503, "{answer:?}");
    admin.command_actor("inventory", &product.id.to_string(), "resume").await.accepted();
    shop.at_rest().await;
    // held or not, he ends with one order
    let until = Instant::now() + PATIENCE;
    let again = loop {
        let again = ann.buy(&product).await;
        if again.status != 503 {
            break again; // his first click has found out what became of it
        }
        assert!(Instant::now() < until, "{again:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!([0, 60_004].contains(&again.code), "{again:?}");
    shop.at_rest().await;
    assert_eq!(ann.orders().await.len(), 1);
    assert_eq!(accepted(&[ann.buy(&product).await]).len(), 0);
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.held, 2);
}
