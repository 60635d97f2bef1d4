//! The journal decides: lost updates, units moved once, tampering seen.

use super::*;
use crate::domain::order::{
    CancelReason, ChargeTerms, Command, Effect, OrderStatus, PayChannel, RefundAsker, RefundState, decide,
};
use crate::domain::stock::Pool;
use crate::persistence::effects::Lane;
use crate::persistence::fixture::{NOW_MS, PRODUCT, Shop};
use crate::persistence::ledger::{StockLedger, TicketRef};
use crate::persistence::{Holders, Lease, orders, stock_moves::StockPlan};

fn pay() -> Command {
    Command::PayAtOnce { channel: PayChannel::Card, transaction_id: "t1".to_owned() }
}

const LEASE: Lease = Lease { slot: 3, ms: 1_000 };
const CANCEL: Command = Command::Cancel { reason: CancelReason::Buyer };

async fn counts(shop: &Shop, pool: Pool) -> (i64, i64, i64) {
    let rows = stock::of_product(&shop.db, PRODUCT).await.unwrap();
    rows.iter().find(|row| row.pool == pool).map(|row| (row.free, row.held, row.sold)).unwrap()
}

#[actix_rt::test]
async fn r55_of_two_writers_with_the_same_copy_one_loses() {
    let shop = Shop::with_units(5).await;
    let first = shop.order(Pool::Free, 1, 2).await;
    let second = first.clone();
    let paid = decide(&first.order, &pay(), NOW_MS).unwrap();
    let cancelled = decide(&second.order, &CANCEL, NOW_MS).unwrap();
    assert!(matches!(commit(&shop.db, &first, &paid, NOW_MS).await.unwrap(), CommitOutcome::Committed { .. }));
    assert_eq!(commit(&shop.db, &second, &cancelled, NOW_MS).await.unwrap(), CommitOutcome::Lost);
    assert_eq!(shop.load(first.order.order_no).await.order.status, OrderStatus::Paid);
    assert_eq!(counts(&shop, Pool::Free).await, (3, 0, 2));
    shop.assert_sound().await;
}

#[actix_rt::test]
async fn many_writers_of_one_order_have_one_winner() {
    let shop = Shop::with_units(5).await;
    let loaded = shop.order(Pool::Free, 1, 1).await;
    let writers = (0..20).map(|index| {
        let command = if index % 2 == 0 { pay() } else { CANCEL };
        let events = decide(&loaded.order, &command, NOW_MS).unwrap();
        let (db, loaded) = (&shop.db, &loaded);
        async move { commit(db, loaded, &events, NOW_MS).await.unwrap() }
    });
    let outcomes = futures::future::join_all(writers).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome != CommitOutcome::Lost).count(), 1);
    shop.assert_sound().await;
}

