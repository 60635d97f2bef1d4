//! What other systems are told: the public contract of docs/EVENTS.md and docs/events.schema.json, version 1.
//!
//! One message holds the events of one kind of one commit, so a batch of a thousand orders costs a few messages and not
//! a thousand. Told at least once: an event's `id` stays the same, and listeners drop what they know. Within a version
//! fields and kinds are only ever added.

use serde::{Deserialize, Serialize};

/// Version of the contract.
pub const VERSION: u32 = 1;

/// Every kind of event; each is the routing key of its messages.
pub const KINDS: &[&str] = &[
    "order.created",
    "order.paid",
    "order.shipped",
    "order.completed",
    "order.cancelled",
    "order.closing",
    "order.refunding",
    "order.refunded",
    "order.failed",
    "order.review_requested",
    "order.review_cleared",
    "payment.started",
    "payment.closed",
    "payment.captured",
    "payment.surplus",
    "payment.late",
    "payment.refund_requested",
    "payment.refund_reported",
    "stock.low",
];

/// Events of one kind and one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMessage {
    /// [`VERSION`].
    pub version: u32,
    /// One of [`KINDS`].
    pub kind: String,
    /// The commit that they come from.
    pub commit_no: i64,
    /// At least one, in the order in which they happened.
    pub events: Vec<DomainEvent>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DomainEvent {
    /// Something happened to an order.
    Order(OrderFact),
    /// A product's units run out.
    Stock(StockFact),
}

/// An order right after something happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFact {
    /// The same each time it is told: `kind:order_no:order_version`.
    pub id: String,
    /// The order.
    pub order_no: String,
    /// Its version; later events of an order have higher ones.
    pub order_version: u32,
    /// Its status, as a word.
    pub status: String,
    /// Whose it is.
    pub user_id: i64,
    /// Of what.
    pub product_id: i64,
    /// Units.
    pub quantity: i64,
    /// What it costs, in fen.
    pub total_fen: i64,
    /// Until when it can be paid, in milliseconds since 1970.
    pub pay_deadline_ms: i64,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: i64,
}

/// A pool of a product that fell to the alert level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockFact {
    /// The same each time it is told: `stock.low:commit_no:product_id:sale_id`.
    pub id: String,
    /// The product.
    pub product_id: i64,
    /// The sale whose units run out; 0 for ordinary orders.
    pub sale_id: i64,
    /// What is left.
    pub units_left: i64,
}
