//! Whether a run counts: promised = distinct numbers = written = taken in SQL = taken in Redis, and nothing under way.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rushmall::clock::monotonic;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};

use super::stage::{Sale, Stage};

/// Longest wait for the orders of a run.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Longest wait until the ledger has forgotten the tickets of written orders.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// What the books say at the end of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Promised to clients.
    pub accepted: i64,
    /// Different numbers among them.
    pub distinct: i64,
    /// Rows of orders.
    pub written: i64,
    /// Units gone from the database's pool.
    pub taken_sql: i64,
    /// Units gone from the ledger's pool.
    pub taken_ledger: i64,
    /// Units under tickets that are not settled.
    pub unsettled: i64,
}

impl Tally {
    /// True if the figure of this run counts.
    pub const fn is_valid(&self) -> bool {
        let Self { accepted, distinct, written, taken_sql, taken_ledger, unsettled } = *self;
        accepted == distinct
            && accepted == written
            && accepted == taken_sql
            && accepted == taken_ledger
            && unsettled == 0
    }
}

/// Units that orders hold, by the database's stock row: cheap to ask while the shop is busy.
pub async fn units_taken(db: &DatabaseConnection, sale: Sale) -> anyhow::Result<i64> {
    let sql = format!("SELECT held + sold FROM stock WHERE product_id = {} AND pool = {}", sale.product, sale.sale);
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    Ok(row.context("no stock row")?.try_get_by_index(0)?)
}

/// Waits until so many units are under orders; when that was. On a time-out the tally will show what is missing.
pub async fn until_written(db: &DatabaseConnection, sale: Sale, accepted: usize) -> anyhow::Result<Instant> {
    let until = monotonic() + WRITTEN_WITHIN;
    loop {
        let taken = units_taken(db, sale).await?;
        let now = monotonic();
        if taken >= accepted as i64 || now >= until {
            return Ok(now);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Counts everything.
pub async fn tally(
    stage: &Stage,
    db: &DatabaseConnection,
    sale: Sale,
    accepted: &[(usize, String)],
) -> anyhow::Result<Tally> {
    let sql = format!("SELECT COUNT(*) FROM orders WHERE product_id = {} AND status = 1", sale.product);
    let until = monotonic() + SETTLED_WITHIN;
    loop {
        let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql.clone())).await?;
        let books = stage.books(sale.product).await?;
        let pool = |books: &serde_json::Value| -> Option<i64> {
            books.as_array()?.iter().find(|row| row["pool"] == sale.sale)?["free"].as_i64()
        };
        let tally = Tally {
            accepted: accepted.len() as i64,
            distinct: accepted.iter().map(|(_, number)| number).collect::<HashSet<_>>().len() as i64,
            written: row.context("no count")?.try_get_by_index(0)?,
            taken_sql: sale.stock - pool(&books["stock"]).context("no stock row")?,
            taken_ledger: sale.stock - pool(&books["ledger"]).context("no ledger pool")?,
            unsettled: books["unsettled"].as_i64().unwrap_or(-1),
        };
        if tally.is_valid() || monotonic() >= until {
            return Ok(tally);
        }
        tokio::time::sleep(LOOK_EVERY * 10).await;
    }
}
