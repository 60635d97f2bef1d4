//! What a connection to MariaDB, MySQL or PostgreSQL is told at its start, and how it comes back to the pool.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::{self, Connection as _, Executor as _};
use sea_orm::{ConnectOptions, DbErr, RuntimeErr};

use crate::config::DatabaseSettings;

/// A connection that lay idle for longer is tried before it is used: its server may have been started again.
const TRUSTED_IDLE: Duration = Duration::from_millis(200);
/// A connection whose last statement nobody waited for is given up if it does not answer for so long.
const RELEASE_PATIENCE: Duration = Duration::from_secs(3);
/// Statements that a connection keeps prepared: more than ours are. One too many closes the oldest without waiting for an
/// answer, and what is sent next then waits some 40 ms for a delayed acknowledgement: sqlx leaves Nagle's algorithm on.
const STATEMENTS_KEPT: usize = 256;

/// How long the server lets a session hold what others need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For a row that another transaction has locked: half of what the transaction may take.
    lock_wait: Duration,
    /// For one statement, and for a transaction in which nothing happens: its client was stopped or is gone.
    transaction: Duration,
}

impl From<&DatabaseSettings> for Limits {
    fn from(settings: &DatabaseSettings) -> Self {
        let transaction = Duration::from_millis(settings.transaction_timeout_ms);
        Self { lock_wait: transaction / 2, transaction }
    }
}

/// Adds session settings, and tests of what comes out of and back into the pool.
pub(super) fn bounded(mut options: ConnectOptions, limits: Limits) -> ConnectOptions {
    let milliseconds = |limit: Duration| format!("{}ms", limit.as_millis());
    let for_postgres = [
        ("default_transaction_isolation", "read committed".to_owned()),
        ("lock_timeout", milliseconds(limits.lock_wait)),
        ("statement_timeout", milliseconds(limits.transaction)),
        ("idle_in_transaction_session_timeout", milliseconds(limits.transaction)),
    ];
    let seconds = |limit: Duration| limit.as_secs().max(1);
    let (lock_wait_s, transaction_s) = (seconds(limits.lock_wait), seconds(limits.transaction));
    // A comment that begins with M! is a part of the statement for MariaDB only. A transaction in which nothing happens
    // is ended by MariaDB alone; MySQL ends it with the connection (`wait_timeout`).
    let for_mysql = format!(
        "SET SESSION innodb_lock_wait_timeout = {lock_wait_s} /*M!100300 , SESSION max_statement_time = {transaction_s}, \
         SESSION idle_transaction_timeout = {transaction_s} */"
    );
    let for_mysql: Arc<str> = Arc::from(for_mysql);
    options
        .test_before_acquire_if_idle_for(TRUSTED_IDLE)
        .map_sqlx_postgres_opts(move |postgres| {
            postgres.options(for_postgres.clone()).statement_cache_capacity(STATEMENTS_KEPT)
        })
        .map_sqlx_mysql_opts(|mysql| mysql.statement_cache_capacity(STATEMENTS_KEPT))
        .map_sqlx_postgres_pool_opts(|pool| {
            pool.after_release(|connection, _| Box::pin(async move { answers(connection.ping()).await }))
        })
        .map_sqlx_mysql_pool_opts(move |pool| {
            let for_mysql = Arc::clone(&for_mysql);
            pool.after_connect(move |connection, _| {
                let session = for_mysql.to_string();
                Box::pin(async move {
                    connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                    connection.execute(sqlx::AssertSqlSafe(session)).await?;
                    Ok(())
                })
            })
            .after_release(|connection, _| Box::pin(async move { answers(connection.ping()).await }))
        });
    options
}

/// Whether a connection that comes back is fit for the next caller. Without an answer it is closed: it would keep its
/// place in the pool until the network gives up.
async fn answers(ping: impl Future<Output = Result<(), sqlx::Error>>) -> Result<bool, sqlx::Error> {
    let timed_out = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(RELEASE_PATIENCE, ping).await.unwrap_or_else(timed_out).map(|()| true)
}

/// Connects once, so that whoever cannot is told why: a pool would only say that it waited.
pub(super) async fn probe(url: &str, limit: Duration) -> Result<(), DbErr> {
    let connected = async {
        if url.starts_with("postgres") {
            sqlx::PgConnection::connect(url).await?.close().await
        } else {
            sqlx::MySqlConnection::connect(url).await?.close().await
        }
    };
    let no_answer = |_| {
        let text = format!("no answer in {} ms", limit.as_millis());
        Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, text)))
    };
    let outcome = tokio::time::timeout(limit, connected).await.unwrap_or_else(no_answer);
    outcome.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
}
