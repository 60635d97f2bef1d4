//! Orders and inspections.

use std::time::Duration;

use rushmall::actors::kit::{
    ActorEventKind, ActorState, AnyDirectory, AskError, ControlError, DeadLetterReason, KindLimits, Kinds,
    MessageOutcome, Order, Selected, Target,
};
use rushmall::clock::{Clock, monotonic};

use crate::support::{Add, AddAlone, AddLater, How, PATIENCE, Shop, eventually, millis, quick};

/// What the actor says its number is; it is looked at until it says something.
async fn number_inside(shop: &Shop, key: &str) -> serde_json::Value {
    let until = monotonic() + PATIENCE;
    loop {
        let inspection = shop.counters.inspect(key).await.unwrap();
        let number = &inspection.state_data["number"];
        if number.is_number() {
            return number.clone();
        }
        assert!(monotonic() < until, "{inspection:?}");
    }
}

/// An inspection promises an answer within 100 ms; of several the quickest shows whether it waits for the actor.
async fn assert_answers_soon(shop: &Shop, key: &str) {
    let mut quickest = PATIENCE;
    for _ in 0..5 {
        let since = monotonic();
        shop.counters.inspect(key).await.unwrap();
        quickest = quickest.min(since.elapsed());
    }
    assert!(quickest < millis(100), "took {quickest:?}");
}

#[actix_rt::test]
async fn an_inspection_overtakes_ten_thousand_messages() {
    let shop = Shop::open(KindLimits { in_flight_max: 20_000, ..quick() });
    let slow = (0..10_000).map(|_| shop.ask("a", AddAlone(1, millis(2))));
    let asking = futures::future::join_all(slow);
    let inspecting = async {
        eventually("ten thousand wait", || shop.find("a").is_some_and(|vitals| vitals.queued > 9_000)).await;
        assert_answers_soon(&shop, "a").await;
        assert!(number_inside(&shop, "a").await.is_number());
        assert!(shop.vitals("a").queued > 5_000);
        shop.order("a", Order::Stop).await;
    };
    tokio::join!(asking, inspecting);
}

#[actix_rt::test]
async fn an_inspection_of_a_hanging_actor_answers_without_it() {
    let shop = Shop::open(quick());
    let hanging = shop.ask_aside("a", crate::support::HangAlone).await;
    eventually("it is on it", || shop.vitals("a").in_flight == 1).await;
    assert_answers_soon(&shop, "a").await;
    let inspection = shop.counters.inspect("a").await.unwrap();
    assert!(inspection.state_data.is_null() && inspection.note.is_some());
    assert_eq!(inspection.vitals.in_flight, 1);
    assert!(inspection.vitals.busy_ms > 0);
    hanging.abort();
}

async fn recent(shop: &Shop, key: &str) -> Vec<(&'static str, MessageOutcome)> {
    let shown = shop.counters.inspect(key).await.unwrap().recent;
    shown.iter().map(|one| (one.message, one.outcome)).collect()
}

