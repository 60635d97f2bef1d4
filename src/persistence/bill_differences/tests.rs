//! A difference is one row, whatever becomes of it, however often it is found.

use sea_orm::ConnectionTrait as _;

use super::*;
use crate::domain::order::RefundState;
use crate::persistence::testing::{NOW_MS, database};

const RUN: &str = "wechat-2026-11-20";
const ORDER: &str = "01JD0000000000000000000001";

fn difference(kind: DifferenceKind, number: &str) -> Difference {
    Difference {
        kind,
        number: number.to_owned(),
        payment_no: number.to_owned(),
        gateway_no: "4200001".to_owned(),
        ours: None,
        theirs: Some(Money::from_fen(990)),
        our_state: None,
        their_state: Some(RefundState::Succeeded),
        asked_at_ms: None,
    }
}

fn paid() -> Difference {
    difference(DifferenceKind::PaidThereUnpaidHere, &format!("{ORDER}_1"))
}

async fn states(db: &Db) -> Vec<(String, DifferenceState)> {
    let (rows, _) = list(db, RUN, DifferenceFilter::default(), Page::new(1, 100)).await.unwrap();
    rows.into_iter().map(|row| (row.difference.number, row.state)).collect()
}

#[actix_rt::test]
async fn found_twice_is_one_row_that_stays_what_it_became() {
    let (db, _own) = database().await;
    let db = &db;
    let number = paid().number;
    found(db, (RUN, 1), &[paid()], NOW_MS).await.unwrap();
    let open = open_of(db, RUN, None, 10).await.unwrap();
    assert_eq!((open.len(), &open[0].difference, open[0].found_at_ms), (1, &paid(), NOW_MS));
    became(db, &open[0], DifferenceState::Repaired, "", NOW_MS + 1).await.unwrap();
    found(db, (RUN, 2), &[paid()], NOW_MS + 2).await.unwrap();
    assert_eq!(states(db).await, [(number, DifferenceState::Repaired)]);
    assert!(open_of(db, RUN, None, 10).await.unwrap().is_empty());
    became(db, &open[0], DifferenceState::InReview, "", NOW_MS + 3).await.unwrap();
    assert_eq!(states(db).await[0].1, DifferenceState::Repaired, "only an open one becomes something");
}

#[actix_rt::test]
async fn what_is_not_found_again_settles_and_opens_when_it_is() {
    let (db, _own) = database().await;
    let db = &db;
    let foreign = difference(DifferenceKind::UnknownNumber, &"X".repeat(200));
    found(db, (RUN, 1), &[paid(), foreign], NOW_MS).await.unwrap();
    assert_eq!(settle_unseen(db, RUN, 1, NOW_MS).await.unwrap(), 0);
    found(db, (RUN, 2), &[], NOW_MS).await.unwrap();
    assert_eq!(settle_unseen(db, RUN, 2, NOW_MS).await.unwrap(), 1);
    let expected = vec![(paid().number, DifferenceState::Settled), ("X".repeat(64), DifferenceState::Noted)];
    assert_eq!(states(db).await, expected);
    found(db, (RUN, 3), &[paid()], NOW_MS).await.unwrap();
    assert_eq!(states(db).await[0].1, DifferenceState::Open);
}

#[actix_rt::test]
async fn a_review_that_is_over_ends_its_difference() {
    let (db, _own) = database().await;
    let db = &db;
    assert_eq!(clear_reviewed(db, NOW_MS).await.unwrap(), 0);
    found(db, (RUN, 1), &[paid()], NOW_MS).await.unwrap();
    let open = open_of(db, RUN, None, 10).await.unwrap();
    became(db, &open[0], DifferenceState::InReview, "", NOW_MS).await.unwrap();
    let insert = format!(
        "INSERT INTO orders (order_no, user_id, product_id, pool, quantity, total_fen, status, version, \
         pay_deadline_ms, details, review, created_at_ms, updated_at_ms) \
         VALUES ('{ORDER}', 1, 1, 0, 1, 990, 2, 3, 0, '{{}}', 'bill_differs', 0, 0)"
    );
    db.writer().execute_unprepared(&insert).await.unwrap();
    assert_eq!(clear_reviewed(db, NOW_MS).await.unwrap(), 0, "the human has not looked");
    assert_eq!(open_total(db, DifferenceState::InReview).await.unwrap(), 1);
    db.writer().execute_unprepared("UPDATE orders SET review = ''").await.unwrap();
    assert_eq!(clear_reviewed(db, NOW_MS).await.unwrap(), 1);
    assert_eq!(states(db).await[0].1, DifferenceState::Cleared);
}

#[actix_rt::test]
async fn lists_are_filtered_paged_and_counted() {
    let (db, _own) = database().await;
    let db = &db;
    let many: Vec<Difference> = (0..600)
        .map(|n| difference(DifferenceKind::PaidThereUnpaidHere, &format!("01JD0000000000000000000{n:03}_1")))
        .chain([difference(DifferenceKind::UnknownNumber, "X1"), difference(DifferenceKind::Duplicate, "Z")])
        .collect();
    found(db, (RUN, 1), &many, NOW_MS).await.unwrap();
    let kind = |kind| DifferenceFilter { kind: Some(kind), open: None };
    let of = async |filter, page| list(db, RUN, filter, page).await.unwrap();
    assert_eq!(of(kind(DifferenceKind::UnknownNumber), Page::default()).await.1, 1);
    let open = DifferenceFilter { kind: None, open: Some(true) };
    let (last, total) = of(open, Page::new(7, 100)).await;
    assert_eq!((last.len(), total), (0, 600));
    let (rest, total) = of(DifferenceFilter { kind: None, open: Some(false) }, Page::default()).await;
    assert_eq!((rest.len(), total), (2, 2), "numbers of others need nobody");
    assert_eq!(list(db, "alipay-2026-11-20", open, Page::default()).await.unwrap().1, 0);
    let (mut seen, mut after) = (0, None);
    loop {
        let page = open_of(db, RUN, after.as_ref(), 256).await.unwrap();
        let Some(last) = page.last() else { break };
        (seen, after) = (seen + page.len(), Some(last.difference.clone()));
    }
    assert_eq!(seen, 600);
    let counts = counts(db, &[RUN.to_owned()]).await.unwrap();
    let count = |state| counts.iter().find(|count| count.state == state).map(|count| count.count);
    assert_eq!((count(DifferenceState::Open), count(DifferenceState::Noted)), (Some(600), Some(2)));
}
