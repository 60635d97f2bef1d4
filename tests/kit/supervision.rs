//! Death, restart, quarantine, poison.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rushmall::actors::kit::{ActorEventKind, ActorState, AskError, DeadLetterReason, KindLimits, Order, ReplayError};
use rushmall::clock::monotonic;

use crate::support::{
    Add, AddAlone, AddLater, Die, DieAlone, FailAside, How, PATIENCE, Shop, Store, eventually, millis, quick,
};

/// The next message is answered soon after the death, from the durable state.
async fn assert_recovered(shop: &Shop, died: Duration) {
    let since = monotonic();
    assert_eq!(shop.ask("a", Add(1)).await, Ok(2));
    assert!(since.elapsed() + died < PATIENCE / 2, "back after {:?}", since.elapsed());
    let vitals = shop.vitals("a");
    assert_eq!((vitals.restarts, vitals.state), (1, ActorState::Running));
    assert!(vitals.last_error.is_some());
}

async fn assert_survives(how: How, last_error: &str) {
    let shop = Shop::open(quick());
    shop.ask("a", Add(1)).await.unwrap();
    let since = monotonic();
    assert_eq!(shop.ask("a", Die(how)).await, Err(AskError::Died), "an error, not silence");
    assert_recovered(&shop, since.elapsed()).await;
    assert_eq!(shop.vitals("a").last_error.as_deref(), Some(last_error));
}

#[actix_rt::test]
async fn a_panic_in_a_handler_is_survived() {
    assert_survives(How::InHandler, "panicked: died in the handler").await;
}

#[actix_rt::test]
async fn a_panic_in_a_response_future_is_survived() {
    let both = "panicked: assertion `left != right` failed: died in the future\n  left: InFuture\n right: InFuture";
    assert_survives(How::InFuture, both).await;
}

#[actix_rt::test]
async fn a_panic_in_a_spawned_future_is_survived() {
    assert_survives(How::InSpawnedFuture, "panicked: died in a spawned future").await;
}

#[actix_rt::test]
async fn an_actor_that_stops_itself_is_restarted() {
    assert_survives(How::ByStopping, "stopped itself").await;
}

#[actix_rt::test]
async fn a_panic_in_an_atomic_response_is_survived() {
    let shop = Shop::open(quick());
    shop.ask("a", Add(1)).await.unwrap();
    assert_eq!(shop.ask("a", DieAlone).await, Err(AskError::Died));
    assert_recovered(&shop, Duration::ZERO).await;
}

#[actix_rt::test]
async fn a_panic_between_messages_is_noticed_without_an_ask() {
    let shop = Shop::open(quick());
    assert_eq!(shop.ask("a", Die(How::AfterAnswering)).await, Ok(1));
    eventually("restarted", || shop.vitals("a").restarts == 1).await;
    assert!(shop.host.dead_letters().list().is_empty(), "no message is to blame");
}

#[actix_rt::test]
async fn a_panic_in_a_task_of_its_own_leaves_the_actor_alive() {
    let shop = Shop::open(quick());
    assert_eq!(shop.ask("a", FailAside).await, Err(AskError::Died));
    assert_eq!(shop.ask("a", Add(1)).await, Ok(1));
    assert_eq!(shop.vitals("a").restarts, 0);
    assert_eq!(shop.host.dead_letters().list()[0].reason, DeadLetterReason::Interrupted);
}

#[actix_rt::test]
async fn a_panic_in_load_is_survived() {
    let store = Store::default();
    store.load_panics.store(1, Ordering::SeqCst);
    let shop = Shop::open_with(quick(), store);
    assert_eq!(shop.ask("a", Add(1)).await, Ok(1), "the caller waits for the second try");
    assert_eq!(shop.vitals("a").restarts, 1);
}

