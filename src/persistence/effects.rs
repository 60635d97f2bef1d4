//! External actions still owed, each with a due time, a lease and a count of tries.
//!
//! Written in the commit of the event that owes them, forgotten when done. A lease keeps two nodes from doing the same
//! at once; when it runs out the effect is done again, which is harmless because every effect repeats its own number.
//! Giving units back and looking for them again are done in the order in which they were owed: no effect on an order's
//! units is handed out while an earlier one of the same order stands.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoColumnRef, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::db::Db;
use super::error::StoreError;
use super::leases::{self, Holders, Lease};
use super::query;
use crate::domain::OrderNo;
use crate::domain::order::Effect;
use crate::failpoint;

/// Longest error text that is kept.
const ERROR_CHARS_MAX: usize = 255;
const OPERATION: &str = "changing effects";

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

#[derive(FromQueryResult)]
struct Row {
    order_no: String,
    seq: i32,
    part: i16,
    payload: String,
    attempts: i32,
    last_error: String,
}

impl Row {
    fn owed(self) -> Result<OwedEffect, StoreError> {
        let seq = query::unsigned(self.seq, "seq of an effect")?;
        let key = EffectKey { order_no: query::order_no(&self.order_no)?, seq, part: self.part };
        let effect = query::from_json(&self.payload, || format!("effect {seq} of {}", self.order_no))?;
        let attempts = query::unsigned(self.attempts, "attempts of an effect")?;
        Ok(OwedEffect { key, effect, attempts, last_error: self.last_error })
    }
}

fn select() -> SelectStatement {
    let columns = ["order_no", "seq", "part", "payload", "attempts", "last_error"];
    Query::select().columns(columns.map(|column| ("effects", column))).from("effects").to_owned()
}

fn names(key: EffectKey) -> Expr {
    Expr::col("order_no")
        .eq(key.order_no.to_string())
        .and(Expr::col("seq").eq(i64::from(key.seq)))
        .and(Expr::col("part").eq(key.part))
}

/// Writes new effects inside their commit, due when [`Effect::rests_ms`] is over.
pub(super) async fn insert(
    tx: &impl ConnectionTrait,
    effects: &[(EffectKey, Effect)],
    now_ms: i64,
) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(effects.len());
    for (key, effect) in effects {
        rows.push(vec![
            key.order_no.to_string().into(),
            i64::from(key.seq).into(),
            key.part.into(),
            effect.kind().into(),
            query::to_json(effect, "effect")?.into(),
            now_ms.saturating_add(effect.rests_ms()).into(),
            0_i32.into(),
            0_i64.into(),
            "".into(),
        ]);
    }
    let columns =
        ["order_no", "seq", "part", "kind", "payload", "due_at_ms", "attempts", "lease_until_ms", "last_error"];
    query::insert_rows(tx, "effects", &columns, rows, None).await
}

/// Who runs effects: two sweeps, so that a gateway that hangs holds up no unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The order itself.
    Orders,
    /// The payment desk.
    Gateways,
}

fn due(lane: Lane, now_ms: i64, limit: u64) -> SelectStatement {
    let units_effects = || [Effect::ReleaseStock.kind(), Effect::RetakeStock.kind()];
    let (this, earlier) = ("effects", Alias::new("earlier"));
    let column = |table: &'static str, name: &'static str| Expr::col((table, name).into_column_ref());
    let waits = Query::select()
        .expr(Expr::val(1))
        .from_as("effects", earlier)
        .and_where(column("earlier", "order_no").equals((this, "order_no")))
        .and_where(column("earlier", "seq").lt(column(this, "seq")))
        .and_where(column("earlier", "kind").is_in(units_effects()))
        .to_owned();
    let is_free = column(this, "kind").is_not_in(units_effects()).or(Expr::exists(waits).not());
    select()
        .and_where(column(this, "due_at_ms").lte(now_ms))
        .and_where(column(this, "lease_until_ms").lte(now_ms))
        .and_where(match lane {
            Lane::Orders => column(this, "kind").is_not_in(Effect::OF_GATEWAYS),
            Lane::Gateways => column(this, "kind").is_in(Effect::OF_GATEWAYS),
        })
        .and_where(is_free)
        .order_by((this, "due_at_ms"), Order::Asc)
        .order_by((this, "order_no"), Order::Asc) // claimers lock in one order
        .order_by((this, "seq"), Order::Asc)
        .order_by((this, "part"), Order::Asc)
        .limit(limit)
        .to_owned()
}

