//! Connections to the SQL database: one writer for SQLite (it has one write lock anyway, and waiting in our queue is
//! fairer than in its busy loop), a pool of readers beside it; one pool for both on the other engines.
//!
//! The servers run at READ COMMITTED: every statement sees what was committed before it, so a row that was waited for
//! is read as it is then. What must hold is said by conditional updates and unique keys, not by the isolation level.
//! No call waits for ever: statements and transactions have time limits here, locks and idle transactions on the
//! server, so that a node that was stopped in mid-transaction cannot hold rows against all others.

mod bounded;
mod migrate;
mod servers;

use std::path::Path;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel,
    SqliteTransactionMode, TransactionOptions,
};

use super::error::StoreError;
use super::query;
use crate::config::{DatabaseSettings, Synchronous};
use crate::sqlite;
pub use bounded::Bounded;

/// How often a transaction is tried when it loses against another one.
const TRANSACTION_ATTEMPTS_MAX: u32 = 5;
const RETRY_FIRST_MS: u64 = 5;
/// A replica's answers are waited for only this part of the time: the primary is there as well.
const REPLICA_PATIENCE_PART: u32 = 5;

/// Handles to the database; clones share the pools.
#[derive(Clone, Debug)]
pub struct Db {
    writer: Bounded,
    reader: Bounded,
    replica: Option<Bounded>,
    transaction_timeout: Duration,
    /// To migrate over a connection of its own; `None` for SQLite.
    server: Option<ConnectOptions>,
}

impl Db {
    /// Opens the database that the settings name, creating a SQLite file if there is none.
    ///
    /// # Errors
    /// [`StoreError::Open`] if it cannot be reached within the acquire timeout.
    pub async fn connect(settings: &DatabaseSettings, data_dir: &Path) -> Result<Self, StoreError> {
        if !settings.url.is_empty() && !settings.url.starts_with("sqlite") {
            return Self::connect_server(settings).await;
        }
        let url = if settings.url.is_empty() {
            format!("sqlite://{}?mode=rwc", data_dir.join("rushmall.db").display())
        } else {
            settings.url.clone()
        };
        let limit = Duration::from_millis(settings.read_timeout_ms);
        let writer = open(sqlite_options(settings, &url, 1)).await?;
        let reader = open(sqlite_options(settings, &url, settings.connections_max)).await?;
        Ok(Self {
            writer: Bounded::new(writer, Duration::from_millis(settings.transaction_timeout_ms)),
            reader: Bounded::new(reader, limit),
            replica: None,
            transaction_timeout: Duration::from_millis(settings.transaction_timeout_ms),
            server: None,
        })
    }

    async fn connect_server(settings: &DatabaseSettings) -> Result<Self, StoreError> {
        let acquire_timeout = Duration::from_millis(settings.acquire_timeout_ms);
        servers::probe(&settings.url, acquire_timeout).await.map_err(|source| unopened(&settings.url, source))?;
        let limits = servers::Limits::from(settings);
        let options = servers::bounded(options(settings, &settings.url, settings.connections_max), limits);
        let pool = open(options).await?;
        let limit = Duration::from_millis(settings.read_timeout_ms);
        let reader = Bounded::new(pool.clone(), limit).repeating();
        let replica = match settings.read_url.as_str() {
            "" => None,
            url => {
                let mut options = servers::bounded(self::options(settings, url, settings.connections_max), limits);
                options.connect_lazy(true).min_connections(0).acquire_timeout(acquire_timeout / REPLICA_PATIENCE_PART);
                let replica = Bounded::new(open(options).await?, limit / REPLICA_PATIENCE_PART);
                Some(replica.or_else(reader.clone()))
            }
        };
        let transaction_timeout = Duration::from_millis(settings.transaction_timeout_ms);
        Ok(Self {
            writer: Bounded::new(pool, transaction_timeout),
            reader,
            replica,
            transaction_timeout,
            server: Some(self::options(settings, &settings.url, 1)),
        })
    }

