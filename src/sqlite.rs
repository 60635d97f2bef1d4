//! Pools of SQLite connections that take no broken transaction back.
//!
//! SQLite ends a transaction by itself when it cannot write: the disk is full, or the file fails. The driver goes on counting
//! it. It then makes savepoints of all transactions that follow on that connection, and after the next rollback commits
//! are answered that never reach the file. So a connection that comes back and still counts a transaction is closed; the pool
//! opens another.

use sea_orm::ConnectOptions;
use sea_orm::sqlx::Connection;

/// Has the pool look at what comes back. Connections that are in no transaction pass at once.
pub fn refuse_broken_transactions(options: &mut ConnectOptions) {
    options.map_sqlx_sqlite_pool_opts(|pool| {
        pool.after_release(|connection, _| {
            Box::pin(async move {
                if !connection.is_in_transaction() {
                    return Ok(true);
                }
                connection.ping().await?; // what was dropped is rolled back by now
                let is_broken = connection.is_in_transaction();
                if is_broken {
                    tracing::warn!("SQLite ended a transaction by itself, its connection is opened anew");
                }
                Ok(!is_broken)
            })
        })
    });
}
