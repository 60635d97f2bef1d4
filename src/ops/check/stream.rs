//! One pass over all orders, a page at a time: each order's row, journal, payments and refunds against each other.
//! What the other invariants need of the orders is summed up on the way: units by pool, units by buyer in a sale.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::Invariant;
use crate::domain::order::{AttemptState, Event, Order, OrderStatus, RefundPurpose, RefundState, UnitsState, replay};
use crate::domain::stock::Pool;
use crate::domain::{BuyerId, Money, OrderNo, ProductId};
use crate::persistence::journal::chain::{self, Entry};
use crate::persistence::journal::{first_broken, projection::own_refunded, steps};
use crate::persistence::payments::{self, PaymentRow, PaymentState, RefundRow};
use crate::persistence::{StoreError, query};

/// Orders in memory at once.
const PAGE_ORDERS: u64 = 1_000;

#[derive(FromQueryResult)]
struct Row {
    order_no: String,
    user_id: i64,
    product_id: i64,
    pool: i64,
    quantity: i64,
    total_fen: i64,
    status: i16,
    version: i32,
    review: String,
    refunded_fen: i64,
}

/// Units under orders of one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PoolUnits {
    pub(super) held: i64,
    pub(super) sold: i64,
}

/// What the pass found.
pub(super) struct Orders {
    pub(super) by_pool: HashMap<(ProductId, Pool), PoolUnits>,
    pub(super) by_buyer: HashMap<(ProductId, Pool, BuyerId), i64>,
    rows_match: Invariant,
    edges: Invariant,
    chains: Invariant,
    captured: Invariant,
    money: Invariant,
    net_of_orders: i64,
    net_of_rows: i64,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            by_pool: HashMap::new(),
            by_buyer: HashMap::new(),
            rows_match: Invariant::new("orders match journals"),
            edges: Invariant::new("steps are legal"),
            chains: Invariant::new("hash chains intact"),
            captured: Invariant::new("payments have orders"),
            money: Invariant::new("money adds up"),
            net_of_orders: 0,
            net_of_rows: 0,
        }
    }
}

impl Orders {
    /// Reads all orders; answers how many wait for a human.
    pub(super) async fn read(&mut self, tx: &impl ConnectionTrait) -> Result<u64, StoreError> {
        let (mut after, mut needs_review) = (String::new(), 0);
        loop {
            let columns = [
                "order_no",
                "user_id",
                "product_id",
                "pool",
                "quantity",
                "total_fen",
                "status",
                "version",
                "review",
                "refunded_fen",
            ];
            let select = Query::select()
                .columns(columns)
                .from("orders")
                .and_where(Expr::col("order_no").gt(after.as_str()))
                .order_by("order_no", Sort::Asc)
                .limit(PAGE_ORDERS)
                .to_owned();
            let rows: Vec<Row> = query::all(tx, &select, "checking orders").await?;
            let Some(last) = rows.last() else { return Ok(needs_review) };
            after.clone_from(&last.order_no);
            needs_review += rows.iter().filter(|row| !row.review.is_empty()).count() as u64;
            self.check_page(tx, &rows).await?;
        }
    }

    async fn check_page(&mut self, tx: &impl ConnectionTrait, rows: &[Row]) -> Result<(), StoreError> {
        let keys: Vec<String> = rows.iter().map(|row| row.order_no.clone()).collect();
        let order_nos: Vec<OrderNo> = keys.iter().filter_map(|key| key.parse().ok()).collect();
        let mut journals: HashMap<String, Vec<Entry>> = HashMap::new();
        for entry in chain::read(tx, &keys).await? {
            journals.entry(entry.order_no.clone()).or_default().push(entry);
        }
        let mut paid: HashMap<OrderNo, Vec<PaymentRow>> = HashMap::new();
        for payment in payments::of_orders(tx, &order_nos).await? {
            paid.entry(payment.order_no).or_default().push(payment);
        }
        let mut refunded: HashMap<OrderNo, Vec<RefundRow>> = HashMap::new();
        for refund in payments::refunds_of_orders(tx, &order_nos).await? {
            refunded.entry(refund.order_no).or_default().push(refund);
        }
        for row in rows {
            let entries = journals.remove(&row.order_no).unwrap_or_default();
            let Some(order) = self.check_journal(row, &entries) else { continue };
            self.count_units(&order);
            let payments = paid.remove(&order.order_no).unwrap_or_default();
            let refunds = refunded.remove(&order.order_no).unwrap_or_default();
            self.check_money(row, &order, &payments, &refunds);
        }
        Ok(())
    }

