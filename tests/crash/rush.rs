//! t3: killed twenty times in one sale.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::books::{Books, Unfinished};
use crate::support::load::{Crowd, Dice};
use crate::support::process::ShopProcess;
use crate::support::socket::{Listener, Push};
use crate::support::verbs::{Product, SalePlan};

const KILLS: u32 = 20;
const BUYERS: usize = 300;
const HANDS: usize = 24;
const LISTENERS: usize = 6;
const PAY_DEADLINE: Duration = Duration::from_secs(20);
/// Purchases before each kill, at least.
const PURCHASES_A_LIFE: u64 = 11;
/// Longest that pushes are on their way to somebody who listens.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// SIGKILL at a random moment, twenty times on the same data, while hundreds of buyers buy, pay, cancel and check out.
#[tokio::test(flavor = "multi_thread")]
async fn t3_killed_twenty_times_in_a_sale_nothing_is_lost() {
    let (started, seed) = (Instant::now(), Dice::seed());
    let mut dice = Dice::new(seed);
    let mut shop = ShopProcess::prepare();
    shop.set("RUSHMALL__ORDERS__PAY_DEADLINE_MS", &PAY_DEADLINE.as_millis().to_string());
    shop.set("RUSHMALL__ORDERS__PREPARED_EXPIRES_MS", "1000"); // nobody repeats a checkout
    shop.start().await;
    let admin = shop.admin().await;
    let mut products = Vec::new();
    for place in 0..3 {
        let product = admin.make_product(&format!("killed {place}"), 59.9, 400).await;
        admin.plan_sale(&product, SalePlan::open_now(90)).await;
        products.push(product);
    }
    let buyers = admin.make_buyers(BUYERS, "t3-").await;
    let mut listeners = Vec::new();
    for buyer in &buyers[..LISTENERS] {
        listeners.push(Listener::open(buyer).await);
    }
    let crowd = Crowd::of(buyers, &products);

    for kill in 0..KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let hands = crowd.rush(HANDS, seed.wrapping_add(u64::from(kill)), &stop);
        let listening = tokio::spawn(async move {
            for listener in &mut listeners {
                listener.listen(Duration::from_millis(30)).await;
            }
            listeners
        });
        crowd.has_bought(PURCHASES_A_LIFE * u64::from(kill + 1)).await;
        tokio::time::sleep(Duration::from_millis(100 + dice.below(700))).await;
        shop.kill();
        stop.store(true, Ordering::Relaxed);
        for hand in hands {
            hand.await.expect("nobody was told nonsense");
        }
        listeners = listening.await.expect("no order went back");
        shop.start().await;
        for listener in &mut listeners {
            listener.listen(Duration::from_millis(20)).await; // what was sent before the end
            listener.resume().await;
        }
        let books = shop.books().await;
        let left = books.at_rest().await;
        assert_eq!(left, Unfinished::default(), "after kill {kill} nobody does this");
        crowd.assert_promises_kept(&books).await;
        books.assert_conserved().await;
        books.close().await;
    }

    nobody_is_locked_out(&crowd, &products[0]).await;
    let books = shop.books().await;
    deadlines_fire(&books).await;
    books.at_rest().await;
    crowd.assert_promises_kept(&books).await;
    everybody_knows(&mut listeners, &crowd, &products, &books).await;
    books.close().await;
    shop.assert_clean().await;
    let accepted = crowd.tally.accepted.load(Ordering::Relaxed);
    assert!(accepted > 200, "there was load: {:?}", crowd.tally);
    eprintln!("{KILLS} kills in {:.0?}: {:?}", started.elapsed(), crowd.tally);
}

/// Whoever listened knows his orders as they are.
async fn everybody_knows(listeners: &mut [Listener], crowd: &Crowd, products: &[Product], books: &Books) {
    for (listener, memory) in listeners.iter_mut().zip(&crowd.memories) {
        let memory = memory.lock().await;
        for product in products {
            for row in books.orders(product.id).await.iter().filter(|row| row.user_id == memory.who.user_id) {
                let is_it = |push: &Push| push.order_no == row.order_no && push.version == row.version;
                let until = Instant::now() + TOLD_WITHIN;
                while !listener.pushes.iter().any(is_it) && Instant::now() < until {
                    listener.listen(Duration::from_millis(100)).await;
                }
                listener.assert_knows(&row.order_no, row.version);
            }
        }
    }
}

/// Nobody pays any more: after the deadline no order is unpaid, whichever process had accepted it.
async fn deadlines_fire(books: &Books) {
    let until = Instant::now() + PAY_DEADLINE + Duration::from_secs(60);
    while books.count("SELECT COUNT(*) AS n FROM orders WHERE status IN (0, 1, 9)").await > 0 {
        assert!(Instant::now() < until, "deadlines do not fire");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn nobody_is_locked_out(crowd: &Crowd, product: &Product) {
    for memory in &crowd.memories {
        let mut memory = memory.lock().await;
        if memory.unanswered > 0 {
            memory.assert_not_locked_out(product).await;
        }
    }
}