#[actix_rt::test]
async fn an_inspection_shows_the_last_sixteen_messages_latest_first() {
    let shop = Shop::open(quick());
    let before_ms = Clock::default().now_ms();
    shop.ask("a", AddLater(1, millis(30))).await.unwrap();
    shop.ask("a", Add(1)).await.unwrap();
    let shown = shop.counters.inspect("a").await.unwrap().recent;
    let [last, first] = &shown[..] else { panic!("{shown:?}") };
    assert_eq!((last.message, last.outcome), ("Add", MessageOutcome::Answered), "{shown:?}");
    assert_eq!((first.message, first.outcome), ("AddLater", MessageOutcome::Answered), "{shown:?}");
    assert!(first.took_us.is_some_and(|took| took >= 30_000) && last.took_us.is_some(), "{shown:?}");
    let after_ms = Clock::default().now_ms();
    // what was taken up within a millisecond before may be told as of the one before it
    assert!((before_ms - 1..=after_ms).contains(&first.at_ms) && first.at_ms + 29 <= last.at_ms, "{shown:?}");
    // waited for: it was at the gate while another was worked on
    let working = shop.ask_aside("a", AddAlone(1, millis(500))).await;
    let waiting = shop.ask_aside("a", Add(1)).await;
    assert!(working.await.unwrap().is_ok() && waiting.await.unwrap().is_ok());
    let waited = shop.counters.inspect("a").await.unwrap().recent[0].clone();
    assert!(waited.message == "Add" && waited.waited_us > 5_000, "{waited:?}");

    for _ in 0..100 {
        shop.ask("a", Add(1)).await.unwrap();
    }
    assert_eq!(recent(&shop, "a").await, [("Add", MessageOutcome::Answered); 16]);
    shop.ask("b", AddLater(1, millis(1))).await.unwrap();
    assert_eq!(recent(&shop, "b").await, [("AddLater", MessageOutcome::Answered)], "each has its own");
}

#[actix_rt::test]
async fn an_inspection_tells_how_messages_ended_over_the_deaths_of_the_actor() {
    let shop = Shop::open(quick());
    shop.ask("a", Add(1)).await.unwrap();
    assert_eq!(shop.ask("a", crate::support::Die(How::InHandler)).await, Err(AskError::Died));
    assert_eq!(shop.ask("a", crate::support::FailAside).await, Err(AskError::Died));
    shop.order("a", Order::Pause).await;
    let late = shop.counters.ask(&"a".to_owned(), AddLater(1, millis(1)), millis(20)).await;
    assert_eq!(late, Err(AskError::TimedOut));
    shop.order("a", Order::Resume).await;
    let stopped = shop.ask_aside("a", AddAlone(1, PATIENCE)).await;
    eventually("it is on it", || shop.vitals("a").in_flight == 1).await;
    shop.order("a", Order::Stop).await;
    assert_eq!(stopped.await.unwrap(), Err(AskError::Died));
    let told = recent(&shop, "a").await;
    let expected = [
        ("AddAlone", MessageOutcome::Interrupted),
        ("AddLater", MessageOutcome::Withdrawn),
        ("FailAside", MessageOutcome::Interrupted),
        ("Die", MessageOutcome::Panicked),
        ("Add", MessageOutcome::Answered),
    ];
    assert_eq!(told, expected, "also of one that is stopped");
    let given_up = shop.counters.inspect("a").await.unwrap().recent[1].clone();
    assert!(given_up.took_us.is_none() && given_up.waited_us >= 15_000, "never begun: {given_up:?}");
}

#[actix_rt::test]
async fn a_paused_actor_holds_messages_and_keeps_their_order() {
    let shop = Shop::open(KindLimits { in_flight_max: 50, ..quick() });
    shop.ask("a", Add(0)).await.unwrap();
    shop.order("a", Order::Pause).await;
    assert_eq!(shop.vitals("a").state, ActorState::Paused);
    let mut held = Vec::new();
    for units in 1..=50 {
        held.push(shop.ask_aside("a", Add(units)).await);
    }
    assert!(matches!(shop.ask("a", Add(99)).await, Err(AskError::Busy { .. })), "held up to the bound");
    assert_eq!(number_inside(&shop, "a").await, 0, "inspected, but not moved");
    shop.order("a", Order::Resume).await;
    for ask in held {
        assert!(ask.await.unwrap().is_ok());
    }
    let in_order: Vec<u64> = (0..=50).collect();
    assert_eq!(*shop.store.log.lock().unwrap(), in_order);
}

