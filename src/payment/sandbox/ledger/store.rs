//! Opening the file, and the one way to change it.

use std::path::Path;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, FromQueryResult, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, Value,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::LedgerError;
use super::schema;
use crate::sqlite;

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const READERS: u32 = 2;

/// See the module's header. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Ledger {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
}

impl Ledger {
    /// Opens the file, makes it if there is none.
    ///
    /// # Errors
    /// [`LedgerError::Open`].
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let url = format!("sqlite://{}?mode=rwc", path.display());
        let unopened = |source| LedgerError::Open { place: path.display().to_string(), source };
        let writer = Database::connect(options(&url, 1)).await.map_err(unopened)?;
        for statement in schema::STATEMENTS {
            writer.execute_unprepared(statement).await.map_err(unopened)?;
        }
        let reader = Database::connect(options(&url, READERS)).await.map_err(unopened)?;
        Ok(Self { writer, reader })
    }

    /// For reads beside changes: they see the last commit.
    #[must_use]
    pub const fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// Begins a change; dropped without a commit it did not happen. Run it in a task of its own, so that a caller who
    /// leaves cannot cut it off in the middle.
    ///
    /// # Errors
    /// [`LedgerError::Database`].
    pub async fn begin(&self) -> Result<DatabaseTransaction, LedgerError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(self.writer.begin_with_options(options).await?)
    }

    /// Closes the file; the write-ahead log is folded into it.
    pub async fn close(self) {
        let _ = self.reader.close().await;
        let _ = self.writer.close().await;
    }
}

fn options(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite.pragma("journal_mode", "WAL").pragma("synchronous", "FULL").busy_timeout(ACQUIRE_TIMEOUT)
        });
    sqlite::refuse_broken_transactions(&mut options);
    options
}

/// Runs a statement that returns nothing; how many rows it changed.
pub(super) async fn run(on: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Result<u64, LedgerError> {
    let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
    Ok(on.execute_raw(statement).await?.rows_affected())
}

/// The rows of a query.
pub(super) async fn rows(
    on: &impl ConnectionTrait,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<QueryResult>, LedgerError> {
    let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
    Ok(on.query_all_raw(statement).await?)
}

/// The rows of a query as objects of one kind.
pub(super) async fn typed<T: FromQueryResult>(
    on: &impl ConnectionTrait,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<T>, LedgerError> {
    let rows = rows(on, sql, values).await?;
    rows.iter().map(|row| T::from_query_result(row, "").map_err(LedgerError::from)).collect()
}

/// The `doc` columns of a query.
pub(super) async fn docs<T: DeserializeOwned>(
    on: &impl ConnectionTrait,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<T>, LedgerError> {
    let mut found = Vec::new();
    for row in rows(on, sql, values).await? {
        found.push(serde_json::from_str(&row.try_get::<String>("", "doc")?)?);
    }
    Ok(found)
}

/// The first `doc` of a query.
pub(super) async fn doc<T: DeserializeOwned>(
    on: &impl ConnectionTrait,
    sql: &str,
    values: Vec<Value>,
) -> Result<Option<T>, LedgerError> {
    Ok(docs(on, sql, values).await?.into_iter().next())
}

/// A closed enum as the text that stands in a column.
pub(super) fn word(value: &impl Serialize) -> Result<String, LedgerError> {
    Ok(serde_json::to_value(value)?.as_str().unwrap_or_default().to_owned())
}
