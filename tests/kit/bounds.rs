//! What is bounded: messages per actor, actors per kind, time per ask.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rushmall::actors::kit::{AskError, DeadLetterReason, KindLimits, Order};
use rushmall::clock::monotonic;

use crate::support::{Add, AddAlone, AddLater, Block, PATIENCE, Shop, Store, eventually, millis, quick};

#[actix_rt::test]
async fn a_full_actor_says_busy_at_once() {
    let shop = Shop::open(KindLimits { in_flight_max: 4, ..quick() });
    shop.ask("a", Add(0)).await.unwrap();
    shop.order("a", Order::Pause).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(shop.ask_aside("a", Add(1)).await);
    }
    // while they are all held: whoever waited for a place would run out of time
    let refused = shop.ask("a", Add(1)).await;
    assert!(matches!(refused, Err(AskError::Busy { retry_after_ms: 20.. })), "{refused:?}");
    shop.order("a", Order::Resume).await;
    for ask in held {
        assert!(ask.await.unwrap().is_ok());
    }
    assert_eq!(shop.ask("a", Add(1)).await, Ok(5), "the refused message was not handled");
}

#[actix_rt::test]
async fn started_messages_count_toward_the_bound() {
    let shop = Shop::open(KindLimits { in_flight_max: 2, ..quick() });
    let one = shop.ask_aside("a", AddLater(1, millis(1_000))).await;
    let other = shop.ask_aside("a", AddLater(1, millis(1_000))).await;
    assert!(matches!(shop.ask("a", Add(1)).await, Err(AskError::Busy { .. })));
    assert!(one.await.unwrap().is_ok() && other.await.unwrap().is_ok());
}

#[actix_rt::test]
async fn a_message_whose_time_ran_out_is_never_started() {
    let shop = Shop::open(quick());
    let first = shop.ask_aside("a", AddAlone(1, millis(1_000))).await;
    let late = shop.counters.ask(&"a".to_owned(), Add(100), millis(10)).await;
    assert_eq!(late, Err(AskError::TimedOut));
    assert_eq!(first.await.unwrap(), Ok(1));
    assert_eq!(shop.ask("a", Add(1)).await, Ok(2));
    let letters = shop.host.dead_letters().list();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].reason, letters[0].message.as_str()), (DeadLetterReason::Expired, "Add(100)"));
    shop.host.dead_letters().replay(letters[0].id).await.unwrap();
    assert_eq!(shop.ask("a", Add(1)).await, Ok(103));
}

#[actix_rt::test]
async fn callers_who_leave_give_their_places_back() {
    let shop = Shop::open(KindLimits { in_flight_max: 10, ..quick() });
    let key = "a".to_owned();
    shop.ask("a", Add(0)).await.unwrap();
    shop.order("a", Order::Pause).await;
    for _ in 0..5 {
        let asks = (0..10).map(|_| shop.counters.ask(&key, Add(1), millis(2)));
        assert!(futures::future::join_all(asks).await.iter().all(|late| *late == Err(AskError::TimedOut)));
    }
    shop.order("a", Order::Resume).await;
    assert_eq!(shop.ask("a", Add(1)).await, Ok(1), "none of the fifty was handled");
}

#[actix_rt::test]
async fn a_started_message_runs_on_when_its_caller_left() {
    let shop = Shop::open(KindLimits { idle_after: millis(20), ..quick() });
    let left = shop.counters.ask(&"a".to_owned(), AddLater(7, millis(1_500)), millis(500)).await;
    assert_eq!(left, Err(AskError::TimedOut));
    assert_eq!(shop.vitals("a").in_flight, 1, "not passivated under it");
    eventually("swept and passivated", || shop.counters.live() == 0).await;
    assert_eq!(shop.ask("a", Add(0)).await, Ok(7));
    assert!(shop.host.dead_letters().list().is_empty());
}

/// Asks until there is room: an actor that is to make it may take a moment to leave.
async fn ask_for_room(shop: &Shop, key: &str) -> Result<u64, AskError> {
    let until = monotonic() + PATIENCE;
    loop {
        match shop.ask(key, Add(1)).await {
            Err(AskError::Busy { .. }) if monotonic() < until => tokio::time::sleep(millis(1)).await,
            answer => return answer,
        }
    }
}

#[actix_rt::test]
async fn the_longest_idle_actor_makes_room() {
    let shop = Shop::open(KindLimits { live_max: 3, ..quick() });
    for key in ["a", "b", "c"] {
        shop.ask(key, Add(1)).await.unwrap();
        tokio::time::sleep(millis(50)).await;
    }
    shop.ask("a", Add(1)).await.unwrap();
    assert_eq!(ask_for_room(&shop, "d").await, Ok(1));
    assert_eq!(shop.counters.live(), 3);
    assert!(shop.find("b").is_none(), "b was idle for the longest");
}

#[actix_rt::test]
async fn without_an_idle_actor_a_full_kind_says_busy() {
    let shop = Shop::open(KindLimits { live_max: 2, ..quick() });
    let one = shop.ask_aside("a", AddAlone(1, millis(1_000))).await;
    let other = shop.ask_aside("b", AddAlone(1, millis(1_000))).await;
    assert!(matches!(shop.ask("c", Add(1)).await, Err(AskError::Busy { .. })));
    assert!(one.await.unwrap().is_ok() && other.await.unwrap().is_ok());
    assert_eq!(ask_for_room(&shop, "c").await, Ok(1));
    assert_eq!(shop.counters.live(), 2);
}

#[actix_rt::test]
async fn many_newcomers_never_exceed_the_bound() {
    let shop = Shop::open(KindLimits { live_max: 16, ..quick() });
    for n in 0..400 {
        assert_eq!(ask_for_room(&shop, &format!("k{n}")).await, Ok(1), "there is always an idle one");
        assert!(shop.counters.live() <= 16);
    }
}

#[actix_rt::test]
async fn a_flooded_actor_leaves_its_arbiter_to_others_in_between() {
    let shop = Shop::open_on(1, quick(), Store::default());
    shop.ask("b", Add(1)).await.unwrap();
    let never = Arc::new(AtomicBool::new(false));
    let flood = futures::future::join_all((0..400).map(|_| shop.ask("a", Block(Arc::clone(&never), millis(4)))));
    let other = async {
        eventually("flooded", || shop.find("a").is_some_and(|vitals| vitals.in_flight > 0)).await;
        shop.ask("b", Add(1)).await.unwrap();
        assert!(shop.vitals("a").queued > 100, "b was let in between");
    };
    let (flood, ()) = tokio::join!(flood, other);
    assert!(flood.iter().all(Result::is_ok));
}
