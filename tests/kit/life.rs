//! Start, idleness and return.

use std::sync::atomic::Ordering;

use futures::future::join_all;
use rushmall::actors::kit::{ActorState, AnyDirectory, KindLimits};

use crate::support::{Add, AddAlone, AddLater, Counter, Shop, Store, eventually, millis, quick};

fn soon_idle() -> KindLimits {
    KindLimits { idle_after: millis(20), ..quick() }
}

#[actix_rt::test]
async fn an_actor_starts_from_its_durable_state() {
    let store = Store::default();
    store.numbers.lock().unwrap().insert("a".to_owned(), 40);
    let shop = Shop::open_with(quick(), store);
    assert_eq!(shop.ask("a", Add(2)).await, Ok(42));
    assert_eq!(shop.vitals("a").state, ActorState::Running);
    assert_eq!(shop.vitals("a").handled, 1);
}

#[actix_rt::test]
async fn all_kinds_of_response_are_answered() {
    let shop = Shop::open(quick());
    assert_eq!(shop.ask("a", Add(1)).await, Ok(1));
    assert_eq!(shop.ask("a", AddLater(1, millis(2))).await, Ok(2));
    assert_eq!(shop.ask("a", AddAlone(1, millis(2))).await, Ok(3));
    let vitals = shop.vitals("a");
    assert_eq!((vitals.handled, vitals.in_flight, vitals.queued), (3, 0, 0));
    assert!(vitals.handling_max_us >= 2_000, "{vitals:?}");
}

#[actix_rt::test]
async fn messages_with_futures_interleave_and_atomic_ones_do_not() {
    let shop = Shop::open(quick());
    let slow = shop.ask_aside("a", AddLater(1, millis(1_000))).await;
    assert_eq!(shop.ask("a", Add(2)).await, Ok(2), "overtakes");
    assert_eq!(slow.await.unwrap(), Ok(3));
    let slow = shop.ask_aside("a", AddAlone(10, millis(50))).await;
    assert_eq!(shop.ask("a", Add(2)).await, Ok(15), "waits its turn");
    assert_eq!(slow.await.unwrap(), Ok(13));
}

#[actix_rt::test]
async fn an_idle_actor_is_passivated_and_comes_back_as_it_was() {
    let shop = Shop::open(soon_idle());
    assert_eq!(shop.ask("a", Add(5)).await, Ok(5));
    eventually("passivated", || shop.counters.live() == 0).await;
    assert_eq!(shop.ask("a", Add(1)).await, Ok(6));
    assert_eq!(shop.store.loads.load(Ordering::SeqCst), 2);
}

#[actix_rt::test]
async fn an_actor_that_wants_to_stay_or_has_work_is_not_passivated() {
    let shop = Shop::open(soon_idle());
    shop.store.stays.store(true, Ordering::SeqCst);
    shop.ask("stays", Add(1)).await.unwrap();
    let work = shop.ask_aside("works", AddLater(1, millis(200))).await;
    assert_eq!(work.await.unwrap(), Ok(1));
    assert!(shop.find("stays").is_some());
    assert_eq!(shop.store.loads.load(Ordering::SeqCst), 2, "each was loaded once");
}

#[actix_rt::test]
async fn an_ask_that_races_passivation_loses_nothing() {
    let shop = Shop::open(KindLimits { idle_after: millis(1), ..quick() });
    let mut answered = 0;
    // Around the tick of 5 ms, so that some asks meet an actor on its way out.
    for round in 0..300_u64 {
        let (one, other) = tokio::join!(shop.ask("a", Add(1)), shop.ask("a", Add(1)));
        assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
        answered += 2;
        tokio::time::sleep(std::time::Duration::from_micros(round * 37 % 7_000)).await;
    }
    assert_eq!(shop.store.numbers.lock().unwrap().get("a"), Some(&answered));
    assert!(shop.store.loads.load(Ordering::SeqCst) > 2, "it was passivated in between");
}

#[actix_rt::test]
async fn ten_thousand_asks_at_once_are_all_answered() {
    let shop = Shop::open(KindLimits { in_flight_max: 10_000, ..quick() });
    let asks = (0..10_000).map(|n| {
        let key = format!("k{}", n % 7);
        let shop = &shop;
        async move { shop.ask(&key, Add(1)).await }
    });
    assert!(join_all(asks).await.iter().all(Result::is_ok));
    assert_eq!(shop.store.numbers.lock().unwrap().values().sum::<u64>(), 10_000);
}

#[actix_rt::test]
async fn an_ask_can_be_spawned_on_any_thread() {
    fn as_send<F: Send>(future: F) -> F {
        future
    }
    let shop = Shop::open(quick());
    let key = "a".to_owned();
    let counters = shop.counters.clone();
    let ask = as_send(async move { counters.ask(&key, Add(1), millis(1_000)).await });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    assert_eq!(runtime.spawn(ask).await.unwrap(), Ok(1));
    runtime.shutdown_background();
}

#[actix_rt::test]
async fn the_last_directory_takes_its_actors_with_it() {
    let shop = Shop::open(quick());
    shop.ask("a", Add(1)).await.unwrap();
    let held = std::sync::Arc::strong_count(&shop.store.loads);
    let other = rushmall::actors::kit::Directory::<Counter>::new(&shop.host, shop.store.clone(), quick());
    other.ask(&"b".to_owned(), Add(1), millis(1_000)).await.unwrap();
    assert_eq!(AnyDirectory::list(&other).len(), 1);
    drop(other);
    eventually("all it held is dropped", || std::sync::Arc::strong_count(&shop.store.loads) == held).await;
}
