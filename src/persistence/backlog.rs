//! How far behind the shop is with what it owes: what is due and not done, and for how long. Every question is answered
//! from the end of an index or from a table that is empty on a good day.

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use super::db::Db;
use super::error::StoreError;
use super::lags;
use super::query;
use crate::domain::order::OrderStatus;

/// One reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lags {
    /// Commits that are still to be told.
    pub outbox_rows: u64,
    /// Age of the oldest of them.
    pub outbox_ms: i64,
    /// For how long the oldest effect has been due.
    pub effects_ms: i64,
    /// For how long the oldest payment deadline has been over.
    pub deadlines_ms: i64,
    /// Orders that wait for a human.
    pub reviews: u64,
}

/// States of orders in which somebody waits, and few at a time. To count the others would be to read an entry of the index for
/// every order there ever was.
pub const OPEN: [OrderStatus; 3] = [OrderStatus::PendingPayment, OrderStatus::Closing, OrderStatus::Refunding];

#[derive(FromQueryResult)]
struct Moment {
    at_ms: i64,
}

/// Reads how far behind the shop is.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn read(db: &Db, now_ms: i64) -> Result<Lags, StoreError> {
    let select = Query::select;
    let mut told = select();
    told.expr_as(Expr::col("created_at_ms"), "at_ms").from("outbox").order_by("commit_no", Order::Asc);
    let mut due = select();
    due.expr_as(Expr::col("due_at_ms"), "at_ms").from("effects").order_by("due_at_ms", Order::Asc);
    let mut unpaid = select();
    unpaid
        .expr_as(Expr::col("pay_deadline_ms"), "at_ms")
        .from("orders")
        .and_where(Expr::col("status").eq(OrderStatus::PendingPayment.code()))
        .order_by("pay_deadline_ms", Order::Asc);
    Ok(Lags {
        outbox_rows: query::count(db.reader(), Query::select().from("outbox").to_owned(), "counting the outbox")
            .await?,
        outbox_ms: since(db, told, now_ms).await?,
        effects_ms: since(db, due, now_ms).await?,
        deadlines_ms: since(db, unpaid, now_ms).await?,
        reviews: lags::reviews(db).await?,
    })
}

/// How long ago the first row's moment was; 0 if there is none, or it is to come.
async fn since(db: &Db, mut select: SelectStatement, now_ms: i64) -> Result<i64, StoreError> {
    let oldest: Option<Moment> = query::one(db.reader(), select.limit(1), "reading what is due").await?;
    Ok(oldest.map_or(0, |oldest| Ord::max(now_ms - oldest.at_ms, 0)))
}

/// How many orders are in each state of [`OPEN`].
///
/// # Errors
/// [`StoreError::Database`].
pub async fn open_orders(db: &Db) -> Result<[u64; OPEN.len()], StoreError> {
    let mut counts = [0; OPEN.len()];
    for (count, status) in counts.iter_mut().zip(OPEN) {
        let select = Query::select().from("orders").and_where(Expr::col("status").eq(status.code())).to_owned();
        *count = query::count(db.reader(), select, "counting open orders").await?;
    }
    Ok(counts)
}
