//! What is still to be told: one row a commit, with the events of all orders in it, written in that commit.
//!
//! The relay reads the oldest rows, tells them and removes them; after a crash it tells some twice. A feed event has
//! the order's version, so whoever listens drops what he knows. The journal stays the truth: a row that cannot be read
//! is reported and handed out without events, because it must not stop those behind it.

use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult};
use serde::{Deserialize, Serialize};

use super::db::Db;
use super::error::StoreError;
use super::query;
use crate::domain::order::{self, OrderStatus};
use crate::domain::stock::{Pool, Quantity};
use crate::domain::{BuyerId, Money, OrderNo, ProductId};
use crate::failpoint;

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

impl FeedEvent {
    /// The event, with the order as it was right after it.
    #[must_use]
    pub fn new(after: &order::Order, event: &order::Event, at_ms: i64) -> Self {
        Self {
            order_no: after.order_no,
            buyer: after.buyer,
            version: after.version,
            status: after.status,
            event: event.kind().to_owned(),
            at_ms,
            product: after.product,
            quantity: after.quantity,
            total: after.total,
            pay_deadline_ms: after.pay_deadline_ms,
        }
    }
}

/// The content of an outbox row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxPayload {
    /// In the order in which they happened.
    pub events: Vec<FeedEvent>,
    /// Pools that the commit took units from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<PoolLevel>,
}

/// How a commit changed the free units of a pool in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolLevel {
    /// Of which product.
    pub product: ProductId,
    /// Which pool.
    pub pool: Pool,
    /// Free units before the commit.
    pub before: i64,
    /// And after it.
    pub after: i64,
}

/// One commit that is not told yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Ascending in the order of commits (of one node).
    pub commit_no: i64,
    /// Its events; empty if they could not be read (reported; the journal has them).
    pub payload: OutboxPayload,
}

#[derive(FromQueryResult)]
struct Row {
    commit_no: i64,
    payload: String,
}

#[derive(FromQueryResult)]
struct CommitNo {
    commit_no: i64,
}

/// Writes the row of a commit inside it; answers its number, which the journal rows of the commit carry.
///
/// # Errors
/// [`StoreError::Database`].
pub(super) async fn insert(tx: &impl ConnectionTrait, payload: &OutboxPayload, now_ms: i64) -> Result<i64, StoreError> {
    const OPERATION: &str = "writing the outbox";
    let mut insert = Query::insert();
    insert
        .into_table("outbox")
        .columns(["payload", "created_at_ms"])
        .values([query::to_json(payload, "outbox payload")?.into(), now_ms.into()])
        .map_err(|error| StoreError::during(OPERATION)(sea_orm::DbErr::Custom(error.to_string())))?;
    if tx.get_database_backend() == DbBackend::Postgres {
        insert.returning_col("commit_no");
        let row = tx.query_one(&insert).await.map_err(StoreError::during(OPERATION))?;
        let row = row.map(|row| CommitNo::from_query_result(&row, "")).transpose();
        let row = row.map_err(StoreError::during(OPERATION))?;
        return row.map(|row| row.commit_no).ok_or_else(|| StoreError::Corrupt { what: "commit number".to_owned() });
    }
    let result = tx.execute(&insert).await.map_err(StoreError::during(OPERATION))?;
    i64::try_from(result.last_insert_id()).map_err(|_| StoreError::Corrupt { what: "commit number".to_owned() })
}

/// The oldest rows, up to `limit`.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn oldest(db: &Db, limit: u64) -> Result<Vec<OutboxRow>, StoreError> {
    let select = Query::select()
        .columns(["commit_no", "payload"])
        .from("outbox")
        .order_by("commit_no", Order::Asc)
        .limit(limit)
        .to_owned();
    let rows: Vec<Row> = query::all(db.reader(), &select, "reading the outbox").await?;
    Ok(rows
        .into_iter()
        .map(|Row { commit_no, payload }| {
            let payload = query::from_json(&payload, || format!("outbox row {commit_no}"));
            let payload = payload.inspect_err(|error| tracing::error!(commit_no, %error, "commit is not told"));
            OutboxRow { commit_no, payload: payload.unwrap_or_default() }
        })
        .collect())
}

/// Forgets rows that were told; repeating it changes nothing.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn remove(db: &Db, commit_nos: &[i64]) -> Result<(), StoreError> {
    failpoint::reach("outbox.remove.before");
    for commit_nos in commit_nos.chunks(query::KEYS_MAX) {
        let delete = Query::delete()
            .from_table("outbox")
            .and_where(Expr::col("commit_no").is_in(commit_nos.iter().copied()))
            .to_owned();
        query::execute(db.writer(), &delete, "clearing the outbox").await?;
    }
    failpoint::reach("outbox.remove.after");
    Ok(())
}
