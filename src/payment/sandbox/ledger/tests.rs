//! What the books keep, over a reopening too.

use serde_json::json;

use super::*;
use crate::payment::sandbox::rules::{
    NewRefund, NewTrade, Payment, Provider, Refunded, Terms, Trade, TradeKind, TradeState, Wire, create, pay,
    refund as accept,
};

const NOW: i64 = 1_700_000_000_000;

fn order(wire: Wire, number: &str) -> NewTrade {
    NewTrade {
        wire,
        merchant: "m".to_owned(),
        appid: "a".to_owned(),
        out_trade_no: number.to_owned(),
        kind: TradeKind::Native,
        description: "灯".to_owned(),
        attach: String::new(),
        total_fen: 700,
        expires_ms: None,
        notify_url: "https://shop.example/n".to_owned(),
        return_url: String::new(),
        payer: None,
        signed_by: String::new(),
        parameters: json!({}),
    }
}

fn paid(number: &str) -> Trade {
    let trade = create(None, order(Wire::V3, number), NOW, &Terms::default()).unwrap();
    pay(trade, Payment { paid_ms: NOW, payer: "p".to_owned(), coupon_fen: 0 }, &format!("T{number}")).unwrap()
}

async fn opened() -> (Ledger, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Ledger::open(&dir.path().join("sandbox.db")).await.unwrap(), dir)
}

#[actix_rt::test]
async fn what_was_committed_is_found_by_every_number_after_a_reopening() {
    let (ledger, dir) = opened().await;
    let trade_written = paid("ORDER1");
    let key = TradeKey::of(&trade_written);
    let asked = NewRefund {
        wire: Wire::V3,
        out_refund_no: "R1".to_owned(),
        refund_fen: 200,
        total_fen: None,
        reason: String::new(),
        notify_url: String::new(),
    };
    let Ok(Refunded::Now(new)) = accept(Some(trade_written), &[], asked, "F1", (NOW, &Terms::default())) else {
        panic!("not new")
    };
    let (trade_written, refund_written) = *new;
    let change = ledger.begin().await.unwrap();
    put_trade(&change, &trade_written).await.unwrap();
    add_code(&change, "code", &key, NOW + 1).await.unwrap();
    put_refund(&change, "m", &refund_written).await.unwrap();
    write_setting(&change, "knob", &7).await.unwrap();
    change.commit().await.unwrap();
    ledger.close().await;

    let ledger = Ledger::open(&dir.path().join("sandbox.db")).await.unwrap();
    let on = ledger.reader();
    assert_eq!(trade(on, &key).await.unwrap().as_ref(), Some(&trade_written));
    let by_theirs = trade_by_transaction(on, Provider::Wechat, "TORDER1").await.unwrap();
    assert_eq!(by_theirs.as_ref(), Some(&trade_written));
    assert_eq!(code(on, "code").await.unwrap(), Some((trade_written, NOW + 1)));
    assert_eq!(refunds_of(on, &key).await.unwrap(), std::slice::from_ref(&refund_written));
    assert_eq!(refund_by_id(on, "F1").await.unwrap(), Some(("m".to_owned(), refund_written)));
    assert_eq!(due_refunds(on, NOW + 2_999, 9).await.unwrap().len(), 0);
    assert_eq!(due_refunds(on, NOW + 3_000, 9).await.unwrap().len(), 1);
    assert_eq!(read_setting::<i32>(on, "knob").await.unwrap(), Some(7));
    let sums = totals(on).await.unwrap();
    assert_eq!((sums[0].captured_fen, sums[0].refunded_fen, sums[0].paid), (700, 200, 1));
}

#[actix_rt::test]
async fn a_change_that_was_not_committed_did_not_happen() {
    let (ledger, _dir) = opened().await;
    let change = ledger.begin().await.unwrap();
    put_trade(&change, &paid("ORDER1")).await.unwrap();
    drop(change);
    assert_eq!(list_trades(ledger.reader(), None, 9).await.unwrap(), []);
    let change = ledger.begin().await.unwrap();
    put_trade(&change, &paid("ORDER2")).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(list_trades(ledger.reader(), Some(TradeState::Paid), 9).await.unwrap().len(), 1);
    assert_eq!(list_trades(ledger.reader(), Some(TradeState::Closed), 9).await.unwrap(), []);
}

