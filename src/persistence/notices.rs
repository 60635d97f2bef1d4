//! The inbox of what gateways tell us: stored in one commit before it is answered, worked off afterwards (races.md rule 8).
//!
//! The id is the gateway's own, so that ten copies of a notification are one row. A row that is done stays for a while and
//! answers later copies; one whose order does not exist yet stays open and is tried again, because the order may be in the
//! queue. Any node works off what another has left: a lease keeps two from doing the same at once.

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Order, Query};

use super::db::Db;
use super::error::StoreError;
use super::leases::{self, Holders, Lease};
use super::query;
use crate::domain::OrderNo;
use crate::domain::order::GatewayFact;
use crate::failpoint;

const OPERATION: &str = "keeping a notification";
const ERROR_CHARS_MAX: usize = 255;
/// A row that is done answers copies for so long: the longest schedule of repetitions has 25 hours.
const KEPT_MS: i64 = 7 * 24 * 3_600_000;
const OPEN: &str = "open";
const DONE: &str = "done";

/// A notification that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNotice {
    /// Different for every event of every gateway; up to 160 characters.
    pub id: String,
    /// Which order it is about.
    pub order_no: OrderNo,
    /// What it says.
    pub fact: GatewayFact,
}

/// A notification that the caller has the lease of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenNotice {
    /// What was stored.
    pub notice: StoredNotice,
    /// How often it was taken up, this time included.
    pub attempts: u32,
    /// When it came first.
    pub received_at_ms: i64,
}

/// What storing a notification found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is new.
    New,
    /// It was there, and the order has not heard of it yet.
    Open,
    /// It was there, and the order has heard of it.
    Done,
}

#[derive(FromQueryResult)]
struct Row {
    id: String,
    order_no: String,
    fact: String,
    attempts: i32,
    received_at_ms: i64,
}

#[derive(FromQueryResult)]
struct StateRow {
    state: String,
}

impl Row {
    fn open(self) -> Result<OpenNotice, StoreError> {
        let fact = query::from_json(&self.fact, || format!("notification {}", self.id))?;
        let attempts = query::unsigned(self.attempts, "attempts of a notification")?;
        let order_no = query::order_no(&self.order_no)?;
        let notice = StoredNotice { id: self.id, order_no, fact };
        Ok(OpenNotice { notice, attempts: attempts + 1, received_at_ms: self.received_at_ms })
    }
}

/// Stores a notification, due at once. What it says is on disk when this returns.
///
/// # Errors
/// [`StoreError`]: it must not be answered with success then.
pub async fn keep(db: &Db, notice: &StoredNotice, now_ms: i64) -> Result<Kept, StoreError> {
    let fact = query::to_json(&notice.fact, "notification")?;
    failpoint::reach("notices.keep.before");
    let kept = db.write(OPERATION, async |tx| {
        if let Some(row) = state_of(tx, &notice.id).await? {
            return Ok(if row.state == DONE { Kept::Done } else { Kept::Open });
        }
        let row = vec![
            notice.id.as_str().into(),
            notice.order_no.to_string().into(),
            fact.as_str().into(),
            OPEN.into(),
            now_ms.into(),
            now_ms.into(),
        ];
        let columns = ["id", "order_no", "fact", "state", "received_at_ms", "due_at_ms"];
        let keep = OnConflict::column("id").do_nothing_on(["id"]).to_owned();
        query::insert_rows(tx, "notices", &columns, vec![row], Some(keep)).await?;
        Ok(Kept::New)
    });
    let kept = kept.await?;
    failpoint::reach("notices.keep.after");
    Ok(kept)
}

async fn state_of(conn: &impl sea_orm::ConnectionTrait, id: &str) -> Result<Option<StateRow>, StoreError> {
    let select = Query::select().column("state").from("notices").and_where(Expr::col("id").eq(id)).to_owned();
    query::one(conn, &select, OPERATION).await
}

