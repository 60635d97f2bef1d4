//! The audit finds what is planted, and nothing in a log that is as it was.

use std::time::Instant;

use super::*;
use crate::domain::order::{Event, PayChannel, RefundState};
use crate::domain::stock::Pool;
use crate::domain::{Money, OrderNo};
use crate::persistence::fixture::{NOW_MS, Shop};
use crate::persistence::journal::chain::{self, Entry};
use crate::persistence::query;

fn signer() -> HeadSigner {
    HeadSigner::new("shop.example/money", &[7; 32]).unwrap()
}

async fn paid(shop: &Shop, buyer: i64) -> OrderNo {
    use crate::domain::order::Command;
    let order_no = shop.order(Pool::Free, buyer, 1).await.order.order_no;
    let pay = Command::PayAtOnce { channel: PayChannel::Card, transaction_id: format!("t{buyer}") };
    shop.command(order_no, &pay).await;
    order_no
}

async fn refunded(shop: &Shop, order_no: OrderNo) {
    use crate::domain::order::{Command, RefundAsker};
    let amount = shop.load(order_no).await.order.total;
    let by = RefundAsker::Administrator;
    shop.command(order_no, &Command::RequestRefund { by, amount, reason: String::new(), request: String::new() }).await;
    let report = Command::ReportRefund { refund: 1, state: RefundState::Succeeded, gateway_no: "r1".to_owned() };
    shop.command(order_no, &report).await;
}

async fn append_and_sign(shop: &Shop, now_ms: i64) {
    while money_log::append(&shop.db, now_ms, 256).await.unwrap() > 0 {}
    money_log::sign_head(&shop.db, &signer(), 0, now_ms).await.unwrap();
}

/// Heads over 3 and over 5 leaves, the fourth of which is a refund.
async fn shop() -> Shop {
    let shop = Shop::with_units(20).await;
    let first = paid(&shop, 1).await;
    paid(&shop, 2).await;
    paid(&shop, 3).await;
    append_and_sign(&shop, NOW_MS).await;
    refunded(&shop, first).await;
    paid(&shop, 4).await;
    append_and_sign(&shop, NOW_MS + 1).await;
    shop
}

async fn report(shop: &Shop, saved: Option<&Checkpoint>) -> AuditReport {
    audit(&shop.db, signer().public(), saved).await.unwrap()
}

async fn latest(shop: &Shop) -> Checkpoint {
    let head = money_log::latest_head(&shop.db).await.unwrap().unwrap();
    signer().public().head(&head.note).unwrap()
}

fn broken(report: &AuditReport) -> Vec<&'static str> {
    let broken = report.invariants().into_iter().filter(|invariant| invariant.violations > 0);
    broken.inspect(|invariant| assert!(!invariant.told.is_empty())).map(|invariant| invariant.name).collect()
}

const CHAINS: &str = "hash chains intact";
const FACTS: &str = "money facts are leaves";
const LEAVES: &str = "leaves are money facts";
const TREE: &str = "tree is whole";
const HEADS: &str = "heads fit the leaves";
const CONTINUITY: &str = "heads continue heads";
const SAVED: &str = "saved head holds";

#[actix_rt::test]
async fn an_untouched_log_holds_whatever_waits() {
    let shop = shop().await;
    let saved = latest(&shop).await;
    let sound = report(&shop, Some(&saved)).await;
    assert!(sound.is_sound(), "{sound}");
    assert_eq!((sound.leaves.rows, sound.heads.rows, sound.continuity.rows, sound.saved.rows), (5, 2, 1, 1), "{sound}");
    paid(&shop, 5).await;
    let waiting = report(&shop, Some(&saved)).await;
    assert!(waiting.is_sound() && waiting.owed == 1, "{waiting}");
    while money_log::append(&shop.db, NOW_MS, 256).await.unwrap() > 0 {}
    let unsigned = report(&shop, Some(&saved)).await;
    assert!(unsigned.is_sound() && (unsigned.owed, unsigned.unsigned) == (0, 1), "{unsigned}");
}