#[actix_rt::test]
async fn a_pause_outlives_the_actor() {
    let shop = Shop::open(quick());
    shop.ask("a", crate::support::Die(crate::support::How::AfterAnswering)).await.unwrap();
    shop.order("a", Order::Pause).await;
    eventually("died", || shop.vitals("a").restarts == 1).await;
    let held = shop.ask_aside("a", Add(1)).await;
    eventually("back", || shop.vitals("a").state == ActorState::Paused).await;
    assert_eq!(shop.vitals("a").queued, 1);
    shop.order("a", Order::Resume).await;
    assert_eq!(held.await.unwrap(), Ok(1));
}

#[actix_rt::test]
async fn a_draining_actor_finishes_what_it_has_and_stops() {
    let shop = Shop::open(quick());
    let working = shop.ask_aside("a", AddLater(1, millis(500))).await;
    let waiting = shop.ask_aside("a", AddAlone(2, millis(500))).await;
    shop.order("a", Order::Drain).await;
    assert_eq!(shop.ask("a", Add(4)).await, Err(AskError::Stopped));
    assert!(working.await.unwrap().is_ok() && waiting.await.unwrap().is_ok());
    eventually("stopped", || shop.vitals("a").state == ActorState::Stopped).await;
    shop.order("a", Order::Restart).await;
    assert_eq!(shop.ask("a", Add(4)).await, Ok(7));
}

#[actix_rt::test]
async fn a_restart_ends_draining_and_keeps_what_waits() {
    let shop = Shop::open(quick());
    let working = shop.ask_aside("a", AddAlone(1, PATIENCE)).await;
    let waiting = shop.ask_aside("a", Add(2)).await;
    shop.order("a", Order::Drain).await;
    assert_eq!(shop.vitals("a").state, ActorState::Draining);
    shop.order("a", Order::Restart).await;
    assert_eq!(working.await.unwrap(), Err(AskError::Died));
    assert_eq!(waiting.await.unwrap(), Ok(2));
    assert_eq!(shop.ask("a", Add(4)).await, Ok(6));
}

#[actix_rt::test]
async fn an_order_reaches_what_it_selects() {
    let shop = Shop::open(quick());
    for key in ["a", "b", "c"] {
        shop.ask(key, Add(1)).await.unwrap();
    }
    let mut kinds = Kinds::default();
    kinds.register(&shop.counters);
    let key = |key: &str| Selected { key: Some(key.to_owned()), ..Selected::default() };
    assert_eq!(kinds.order(&key("b"), Order::Pause), 1);
    assert_eq!(kinds.order(&key("nobody"), Order::Pause), 0, "nobody is brought to life by it");
    let paused = Selected { state: Some(ActorState::Paused), ..Selected::default() };
    assert_eq!(kinds.order(&paused, Order::Resume), 1);
    assert_eq!(kinds.order(&Selected { kind: Some("other".to_owned()), ..Selected::default() }, Order::Stop), 0);
    assert_eq!(kinds.order(&Selected::default(), Order::Restart), 3);
    let events = shop.host.latest_events(10);
    let told: Vec<(&str, &str)> = events
        .iter()
        .filter(|e| e.event.what == ActorEventKind::Ordered)
        .map(|e| (e.event.key.as_str(), e.event.detail.as_str()))
        .collect();
    assert_eq!(told, [("b", "pause: 1 actors"), ("*", "resume: 1 actors"), ("*", "restart: 3 actors")]);
}

#[actix_rt::test]
async fn a_stopped_actor_answers_everyone_and_stays_stopped() {
    let shop = Shop::open(quick());
    let working = shop.ask_aside("a", AddAlone(1, PATIENCE)).await;
    let waiting = shop.ask_aside("a", Add(2)).await;
    shop.order("a", Order::Stop).await;
    assert_eq!(working.await.unwrap(), Err(AskError::Died), "outcome unknown");
    assert_eq!(waiting.await.unwrap(), Err(AskError::Stopped), "not handled");
    assert_eq!(shop.ask("a", Add(3)).await, Err(AskError::Stopped));
    let reasons: Vec<DeadLetterReason> = shop.host.dead_letters().list().iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, [DeadLetterReason::Interrupted, DeadLetterReason::Stopped, DeadLetterReason::Stopped]);
    assert_eq!(shop.host.dead_letters().total(), 3);
}

