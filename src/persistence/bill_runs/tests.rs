//! One row a day, one node at a time, and nothing from whoever lost the lease.

use super::*;
use crate::persistence::testing::{NOW_MS, database};

const LEASE: Lease = Lease { slot: 3, ms: 60_000 };

fn day(text: &str) -> BillDay {
    text.parse().unwrap()
}

fn done() -> Ending {
    Ending::Done { lines: 7, unknown: 2, again_at_ms: None }
}

#[actix_rt::test]
async fn a_day_is_one_run_that_one_node_has_at_a_time() {
    let (db, _own) = database().await;
    let db = &db;
    for _ in 0..2 {
        ensure(db, PayChannel::Wechat, day("2026-11-20"), NOW_MS).await.unwrap();
    }
    assert_eq!(claim_due(db, NOW_MS - 1, LEASE).await.unwrap(), None, "not due");
    let claims = futures::future::join_all((0..4).map(|_| claim_due(db, NOW_MS, LEASE))).await;
    let claimed: Vec<BillRun> = claims.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(claimed.len(), 1);
    let run = &claimed[0];
    assert_eq!((run.id.as_str(), run.attempts, run.started_at_ms), ("wechat-2026-11-20", 1, Some(NOW_MS)));
    assert!(conclude(db, run, &done(), NOW_MS + 5).await.unwrap());
    assert_eq!(claim_due(db, NOW_MS + 10, LEASE).await.unwrap(), None, "done");
    let found = find(db, &run.id).await.unwrap().unwrap();
    assert_eq!((found.state, found.lines, found.unknown), (RunState::Done, 7, 2));
    assert_eq!(found.finished_at_ms, Some(NOW_MS + 5));
}

#[actix_rt::test]
async fn who_was_left_behind_writes_nothing_any_more() {
    let (db, _own) = database().await;
    let db = &db;
    ensure(db, PayChannel::Alipay, day("2026-11-20"), NOW_MS).await.unwrap();
    let slow = claim_due(db, NOW_MS, LEASE).await.unwrap().unwrap();
    assert!(renew(db, &slow, NOW_MS + 70_000).await.unwrap());
    assert_eq!(claim_due(db, NOW_MS + 69_999, LEASE).await.unwrap(), None);
    let next = claim_due(db, NOW_MS + 70_000, LEASE).await.unwrap().unwrap();
    assert_eq!(next.attempts, 2);
    assert!(!renew(db, &slow, NOW_MS + 900_000).await.unwrap());
    assert!(!conclude(db, &slow, &done(), NOW_MS).await.unwrap());
    let failed = Ending::Failed { why: "x".repeat(999), due_at_ms: NOW_MS + 100_000 };
    assert!(conclude(db, &next, &failed, NOW_MS + 70_001).await.unwrap());
    assert!(!conclude(db, &next, &done(), NOW_MS + 70_002).await.unwrap(), "the lease was given back");
    assert_eq!(claim_due(db, NOW_MS + 99_999, LEASE).await.unwrap(), None);
    assert_eq!(claim_due(db, NOW_MS + 100_000, LEASE).await.unwrap().unwrap().attempts, 3);
}

#[actix_rt::test]
async fn the_dead_lose_their_leases_and_a_day_can_be_asked_for_again() {
    let (db, _own) = database().await;
    let db = &db;
    let asked = ask(db, PayChannel::Wechat, day("2026-11-20"), NOW_MS).await.unwrap();
    assert_eq!((asked.state, asked.due_at_ms), (RunState::Waiting, NOW_MS));
    claim_due(db, NOW_MS, LEASE).await.unwrap().unwrap();
    assert_eq!(end_leases(db, Holders::Slot(4)).await.unwrap(), 0, "another node's");
    assert_eq!(end_leases(db, Holders::Slot(3)).await.unwrap(), 1);
    let run = claim(db, "wechat-2026-11-20", NOW_MS, LEASE).await.unwrap().unwrap();
    assert_eq!(claim(db, "wechat-2026-11-20", NOW_MS, LEASE).await.unwrap(), None);
    assert_eq!(ask(db, PayChannel::Wechat, day("2026-11-20"), NOW_MS + 1).await.unwrap().due_at_ms, NOW_MS);
    conclude(db, &run, &done(), NOW_MS + 5).await.unwrap();
    ask(db, PayChannel::Wechat, day("2026-11-20"), NOW_MS + 9).await.unwrap();
    assert_eq!(claim_due(db, NOW_MS + 9, LEASE).await.unwrap().unwrap().attempts, 3);
}

#[actix_rt::test]
async fn the_oldest_day_comes_first_and_the_latest_is_listed_first() {
    let (db, _own) = database().await;
    let db = &db;
    for text in ["2026-11-20", "2026-11-18", "2026-11-19"] {
        ensure(db, PayChannel::Wechat, day(text), NOW_MS).await.unwrap();
    }
    ensure(db, PayChannel::Alipay, day("2026-11-17"), NOW_MS + 1).await.unwrap();
    assert_eq!(first_day(db, PayChannel::Wechat).await.unwrap(), Some(day("2026-11-18")));
    assert_eq!(first_day(db, PayChannel::Card).await.unwrap(), None);
    assert_eq!(claim_due(db, NOW_MS, LEASE).await.unwrap().unwrap().day, day("2026-11-18"));
    let (runs, total) = list(db, Page::new(1, 2)).await.unwrap();
    let ids: Vec<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    assert_eq!((ids, total), (vec!["wechat-2026-11-20", "wechat-2026-11-19"], 4));
}