#[actix_rt::test]
async fn every_kind_of_tampering_is_found() {
    let zeros = "0".repeat(64);
    let planted = [
        (
            "UPDATE order_events SET payload = REPLACE(payload, '1999', '1899') WHERE kind = 'payment_captured'"
                .to_owned(),
            &[CHAINS, FACTS][..],
        ),
        ("UPDATE order_events SET at_ms = at_ms + 1 WHERE kind = 'order_placed'".to_owned(), &[CHAINS]),
        ("DELETE FROM order_events WHERE kind = 'refund_reported'".to_owned(), &[CHAINS, LEAVES]),
        (format!("UPDATE money_log SET leaf_hash = '{zeros}' WHERE leaf_no = 1"), &[FACTS, TREE, HEADS]),
        ("UPDATE money_log SET nodes = '00' WHERE leaf_no = 3".to_owned(), &[TREE]),
        ("DELETE FROM money_log WHERE leaf_no = 1".to_owned(), &[FACTS, TREE, HEADS]),
        ("DELETE FROM money_log WHERE leaf_no = 4".to_owned(), &[FACTS, HEADS]),
        (
            format!(
                "INSERT INTO money_log (leaf_no, order_no, seq, leaf_hash, nodes, at_ms) VALUES (5, 'x', 1, '{zeros}', '', 0)"
            ),
            &[LEAVES, TREE],
        ),
        (format!("UPDATE money_log_heads SET root_hash = '{zeros}' WHERE tree_size = 3"), &[HEADS, CONTINUITY]),
        ("UPDATE money_log_heads SET note = 'x' WHERE tree_size = 3".to_owned(), &[HEADS]),
        ("UPDATE money_log_heads SET at_ms = 1 WHERE tree_size = 5".to_owned(), &[HEADS]),
        ("UPDATE money_log_heads SET tree_size = 4 WHERE tree_size = 5".to_owned(), &[HEADS, CONTINUITY]),
    ];
    for (statement, expected) in planted {
        let shop = shop().await;
        shop.sql(&statement).await;
        let report = report(&shop, None).await;
        assert_eq!(broken(&report), expected, "{statement}\n{report}");
        assert!(!report.is_sound());
    }
}

/// Somebody with the database and the key: another amount, every hash after it anew, the log and its heads built again.
async fn rewrite_history(shop: &Shop, order_no: OrderNo) {
    let mut entries = chain::read(shop.db.reader(), &[order_no.to_string()]).await.unwrap();
    let mut prev_hash = String::new();
    for entry in &mut entries {
        entry.payload = entry.payload.replace("1999", "1899");
        entry.prev_hash.clone_from(&prev_hash);
        entry.hash = entry.expected_hash();
        prev_hash.clone_from(&entry.hash);
        let Entry { payload, prev_hash, hash, seq, .. } = entry;
        let set = format!("payload = '{payload}', prev_hash = '{prev_hash}', hash = '{hash}'");
        shop.sql(&format!("UPDATE order_events SET {set} WHERE order_no = '{order_no}' AND seq = {seq}")).await;
    }
    shop.sql("DELETE FROM money_log").await;
    shop.sql("DELETE FROM money_log_heads").await;
    money_log::catch_up(&shop.db, "").await.unwrap();
    append_and_sign(shop, NOW_MS + 2).await;
}

#[actix_rt::test]
async fn a_saved_head_proves_that_history_was_rewritten_and_chained_anew() {
    let shop = Shop::with_units(20).await;
    let order_no = paid(&shop, 1).await;
    paid(&shop, 2).await;
    append_and_sign(&shop, NOW_MS).await;
    let saved = latest(&shop).await;
    paid(&shop, 3).await;
    append_and_sign(&shop, NOW_MS + 1).await;
    assert!(report(&shop, Some(&saved)).await.is_sound());
    rewrite_history(&shop, order_no).await;
    let alone = report(&shop, None).await;
    assert!(alone.is_sound(), "nothing inside the database can tell:\n{alone}");
    assert_eq!(broken(&report(&shop, Some(&saved)).await), [SAVED]);
    shop.sql("DELETE FROM money_log WHERE leaf_no > 0").await;
    let cut = report(&shop, Some(&saved)).await;
    assert!(broken(&cut).contains(&SAVED), "{cut}");
}

