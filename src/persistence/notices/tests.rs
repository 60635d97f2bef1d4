//! The inbox on every engine: copies, leases, repetitions, what stays and what goes.

use super::*;
use crate::domain::Money;
use crate::persistence::testing::{NOW_MS, database};

const LEASE: Lease = Lease { slot: 3, ms: 30_000 };

fn paid(id: &str) -> StoredNotice {
    let fact = GatewayFact::Paid { attempt: 1, amount: Money::from_fen(990), transaction_id: "4200001".to_owned() };
    StoredNotice { id: id.to_owned(), order_no: "01JD0000000000000000000001".parse().unwrap(), fact }
}

#[actix_rt::test]
async fn ten_copies_at_once_are_one_notification() {
    let (db, _own) = database().await;
    let db = &db;
    let notice = paid("wechat_v3:a");
    let kept = futures::future::join_all((0..10).map(|_| keep(db, &notice, NOW_MS))).await;
    let kept: Vec<Kept> = kept.into_iter().map(Result::unwrap).collect();
    assert!(kept.iter().all(|kept| *kept != Kept::Done), "{kept:?}");
    let claimed = claim_due(db, NOW_MS, LEASE, 10).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!((&claimed[0].notice, claimed[0].attempts, claimed[0].received_at_ms), (&notice, 1, NOW_MS));
}

#[actix_rt::test]
async fn a_lease_keeps_others_out_until_it_ends() {
    let (db, _own) = database().await;
    let db = &db;
    keep(db, &paid("wechat_v3:a"), NOW_MS).await.unwrap();
    assert_eq!(claim_due(db, NOW_MS, LEASE, 10).await.unwrap().len(), 1);
    assert!(claim_due(db, NOW_MS + 29_999, LEASE, 10).await.unwrap().is_empty());
    assert_eq!(claim_due(db, NOW_MS + 30_000, LEASE, 10).await.unwrap()[0].attempts, 2);
    assert_eq!(end_leases(db, Holders::Slot(4)).await.unwrap(), 0, "another node's");
    assert_eq!(end_leases(db, Holders::Slot(3)).await.unwrap(), 1);
    assert_eq!(claim_due(db, NOW_MS + 30_001, LEASE, 10).await.unwrap()[0].attempts, 3);
}

#[actix_rt::test]
async fn what_could_not_be_told_is_due_again_later() {
    let (db, _own) = database().await;
    let db = &db;
    keep(db, &paid("alipay:a"), NOW_MS).await.unwrap();
    claim_due(db, NOW_MS, LEASE, 10).await.unwrap();
    postponed(db, "alipay:a", "no such order", NOW_MS + 500).await.unwrap();
    assert!(claim_due(db, NOW_MS + 499, LEASE, 10).await.unwrap().is_empty());
    assert_eq!(claim_due(db, NOW_MS + 500, LEASE, 10).await.unwrap().len(), 1);
    assert_eq!(overdue(db, NOW_MS).await.unwrap(), 0);
    assert_eq!(overdue(db, NOW_MS + 1).await.unwrap(), 1);
}

#[actix_rt::test]
async fn what_is_done_answers_copies_for_a_week() {
    let (db, _own) = database().await;
    let db = &db;
    let notice = paid("alipay:a");
    assert_eq!(keep(db, &notice, NOW_MS).await.unwrap(), Kept::New);
    assert_eq!(keep(db, &notice, NOW_MS).await.unwrap(), Kept::Open);
    done(db, &notice.id).await.unwrap();
    done(db, &notice.id).await.unwrap();
    assert!(claim_due(db, NOW_MS + 60_000, LEASE, 10).await.unwrap().is_empty());
    purge(db, NOW_MS + KEPT_MS).await.unwrap();
    assert_eq!(keep(db, &notice, NOW_MS + KEPT_MS).await.unwrap(), Kept::Done);
    purge(db, NOW_MS + KEPT_MS + 1).await.unwrap();
    assert_eq!(keep(db, &notice, NOW_MS + KEPT_MS).await.unwrap(), Kept::New);
}

#[actix_rt::test]
async fn an_open_notification_is_never_purged() {
    let (db, _own) = database().await;
    let db = &db;
    keep(db, &paid("alipay:a"), NOW_MS).await.unwrap();
    purge(db, NOW_MS + 10 * KEPT_MS).await.unwrap();
    assert_eq!(overdue(db, i64::MAX).await.unwrap(), 1);
}
