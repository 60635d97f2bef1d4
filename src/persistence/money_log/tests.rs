//! Every money fact becomes a leaf once, in an order that no crash or second node disturbs; heads only ever continue.

use super::*;
use crate::domain::OrderNo;
use crate::domain::order::{Command, PayChannel, RefundAsker, RefundState};
use crate::domain::stock::Pool;
use crate::persistence::fixture::{NOW_MS, Shop};
use crate::transparency::{HeadSigner, NoteError};

pub(crate) async fn paid(shop: &Shop, buyer: i64) -> OrderNo {
    let order_no = shop.order(Pool::Free, buyer, 1).await.order.order_no;
    let pay = Command::PayAtOnce { channel: PayChannel::Card, transaction_id: format!("t{buyer}") };
    shop.command(order_no, &pay).await;
    order_no
}

pub(crate) async fn refunded(shop: &Shop, order_no: OrderNo, state: RefundState) {
    let amount = shop.load(order_no).await.order.total;
    let by = RefundAsker::Administrator;
    let ask = Command::RequestRefund { by, amount, reason: String::new(), request: String::new() };
    shop.command(order_no, &ask).await;
    let report = Command::ReportRefund { refund: 1, state, gateway_no: "r1".to_owned() };
    shop.command(order_no, &report).await;
}

pub(crate) fn signer() -> HeadSigner {
    HeadSigner::new("shop.example/money", &[7; 32]).unwrap()
}

async fn append_all(db: &Db) -> usize {
    append(db, NOW_MS, 1_000).await.unwrap()
}

async fn rows(shop: &Shop) -> Vec<LeafRow> {
    let select = Query::select().columns(COLUMNS).from("money_log").order_by("leaf_no", Sort::Asc).to_owned();
    query::all(shop.db.reader(), &select, "test").await.unwrap()
}

