//! What is still to be told: one row a commit, with the events of all orders in it, written in that commit.
//!
//! A relay claims the oldest rows, tells them and removes them; after a crash some are told twice. A feed event has the
//! order's version, so whoever listens drops what he knows. The journal stays the truth: a row that cannot be read is
//! reported and handed out without events, because it must not stop those behind it.
//!
//! On a server a claim is a row lock that other nodes skip, so two nodes never carry one row at the same time; it ends
//! with the node that has it. Numbers are given before the commit: a lower one may become visible after a higher one
//! (docs/adr/0010), so nobody here remembers how far it was: what is in the table is to be told.

use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult};
use serde::{Deserialize, Serialize};

use super::db::Db;
use super::error::StoreError;
use super::query;
use crate::domain::order::{self, OrderStatus};
use crate::domain::stock::{Pool, Quantity};
use crate::domain::{BuyerId, Money, OrderNo, ProductId};
use crate::{failpoint, trace_context};

const CARRYING: &str = "carrying the outbox";
/// Rows are held while they are told for this part of a transaction's time limit at most, after which any node carries
/// them: the server ends a transaction in which nothing happens, and then they would be told, and told again.
const CARRY_PART: (u32, u32) = (4, 5);

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
    /// W3C `traceparent` of whoever committed; `None` where no trace is exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl OutboxPayload {
    /// Of a commit that the current trace has led to.
    #[must_use]
    pub fn of_this_trace(events: Vec<FeedEvent>, levels: Vec<PoolLevel>) -> Self {
        Self { events, levels, traceparent: trace_context::current() }
    }
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxRow {
    /// Ascending for the commits of one order; among orders in the order in which commits began, about.
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

/// A part of the way of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// To the sockets of all nodes, and it is forgotten.
    Whole,
    /// To the sockets of all nodes; it stays for the second leg.
    First,
    /// To other systems, after the first leg; then it is forgotten. A leg of its own, so that a broker that is away
    /// keeps nobody's socket waiting.
    Second,
}

/// Hands the oldest rows of a leg that no other node is at, up to `limit`, to `carrier`, and takes them further if it
/// says so; answers how many there were.
///
/// # Errors
/// [`StoreError`] of the database or of `carrier`, or `TimedOut`: the rows are where they were then, for any node.
pub async fn carry<F>(db: &Db, leg: Leg, limit: u64, carrier: F) -> Result<usize, StoreError>
where
    F: AsyncFnOnce(Vec<OutboxRow>) -> Result<(), StoreError>,
{
    let carrying = async {
        if db.backend() == DbBackend::Sqlite {
            // Its only writer is this process: nothing to claim, and the file is not held while others are told.
            let rows = read(select_oldest(leg, limit), db.reader()).await?;
            return carry_rows(rows, carrier, async |commit_nos| move_on(db.writer(), leg, commit_nos).await).await;
        }
        // Read committed, as all of this pool: stronger isolation would lock the gap into which others insert, too.
        let tx = db.begin(CARRYING).await?;
        let mut select = select_oldest(leg, limit);
        select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        let rows = read(select, &tx).await?;
        let carried = carry_rows(rows, carrier, async |commit_nos| move_on(&tx, leg, commit_nos).await).await?;
        tx.commit().await.map_err(StoreError::during(CARRYING))?;
        Ok(carried)
    };
    let limit = db.transaction_timeout() * CARRY_PART.0 / CARRY_PART.1;
    let timed_out = |_| StoreError::TimedOut { operation: CARRYING, timeout_ms: limit.as_millis() as u64 };
    tokio::time::timeout(limit, carrying).await.map_err(timed_out)?
}

async fn carry_rows(
    rows: Vec<OutboxRow>,
    carrier: impl AsyncFnOnce(Vec<OutboxRow>) -> Result<(), StoreError>,
    move_on: impl AsyncFnOnce(&[i64]) -> Result<(), StoreError>,
) -> Result<usize, StoreError> {
    if rows.is_empty() {
        return Ok(0);
    }
    let commit_nos: Vec<i64> = rows.iter().map(|row| row.commit_no).collect();
    carrier(rows).await?;
    move_on(&commit_nos).await?;
    Ok(commit_nos.len())
}

fn select_oldest(leg: Leg, limit: u64) -> SelectStatement {
    Query::select()
        .columns(["commit_no", "payload"])
        .from("outbox")
        .and_where(Expr::col("told").eq(i16::from(leg == Leg::Second)))
        .order_by("commit_no", Order::Asc)
        .limit(limit)
        .to_owned()
}

async fn read(select: SelectStatement, conn: &impl ConnectionTrait) -> Result<Vec<OutboxRow>, StoreError> {
    let rows: Vec<Row> = query::all(conn, &select, "reading the outbox").await?;
    Ok(rows
        .into_iter()
        .map(|Row { commit_no, payload }| {
            let payload = query::from_json(&payload, || format!("outbox row {commit_no}"));
            let payload = payload.inspect_err(|error| tracing::error!(commit_no, %error, "commit is not told"));
            OutboxRow { commit_no, payload: payload.unwrap_or_default() }
        })
        .collect())
}

async fn move_on(conn: &impl ConnectionTrait, leg: Leg, commit_nos: &[i64]) -> Result<(), StoreError> {
    if leg != Leg::First {
        return remove(conn, commit_nos).await;
    }
    for commit_nos in commit_nos.chunks(at_once(conn)) {
        let update = Query::update()
            .table("outbox")
            .value("told", 1_i16)
            .and_where(Expr::col("commit_no").is_in(commit_nos.iter().copied()))
            .to_owned();
        query::execute(conn, &update, "noting what the nodes were told").await?;
    }
    Ok(())
}

/// Rows that one statement may change. For a list of keys in a small table MariaDB reads the whole table, and waits for
/// the rows that other nodes are at, as they do for ours: a deadlock. A single key is always looked up.
fn at_once(conn: &impl ConnectionTrait) -> usize {
    if conn.get_database_backend() == DbBackend::MySql { 1 } else { query::KEYS_MAX }
}

/// Forgets rows that were told; repeating it changes nothing.
async fn remove(conn: &impl ConnectionTrait, commit_nos: &[i64]) -> Result<(), StoreError> {
    failpoint::reach("outbox.remove.before");
    for commit_nos in commit_nos.chunks(at_once(conn)) {
        let delete = Query::delete()
            .from_table("outbox")
            .and_where(Expr::col("commit_no").is_in(commit_nos.iter().copied()))
            .to_owned();
        query::execute(conn, &delete, "clearing the outbox").await?;
    }
    failpoint::reach("outbox.remove.after");
    Ok(())
}