    fn check_journal(&mut self, row: &Row, entries: &[Entry]) -> Option<Order> {
        let name = &row.order_no;
        let broken = first_broken(entries);
        self.chains.expect(broken.is_none(), || format!("order {name}: event {} does not fit", broken.unwrap_or(0)));
        let events: Result<Vec<Event>, StoreError> = entries.iter().map(Entry::event).collect();
        let times = || entries.iter().map(|entry| entry.at_ms);
        let order = events.as_ref().ok().and_then(|events| replay(events.iter().zip(times())));
        let Some(order) = order else {
            self.rows_match.expect(false, || format!("order {name}: no journal that can be replayed"));
            return None;
        };
        let as_stored = (row.status, i64::from(row.version), row.user_id, row.product_id);
        let as_replayed = (order.status.code(), i64::from(order.version), order.buyer.0, order.product.0);
        let bought_stored = (row.pool, row.quantity, row.total_fen);
        let bought_replayed = (i64::from(order.pool), order.quantity.units(), order.total.fen());
        self.rows_match.expect(as_stored == as_replayed && bought_stored == bought_replayed, || {
            format!(
                "order {name}: row says {as_stored:?} {bought_stored:?}, journal {as_replayed:?} {bought_replayed:?}"
            )
        });
        let illegal = events.ok().and_then(|events| illegal_edge(&events));
        self.edges.expect(illegal.is_none(), || format!("order {name}: {}", illegal.unwrap_or_default()));
        Some(order)
    }

    fn count_units(&mut self, order: &Order) {
        let pool = self.by_pool.entry((order.product, order.pool)).or_default();
        match order.units {
            UnitsState::Held => pool.held += order.quantity.units(),
            UnitsState::Sold => pool.sold += order.quantity.units(),
            UnitsState::Returned => return,
        }
        if order.pool != Pool::Free {
            *self.by_buyer.entry((order.product, order.pool, order.buyer)).or_default() += order.quantity.units();
        }
    }

    fn check_money(&mut self, row: &Row, order: &Order, payments: &[PaymentRow], refunds: &[RefundRow]) {
        let captured = payments.iter().filter(|payment| payment.state == PaymentState::Captured);
        for payment in captured.clone() {
            self.captured.expect(belongs(order, payment), || {
                format!("payment {} of an order that is {:?}", payment.payment_no, order.status)
            });
        }
        let captured: Money = captured.map(|payment| payment.amount).sum();
        let back = refunds.iter().filter(|refund| refund.state == RefundState::Succeeded);
        let back: Money = back.map(|refund| refund.amount).sum();
        self.net_of_rows += captured.minus(back).fen();
        self.net_of_orders += order.captured().minus(order.refunded()).fen();
        let adds_up = captured == order.captured()
            && back == order.refunded()
            && row.refunded_fen == own_refunded(order).fen()
            && own_money(order) == owed_money(order).unwrap_or_else(|| own_money(order));
        self.money.expect(adds_up, || {
            format!(
                "order {}: {:?}, total {}, rows captured {captured} returned {back}, journal captured {} returned {}",
                order.order_no,
                order.status,
                order.total,
                order.captured(),
                order.refunded()
            )
        });
    }

    /// The invariants of the pass, with what can only be asked of whole tables.
    pub(super) async fn finish(mut self, tx: &impl ConnectionTrait) -> Result<Vec<Invariant>, StoreError> {
        let (rows, orders) = (self.net_of_rows, self.net_of_orders);
        self.money.expect(rows == orders, || format!("net of all payments {rows} fen, of all orders {orders} fen"));
        orphaned(tx, "order_events", &mut self.rows_match).await?;
        orphaned(tx, "order_items", &mut self.rows_match).await?;
        orphaned(tx, "payments", &mut self.captured).await?;
        orphaned(tx, "refunds", &mut self.money).await?;
        captured_twice(tx, &mut self.captured).await?;
        Ok(vec![self.rows_match, self.edges, self.chains, self.captured, self.money])
    }
}

