//! Where a buyer's WebSocket stands in the stream of commits.
//!
//! On SQLite commit numbers ascend in the order in which commits become visible. On a server a number is given before
//! its commit, so a lower one may become visible after a higher one was told. Within one order numbers do ascend: a step
//! is decided on the visible step before it. So whoever resumes reads, beside what is higher, what may have been late,
//! and goes by the version of each order (docs/adr/0010).

use sea_orm::sea_query::{Expr, ExprTrait as _, Func, Order, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::db::Db;
use super::error::StoreError;
use super::query;
use crate::domain::BuyerId;

/// How much older than a visible commit one can be that becomes visible after it: all attempts of a transaction, the
/// time it waited to be decided, and two minutes by which the clocks of two nodes may differ.
const LATE_MS: i64 = 300_000;

/// What a reader of past events has not seen for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Commits from this number on.
    pub commit_no: i64,
    /// And lower ones that happened from this moment on: they may have become visible late.
    pub late_from_ms: Option<i64>,
}

impl Position {
    /// Where commits become visible in the order of their numbers.
    #[must_use]
    pub const fn exactly(commit_no: i64) -> Self {
        Self { commit_no, late_from_ms: None }
    }

    /// True if an event of this commit and time may be new.
    #[must_use]
    pub fn includes(&self, commit_no: i64, at_ms: i64) -> bool {
        commit_no >= self.commit_no || self.late_from_ms.is_some_and(|from_ms| at_ms >= from_ms)
    }
}

#[derive(FromQueryResult)]
struct At {
    at_ms: i64,
}

/// What a client that was told commit `since` of this buyer may not have been told.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn resume_at(db: &Db, buyer: BuyerId, since: i64) -> Result<Position, StoreError> {
    if db.is_private() {
        return Ok(Position::exactly(since));
    }
    let select = Query::select()
        .column(("order_events", "at_ms"))
        .from("orders")
        .inner_join("order_events", Expr::col(("order_events", "order_no")).equals(("orders", "order_no")))
        .and_where(Expr::col(("orders", "user_id")).eq(buyer.0))
        .and_where(Expr::col(("order_events", "commit_no")).lte(since))
        .order_by(("order_events", "commit_no"), Order::Desc)
        .limit(1)
        .to_owned();
    let told: Option<At> = query::one(db.reader(), &select, "reading when a commit happened").await?;
    // Told nothing yet: then everything there is, is new.
    let late_from_ms = Some(told.map_or(i64::MIN, |told| told.at_ms.saturating_sub(LATE_MS)));
    Ok(Position { commit_no: since, late_from_ms })
}

/// The latest commit that touched an order of this buyer; 0 if there is none.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn latest_commit(db: &Db, buyer: BuyerId) -> Result<i64, StoreError> {
    let failed = StoreError::during("reading the latest commit of a buyer");
    let select = Query::select()
        .expr_as(Func::max(Expr::col(("order_events", "commit_no"))), "latest")
        .from("orders")
        .inner_join("order_events", Expr::col(("order_events", "order_no")).equals(("orders", "order_no")))
        .and_where(Expr::col(("orders", "user_id")).eq(buyer.0))
        .to_owned();
    let row = db.reader().query_one(&select).await.map_err(&failed)?;
    let latest: Option<Option<i64>> = row.map(|row| row.try_get("", "latest")).transpose().map_err(&failed)?;
    Ok(latest.flatten().unwrap_or(0))
}