#[actix_rt::test]
async fn a_commit_writes_row_units_money_effects_sales_and_outbox() {
    let shop = Shop::with_units(5).await;
    let order = shop.order(Pool::Free, 1, 2).await.order;
    shop.settle_all().await;
    shop.command(order.order_no, &pay()).await;
    let view = orders::find(&shop.db, order.order_no).await.unwrap().unwrap();
    assert_eq!((view.status, view.version, view.paid_at_ms), (OrderStatus::Paid, 3, Some(NOW_MS)));
    assert_eq!((view.pay_channel, view.items[0].name.as_str()), (Some(PayChannel::Card), "Tea"));
    let payments = payments::of_order(&shop.db, order.order_no).await.unwrap();
    assert_eq!((payments.len(), payments[0].state), (1, payments::PaymentState::Captured));
    let mut told = Vec::new();
    let carried = outbox::carry(&shop.db, outbox::Leg::Whole, 10, async |rows| {
        told = rows;
        Ok(())
    });
    assert_eq!(carried.await.unwrap(), 1);
    let kinds: Vec<&str> = told[0].payload.events.iter().map(|event| event.event.as_str()).collect();
    assert_eq!((told.len(), kinds), (1, vec!["payment_started", "payment_captured"]));
    assert_eq!(told[0].payload.events[1].status, OrderStatus::Paid);
    let past = events_since(&shop.db, order.buyer, Position::exactly(told[0].commit_no), 10).await.unwrap();
    assert_eq!(past.iter().map(|past| past.event.clone()).collect::<Vec<_>>(), told[0].payload.events);
    let later = Position { late_from_ms: Some(NOW_MS), ..Position::exactly(told[0].commit_no + 1) };
    assert_eq!(events_since(&shop.db, order.buyer, later, 10).await.unwrap().len(), 3, "what may be late comes again");
    let after_first = events_after(&shop.db, order.order_no, 1).await.unwrap();
    assert_eq!(after_first.iter().map(|past| past.event.version).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(timeline(&shop.db, order.order_no).await.unwrap().len(), 3);
    shop.assert_sound().await;
}

#[actix_rt::test]
async fn a_cancelled_order_gives_its_units_and_its_limit_back_once() {
    let shop = Shop::with_units(5).await;
    let pool = Pool::Sale(shop.sale(5, 1).await);
    let order = shop.order(pool, 1, 1).await.order;
    shop.command(order.order_no, &CANCEL).await;
    let owed = effects::of_order(&shop.db, order.order_no).await.unwrap();
    assert_eq!(owed.iter().map(|owed| owed.effect.clone()).collect::<Vec<_>>(), [Effect::ReleaseStock]);
    assert_eq!(counts(&shop, pool).await, (5, 0, 0));
    assert_eq!(shop.free(pool).await, 4);
    shop.settle_all().await;
    shop.ledger.release(&[TicketRef::from(&order)]).await.unwrap();
    assert_eq!(shop.free(pool).await, 5);
    shop.order(pool, 1, 1).await;
    shop.assert_sound().await;
}

/// Cancelled with an attempt that the gateway reported too late.
async fn cancelled_with_late_money(shop: &Shop, pool: Pool) -> LoadedOrder {
    let order_no = shop.order(pool, 1, 1).await.order.order_no;
    shop.command(order_no, &Command::StartPayment { channel: PayChannel::Wechat, terms: ChargeTerms::default() }).await;
    shop.command(order_no, &CANCEL).await;
    let cancelled = shop.command(order_no, &Command::ConfirmAttemptClosed { attempt: 1 }).await;
    assert_eq!(cancelled.order.status, OrderStatus::Cancelled);
    shop.settle_all().await;
    let (amount, transaction_id) = (cancelled.order.total, "late".to_owned());
    shop.command(order_no, &Command::ConfirmPayment { attempt: 1, amount, transaction_id }).await
}

#[actix_rt::test]
async fn r25_late_money_takes_the_units_again() {
    let shop = Shop::with_units(5).await;
    let pool = Pool::Sale(shop.sale(1, 1).await);
    let late = cancelled_with_late_money(&shop, pool).await;
    shop.ledger.retake(&TicketRef::from(&late.order), NOW_MS).await.unwrap().unwrap();
    let paid = shop.command(late.order.order_no, &Command::ConfirmStockRetaken).await;
    assert_eq!(paid.order.status, OrderStatus::Paid);
    assert_eq!((counts(&shop, pool).await, shop.free(pool).await), ((0, 0, 1), 0));
    shop.assert_sound().await;
}

#[actix_rt::test]
async fn r25_late_money_without_units_goes_back() {
    let shop = Shop::with_units(1).await;
    let late = cancelled_with_late_money(&shop, Pool::Free).await;
    let other = shop.order(Pool::Free, 2, 1).await.order.order_no;
    assert!(shop.ledger.retake(&TicketRef::from(&late.order), NOW_MS).await.unwrap().is_err());
    let retaken = decide(&late.order, &Command::ConfirmStockRetaken, NOW_MS).unwrap();
    assert_eq!(commit(&shop.db, &late, &retaken, NOW_MS).await.unwrap(), CommitOutcome::StockGone);
    let order_no = late.order.order_no;
    assert_eq!(shop.load(order_no).await, late, "nothing was written");
    shop.command(order_no, &Command::ConfirmStockGone).await;
    let report = Command::ReportRefund { refund: 1, state: RefundState::Succeeded, gateway_no: String::new() };
    assert_eq!(shop.command(order_no, &report).await.order.status, OrderStatus::Refunded);
    shop.command(other, &pay()).await;
    assert_eq!(counts(&shop, Pool::Free).await, (0, 0, 1));
    shop.assert_sound().await;
}

#[actix_rt::test]
async fn r51_a_refund_returns_the_units_exactly_once() {
    let shop = Shop::with_units(3).await;
    let order = shop.order(Pool::Free, 1, 2).await.order;
    shop.command(order.order_no, &pay()).await;
    let refund = Command::RequestRefund {
        by: RefundAsker::Administrator,
        amount: order.total,
        reason: "changed my mind".to_owned(),
        request: String::new(),
    };
    let requested = shop.command(order.order_no, &refund).await;
    let report = Command::ReportRefund { refund: 1, state: RefundState::Succeeded, gateway_no: String::new() };
    let events = decide(&requested.order, &report, NOW_MS).unwrap();
    let committed = commit(&shop.db, &requested, &events, NOW_MS).await.unwrap();
    assert!(matches!(committed, CommitOutcome::Committed { .. }));
    assert_eq!(commit(&shop.db, &requested, &events, NOW_MS).await.unwrap(), CommitOutcome::Lost);
    let again = shop.command(order.order_no, &report).await;
    assert_eq!(again.order.status, OrderStatus::Refunded);
    let owed = effects::of_order(&shop.db, order.order_no).await.unwrap();
    assert_eq!(owed.iter().filter(|owed| owed.effect == Effect::ReleaseStock).count(), 1);
    shop.settle_all().await;
    assert_eq!((counts(&shop, Pool::Free).await, shop.free(Pool::Free).await), ((3, 0, 0), 3));
    let view = orders::find(&shop.db, order.order_no).await.unwrap().unwrap();
    assert_eq!(view.refunded, order.total);
    shop.assert_sound().await;
}

#[actix_rt::test]
async fn a_changed_journal_is_noticed() {
    let shop = Shop::with_units(3).await;
    let order_no = shop.order(Pool::Free, 1, 1).await.order.order_no;
    shop.command(order_no, &pay()).await;
    assert_eq!(verify(&shop.db, order_no).await.unwrap(), Ok(3));
    shop.sql("UPDATE order_events SET payload = REPLACE(payload, '1999', '1') WHERE seq = 3").await;
    assert_eq!(verify(&shop.db, order_no).await.unwrap(), Err(3));
    assert!(matches!(load(&shop.db, order_no).await, Err(StoreError::Corrupt { .. })));
}

#[actix_rt::test]
async fn effects_are_leased_retried_and_kept_in_order() {
    let shop = Shop::with_units(3).await;
    let order_no = shop.order(Pool::Free, 1, 1).await.order.order_no;
    shop.command(order_no, &Command::StartPayment { channel: PayChannel::Alipay, terms: ChargeTerms::default() }).await;
    let watch = effects::claim_due(&shop.db, Lane::Gateways, NOW_MS + 5_000, LEASE, 10).await.unwrap();
    assert_eq!(watch[0].effect, Effect::WatchPayment { attempt: 1 });
    effects::done(&shop.db, watch[0].key).await.unwrap();
    shop.command(order_no, &CANCEL).await;
    let claimed = effects::claim_due(&shop.db, Lane::Gateways, NOW_MS, LEASE, 10).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].attempts), (1, 1));
    assert!(effects::claim_due(&shop.db, Lane::Gateways, NOW_MS + 999, LEASE, 10).await.unwrap().is_empty(), "leased");
    assert_eq!(effects::claim_due(&shop.db, Lane::Gateways, NOW_MS + 1_000, LEASE, 10).await.unwrap()[0].attempts, 2);
    effects::failed(&shop.db, claimed[0].key, "gateway is down", NOW_MS + 60_000).await.unwrap();
    assert!(effects::claim_due(&shop.db, Lane::Gateways, NOW_MS + 59_999, LEASE, 10).await.unwrap().is_empty());
    assert_eq!(effects::overdue(&shop.db, NOW_MS + 60_001).await.unwrap(), 1);
    let again = effects::claim_due(&shop.db, Lane::Gateways, NOW_MS + 60_000, LEASE, 10).await.unwrap();
    assert_eq!(again[0].last_error, "gateway is down");
    effects::postponed(&shop.db, again[0].key, NOW_MS + 70_000).await.unwrap();
    let again = effects::claim_due(&shop.db, Lane::Gateways, NOW_MS + 70_000, LEASE, 10).await.unwrap();
    assert_eq!((again[0].attempts, &*again[0].last_error), (1, ""), "waiting is no failure");
    effects::done(&shop.db, again[0].key).await.unwrap();
    effects::done(&shop.db, again[0].key).await.unwrap();

    let cancelled = shop.command(order_no, &Command::ConfirmAttemptClosed { attempt: 1 }).await;
    let (amount, transaction_id) = (cancelled.order.total, "late".to_owned());
    shop.command(order_no, &Command::ConfirmPayment { attempt: 1, amount, transaction_id }).await;
    let first = effects::claim_due(&shop.db, Lane::Orders, NOW_MS, LEASE, 10).await.unwrap();
    assert_eq!(first.iter().map(|owed| owed.effect.clone()).collect::<Vec<_>>(), [Effect::ReleaseStock]);
    effects::done(&shop.db, first[0].key).await.unwrap();
    let then = effects::claim_due(&shop.db, Lane::Orders, NOW_MS, LEASE, 10).await.unwrap();
    assert_eq!(then.iter().map(|owed| owed.effect.clone()).collect::<Vec<_>>(), [Effect::RetakeStock]);
}