/// The first edge of a history that is not drawn in the saga. An order that fails is placed in the same commit, so its
/// failure leaves Processing.
fn illegal_edge(events: &[Event]) -> Option<String> {
    let (first, rest) = events.split_first()?;
    let placed = replay([(first, 0)])?;
    for (index, step) in steps(&placed, rest, 0).iter().enumerate() {
        let fails_at_once = index == 0 && matches!(step.event, Event::OrderFailed { .. });
        let from = if fails_at_once { OrderStatus::Processing } else { step.before.status };
        let to = step.after.status;
        if from != to && !from.may_become(to) {
            return Some(format!("{} leads from {from:?} to {to:?}", step.event.kind()));
        }
    }
    None
}

/// Whether a captured payment has the order that it is for, or a refund on its way.
fn belongs(order: &Order, payment: &PaymentRow) -> bool {
    use OrderStatus as S;
    let is_known =
        order.attempts.iter().any(|a| a.number == payment.attempt && a.state == AttemptState::Captured(payment.amount));
    let surplus = |refund: &crate::domain::order::Refund| {
        refund.attempt == payment.attempt && refund.purpose == RefundPurpose::Surplus
    };
    let is_paid = matches!(order.status, S::Paid | S::Shipped | S::Completed | S::Refunding | S::Refunded);
    is_known && (is_paid || order.late_payment == Some(payment.attempt) || order.refunds.iter().any(surplus))
}

/// What came for the order itself: everything but payments too many.
fn own_money(order: &Order) -> Money {
    let is_surplus = |attempt: u16| {
        order.refunds.iter().any(|refund| refund.attempt == attempt && refund.purpose == RefundPurpose::Surplus)
    };
    let own = order.attempts.iter().filter(|attempt| !is_surplus(attempt.number));
    own.map(|attempt| match attempt.state {
        AttemptState::Captured(amount) => amount,
        AttemptState::Open | AttemptState::Closed => Money::ZERO,
    })
    .sum()
}

/// What should have come in this state; `None` while a late payment waits for units.
fn owed_money(order: &Order) -> Option<Money> {
    use OrderStatus as S;
    match order.status {
        _ if order.late_payment.is_some() => None,
        S::Paid | S::Shipped | S::Completed | S::Refunding | S::Refunded => Some(order.total),
        S::Processing | S::PendingPayment | S::Closing | S::Cancelled | S::Failed => Some(Money::ZERO),
    }
}

#[derive(FromQueryResult)]
struct Lost {
    order_no: String,
}

/// Rows whose order does not exist.
pub(in crate::ops) async fn orphaned(
    tx: &impl ConnectionTrait,
    table: &'static str,
    into: &mut Invariant,
) -> Result<(), StoreError> {
    let select = Query::select()
        .distinct()
        .column((table, "order_no"))
        .from(table)
        .left_join("orders", Expr::col(("orders", "order_no")).equals((table, "order_no")))
        .and_where(Expr::col(("orders", "order_no")).is_null())
        .limit(super::VIOLATIONS_TOLD_MAX as u64)
        .to_owned();
    let lost: Vec<Lost> = query::all(tx, &select, "checking for lost rows").await?;
    for row in lost {
        into.violate(format!("{table} of order {}, which does not exist", row.order_no));
    }
    Ok(())
}

#[derive(FromQueryResult)]
struct Twice {
    transaction_id: String,
}

/// One gateway transaction that is counted for two orders.
async fn captured_twice(tx: &impl ConnectionTrait, into: &mut Invariant) -> Result<(), StoreError> {
    let select = Query::select()
        .columns(["channel", "transaction_id"])
        .from("payments")
        .and_where(Expr::col("state").eq("captured"))
        .group_by_columns(["channel", "transaction_id"])
        .and_having(Expr::cust("COUNT(*)").gt(1))
        .limit(super::VIOLATIONS_TOLD_MAX as u64)
        .to_owned();
    let twice: Vec<Twice> = query::all(tx, &select, "checking transactions").await?;
    for row in twice {
        into.violate(format!("transaction {} was captured more than once", row.transaction_id));
    }
    Ok(())
}
