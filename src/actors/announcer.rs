//! Turns commits of the outbox into domain events for other systems, one message a kind and commit.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use tracing::Instrument;
use tracing::field::Empty;

use crate::domain::order::OrderStatus;
use crate::messaging::QueueError;
use crate::messaging::domain_event::{DomainEvent, EventMessage, OrderFact, StockFact, VERSION};
use crate::messaging::rabbitmq::EventPublisher;
use crate::persistence::outbox::{FeedEvent, OutboxRow, PoolLevel};
use crate::trace_context;

/// Tells other systems; clones share the connection.
#[derive(Clone)]
pub struct Announcer {
    /// Where events go.
    pub publisher: EventPublisher,
}

impl Announcer {
    /// Tells the commits, each as a part of the trace that led to it; returns once all of it is safe. Stock is low at
    /// `low_stock_units` and below.
    ///
    /// # Errors
    /// [`QueueError`]: tell them again.
    pub async fn announce(&self, rows: &[OutboxRow], low_stock_units: i64) -> Result<(), QueueError> {
        try_join_all(rows.iter().map(|row| self.announce_one(row, low_stock_units))).await.map(drop)
    }

    async fn announce_one(&self, row: &OutboxRow, low_stock_units: i64) -> Result<(), QueueError> {
        let span = tracing::info_span!("tell_events", trace_id = Empty, commit_no = row.commit_no);
        trace_context::follow(&span, row.payload.traceparent.as_deref());
        let messages = messages(row, low_stock_units);
        self.publisher.publish(&messages).instrument(span).await
    }
}

/// The messages of one commit, by kind.
#[must_use]
pub fn messages(row: &OutboxRow, low_stock_units: i64) -> Vec<EventMessage> {
    let mut by_kind: BTreeMap<&'static str, Vec<DomainEvent>> = BTreeMap::new();
    for event in &row.payload.events {
        for kind in kinds(event) {
            by_kind.entry(kind).or_default().push(DomainEvent::Order(order_fact(kind, event)));
        }
    }
    let commit_no = row.commit_no;
    for level in fallen(row, low_stock_units) {
        let (product_id, sale_id) = (level.product.0, i64::from(level.pool));
        let id = format!("stock.low:{commit_no}:{product_id}:{sale_id}");
        let fact = StockFact { id, product_id, sale_id, units_left: level.after };
        by_kind.entry("stock.low").or_default().push(DomainEvent::Stock(fact));
    }
    let message =
        |(kind, events): (&str, _)| EventMessage { version: VERSION, kind: kind.to_owned(), commit_no, events };
    by_kind.into_iter().map(message).collect()
}

/// The pools that this commit brought from above `low_stock_units` down to it, or below.
pub fn fallen(row: &OutboxRow, low_stock_units: i64) -> impl Iterator<Item = &PoolLevel> {
    let has_fallen = move |level: &&PoolLevel| level.before > low_stock_units && level.after <= low_stock_units;
    row.payload.levels.iter().filter(has_fallen)
}

fn order_fact(kind: &str, event: &FeedEvent) -> OrderFact {
    let status = serde_json::to_value(event.status).ok().and_then(|word| word.as_str().map(str::to_owned));
    OrderFact {
        id: format!("{kind}:{}:{}", event.order_no, event.version),
        order_no: event.order_no.to_string(),
        order_version: event.version,
        status: status.unwrap_or_default(),
        user_id: event.buyer.0,
        product_id: event.product.0,
        quantity: event.quantity.units(),
        total_fen: event.total.fen(),
        pay_deadline_ms: event.pay_deadline_ms,
        at_ms: event.at_ms,
    }
}

/// What a step of the journal means to others: the money's side and the order's.
fn kinds(event: &FeedEvent) -> Vec<&'static str> {
    match event.event.as_str() {
        "order_placed" => vec!["order.created"],
        "order_failed" => vec!["order.failed"],
        "payment_started" => vec!["payment.started"],
        "payment_attempt_closed" => vec!["payment.closed"],
        "payment_captured" => vec!["payment.captured", "order.paid"],
        "surplus_payment_captured" => vec!["payment.surplus"],
        "late_payment_recorded" => vec!["payment.late"],
        "stock_retaken" => vec!["order.paid"],
        "closing_started" => vec!["order.closing"],
        "order_cancelled" => vec!["order.cancelled"],
        "order_shipped" => vec!["order.shipped"],
        "order_completed" => vec!["order.completed"],
        "refund_requested" if event.status == OrderStatus::Refunding => {
            vec!["payment.refund_requested", "order.refunding"]
        }
        "refund_requested" => vec!["payment.refund_requested"],
        "refund_reported" if event.status == OrderStatus::Refunded => vec!["payment.refund_reported", "order.refunded"],
        "refund_reported" => vec!["payment.refund_reported"],
        "review_requested" => vec!["order.review_requested"],
        "review_cleared" => vec!["order.review_cleared"],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