/// Leases up to `limit` due effects of a lane to the caller; each counts as an attempt. One that cannot be read
/// is reported, and leased all the same so that it does not stand in the way.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn claim_due(
    db: &Db,
    lane: Lane,
    now_ms: i64,
    terms: Lease,
    limit: u64,
) -> Result<Vec<OwedEffect>, StoreError> {
    let seen: Vec<Row> = query::all(db.reader(), &due(lane, now_ms, limit), "reading due effects").await?;
    if seen.is_empty() {
        return Ok(Vec::new()); // the usual case takes no write lock
    }
    let claimed = db.write("leasing effects", async |tx| lease(tx, lane, (now_ms, terms), limit).await).await?;
    let readable = |mut row: Row| {
        row.attempts += 1;
        let order_no = row.order_no.clone();
        row.owed().inspect_err(|error| tracing::error!(order_no, %error, "effect left out")).ok()
    };
    Ok(claimed.into_iter().filter_map(readable).collect())
}

async fn lease(
    tx: &impl ConnectionTrait,
    lane: Lane,
    (now_ms, terms): (i64, Lease),
    limit: u64,
) -> Result<Vec<Row>, StoreError> {
    let mut claimed = Vec::new();
    let rows: Vec<Row> = query::all(tx, &due(lane, now_ms, limit), OPERATION).await?;
    for row in rows {
        let update = Query::update()
            .table("effects")
            .value("lease_until_ms", now_ms.saturating_add(terms.ms))
            .value("lease_slot", i16::from(terms.slot))
            .value("attempts", Expr::col("attempts").add(1))
            .and_where(Expr::col("order_no").eq(row.order_no.as_str()))
            .and_where(Expr::col("seq").eq(row.seq))
            .and_where(Expr::col("part").eq(row.part))
            .and_where(Expr::col("lease_until_ms").lte(now_ms))
            .to_owned();
        if query::execute(tx, &update, OPERATION).await? == 1 {
            claimed.push(row);
        }
    }
    Ok(claimed)
}

/// Ends the leases of processes that are dead.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn end_leases(db: &Db, of: Holders) -> Result<u64, StoreError> {
    leases::end(db, "effects", of).await
}

/// The effect has been done: forgets it. Repeating it changes nothing.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn done(db: &Db, key: EffectKey) -> Result<(), StoreError> {
    failpoint::reach("effects.done.before");
    let delete = Query::delete().from_table("effects").and_where(names(key)).to_owned();
    query::execute(db.writer(), &delete, OPERATION).await?;
    failpoint::reach("effects.done.after");
    Ok(())
}

/// The effect failed: it is due again at `next_due_ms`, its lease is given back.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn failed(db: &Db, key: EffectKey, error: &str, next_due_ms: i64) -> Result<(), StoreError> {
    let update = Query::update()
        .table("effects")
        .value("due_at_ms", next_due_ms)
        .value("lease_until_ms", 0_i64)
        .value("last_error", error.chars().take(ERROR_CHARS_MAX).collect::<String>())
        .and_where(names(key))
        .to_owned();
    query::execute(db.writer(), &update, OPERATION).await?;
    Ok(())
}

/// The effect is not over yet, and nothing has failed: it is due again at `next_due_ms`, with its tries counted anew.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn postponed(db: &Db, key: EffectKey, next_due_ms: i64) -> Result<(), StoreError> {
    failpoint::reach("effects.postponed.before");
    let update = Query::update()
        .table("effects")
        .value("due_at_ms", next_due_ms)
        .value("lease_until_ms", 0_i64)
        .value("attempts", 0_i32)
        .value("last_error", "")
        .and_where(names(key))
        .to_owned();
    query::execute(db.writer(), &update, OPERATION).await?;
    failpoint::reach("effects.postponed.after");
    Ok(())
}

/// What is owed for one order is due now, but for what a node is at; answers how many effects that changed.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn hurry(db: &Db, order_no: OrderNo, now_ms: i64) -> Result<u64, StoreError> {
    let update = Query::update()
        .table("effects")
        .value("due_at_ms", now_ms)
        .and_where(Expr::col("order_no").eq(order_no.to_string()))
        .and_where(Expr::col("due_at_ms").gt(now_ms))
        .and_where(Expr::col("lease_until_ms").lte(now_ms))
        .to_owned();
    query::execute(db.writer(), &update, OPERATION).await
}

/// What is owed for one order, leased or not, in the order in which it was owed.
///
/// # Errors
/// [`StoreError::Database`], [`StoreError::Corrupt`] if one cannot be read.
pub async fn of_order(db: &Db, order_no: OrderNo) -> Result<Vec<OwedEffect>, StoreError> {
    let select = select()
        .and_where(Expr::col(("effects", "order_no")).eq(order_no.to_string()))
        .order_by(("effects", "seq"), Order::Asc)
        .order_by(("effects", "part"), Order::Asc)
        .to_owned();
    let rows: Vec<Row> = query::all(db.reader(), &select, "reading an order's effects").await?;
    rows.into_iter().map(Row::owed).collect()
}

/// How many effects were due before `due_before_ms` and are not done.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn overdue(db: &Db, due_before_ms: i64) -> Result<u64, StoreError> {
    let select = Query::select().from("effects").and_where(Expr::col("due_at_ms").lt(due_before_ms)).to_owned();
    query::count(db.reader(), select, "counting effects").await
}
