//! The journal of every order, and the only way to change an order that exists.

use super::db::Db;
use super::error::StoreError;
use super::outbox::FeedEvent;
use crate::domain::order::{Event, Order};
use crate::domain::{BuyerId, OrderNo};

/// An order as its journal tells it, with what the next commit must build on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedOrder {
    /// The order after its last event.
    pub order: Order,
    /// Hash of its last event, 64 hex digits.
    pub last_hash: String,
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is stored.
    Committed {
        /// The order after it.
        loaded: LoadedOrder,
        /// Its number in the outbox.
        commit_no: i64,
    },
    /// Somebody else changed the order first: load it and decide again.
    Lost,
    /// A late payment wanted units again and the database has none.
    StockGone,
}

/// One stored event, for the order's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    /// 1, 2, … within the order.
    pub seq: u32,
    /// What happened.
    pub event: Event,
    /// When.
    pub at_ms: i64,
}

/// A past event with the commit it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEvent {
    /// The commit.
    pub commit_no: i64,
    /// The event, as the feed told it.
    pub event: FeedEvent,
}

/// Replays an order from its journal; `None` if there is no such order.
///
/// # Errors
/// [`StoreError::Corrupt`] if the chain of hashes is broken or an event cannot be read.
pub async fn load(_db: &Db, _order_no: OrderNo) -> Result<Option<LoadedOrder>, StoreError> {
    unimplemented!()
}

/// Appends `events` (at least one) to the order as it was loaded, with everything they entail, in one transaction.
///
/// # Errors
/// [`StoreError`].
pub async fn commit(
    _db: &Db,
    _loaded: &LoadedOrder,
    _events: &[Event],
    _now_ms: i64,
) -> Result<CommitOutcome, StoreError> {
    unimplemented!()
}

/// What the order's journal is worth: `Ok(events)` if every hash fits, else the first `seq` that does not.
///
/// # Errors
/// [`StoreError`].
pub async fn verify(_db: &Db, _order_no: OrderNo) -> Result<Result<u32, u32>, StoreError> {
    unimplemented!()
}

/// The buyer's events from commit `commit_no` on, oldest first, up to `limit` (a WebSocket that resumes).
///
/// # Errors
/// [`StoreError`].
pub async fn events_since(
    _db: &Db,
    _buyer: BuyerId,
    _commit_no: i64,
    _limit: u64,
) -> Result<Vec<PastEvent>, StoreError> {
    unimplemented!()
}

/// The order's history, oldest first; empty if there is no such order.
///
/// # Errors
/// [`StoreError`].
pub async fn timeline(_db: &Db, _order_no: OrderNo) -> Result<Vec<TimelineEntry>, StoreError> {
    unimplemented!()
}
