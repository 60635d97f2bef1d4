//! What other systems are still to be told by HTTP: a row for each event and target, from the outbox to the target's yes.
//!
//! A row is written before its commit leaves the outbox, under an id made of target and event, so that a commit that is
//! carried twice owes nothing twice. Events of one order are handed out one after the other: none while an earlier one of
//! the same order waits for the same target. What was given up is kept for a while, and stands in nobody's way.

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoColumnRef, OnConflict, Order, Query, SelectStatement};

use super::db::Db;
use super::error::StoreError;
use super::leases::{self, Holders, Lease};
use super::query;

const TABLE: &str = "webhook_deliveries";
const OPERATION: &str = "changing webhook deliveries";
const WAITING: &str = "waiting";
const DEAD: &str = "dead";
const ERROR_CHARS_MAX: usize = 255;
/// What was given up is forgotten after so long.
const DEAD_KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// An event that a target is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Name of the target.
    pub target: String,
    /// The event's own id.
    pub event_id: String,
    /// Its kind.
    pub kind: String,
    /// Whose events are told in order; empty if it belongs to none.
    pub order_no: String,
    /// Ascending among the events of an order.
    pub place: i64,
    /// What is posted.
    pub body: String,
}

/// A delivery that the caller has the lease of, or one that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Names it here.
    pub id: String,
    /// Name of the target.
    pub target: String,
    /// The event's own id.
    pub event_id: String,
    /// Its kind.
    pub kind: String,
    /// What is posted.
    pub body: String,
    /// How often it was tried; when leased, this time included.
    pub attempts: u32,
    /// When it was owed first, unix ms.
    pub created_at_ms: i64,
    /// Why it was not taken last; empty at first.
    pub last_error: String,
}

/// How it stands with a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub target: String,
    /// Deliveries that wait.
    pub waiting: u64,
    /// Of those, the ones that were tried in vain.
    pub failed: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// Since when the oldest of those that wait does, unix ms.
    pub waiting_since_ms: Option<i64>,
}

#[derive(FromQueryResult)]
struct Row {
    id: String,
    target: String,
    event_id: String,
    kind: String,
    body: String,
    attempts: i32,
    created_at_ms: i64,
    last_error: String,
}

#[derive(FromQueryResult)]
struct Oldest {
    created_at_ms: i64,
}

impl Row {
    fn delivery(self, tried_now: u32) -> Result<Delivery, StoreError> {
        let Self { id, target, event_id, kind, body, attempts, created_at_ms, last_error } = self;
        let attempts = query::unsigned(attempts, "attempts of a webhook")? + tried_now;
        Ok(Delivery { id, target, event_id, kind, body, attempts, created_at_ms, last_error })
    }
}

fn id_of(delivery: &NewDelivery) -> String {
    format!("{}:{}", delivery.target, delivery.event_id)
}

fn select() -> SelectStatement {
    let columns = ["id", "target", "event_id", "kind", "body", "attempts", "created_at_ms", "last_error"];
    Query::select().columns(columns.map(|column| (TABLE, column))).from(TABLE).to_owned()
}

/// Owes these, due at once; those that are owed already stay as they are.
///
/// # Errors
/// [`StoreError`]: say it again.
pub async fn owe(db: &Db, deliveries: &[NewDelivery], now_ms: i64) -> Result<(), StoreError> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let columns =
        ["id", "target", "event_id", "kind", "order_no", "place", "body", "state", "created_at_ms", "due_at_ms"];
    db.write("owing webhooks", async |tx| {
        for portion in deliveries.chunks(64) {
            let row = |new: &NewDelivery| {
                vec![
                    id_of(new).into(),
                    new.target.as_str().into(),
                    new.event_id.as_str().into(),
                    new.kind.as_str().into(),
                    new.order_no.as_str().into(),
                    new.place.into(),
                    new.body.as_str().into(),
                    WAITING.into(),
                    now_ms.into(),
                    now_ms.into(),
                ]
            };
            let keep = OnConflict::column("id").do_nothing_on(["id"]).to_owned();
            query::insert_rows(tx, TABLE, &columns, portion.iter().map(row).collect(), Some(keep)).await?;
        }
        Ok(())
    })
    .await
}

fn due(target: &str, now_ms: i64, limit: u64) -> SelectStatement {
    let earlier = Alias::new("earlier");
    let column = |table: &'static str, name: &'static str| Expr::col((table, name).into_column_ref());
    let waits = Query::select()
        .expr(Expr::val(1))
        .from_as(TABLE, earlier)
        .and_where(column("earlier", "target").equals((TABLE, "target")))
        .and_where(column("earlier", "order_no").equals((TABLE, "order_no")))
        .and_where(column("earlier", "place").lt(column(TABLE, "place")))
        .and_where(column("earlier", "state").eq(WAITING))
        .to_owned();
    select()
        .and_where(column(TABLE, "target").eq(target))
        .and_where(column(TABLE, "state").eq(WAITING))
        .and_where(column(TABLE, "due_at_ms").lte(now_ms))
        .and_where(column(TABLE, "lease_until_ms").lte(now_ms))
        .and_where(column(TABLE, "order_no").eq("").or(Expr::exists(waits).not()))
        .order_by((TABLE, "due_at_ms"), Order::Asc)
        .order_by((TABLE, "id"), Order::Asc) // claimers lock in one order
        .limit(limit)
        .to_owned()
}

