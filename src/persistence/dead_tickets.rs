//! Tickets that could not become orders, kept until an administrator has looked.

use super::db::Db;
use super::error::StoreError;
use crate::domain::OrderNo;
use crate::domain::stock::Ticket;

/// A ticket that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadTicket {
    /// The ticket.
    pub ticket: Ticket,
    /// Why, up to 255 characters.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub at_ms: i64,
}

/// Keeps a dead ticket; one kept before stays as it is.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(_db: &Db, _dead: &DeadTicket) -> Result<(), StoreError> {
    unimplemented!()
}

/// Dead tickets, latest first, and how many there are. Those that cannot be read are reported and left out.
///
/// # Errors
/// [`StoreError`].
pub async fn list(_db: &Db, _offset: u64, _limit: u64) -> Result<(Vec<DeadTicket>, u64), StoreError> {
    unimplemented!()
}

/// Forgets one; true if it was there.
///
/// # Errors
/// [`StoreError`].
pub async fn remove(_db: &Db, _order_no: OrderNo) -> Result<bool, StoreError> {
    unimplemented!()
}