    /// Brings the schema up to date; does nothing if it is. Several nodes may do so at once: one does the work.
    ///
    /// # Errors
    /// [`StoreError::Database`] with the step that failed.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match &self.server {
            None => migrate::file(self.writer.pool()).await,
            Some(options) => migrate::server(open(options.clone()).await?).await,
        }
    }

    /// For reads that must see every commit that was answered.
    #[must_use]
    pub const fn reader(&self) -> &Bounded {
        &self.reader
    }

    /// For reads that may lag behind: lists and public pages, nothing that decides or shows one's own orders. Without
    /// a replica, or while it cannot be reached, the same as [`Self::reader`].
    #[must_use]
    pub fn replica(&self) -> &Bounded {
        self.replica.as_ref().unwrap_or(&self.reader)
    }

    /// For single statements that write.
    #[must_use]
    pub const fn writer(&self) -> &Bounded {
        &self.writer
    }

    /// Which engine it is.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.writer.pool().get_database_backend()
    }

    /// The time limit of a transaction; a server ends one in which nothing happens for so long.
    pub(super) const fn transaction_timeout(&self) -> Duration {
        self.transaction_timeout
    }

    /// True if no other server uses this database: SQLite lies in one node's data directory.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.backend() == DbBackend::Sqlite
    }

    /// A read-only transaction whose statements all see the database as it was at one moment.
    ///
    /// # Errors
    /// [`StoreError::Database`] if it cannot begin in time.
    pub async fn snapshot(&self, operation: &'static str) -> Result<DatabaseTransaction, StoreError> {
        let is_server = self.backend() != DbBackend::Sqlite;
        let options = TransactionOptions {
            isolation_level: is_server.then_some(IsolationLevel::RepeatableRead),
            access_mode: is_server.then_some(sea_orm::AccessMode::ReadOnly),
            ..TransactionOptions::default()
        };
        self.reader.begin(options).await.map_err(StoreError::during(operation))
    }

    /// Runs `work` in one transaction and commits it; repeats it on deadlock, serialization failure, a busy file or a
    /// lost connection, so `work` must take its ids from outside. A connection that was lost at the commit leaves open
    /// whether it happened: the repeat waits for the rows that the first try has locked, and `work` must then find what
    /// it did. `BEGIN IMMEDIATE` on SQLite.
    ///
    /// # Errors
    /// What `work` or the commit returned at last, [`StoreError::TimedOut`] if all of it took too long.
    pub async fn write<T, F>(&self, operation: &'static str, work: F) -> Result<T, StoreError>
    where
        F: AsyncFn(&DatabaseTransaction) -> Result<T, StoreError>,
    {
        let timeout_ms = u64::try_from(self.transaction_timeout.as_millis()).unwrap_or(u64::MAX);
        let writing = query::counted("transaction", operation, self.write_until_done(operation, &work));
        match tokio::time::timeout(self.transaction_timeout, writing).await {
            Ok(outcome) => outcome,
            // Whether it was committed is for the caller to find out, by its ids.
            Err(_) => Err(StoreError::TimedOut { operation, timeout_ms }),
        }
    }

    async fn write_until_done<T, F>(&self, operation: &'static str, work: &F) -> Result<T, StoreError>
    where
        F: AsyncFn(&DatabaseTransaction) -> Result<T, StoreError>,
    {
        let mut attempt = 1;
        loop {
            match self.write_once(operation, work).await {
                Err(error) if error.is_transient() && attempt < TRANSACTION_ATTEMPTS_MAX => {
                    tracing::debug!(operation, attempt, %error, "transaction lost, trying again");
                    let pause_ms = (RETRY_FIRST_MS << attempt) + crate::random::below(RETRY_FIRST_MS);
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                    // A pool may be full of connections to a server that is gone: each is met once.
                    attempt += u32::from(!error.is_connection_lost());
                }
                outcome => {
                    if outcome.as_ref().is_err_and(StoreError::refuses_writes) {
                        self.writer.refused_write();
                    }
                    return outcome;
                }
            }
        }
    }

    /// False for a while after a write was refused: the disk is full, or the database is read-only.
    #[must_use]
    pub fn takes_writes(&self) -> bool {
        self.writer.takes_writes()
    }

    /// A writing transaction that the caller ends, without repetitions: for work that must not be done twice lightly.
    ///
    /// # Errors
    /// [`StoreError::Database`] if it cannot begin in time.
    pub(super) async fn begin(&self, operation: &'static str) -> Result<DatabaseTransaction, StoreError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.writer.begin(options).await.map_err(StoreError::during(operation))
    }

    async fn write_once<T, F>(&self, operation: &'static str, work: &F) -> Result<T, StoreError>
    where
        F: AsyncFn(&DatabaseTransaction) -> Result<T, StoreError>,
    {
        let transaction = self.begin(operation).await?;
        let outcome = work(&transaction).await?; // dropped on error: rolled back
        transaction.commit().await.map_err(StoreError::during(operation))?;
        Ok(outcome)
    }

    /// Each pool with its open and its idle connections.
    pub fn connections(&self) -> impl Iterator<Item = (&'static str, u32, u32)> {
        let reader = if self.is_private() { Some(("reader", &self.reader)) } else { None }; // else the same pool
        let pools = [Some(("writer", &self.writer)), reader, self.replica.as_ref().map(|replica| ("replica", replica))];
        pools.into_iter().flatten().map(|(name, pool)| {
            let (open, idle) = pool.connections();
            (name, open, idle)
        })
    }

    /// Closes the pools; on SQLite this folds the write-ahead log into the file.
    pub async fn close(self) {
        for pool in [Some(self.reader), Some(self.writer), self.replica].into_iter().flatten() {
            pool.close().await;
        }
    }
}

async fn open(options: ConnectOptions) -> Result<DatabaseConnection, StoreError> {
    let url = options.get_url().to_owned();
    Database::connect(options).await.map_err(|source| unopened(&url, source))
}

fn unopened(url: &str, source: sea_orm::DbErr) -> StoreError {
    let place = url.rsplit_once('@').map_or(url, |(_, place)| place).to_owned(); // without credentials
    StoreError::Open { place, source }
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
    sqlite::refuse_broken_transactions(&mut options);
    options
}

#[cfg(test)]
mod tests;
