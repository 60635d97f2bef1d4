//! Short ways to run built statements: rows into structs, many-row inserts within every engine's bounds, row locks
//! where the engine has them, and stored texts back into domain types.
//!
//! A number is bound with its column's type wherever the same statement occurs: PostgreSQL remembers a prepared
//! statement with the types of its first use, and a later `0` that is an `i32` does not fit where `0_i64` was.

use sea_orm::sea_query::{Expr, InsertStatement, OnConflict, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, StatementBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use tracing::Instrument as _;

use super::error::StoreError;
use crate::clock::monotonic;
use crate::domain::OrderNo;
use crate::domain::stock::Quantity;
use crate::trace_context;

/// Keys of one `IN` list.
pub(crate) const KEYS_MAX: usize = 5_000;
/// Rows of one `INSERT`: the widest of ours then stay below 64 KiB. A power of two.
const INSERT_ROWS_MAX: usize = 128;

/// One read or transaction in the trace of whoever wants it, and among the figures.
pub(super) async fn counted<T, E>(
    kind: &'static str,
    operation: &'static str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let (began, span) = (monotonic(), trace_context::call("sql", operation));
    let outcome = call.instrument(span).await;
    metrics::histogram!("rushmall_database_seconds", "kind" => kind).record(began.elapsed().as_secs_f64());
    if outcome.is_err() {
        metrics::counter!("rushmall_database_failures_total", "kind" => kind).increment(1);
    }
    outcome
}

/// All rows of `select`.
pub(crate) async fn all<R: FromQueryResult>(
    conn: &impl ConnectionTrait,
    select: &SelectStatement,
    operation: &'static str,
) -> Result<Vec<R>, StoreError> {
    let failed = StoreError::during(operation);
    let rows = counted("read", operation, conn.query_all(select)).await.map_err(&failed)?;
    rows.iter().map(|row| R::from_query_result(row, "")).collect::<Result<_, _>>().map_err(&failed)
}

/// The first row of `select`.
pub(crate) async fn one<R: FromQueryResult>(
    conn: &impl ConnectionTrait,
    select: &SelectStatement,
    operation: &'static str,
) -> Result<Option<R>, StoreError> {
    let failed = StoreError::during(operation);
    let row = counted("read", operation, conn.query_one(select)).await.map_err(&failed)?;
    row.map(|row| R::from_query_result(&row, "")).transpose().map_err(&failed)
}

/// The rows that `select` makes of `keys`, asked for in portions that every engine takes. The last key is repeated until
/// there are a power of two of them, so that a connection remembers a dozen statements and not one for every number.
pub(crate) async fn by_keys<R: FromQueryResult, K: Clone>(
    conn: &impl ConnectionTrait,
    keys: &[K],
    operation: &'static str,
    select: impl Fn(Vec<K>) -> SelectStatement,
) -> Result<Vec<R>, StoreError> {
    let mut rows = Vec::with_capacity(keys.len());
    for portion in keys.chunks(KEYS_MAX) {
        let mut portion = portion.to_vec();
        if let Some(last) = portion.last().cloned() {
            portion.resize(portion.len().next_power_of_two(), last);
        }
        rows.extend(all(conn, &select(portion), operation).await?);
    }
    Ok(rows)
}

#[derive(FromQueryResult)]
struct Count {
    rows_counted: i64,
}

/// How many rows `select` (which has no columns yet) finds.
pub(crate) async fn count(
    conn: &impl ConnectionTrait,
    mut select: SelectStatement,
    operation: &'static str,
) -> Result<u64, StoreError> {
    select.expr_as(Expr::cust("COUNT(*)"), "rows_counted");
    let counted: Option<Count> = one(conn, &select, operation).await?;
    Ok(counted.map_or(0, |count| count.rows_counted.unsigned_abs()))
}

/// Runs a writing statement; answers how many rows it changed.
pub(crate) async fn execute<S: StatementBuilder>(
    conn: &impl ConnectionTrait,
    statement: &S,
    operation: &'static str,
) -> Result<u64, StoreError> {
    Ok(conn.execute(statement).await.map_err(StoreError::during(operation))?.rows_affected())
}

/// Inserts many rows in portions of a power of two, so that a connection remembers eight statements a table and not one
/// for every number of rows: to prepare one costs as much as to run it, and pushes another out (`db/servers.rs`).
pub(crate) async fn insert_rows(
    conn: &impl ConnectionTrait,
    table: &'static str,
    columns: &[&'static str],
    rows: Vec<Vec<Expr>>,
    on_conflict: Option<OnConflict>,
) -> Result<(), StoreError> {
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let portion = 1 << Ord::min(rows.len(), INSERT_ROWS_MAX).ilog2();
        let mut insert: InsertStatement = Query::insert();
        insert.into_table(table).columns(columns.iter().copied());
        for row in rows.by_ref().take(portion) {
            insert.values(row).map_err(|error| StoreError::during(table)(DbErr::Custom(error.to_string())))?;
        }
        if let Some(on_conflict) = &on_conflict {
            insert.on_conflict(on_conflict.clone());
        }
        execute(conn, &insert, table).await?;
    }
    Ok(())
}

/// Locks the rows that `select` reads until the commit, where the engine has row locks; SQLite's write transaction
/// has the whole file.
pub(crate) fn locked(mut select: SelectStatement, conn: &impl ConnectionTrait) -> SelectStatement {
    if conn.get_database_backend() != DbBackend::Sqlite {
        select.lock_exclusive();
    }
    select
}

/// A stored order number.
pub(crate) fn order_no(text: &str) -> Result<OrderNo, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt { what: format!("order number {text:?}") })
}

/// Order numbers as keys.
pub(crate) fn texts<'a>(order_nos: impl IntoIterator<Item = &'a OrderNo>) -> Vec<String> {
    order_nos.into_iter().map(OrderNo::to_string).collect()
}

/// A stored number of units.
pub(crate) fn quantity(units: i64, order_no: &str) -> Result<Quantity, StoreError> {
    units.try_into().map_err(|_| StoreError::Corrupt { what: format!("quantity of {order_no}") })
}

/// A stored version, `seq` or count.
pub(crate) fn unsigned(number: i32, what: &str) -> Result<u32, StoreError> {
    number.try_into().map_err(|_| StoreError::Corrupt { what: what.to_owned() })
}

/// A domain value as its stored JSON.
pub(crate) fn to_json<T: Serialize>(value: &T, what: &str) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt { what: what.to_owned() })
}

/// A stored JSON as its domain value.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str, what: impl Fn() -> String) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt { what: what() })
}
