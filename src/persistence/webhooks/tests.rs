//! Owed once, handed out in order, given up and told again; two nodes never hold one delivery.

use super::*;
use crate::persistence::testing::{NOW_MS, database};

const LEASE: Lease = Lease { slot: 3, ms: 1_000 };

fn new(target: &str, order_no: &str, place: i64) -> NewDelivery {
    NewDelivery {
        target: target.to_owned(),
        event_id: format!("order.paid:{order_no}:{place}"),
        kind: "order.paid".to_owned(),
        order_no: order_no.to_owned(),
        place,
        body: "{}".to_owned(),
    }
}

async fn due(db: &Db, target: &str, now_ms: i64) -> Vec<String> {
    let claimed = claim_due(db, target, now_ms, LEASE, 10).await.unwrap();
    claimed.into_iter().map(|delivery| delivery.event_id).collect()
}

#[actix_rt::test]
async fn what_is_owed_twice_is_one_delivery_and_an_orders_events_go_out_in_order() {
    let (db, _own) = database().await;
    let db = &db;
    let owed = [new("a", "X", 4), new("a", "X", 2), new("a", "Y", 6), new("b", "X", 4), new("a", "", 0)];
    for _ in 0..2 {
        owe(db, &owed, NOW_MS).await.unwrap();
    }
    let first = due(db, "a", NOW_MS).await;
    assert_eq!(first, ["order.paid::0", "order.paid:X:2", "order.paid:Y:6"], "the later one of X waits");
    assert!(due(db, "a", NOW_MS).await.is_empty(), "leased");
    assert_eq!(due(db, "b", NOW_MS).await, ["order.paid:X:4"], "one target does not wait for another");
    not_taken(db, "a:order.paid:X:2", "HTTP 500", Some(NOW_MS + 5_000)).await.unwrap();
    assert!(due(db, "a", NOW_MS).await.is_empty(), "nor does it overtake while the first is tried again");
    let stands = standing(db, "a").await.unwrap();
    assert_eq!((stands.waiting, stands.failed), (4, 1));
    delivered(db, "a:order.paid:X:2").await.unwrap();
    assert_eq!(due(db, "a", NOW_MS).await, ["order.paid:X:4"]);
    assert_eq!(end_leases(db, Holders::Slot(9)).await.unwrap(), 0);
    assert_eq!(end_leases(db, Holders::Slot(3)).await.unwrap(), 4);
}

#[actix_rt::test]
async fn what_was_given_up_stands_in_nobodys_way_is_listed_and_told_again() {
    let (db, _own) = database().await;
    let db = &db;
    owe(db, &[new("a", "X", 2), new("a", "X", 4)], NOW_MS).await.unwrap();
    assert_eq!(due(db, "a", NOW_MS).await, ["order.paid:X:2"]);
    not_taken(db, "a:order.paid:X:2", "HTTP 410", None).await.unwrap();
    assert_eq!(due(db, "a", NOW_MS).await, ["order.paid:X:4"]);
    let (listed, total) = dead(db, 0, 10).await.unwrap();
    assert_eq!((total, listed[0].attempts, &*listed[0].last_error), (1, 1, "HTTP 410"));
    let stands = standing(db, "a").await.unwrap();
    assert_eq!((stands.waiting, stands.dead, stands.waiting_since_ms), (1, 1, Some(NOW_MS)));
    assert_eq!(replay(db, Which::One("a:order.paid:X:4"), NOW_MS).await.unwrap(), 0, "it is not dead");
    assert_eq!(replay(db, Which::OfTarget("b"), NOW_MS).await.unwrap(), 0);
    assert_eq!(replay(db, Which::OfTarget("a"), NOW_MS + 5).await.unwrap(), 1);
    let stands = standing(db, "a").await.unwrap();
    assert_eq!((stands.waiting, stands.failed, stands.dead), (2, 0, 0), "as if it were new");
    assert_eq!(due(db, "a", NOW_MS + 5).await, ["order.paid:X:2"]);
    not_taken(db, "a:order.paid:X:2", "HTTP 410", None).await.unwrap();
    purge(db, NOW_MS + DEAD_KEPT_MS).await.unwrap();
    assert_eq!(dead(db, 0, 10).await.unwrap().1, 1);
    purge(db, NOW_MS + DEAD_KEPT_MS + 6).await.unwrap();
    assert_eq!(dead(db, 0, 10).await.unwrap().1, 0);
}
