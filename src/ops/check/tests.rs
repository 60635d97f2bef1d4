//! The checker finds what is planted, and nothing in a sound shop.

use sea_orm::DbBackend;

use super::*;
use crate::domain::order::{CancelReason, Command, PayChannel, RefundAsker, RefundState};
use crate::domain::stock::Pool;
use crate::persistence::fixture::{NOW_MS, Shop};
use crate::persistence::journal;
use crate::persistence::ledger::{StockLedger, TicketRef};

/// A shop at rest: a paid order in the sale, a paid and an unpaid one from the free pool, a refunded one.
async fn shop() -> Shop {
    let shop = Shop::with_units(20).await;
    let pool = Pool::Sale(shop.sale(5, 2).await);
    for (pool, buyer, transaction) in [(pool, 1, "t1"), (Pool::Free, 2, "t2"), (Pool::Free, 3, "t3")] {
        let order = shop.order(pool, buyer, 1).await.order;
        let pay = Command::PayAtOnce { channel: PayChannel::Card, transaction_id: transaction.to_owned() };
        shop.command(order.order_no, &pay).await;
        if buyer == 3 {
            let refund = Command::RequestRefund {
                by: RefundAsker::Administrator,
                amount: order.total,
                reason: String::new(),
                request: String::new(),
            };
            shop.command(order.order_no, &refund).await;
            let report = Command::ReportRefund { refund: 1, state: RefundState::Succeeded, gateway_no: String::new() };
            shop.command(order.order_no, &report).await;
        }
    }
    shop.order(Pool::Free, 4, 1).await;
    shop.settle_all().await;
    shop
}

/// Lets a test write what no engine would let the shop write.
async fn without_checks(shop: &Shop) {
    let columns = [("stock", "free"), ("stock", "held"), ("stock", "sold"), ("ledger_pools", "free")];
    match shop.db.backend() {
        DbBackend::Postgres => {
            for (table, column) in columns {
                shop.sql(&format!("ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_check")).await;
            }
        }
        DbBackend::MySql => {
            for (table, column) in columns {
                shop.sql(&format!("ALTER TABLE {table} MODIFY {column} BIGINT NOT NULL")).await;
            }
        }
        _ => shop.sql("PRAGMA ignore_check_constraints = ON").await,
    }
}

/// Names of the broken invariants after `statement`.
async fn broken_by(statement: &str) -> Vec<&'static str> {
    let shop = shop().await;
    shop.assert_sound().await;
    without_checks(&shop).await;
    shop.sql(statement).await;
    let report = shop.report().await;
    let broken = report.invariants.iter().filter(|invariant| invariant.violations > 0);
    broken.inspect(|invariant| assert!(!invariant.told.is_empty())).map(|invariant| invariant.name).collect()
}

#[actix_rt::test]
async fn every_invariant_can_be_seen_to_break() {
    const PAID: &str = "(SELECT order_no FROM orders WHERE user_id = 2)";
    let planted = [
        ("UPDATE stock SET put_in = put_in + 1 WHERE pool = 0", &["units add up"][..]),
        (
            "UPDATE stock SET put_in = put_in - 100, free = free - 100 WHERE pool = 0",
            &["nothing is negative", "ledger matches stock"],
        ),
        ("UPDATE ledger_pools SET free = -1 WHERE pool = 1", &["nothing is negative", "ledger matches stock"]),
        ("UPDATE stock SET held = held + 1, sold = sold - 1 WHERE pool = 0", &["units follow orders"]),
        ("DELETE FROM stock WHERE pool = 1", &["units follow orders", "ledger matches stock"]),
        ("UPDATE ledger_pools SET free = free + 1 WHERE pool = 0", &["ledger matches stock"]),
        ("DELETE FROM ledger_pools WHERE pool = 1", &["ledger matches stock"]),
        ("UPDATE ledger_buyers SET units = units + 1", &["buyers keep limits"]),
        ("DELETE FROM ledger_buyers", &["buyers keep limits"]),
        ("UPDATE sales SET units_per_buyer_max = 0", &["buyers keep limits"]),
        ("UPDATE orders SET status = 3 WHERE user_id = 2", &["orders match journals"]),
        ("UPDATE orders SET version = version + 1 WHERE user_id = 2", &["orders match journals"]),
        (
            "DELETE FROM order_events WHERE order_no IN (SELECT order_no FROM orders WHERE user_id = 4)",
            &["units follow orders", "orders match journals"],
        ),
        ("UPDATE order_events SET at_ms = at_ms + 1 WHERE seq = 2", &["hash chains intact"]),
        ("UPDATE payments SET state = 'open' WHERE transaction_id = 't2'", &["money adds up"]),
        ("UPDATE payments SET amount_fen = 1 WHERE transaction_id = 't2'", &["payments have orders", "money adds up"]),
        ("UPDATE payments SET transaction_id = 't1'", &["payments have orders"]),
        ("UPDATE refunds SET amount_fen = amount_fen - 1", &["money adds up"]),
        ("UPDATE orders SET refunded_fen = 0", &["money adds up"]),
        ("INSERT INTO outbox (payload, created_at_ms) VALUES ('{}', 0)", &["outbox told"]),
        ("INSERT INTO effects VALUES ('x', 1, 0, 'send_refund', '{}', 0, 0, 0, '', -1)", &["effects done"]),
        (
            "INSERT INTO notices (id, order_no, fact, state, received_at_ms, due_at_ms) VALUES ('x', 'x', '{}', 'open', 0, 0)",
            &["notifications told"],
        ),
        ("INSERT INTO money_log_owed SELECT order_no, 2 FROM orders WHERE user_id = 2", &["payments logged"]),
        ("UPDATE stock_moves SET step = 1 WHERE step = 3", &["stock moves ended"]),
        ("UPDATE orders SET pay_deadline_ms = 1 WHERE user_id = 4", &["unpaid orders end"]),
    ];
    for (statement, expected) in planted {
        assert_eq!(broken_by(statement).await, expected, "{statement}");
    }
    let lost = format!(
        "INSERT INTO payments SELECT 'x', 'x', 1, 3, 1, 'captured', 'x', 0, 0 FROM orders WHERE order_no = {PAID}"
    );
    assert_eq!(broken_by(&lost).await, ["payments have orders"]);
}