/// Orders with a captured payment each, as rows alone.
async fn bulk(shop: &Shop, orders: usize) {
    const ORDERS: [&str; 12] = [
        "order_no",
        "user_id",
        "product_id",
        "pool",
        "quantity",
        "total_fen",
        "status",
        "version",
        "pay_deadline_ms",
        "details",
        "created_at_ms",
        "updated_at_ms",
    ];
    let order_nos: Vec<OrderNo> = (0..orders).map(|_| shop.next_no()).collect();
    for portion in order_nos.chunks(2_048) {
        shop.db
            .write("bulk", async |tx| {
                let (mut rows, mut owed, mut entries) = (Vec::new(), Vec::new(), Vec::new());
                for order_no in portion {
                    let event = Event::PaymentCaptured {
                        attempt: 1,
                        amount: Money::from_fen(1_999),
                        transaction_id: format!("4200{order_no}"),
                    };
                    entries.extend(chain::entries(*order_no, 0, "", &[event], NOW_MS)?);
                    owed.push(vec![order_no.to_string().into(), 1.into()]);
                    rows.push(vec![
                        order_no.to_string().into(),
                        1_i64.into(),
                        1_i64.into(),
                        0_i64.into(),
                        1_i64.into(),
                        1_999_i64.into(),
                        2_i16.into(),
                        1.into(),
                        0_i64.into(),
                        "{}".into(),
                        0_i64.into(),
                        0_i64.into(),
                    ]);
                }
                query::insert_rows(tx, "orders", &ORDERS, rows, None).await?;
                chain::insert(tx, entries, 1).await?;
                query::insert_rows(tx, "money_log_owed", &["order_no", "seq"], owed, None).await
            })
            .await
            .unwrap();
    }
}

/// `RUSHMALL_TEST_LEAVES` measures another number; how long it takes is printed and not judged.
#[actix_rt::test]
async fn a_hundred_thousand_leaves_are_appended_and_verified() {
    let leaves: usize = std::env::var("RUSHMALL_TEST_LEAVES").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let shop = Shop::with_units(1).await;
    bulk(&shop, leaves).await;
    let begun = Instant::now();
    while money_log::append(&shop.db, NOW_MS, 1_024).await.unwrap() > 0 {}
    let appended = begun.elapsed();
    money_log::sign_head(&shop.db, &signer(), 0, NOW_MS).await.unwrap();
    let saved = latest(&shop).await;
    assert_eq!(saved.tree_size, leaves as u64);
    let begun = Instant::now();
    let report = report(&shop, Some(&saved)).await;
    let verified = begun.elapsed();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.tree.rows, leaves as u64);
    eprintln!("{leaves} leaves appended in {appended:.1?}, verified in {verified:.1?}");
}

#[actix_rt::test]
async fn the_command_needs_a_key_and_a_head_that_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeArgs { data_dir: dir.path().to_owned(), config: None };
    settings::migrate(&node).await.unwrap();
    let args = AuditVerifyArgs { node: node.clone(), head: None, key: None, json: false };
    assert!(matches!(verify(&args).await, Err(OpsError::Io { .. })), "no key was made yet");
    key_file::read_or_make(&dir.path().join("audit.key")).unwrap();
    verify(&args).await.unwrap();
    assert_eq!(head(&node).await.unwrap_err().exit_code(), 1);
    let file = dir.path().join("head");
    std::fs::write(&file, "nonsense").unwrap();
    let with_head = AuditVerifyArgs { head: Some(file), ..args.clone() };
    assert_eq!(verify(&with_head).await.unwrap_err().exit_code(), 2);
    let with_key = AuditVerifyArgs { key: Some("nonsense".to_owned()), ..args };
    assert_eq!(verify(&with_key).await.unwrap_err().exit_code(), 2);
}
