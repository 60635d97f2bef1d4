//! What is still to be told: one row a commit, with the events of all orders in it.

use serde::{Deserialize, Serialize};

use super::db::Db;
use super::error::StoreError;
use crate::domain::order::OrderStatus;
use crate::domain::stock::Quantity;
use crate::domain::{BuyerId, Money, OrderNo, ProductId};

/// One event as the feed tells it: the order around it, no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedEvent {
    /// Which order.
    pub order_no: OrderNo,
    /// Whose.
    pub buyer: BuyerId,
    /// The order's version after the event.
    pub version: u32,
    /// The order's status after the event.
    pub status: OrderStatus,
    /// `Event::kind`.
    pub event: String,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: i64,
    /// Of what.
    pub product: ProductId,
    /// How many.
    pub quantity: Quantity,
    /// What it costs.
    pub total: Money,
    /// Until when it can be paid.
    pub pay_deadline_ms: i64,
}

/// The content of an outbox row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxPayload {
    /// In the order in which they happened.
    pub events: Vec<FeedEvent>,
}

/// One commit that is not told yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Ascending in the order of commits (of one node).
    pub commit_no: i64,
    /// Its events; empty if they could not be read (reported; the journal has them).
    pub payload: OutboxPayload,
}

/// The oldest rows, up to `limit`.
///
/// # Errors
/// [`StoreError`].
pub async fn oldest(_db: &Db, _limit: u64) -> Result<Vec<OutboxRow>, StoreError> {
    unimplemented!()
}

/// Forgets rows that were told; repeating it changes nothing.
///
/// # Errors
/// [`StoreError`].
pub async fn remove(_db: &Db, _commit_nos: &[i64]) -> Result<(), StoreError> {
    unimplemented!()
}