#[actix_rt::test]
async fn money_of_an_order_that_ended_unpaid_is_seen() {
    let shop = shop().await;
    let order_no = shop.order(Pool::Free, 5, 1).await.order.order_no;
    shop.command(order_no, &Command::Cancel { reason: CancelReason::Buyer }).await;
    shop.settle_all().await;
    shop.sql(&format!("INSERT INTO payments VALUES ('p', '{order_no}', 1, 3, 1999, 'captured', 't9', 0, 0)")).await;
    let report = shop.report().await;
    assert_eq!(report.invariant("payments have orders").unwrap().violations, 1, "{report}");
    assert_eq!(report.invariant("money adds up").unwrap().violations, 2, "{report}");
}

#[actix_rt::test]
async fn an_illegal_step_with_a_right_hash_is_seen() {
    use crate::domain::order::{CompletedBy, Event};
    let shop = shop().await;
    let loaded = shop.order(Pool::Free, 5, 1).await;
    let events = [Event::OrderCompleted { by: CompletedBy::Buyer }];
    journal::commit(&shop.db, &loaded, &events, NOW_MS).await.unwrap();
    shop.settle_all().await;
    let report = shop.report().await;
    assert_eq!(report.invariant("steps are legal").unwrap().violations, 1, "{report}");
    assert_eq!(report.invariant("hash chains intact").unwrap().violations, 0, "{report}");
}

#[actix_rt::test]
async fn what_is_in_flight_is_no_violation_until_the_grace_is_over() {
    let shop = shop().await;
    let pool = Pool::Sale(crate::domain::SaleId(1));
    shop.ticket(pool, 7, 2).await;
    let placed = shop.ticket(pool, 8, 1).await;
    shop.place(&[crate::persistence::fixture::alone(&placed)]).await;
    let cancelled = shop.order(Pool::Free, 9, 1).await.order;
    shop.command(cancelled.order_no, &Command::Cancel { reason: CancelReason::Buyer }).await;
    let young = CheckOptions { now_ms: NOW_MS + GRACE_MS - 1, grace_ms: GRACE_MS };
    let report = check(&shop.db, &shop.ledger, young).await.unwrap();
    assert!(report.is_sound(), "{report}");
    let old = CheckOptions { now_ms: NOW_MS + GRACE_MS, grace_ms: GRACE_MS };
    let report = check(&shop.db, &shop.ledger, old).await.unwrap();
    let broken: Vec<_> = report.invariants.iter().filter(|i| i.violations > 0).map(|i| i.name).collect();
    assert_eq!(broken, ["outbox told", "effects done", "tickets settled"]);
    assert!(report.to_string().contains("2 rows of ledger_tickets are overdue"));
    assert!(serde_json::to_string(&report).unwrap().contains("\"tickets settled\""));

    // Released, but the effect is not crossed out yet: still every unit is counted once.
    shop.ledger.release(&[TicketRef::from(&cancelled)]).await.unwrap();
    let report = check(&shop.db, &shop.ledger, young).await.unwrap();
    assert!(report.is_sound(), "{report}");
}

#[actix_rt::test]
async fn a_long_list_of_violations_is_counted_and_cut() {
    let shop = Shop::with_units(100).await;
    for _ in 0..30 {
        shop.order(Pool::Free, 1, 1).await;
    }
    shop.sql("UPDATE orders SET status = 2").await;
    let report = shop.report().await;
    let invariant = report.invariant("orders match journals").unwrap();
    assert_eq!((invariant.violations, invariant.told.len()), (30, VIOLATIONS_TOLD_MAX));
}