#[actix_rt::test]
async fn a_restart_gives_a_fresh_incarnation_and_keeps_what_waits() {
    let shop = Shop::open(quick());
    shop.ask("a", Add(1)).await.unwrap();
    let before = shop.vitals("a").incarnation;
    let working = shop.ask_aside("a", AddAlone(10, PATIENCE)).await;
    let waiting = shop.ask_aside("a", Add(2)).await;
    shop.order("a", Order::Restart).await;
    assert_eq!(working.await.unwrap(), Err(AskError::Died));
    assert_eq!(waiting.await.unwrap(), Ok(3));
    assert!(shop.vitals("a").incarnation > before);
}

#[actix_rt::test]
async fn an_order_can_reach_a_key_that_nobody_asked_yet() {
    let shop = Shop::open(quick());
    shop.order("a", Order::Quarantine).await;
    assert!(matches!(shop.ask("a", Add(1)).await, Err(AskError::Quarantined { deaths: 0, .. })));
    shop.order("a", Order::Lift).await;
    assert_eq!(shop.ask("a", Add(1)).await, Ok(1));
}

#[actix_rt::test]
async fn orders_that_do_not_fit_are_refused() {
    let shop = Shop::open(quick());
    let nobody = Target::Key("nobody".to_owned());
    assert_eq!(shop.counters.order(&nobody, Order::Lift).await, Err(ControlError::NotLive));
    assert_eq!(shop.counters.inspect("nobody").await.unwrap_err(), ControlError::NotLive);
    shop.ask("a", Add(1)).await.unwrap();
    let lift = shop.counters.order(&Target::Key("a".to_owned()), Order::Lift).await;
    assert_eq!(lift, Err(ControlError::WrongState(ActorState::Running)));
}

#[actix_rt::test]
async fn all_kinds_are_listed_by_state() {
    let shop = Shop::open(quick());
    for key in ["a", "b", "c"] {
        shop.ask(key, Add(1)).await.unwrap();
    }
    let mut kinds = Kinds::default();
    kinds.register(&shop.counters);
    let counters = kinds.get("counter").unwrap();
    assert_eq!(counters.order(&Target::All, Order::Pause).await, Ok(3));
    shop.order("b", Order::Resume).await;
    assert_eq!(kinds.list(Some("counter"), Some(ActorState::Paused)).len(), 2);
    assert_eq!(kinds.list(None, Some(ActorState::Running)).len(), 1);
    assert!(kinds.list(Some("other"), None).is_empty());
    let json = serde_json::to_value(shop.vitals("b")).unwrap();
    assert_eq!((&json["state"], &json["handled"]), (&"running".into(), &1.into()));
}

#[actix_rt::test]
async fn a_shutdown_drains_every_actor() {
    let shop = Shop::open(quick());
    let mut working = Vec::new();
    for n in 0..20 {
        working.push(shop.ask_aside(&format!("k{n}"), AddLater(1, millis(500))).await);
    }
    let report = shop.counters.shutdown(PATIENCE).await;
    assert_eq!((report.drained, report.cut_off), (20, 0));
    for ask in working {
        assert_eq!(ask.await.unwrap(), Ok(1));
    }
    assert_eq!(shop.ask("new", Add(1)).await, Err(AskError::Stopped));
}

#[actix_rt::test]
async fn a_shutdown_cuts_off_what_does_not_end() {
    let shop = Shop::open(quick());
    let endless = shop.ask_aside("a", AddLater(1, Duration::from_secs(3_600))).await;
    let report = shop.counters.shutdown(millis(30)).await;
    assert_eq!((report.drained, report.cut_off), (0, 1));
    assert_eq!(endless.await.unwrap(), Err(AskError::Died));
}