#[actix_rt::test]
async fn a_bill_takes_the_trades_of_its_day() {
    let (ledger, _dir) = opened().await;
    let change = ledger.begin().await.unwrap();
    put_trade(&change, &paid("ORDER1")).await.unwrap();
    change.commit().await.unwrap();
    let of = |from, until| trades_paid_between(ledger.reader(), Provider::Wechat, (from, until));
    assert_eq!(of(NOW, NOW + 1).await.unwrap().len(), 1);
    assert_eq!(of(NOW - 1, NOW).await.unwrap().len(), 0);
    assert_eq!(trades_paid_between(ledger.reader(), Provider::Alipay, (NOW, NOW + 1)).await.unwrap().len(), 0);
}

fn notice() -> Notice {
    Notice {
        id: "N1".to_owned(),
        wire: Wire::V3,
        event: Event::Paid,
        out_trade_no: "ORDER1".to_owned(),
        url: "https://shop.example/n".to_owned(),
        signed_by: String::new(),
        facts: json!({}),
        created_ms: NOW,
    }
}

/// A ledger that owes a notification.
async fn owing() -> (Ledger, tempfile::TempDir) {
    let (ledger, dir) = opened().await;
    let change = ledger.begin().await.unwrap();
    add_notice(&change, &notice()).await.unwrap();
    change.commit().await.unwrap();
    (ledger, dir)
}

#[actix_rt::test]
async fn a_notice_is_due_until_it_is_acknowledged() {
    let (ledger, _dir) = owing().await;
    let due = async |at_ms| due_notices(ledger.reader(), at_ms, 9).await.unwrap().len();
    let begun = async || due_notice(ledger.reader(), "N1", i64::MAX).await.unwrap();
    assert_eq!((due(NOW - 1).await, due(NOW).await), (0, 1));

    let first = begun().await.unwrap();
    let change = ledger.begin().await.unwrap();
    postpone_notice(&change, &first, Some(NOW + 15_000), 1, "500").await.unwrap();
    change.commit().await.unwrap();
    assert_eq!((due(NOW + 14_999).await, due(NOW + 15_000).await), (0, 1));

    let second = begun().await.unwrap();
    let change = ledger.begin().await.unwrap();
    finish_notice(&change, &second, NOW + 15_000, "204").await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(due(i64::MAX).await, 0);
    // whoever listed it before it was acknowledged does not send it again
    assert!(begun().await.is_none());
    let listed = &list_notices(ledger.reader(), Some("ORDER1"), 9).await.unwrap()[0];
    assert_eq!((listed.attempts, listed.delivered_ms, listed.last_status.as_str()), (2, Some(NOW + 15_000), "204"));
    assert_eq!(listed.notice, notice());

    let change = ledger.begin().await.unwrap();
    assert!(resend_notice(&change, "N1", NOW + 20_000).await.unwrap());
    assert!(!resend_notice(&change, "N2", NOW).await.unwrap());
    change.commit().await.unwrap();
    assert_eq!(due(NOW + 20_000).await, 1);
}

#[actix_rt::test]
async fn a_notice_that_a_hand_sends_during_a_delivery_is_due_after_it() {
    let (ledger, _dir) = owing().await;
    let begun = async || due_notice(ledger.reader(), "N1", i64::MAX).await.unwrap();
    let acknowledged = begun().await.unwrap();
    let change = ledger.begin().await.unwrap();
    resend_notice(&change, "N1", NOW + 1).await.unwrap();
    finish_notice(&change, &acknowledged, NOW + 2, "204").await.unwrap();
    change.commit().await.unwrap();
    let refused = begun().await.expect("it is still due");
    assert_eq!((refused.due_ms, refused.last_status.as_str()), (Some(NOW + 1), "204"));

    let change = ledger.begin().await.unwrap();
    resend_notice(&change, "N1", NOW + 3).await.unwrap();
    postpone_notice(&change, &refused, Some(NOW + 15_000), 2, "500").await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(begun().await.unwrap().due_ms, Some(NOW + 3));
}

#[actix_rt::test]
async fn the_log_forgets_its_oldest_lines() {
    let (ledger, _dir) = opened().await;
    let line = |number: usize| LogLine {
        at_ms: NOW,
        channel: "wechat_v3".to_owned(),
        operation: "query".to_owned(),
        number: number.to_string(),
        outcome: "200".to_owned(),
        fault: String::new(),
    };
    let lines: Vec<LogLine> = (0..10_005).map(line).collect();
    let change = ledger.begin().await.unwrap();
    add_log_lines(&change, &lines).await.unwrap();
    change.commit().await.unwrap();
    let kept = log_lines(ledger.reader(), 20_000).await.unwrap();
    assert_eq!((kept.len(), kept[0].number.as_str(), kept[9_999].number.as_str()), (10_000, "10004", "5"));
}
