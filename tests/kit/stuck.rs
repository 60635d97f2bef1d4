//! Actors that do not die but do not go on either.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use rushmall::actors::kit::{AskError, DeadLetterReason, KindLimits};

use crate::support::{Add, AddLater, Block, HangAlone, Shop, eventually, millis, quick};

fn impatient() -> KindLimits {
    KindLimits { heartbeat_report_after: millis(300), heartbeat_replace_after: millis(1_500), ..quick() }
}

#[actix_rt::test]
async fn an_actor_that_blocks_its_arbiter_is_replaced_on_another() {
    let shop = Shop::open(impatient());
    shop.ask("a", Add(1)).await.unwrap();
    let released = Arc::new(AtomicBool::new(false));
    let stuck = shop.ask_aside("a", Block(Arc::clone(&released), Duration::from_secs(20))).await;
    let waiting = shop.ask_aside("a", Add(2)).await;
    assert_eq!(stuck.await.unwrap(), Err(AskError::Died));
    assert_eq!(waiting.await.unwrap(), Ok(3), "from durable state, while the old one still blocks");
    let vitals = shop.vitals("a");
    assert_eq!(vitals.restarts, 1);
    assert!(vitals.last_error.unwrap().starts_with("stuck for"));
    assert_eq!(shop.host.dead_letters().list()[0].reason, DeadLetterReason::Poison);
    // The old one comes to; nobody hears its late reply, and the new one is not disturbed.
    released.store(true, Ordering::SeqCst);
    assert_eq!(shop.ask("a", Add(1)).await, Ok(4));
    let held = || Arc::strong_count(&released);
    eventually("the old incarnation is gone", || held() <= 2).await;
}

#[actix_rt::test]
async fn an_atomic_response_that_never_ends_is_replaced() {
    let shop = Shop::open(impatient());
    shop.ask("a", Add(1)).await.unwrap();
    let stuck = shop.ask_aside("a", HangAlone).await;
    let waiting = shop.ask_aside("a", Add(2)).await;
    assert_eq!(stuck.await.unwrap(), Err(AskError::Died));
    assert_eq!(waiting.await.unwrap(), Ok(3));
    assert_eq!(shop.vitals("a").restarts, 1);
}

#[actix_rt::test]
async fn a_neighbour_of_a_blocking_actor_is_moved_without_blame() {
    let shop = Shop::open(impatient());
    let keys: Vec<String> = (0..8).map(|n| format!("k{n}")).collect();
    for key in &keys {
        shop.ask(key, Add(1)).await.unwrap();
    }
    let released = Arc::new(AtomicBool::new(false));
    let stuck = shop.ask_aside("k0", Block(Arc::clone(&released), Duration::from_secs(20))).await;
    let asks = keys[1..].iter().map(|key| shop.ask(key, Add(1)));
    let answers = join_all(asks).await;
    assert!(answers.iter().all(|answer| *answer == Ok(2)), "{answers:?}");
    assert_eq!(stuck.await.unwrap(), Err(AskError::Died));
    let poison = shop.host.dead_letters().list();
    assert_eq!(poison.len(), 1, "only the one that blocks is to blame");
    released.store(true, Ordering::SeqCst);
}

#[actix_rt::test]
async fn a_slow_answer_that_does_not_bar_the_actor_is_left_alone() {
    let shop = Shop::open(impatient());
    let slow = shop.ask_aside("a", AddLater(1, millis(3_000))).await;
    assert_eq!(shop.ask("a", Add(1)).await, Ok(1));
    assert_eq!(slow.await.unwrap(), Ok(2));
    assert_eq!(shop.vitals("a").restarts, 0);
}