#[actix_rt::test]
async fn an_outage_of_the_store_quarantines_nobody() {
    let store = Store::default();
    store.outage.store(true, Ordering::SeqCst);
    let limits = KindLimits { backoff_max: millis(4), ..quick() };
    let shop = Shop::open_with(limits, store);
    let late = shop.counters.ask(&"a".to_owned(), Add(1), millis(1_000)).await;
    assert_eq!(late, Err(AskError::StartFailed { reason: "cannot be loaded now: database is away".to_owned() }));
    eventually("more failures than deaths are allowed", || shop.store.loads.load(Ordering::SeqCst) > 12).await;
    shop.store.outage.store(false, Ordering::SeqCst);
    assert_eq!(shop.ask("a", Add(1)).await, Ok(1));
}

#[actix_rt::test]
async fn messages_that_wait_survive_the_death_of_another() {
    let shop = Shop::open(quick());
    shop.ask("a", Add(0)).await.unwrap();
    shop.order("a", Order::Pause).await;
    let first = shop.ask_aside("a", AddAlone(1, millis(2))).await;
    let killer = shop.ask_aside("a", Die(How::InHandler)).await;
    let mut waiting = Vec::new();
    for units in 2..=20 {
        waiting.push(shop.ask_aside("a", Add(units)).await);
    }
    shop.order("a", Order::Resume).await;
    assert_eq!(first.await.unwrap(), Ok(1));
    assert_eq!(killer.await.unwrap(), Err(AskError::Died));
    for ask in waiting {
        assert!(ask.await.unwrap().is_ok());
    }
    let in_order: Vec<u64> = (0..=20).collect();
    assert_eq!(*shop.store.log.lock().unwrap(), in_order, "each once, and in order");
    assert_eq!(shop.vitals("a").restarts, 1);
}

#[actix_rt::test]
async fn a_message_in_flight_learns_that_the_actor_died_of_another() {
    let shop = Shop::open(quick());
    let slow = shop.ask_aside("a", AddLater(1, PATIENT)).await;
    assert_eq!(shop.ask("a", Die(How::InHandler)).await, Err(AskError::Died));
    assert_eq!(slow.await.unwrap(), Err(AskError::Died));
    let reasons: Vec<DeadLetterReason> =
        shop.host.dead_letters().list().into_iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, [DeadLetterReason::Interrupted, DeadLetterReason::Poison]);
}

const PATIENT: Duration = Duration::from_secs(60);

#[actix_rt::test]
async fn nine_deaths_in_a_row_quarantine_until_lifted() {
    let shop = Shop::open(quick());
    let mut events = shop.host.events();
    for _ in 0..9 {
        assert_eq!(shop.ask("a", Die(How::InHandler)).await, Err(AskError::Died));
    }
    assert_eq!(events.recv().await.unwrap().what, ActorEventKind::Restarted);
    let reason = "panicked: died in the handler".to_owned();
    assert_eq!(shop.ask("a", Add(1)).await, Err(AskError::Quarantined { reason, deaths: 9 }));
    assert_eq!(shop.vitals("a").state, ActorState::Quarantined);
    assert_eq!(shop.ask("b", Add(1)).await, Ok(1), "another key sells on");
    while events.recv().await.unwrap().what != ActorEventKind::Quarantined {}
    shop.order("a", Order::Lift).await;
    assert_eq!(shop.ask("a", Add(1)).await, Ok(1));
}

#[actix_rt::test]
async fn messages_that_wait_are_answered_when_the_actor_is_quarantined() {
    let shop = Shop::open(quick());
    shop.ask("a", Add(0)).await.unwrap();
    shop.order("a", Order::Pause).await;
    let mut asks = Vec::new();
    for _ in 0..9 {
        asks.push(shop.ask_aside("a", DieAlone).await);
    }
    asks.push(shop.ask_aside("a", Add(1)).await);
    shop.order("a", Order::Resume).await;
    let last = asks.pop().unwrap().await.unwrap();
    assert!(matches!(last, Err(AskError::Quarantined { deaths: 9, .. })), "{last:?}");
}