#[actix_rt::test]
async fn what_a_dead_node_had_leased_is_due_at_its_next_start() {
    let shop = Shop::with_units(3).await;
    let order_no = shop.order(Pool::Free, 1, 1).await.order.order_no;
    shop.command(order_no, &CANCEL).await;
    for holders in [Holders::All, Holders::Slot(LEASE.slot)] {
        assert_eq!(effects::claim_due(&shop.db, Lane::Orders, NOW_MS, LEASE, 10).await.unwrap().len(), 1);
        assert_eq!(effects::end_leases(&shop.db, Holders::Slot(2)).await.unwrap(), 0, "another node's");
        assert!(effects::claim_due(&shop.db, Lane::Orders, NOW_MS, LEASE, 10).await.unwrap().is_empty(), "leased");
        assert_eq!(effects::end_leases(&shop.db, holders).await.unwrap(), 1);
    }
    assert_eq!(effects::claim_due(&shop.db, Lane::Orders, NOW_MS, LEASE, 10).await.unwrap()[0].attempts, 3);
}

#[actix_rt::test]
async fn t31_pages_stay_stable_with_equal_times() {
    let shop = Shop::with_units(50).await;
    let mut placed = Vec::new();
    for _ in 0..25 {
        placed.push(shop.order(Pool::Free, 1, 1).await.order.order_no);
    }
    shop.order(Pool::Free, 2, 1).await;
    placed.sort_unstable_by(|a, b| b.cmp(a));
    let mut listed = Vec::new();
    for offset in [0, 10, 20] {
        let slice = orders::Slice { offset, limit: 10 };
        let (page, total) = orders::list_of_buyer(&shop.db, BuyerId(1), slice, None).await.unwrap();
        assert_eq!(total, 25);
        listed.extend(page.iter().map(|view| view.order_no));
    }
    assert_eq!(listed, placed);
    shop.command(placed[3], &CANCEL).await;
    let slice = orders::Slice { offset: 0, limit: 10 };
    let cancelled = orders::OrderFilter { status: Some(OrderStatus::Cancelled), ..Default::default() };
    let (page, total) = orders::list_all(&shop.db, &cancelled, slice).await.unwrap();
    assert_eq!((page[0].order_no, total), (placed[3], 1));
    assert_eq!(orders::due_deadlines(&shop.db, i64::MAX, 100).await.unwrap().len(), 25);
    assert!(orders::due_deadlines(&shop.db, NOW_MS, 100).await.unwrap().is_empty());
}

#[actix_rt::test]
async fn shipped_orders_are_found_when_they_are_due() {
    let shop = Shop::with_units(5).await;
    let order_no = shop.order(Pool::Free, 1, 1).await.order.order_no;
    shop.command(order_no, &pay()).await;
    shop.command(order_no, &Command::Ship { carrier: "SF".to_owned(), tracking_no: "1".to_owned() }).await;
    assert_eq!(orders::due_auto_complete(&shop.db, NOW_MS, 10).await.unwrap(), [order_no]);
    assert!(orders::due_auto_complete(&shop.db, NOW_MS - 1, 10).await.unwrap().is_empty());
    shop.moves(PRODUCT, StockPlan::SetFree { units: 0 }).await;
    shop.assert_sound().await;
}