#[actix_rt::test]
async fn payments_and_ended_refunds_become_leaves_once() {
    let shop = Shop::with_units(10).await;
    let first = paid(&shop, 1).await;
    shop.order(Pool::Free, 2, 1).await; // no money: no leaf
    let pending = paid(&shop, 3).await;
    assert_eq!((append_all(&shop.db).await, append_all(&shop.db).await), (2, 0));
    refunded(&shop, first, RefundState::Succeeded).await;
    refunded(&shop, pending, RefundState::Abnormal).await; // not ended: no leaf
    assert_eq!(append_all(&shop.own.another().await).await, 1, "another process goes on where this one was");
    let rows = rows(&shop).await;
    assert_eq!(rows.iter().map(|row| row.leaf_no).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(rows.iter().filter(|row| row.order_no == first.to_string()).count(), 2);
    assert!(owed(shop.db.reader(), 9).await.unwrap().is_empty());
}

#[actix_rt::test]
async fn two_writers_number_the_leaves_without_gaps() {
    const ORDERS: i64 = 60;
    let shop = Shop::with_units(ORDERS).await;
    for buyer in 1..=ORDERS {
        paid(&shop, buyer).await;
    }
    let other = shop.own.another().await;
    let drain = async |db: &Db| {
        while !owed(db.reader(), 1).await.unwrap().is_empty() {
            append(db, NOW_MS, 7).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    futures::join!(drain(&shop.db), drain(&other));
    let rows = rows(&shop).await;
    assert_eq!(rows.iter().map(|row| row.leaf_no).collect::<Vec<_>>(), (0..ORDERS).collect::<Vec<_>>());
    assert_eq!(rows.iter().map(|row| &row.order_no).collect::<HashSet<_>>().len(), ORDERS as usize);
    let mut tree = Frontier::default();
    for row in &rows {
        let completed = tree.push(hash_from_hex(&row.leaf_hash).unwrap());
        assert_eq!(hex::encode(completed.concat()), row.nodes, "leaf {}", row.leaf_no);
    }
}

#[actix_rt::test]
async fn a_commit_that_becomes_visible_late_is_logged_late() {
    let shop = Shop::with_units(9).await;
    let late = paid(&shop, 1).await;
    let hidden = owed(shop.db.reader(), 9).await.unwrap();
    shop.sql("DELETE FROM money_log_owed").await; // nobody sees the commit yet
    paid(&shop, 2).await;
    append_all(&shop.db).await;
    owe_all(shop.db.writer(), hidden).await.unwrap();
    append_all(&shop.db).await;
    let rows = rows(&shop).await;
    assert_eq!((rows.len(), &rows[1].order_no), (2, &late.to_string()));
}

#[actix_rt::test]
async fn what_no_commit_owed_is_caught_up_with() {
    let shop = Shop::with_units(9).await;
    let order_no = paid(&shop, 1).await;
    append_all(&shop.db).await;
    refunded(&shop, order_no, RefundState::Succeeded).await;
    paid(&shop, 2).await;
    shop.sql("DELETE FROM money_log_owed").await; // as a node of an older release commits
    let last = catch_up(&shop.db, "").await.unwrap().unwrap();
    assert_eq!(catch_up(&shop.db, &last).await.unwrap(), None);
    assert_eq!(append_all(&shop.db).await, 2);
    catch_up(&shop.db, "").await.unwrap();
    assert_eq!((append_all(&shop.db).await, rows(&shop).await.len()), (0, 3));
}

#[actix_rt::test]
async fn heads_are_signed_when_something_was_added_and_not_too_often() {
    let (shop, signer) = (Shop::with_units(9).await, signer());
    let sign = async |now_ms| sign_head(&shop.db, &signer, 1_000, now_ms).await.unwrap();
    assert_eq!(sign(NOW_MS).await, Signed::NotYet);
    paid(&shop, 1).await;
    append_all(&shop.db).await;
    let Signed::New(head) = sign(NOW_MS).await else { panic!("no head") };
    assert_eq!(signer.public().head(&head.note).unwrap().tree_size, 1);
    assert_eq!(latest_head(&shop.db).await.unwrap(), Some(head));
    assert_eq!(sign(NOW_MS + 5_000).await, Signed::NotYet, "nothing was added");
    paid(&shop, 2).await;
    append_all(&shop.db).await;
    assert_eq!(sign(NOW_MS + 999).await, Signed::NotYet);
    let other = HeadSigner::new("shop.example/money", &[8; 32]).unwrap();
    let by_other = sign_head(&shop.db, &other, 1_000, NOW_MS + 1_000).await.unwrap();
    assert_eq!(by_other, Signed::OtherKey(NoteError::OtherKey));
    assert!(matches!(sign(NOW_MS + 1_000).await, Signed::New(Head { tree_size: 2, .. })));
}

#[actix_rt::test]
async fn a_log_that_was_cut_off_or_rewritten_is_not_continued() {
    let (shop, signer) = (Shop::with_units(9).await, signer());
    for buyer in 1..=3 {
        paid(&shop, buyer).await;
    }
    append_all(&shop.db).await;
    sign_head(&shop.db, &signer, 0, NOW_MS).await.unwrap();
    let tail = rows(&shop).await.pop().unwrap();
    shop.sql("DELETE FROM money_log WHERE leaf_no = 2").await;
    paid(&shop, 4).await;
    assert!(matches!(append(&shop.db, NOW_MS, 9).await, Err(StoreError::Corrupt { .. })));
    let rewritten = format!(
        "INSERT INTO money_log (leaf_no, order_no, seq, leaf_hash, nodes, at_ms) VALUES (2, '{}', {}, '{}', '', 0)",
        tail.order_no,
        tail.seq,
        "0".repeat(64)
    );
    shop.sql(&rewritten).await;
    assert_eq!(append_all(&shop.db).await, 1);
    assert!(matches!(sign_head(&shop.db, &signer, 0, NOW_MS + 1).await, Err(StoreError::Corrupt { .. })));
}

#[actix_rt::test]
async fn proofs_convince_somebody_who_has_only_a_head() {
    let (shop, signer) = (Shop::with_units(20).await, signer());
    let mut heads = Vec::new();
    for buyer in 1..=11 {
        let order_no = paid(&shop, buyer).await;
        append_all(&shop.db).await;
        if buyer % 3 == 0 {
            sign_head(&shop.db, &signer, 0, NOW_MS).await.unwrap();
            heads.push(latest_head(&shop.db).await.unwrap().unwrap());
            let head = heads.last().unwrap();
            let facts = of_order(&shop.db, order_no, Some(head)).await.unwrap();
            let [LoggedFact { leaf, leaf_no: Some(leaf_no), proof: Some(proof) }] = &facts[..] else {
                panic!("{facts:?}")
            };
            assert!(leaf.contains(&order_no.to_string()) && leaf.contains(r#""amount_fen":1999"#), "{leaf}");
            assert!(tree::includes(&head.root, head.tree_size, leaf.as_bytes(), *leaf_no, proof));
            let forged = leaf.replace("1999", "1899");
            assert!(!tree::includes(&head.root, head.tree_size, forged.as_bytes(), *leaf_no, proof));
        }
    }
    for pair in heads.windows(2) {
        let [old, new] = pair else { panic!("two") };
        let proof = consistency(shop.db.reader(), old.tree_size, new.tree_size).await.unwrap().unwrap();
        assert!(tree::continues((&old.root, old.tree_size), (&new.root, new.tree_size), &proof));
    }
    // the last two are logged, and no head is over them yet
    let last = shop.order(Pool::Free, 12, 1).await.order.order_no;
    assert!(of_order(&shop.db, last, heads.last()).await.unwrap().is_empty());
    let waiting = paid(&shop, 13).await;
    let facts = of_order(&shop.db, waiting, heads.last()).await.unwrap();
    assert_eq!((facts[0].leaf_no, &facts[0].proof), (None, &None));
}