/// Leases up to `limit` due notifications to the caller. One that cannot be read is reported, and leased all the same.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn claim_due(db: &Db, now_ms: i64, terms: Lease, limit: u64) -> Result<Vec<OpenNotice>, StoreError> {
    let due = || {
        Query::select()
            .columns(["id", "order_no", "fact", "attempts", "received_at_ms"])
            .from("notices")
            .and_where(Expr::col("state").eq(OPEN))
            .and_where(Expr::col("due_at_ms").lte(now_ms))
            .and_where(Expr::col("lease_until_ms").lte(now_ms))
            .order_by("due_at_ms", Order::Asc)
            .order_by("id", Order::Asc) // claimers lock in one order
            .limit(limit)
            .to_owned()
    };
    let seen: Vec<Row> = query::all(db.reader(), &due(), "reading due notifications").await?;
    if seen.is_empty() {
        return Ok(Vec::new()); // the usual case takes no write lock
    }
    let claimed = db.write("leasing notifications", async |tx| {
        let mut claimed = Vec::new();
        let rows: Vec<Row> = query::all(tx, &due(), OPERATION).await?;
        for row in rows {
            let update = Query::update()
                .table("notices")
                .value("lease_until_ms", now_ms.saturating_add(terms.ms))
                .value("lease_slot", i16::from(terms.slot))
                .value("attempts", Expr::col("attempts").add(1))
                .and_where(Expr::col("id").eq(row.id.as_str()))
                .and_where(Expr::col("state").eq(OPEN))
                .and_where(Expr::col("lease_until_ms").lte(now_ms))
                .to_owned();
            if query::execute(tx, &update, OPERATION).await? == 1 {
                claimed.push(row);
            }
        }
        Ok(claimed)
    });
    let readable = |row: Row| row.open().inspect_err(|error| tracing::error!(%error, "notification left out")).ok();
    Ok(claimed.await?.into_iter().filter_map(readable).collect())
}

/// The order has heard of it. Repeating this changes nothing.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn done(db: &Db, id: &str) -> Result<(), StoreError> {
    let update = Query::update()
        .table("notices")
        .value("state", DONE)
        .value("lease_until_ms", 0_i64)
        .and_where(Expr::col("id").eq(id))
        .to_owned();
    failpoint::reach("notices.done.before");
    query::execute(db.writer(), &update, OPERATION).await?;
    failpoint::reach("notices.done.after");
    Ok(())
}

/// The order could not be told: it is tried again at `next_due_ms`.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn postponed(db: &Db, id: &str, error: &str, next_due_ms: i64) -> Result<(), StoreError> {
    let update = Query::update()
        .table("notices")
        .value("due_at_ms", next_due_ms)
        .value("lease_until_ms", 0_i64)
        .value("last_error", error.chars().take(ERROR_CHARS_MAX).collect::<String>())
        .and_where(Expr::col("id").eq(id))
        .to_owned();
    query::execute(db.writer(), &update, OPERATION).await?;
    Ok(())
}

/// Ends the leases of processes that are dead.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn end_leases(db: &Db, of: Holders) -> Result<u64, StoreError> {
    leases::end(db, "notices", of).await
}

/// Forgets what was done long ago.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn purge(db: &Db, now_ms: i64) -> Result<(), StoreError> {
    let delete = Query::delete()
        .from_table("notices")
        .and_where(Expr::col("state").eq(DONE))
        .and_where(Expr::col("received_at_ms").lt(now_ms - KEPT_MS))
        .to_owned();
    query::execute(db.writer(), &delete, OPERATION).await?;
    Ok(())
}

/// How many came before `received_before_ms` and have not reached their order.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn overdue(db: &Db, received_before_ms: i64) -> Result<u64, StoreError> {
    let select = Query::select()
        .from("notices")
        .and_where(Expr::col("state").eq(OPEN))
        .and_where(Expr::col("received_at_ms").lt(received_before_ms))
        .to_owned();
    query::count(db.reader(), select, "counting notifications").await
}

#[cfg(test)]
mod tests;