#[actix_rt::test]
async fn an_actor_that_cannot_be_loaded_is_quarantined() {
    let store = Store::default();
    store.load_errors.store(9, Ordering::SeqCst);
    let shop = Shop::open_with(quick(), store);
    let reason = "cannot be loaded: row is broken".to_owned();
    assert_eq!(shop.ask("a", Add(1)).await, Err(AskError::Quarantined { reason, deaths: 9 }));
}

#[actix_rt::test]
async fn the_pause_before_a_restart_grows() {
    let store = Store::default();
    store.load_errors.store(6, Ordering::SeqCst);
    let limits = KindLimits { backoff_first: millis(4), backoff_max: millis(1_000), ..quick() };
    let shop = Shop::open_with(limits, store);
    assert_eq!(shop.ask("a", Add(1)).await, Ok(1));
    let loaded_at = shop.store.loaded_at.lock().unwrap().clone();
    let pauses: Vec<Duration> = loaded_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // 4, 8, 16, 32, 64, 128 ms, each less a quarter at the most.
    for (pause, at_least) in pauses.iter().zip([3, 6, 12, 24, 48, 96]) {
        assert!(*pause >= millis(at_least), "{pauses:?}");
    }
    assert_eq!(pauses.len(), 6);
}

#[actix_rt::test]
async fn a_poison_message_is_parked_and_can_be_replayed() {
    let store = Store::default();
    let shop = Shop::open_with(quick(), store);
    shop.ask("a", Add(1)).await.unwrap();
    assert_eq!(shop.ask("a", DieAlone).await, Err(AskError::Died));
    let letters = shop.host.dead_letters();
    let letter = letters.list().pop().unwrap();
    assert_eq!((letter.kind, letter.key.as_str(), letter.reason), ("counter", "a", DeadLetterReason::Poison));
    assert_eq!(letter.message, "DieAlone");
    assert_eq!(letters.replay(letter.id).await, Err(ReplayError::Failed(AskError::Died)), "it kills again");
    let again = letters.list();
    assert_eq!(again.len(), 1, "parked anew, not twice");
    assert!(letters.discard(again[0].id));
    assert_eq!(letters.replay(again[0].id).await, Err(ReplayError::Unknown));
    assert_eq!(letters.total(), 2);
}

#[actix_rt::test]
async fn whatever_dies_no_waiting_message_is_lost_or_handled_twice() {
    let limits = KindLimits { deaths_max: u32::MAX, backoff_max: millis(2), in_flight_max: 4_000, ..quick() };
    let shop = Shop::open(limits);
    let keys = ["a", "b", "c"];
    let adds = (0..3_000).map(|n| shop.ask(keys[n % 3], Add(1)));
    let deaths = (0..90).map(|n| {
        let (key, shop) = (keys[n % 3], &shop);
        async move {
            tokio::time::sleep(millis(n as u64 / 3)).await;
            match n % 4 {
                0 => shop.ask(key, DieAlone).await,
                1 => shop.ask(key, Die(How::InFuture)).await,
                2 => shop.ask(key, Die(How::ByStopping)).await,
                _ => shop.ask(key, Die(How::InHandler)).await,
            }
        }
    });
    // A trickle, so that adds meet every stage of dying.
    let trickle = async {
        let mut answers = Vec::new();
        for n in 0..600 {
            answers.push(shop.ask(keys[n % 3], Add(1)).await);
        }
        answers
    };
    let all = (futures::future::join_all(adds), futures::future::join_all(deaths), trickle);
    let (adds, deaths, trickle) = tokio::join!(all.0, all.1, all.2);
    assert!(deaths.iter().all(|died| *died == Err(AskError::Died)), "{deaths:?}");
    assert!(adds.iter().chain(&trickle).all(Result::is_ok));
    assert_eq!(shop.store.numbers.lock().unwrap().values().sum::<u64>(), 3_600);
}
