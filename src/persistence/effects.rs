//! External actions still owed, each with a due time, a lease and a count of tries.

use super::db::Db;
use super::error::StoreError;
use crate::domain::OrderNo;
use crate::domain::order::Effect;

/// Names an effect: the event that owes it and its place among that event's effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EffectKey {
    /// Of which order.
    pub order_no: OrderNo,
    /// `seq` of the event in the journal.
    pub seq: u32,
    /// 0, 1, … among the event's effects.
    pub part: i16,
}

/// An effect that the caller holds the lease of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedEffect {
    /// Its name.
    pub key: EffectKey,
    /// What is owed.
    pub effect: Effect,
    /// How often it was claimed, this time included.
    pub attempts: u32,
    /// Why it failed last; empty at first.
    pub last_error: String,
}

/// Leases up to `limit` due effects to the caller for `lease_ms`; each counts as an attempt.
///
/// # Errors
/// [`StoreError`].
pub async fn claim_due(_db: &Db, _now_ms: i64, _lease_ms: i64, _limit: u64) -> Result<Vec<OwedEffect>, StoreError> {
    unimplemented!()
}

/// The effect has been done: forgets it. Repeating it changes nothing.
///
/// # Errors
/// [`StoreError`].
pub async fn done(_db: &Db, _key: EffectKey) -> Result<(), StoreError> {
    unimplemented!()
}

/// The effect failed: it is due again at `next_due_ms`, its lease is given back.
///
/// # Errors
/// [`StoreError`].
pub async fn failed(_db: &Db, _key: EffectKey, _error: &str, _next_due_ms: i64) -> Result<(), StoreError> {
    unimplemented!()
}

/// What is owed for one order, leased or not.
///
/// # Errors
/// [`StoreError`].
pub async fn of_order(_db: &Db, _order_no: OrderNo) -> Result<Vec<OwedEffect>, StoreError> {
    unimplemented!()
}

/// How many effects were due before `due_before_ms` and are not done.
///
/// # Errors
/// [`StoreError`].
pub async fn overdue(_db: &Db, _due_before_ms: i64) -> Result<u64, StoreError> {
    unimplemented!()
}
