//! Connections to the SQL database: one writer for SQLite (it has one write lock anyway, and waiting in our queue is
//! fairer than in its busy loop), a pool of readers beside it; one pool for both on the other engines.

use std::path::Path;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbBackend, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;

use super::error::StoreError;
use super::migrations::Migrator;
use crate::config::{DatabaseSettings, Synchronous};

/// How often a transaction is tried when it loses against another one.
const TRANSACTION_ATTEMPTS_MAX: u32 = 5;
const RETRY_FIRST_MS: u64 = 5;

/// Handles to the database; clones share the pools.
#[derive(Clone, Debug)]
pub struct Db {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    transaction_timeout: Duration,
}

impl Db {
    /// Opens the database that the settings name, creating a SQLite file if there is none.
    ///
    /// # Errors
    /// [`StoreError::Open`] if it cannot be reached within the acquire timeout.
    pub async fn connect(settings: &DatabaseSettings, data_dir: &Path) -> Result<Self, StoreError> {
        let transaction_timeout = Duration::from_millis(settings.transaction_timeout_ms);
        if !settings.url.is_empty() && !settings.url.starts_with("sqlite") {
            let pool = open(options(settings, &settings.url, settings.connections_max)).await?;
            return Ok(Self { writer: pool.clone(), reader: pool, transaction_timeout });
        }
        let url = if settings.url.is_empty() {
            format!("sqlite://{}?mode=rwc", data_dir.join("rushmall.db").display())
        } else {
            settings.url.clone()
        };
        let writer = open(sqlite_options(settings, &url, 1)).await?;
        let reader = open(sqlite_options(settings, &url, settings.connections_max)).await?;
        Ok(Self { writer, reader, transaction_timeout })
    }

    /// Brings the schema up to date; does nothing if it is.
    ///
    /// # Errors
    /// [`StoreError::Database`] with the step that failed.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        Migrator::up(&self.writer, None).await.map_err(StoreError::during("migrating the schema"))
    }

    /// For reads that may lag behind a commit by nothing (SQLite) or by the replica.
    #[must_use]
    pub const fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// For single statements that write.
    #[must_use]
    pub const fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Which engine it is.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.writer.get_database_backend()
    }

    /// True if no other server uses this database: SQLite lies in one node's data directory.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.backend() == DbBackend::Sqlite
    }

    /// Runs `work` in one transaction and commits it; repeats it on deadlock, serialization failure or a busy file,
    /// so `work` must take its ids from outside. `BEGIN IMMEDIATE` on SQLite.
    ///
    /// # Errors
    /// What `work` or the commit returned at last.
    pub async fn write<T, F>(&self, operation: &'static str, work: F) -> Result<T, StoreError>
    where
        F: AsyncFn(&DatabaseTransaction) -> Result<T, StoreError>,
    {
        let mut attempt = 1;
        loop {
            let timeout_ms = u64::try_from(self.transaction_timeout.as_millis()).unwrap_or(u64::MAX);
            match tokio::time::timeout(self.transaction_timeout, self.write_once(operation, &work)).await {
                // Whether it was committed is for the caller to find out, by its ids.
                Err(_) => return Err(StoreError::TimedOut { operation, timeout_ms }),
                Ok(Err(error)) if error.is_transient() && attempt < TRANSACTION_ATTEMPTS_MAX => {
                    tracing::debug!(operation, attempt, %error, "transaction lost, trying again");
                    let pause_ms = (RETRY_FIRST_MS << attempt) + crate::random::below(RETRY_FIRST_MS);
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                    attempt += 1;
                }
                Ok(outcome) => return outcome,
            }
        }
    }

    async fn write_once<T, F>(&self, operation: &'static str, work: &F) -> Result<T, StoreError>
    where
        F: AsyncFn(&DatabaseTransaction) -> Result<T, StoreError>,
    {
        let failed = StoreError::during(operation);
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let transaction = self.writer.begin_with_options(options).await.map_err(&failed)?;
        let outcome = work(&transaction).await?; // dropped on error: rolled back
        transaction.commit().await.map_err(&failed)?;
        Ok(outcome)
    }

    /// Closes the pools; on SQLite this folds the write-ahead log into the file.
    pub async fn close(self) {
        for pool in [self.reader, self.writer] {
            if let Err(error) = pool.close().await {
                tracing::warn!(%error, "database did not close cleanly");
            }
        }
    }
}

async fn open(options: ConnectOptions) -> Result<DatabaseConnection, StoreError> {
    let url = options.get_url();
    let place = url.rsplit_once('@').map_or(url, |(_, place)| place).to_owned(); // without credentials
    Database::connect(options).await.map_err(|source| StoreError::Open { place, source })
}

fn options(settings: &DatabaseSettings, url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .connect_timeout(Duration::from_millis(settings.acquire_timeout_ms))
        .acquire_timeout(Duration::from_millis(settings.acquire_timeout_ms))
        .test_before_acquire(false)
        .sqlx_logging(false);
    options
}

fn sqlite_options(settings: &DatabaseSettings, url: &str, connections: u32) -> ConnectOptions {
    let mut options = options(settings, url, connections);
    let synchronous = match settings.synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    let busy_timeout = Duration::from_millis(settings.acquire_timeout_ms);
    options.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>).map_sqlx_sqlite_opts(move |sqlite| {
        sqlite
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", synchronous)
            .pragma("foreign_keys", "ON")
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", "-16000")
            .busy_timeout(busy_timeout)
    });
    options
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;

    use super::*;

    #[actix_rt::test]
    async fn migrating_twice_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::connect(&DatabaseSettings::default(), dir.path()).await.unwrap();
        db.migrate().await.unwrap();
        db.migrate().await.unwrap();
        let rows =
            db.reader().query_all_raw(sea_orm::Statement::from_string(db.backend(), "SELECT * FROM outbox")).await;
        assert!(rows.unwrap().is_empty());
        db.close().await;
    }

    #[actix_rt::test]
    async fn a_failed_transaction_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::connect(&DatabaseSettings::default(), dir.path()).await.unwrap();
        db.migrate().await.unwrap();
        let outcome: Result<(), StoreError> = db
            .write("testing", async |tx| {
                tx.execute_unprepared("INSERT INTO outbox (payload, created_at_ms) VALUES ('x', 1)")
                    .await
                    .map_err(StoreError::during("testing"))?;
                Err(StoreError::Corrupt { what: "the test".to_owned() })
            })
            .await;
        assert!(outcome.is_err());
        let rows =
            db.reader().query_all_raw(sea_orm::Statement::from_string(db.backend(), "SELECT * FROM outbox")).await;
        assert!(rows.unwrap().is_empty());
    }
}