/// Leases up to `limit` due deliveries to a target to the caller; each counts as an attempt.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn claim_due(
    db: &Db,
    target: &str,
    now_ms: i64,
    terms: Lease,
    limit: u64,
) -> Result<Vec<Delivery>, StoreError> {
    let seen: Vec<Row> = query::all(db.reader(), &due(target, now_ms, limit), "reading due webhooks").await?;
    if seen.is_empty() {
        return Ok(Vec::new()); // the usual case takes no write lock
    }
    let claimed = db.write("leasing webhooks", async |tx| {
        let mut claimed = Vec::new();
        let rows: Vec<Row> = query::all(tx, &due(target, now_ms, limit), OPERATION).await?;
        for row in rows {
            let update = Query::update()
                .table(TABLE)
                .value("lease_until_ms", now_ms.saturating_add(terms.ms))
                .value("lease_slot", i16::from(terms.slot))
                .value("attempts", Expr::col("attempts").add(1))
                .and_where(Expr::col("id").eq(row.id.as_str()))
                .and_where(Expr::col("state").eq(WAITING))
                .and_where(Expr::col("lease_until_ms").lte(now_ms))
                .to_owned();
            if query::execute(tx, &update, OPERATION).await? == 1 {
                claimed.push(row);
            }
        }
        Ok(claimed)
    });
    claimed.await?.into_iter().map(|row| row.delivery(1)).collect()
}

/// The target has taken it: forgotten. Repeating this changes nothing.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn delivered(db: &Db, id: &str) -> Result<(), StoreError> {
    let delete = Query::delete().from_table(TABLE).and_where(Expr::col("id").eq(id)).to_owned();
    query::execute(db.writer(), &delete, OPERATION).await.map(|_| ())
}

/// The target has not taken it: due again then, or given up with `None`.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn not_taken(db: &Db, id: &str, error: &str, next_due_ms: Option<i64>) -> Result<(), StoreError> {
    let mut update = Query::update()
        .table(TABLE)
        .value("lease_until_ms", 0_i64)
        .value("last_error", error.chars().take(ERROR_CHARS_MAX).collect::<String>())
        .and_where(Expr::col("id").eq(id))
        .to_owned();
    match next_due_ms {
        Some(due_ms) => update.value("due_at_ms", due_ms),
        None => update.value("state", DEAD),
    };
    query::execute(db.writer(), &update, OPERATION).await.map(|_| ())
}

/// What was given up, oldest first, and how much there is of it.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn dead(db: &Db, offset: u64, limit: u64) -> Result<(Vec<Delivery>, u64), StoreError> {
    let is_dead = || Expr::col((TABLE, "state")).eq(DEAD);
    let list = select()
        .and_where(is_dead())
        .order_by((TABLE, "created_at_ms"), Order::Asc)
        .order_by((TABLE, "place"), Order::Asc) // told again from the top, an order's events keep their order
        .order_by((TABLE, "id"), Order::Asc)
        .offset(offset)
        .limit(limit)
        .to_owned();
    let rows: Vec<Row> = query::all(db.reader(), &list, "reading dead webhooks").await?;
    let count = Query::select().from(TABLE).and_where(is_dead()).to_owned();
    let total = query::count(db.reader(), count, "counting dead webhooks").await?;
    Ok((rows.into_iter().map(|row| row.delivery(0)).collect::<Result<_, _>>()?, total))
}

/// Which of the dead are told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// The one with this id.
    One(&'a str),
    /// All of this target.
    OfTarget(&'a str),
}

/// Puts dead deliveries back among those that wait, as if they were new; how many.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn replay(db: &Db, which: Which<'_>, now_ms: i64) -> Result<u64, StoreError> {
    let mut update = Query::update()
        .table(TABLE)
        .value("state", WAITING)
        .value("attempts", 0_i32)
        .value("created_at_ms", now_ms)
        .value("due_at_ms", now_ms)
        .value("lease_until_ms", 0_i64)
        .value("last_error", "")
        .and_where(Expr::col("state").eq(DEAD))
        .to_owned();
    match which {
        Which::One(id) => update.and_where(Expr::col("id").eq(id)),
        Which::OfTarget(target) => update.and_where(Expr::col("target").eq(target)),
    };
    query::execute(db.writer(), &update, OPERATION).await
}

/// How it stands with a target.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn standing(db: &Db, target: &str) -> Result<Standing, StoreError> {
    let of = |state: &'static str| {
        Query::select()
            .from(TABLE)
            .and_where(Expr::col("target").eq(target))
            .and_where(Expr::col("state").eq(state))
            .to_owned()
    };
    let waiting = query::count(db.reader(), of(WAITING), "counting webhooks").await?;
    let tried = of(WAITING).and_where(Expr::col("last_error").ne("")).to_owned();
    let failed = query::count(db.reader(), tried, "counting webhooks").await?;
    let dead = query::count(db.reader(), of(DEAD), "counting webhooks").await?;
    let oldest = of(WAITING).column("created_at_ms").order_by("created_at_ms", Order::Asc).limit(1).to_owned();
    let oldest: Option<Oldest> = query::one(db.reader(), &oldest, "reading the oldest webhook").await?;
    let waiting_since_ms = oldest.map(|oldest| oldest.created_at_ms);
    Ok(Standing { target: target.to_owned(), waiting, failed, dead, waiting_since_ms })
}

/// Ends the leases of processes that are dead.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn end_leases(db: &Db, of: Holders) -> Result<u64, StoreError> {
    leases::end(db, TABLE, of).await
}

/// Forgets what was given up long ago.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn purge(db: &Db, now_ms: i64) -> Result<(), StoreError> {
    let delete = Query::delete()
        .from_table(TABLE)
        .and_where(Expr::col("state").eq(DEAD))
        .and_where(Expr::col("created_at_ms").lt(now_ms - DEAD_KEPT_MS))
        .to_owned();
    query::execute(db.writer(), &delete, OPERATION).await.map(|_| ())
}

#[cfg(test)]
mod tests;
