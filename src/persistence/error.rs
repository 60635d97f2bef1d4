//! Why a store did not do what it was asked; never a business answer.

use std::io::ErrorKind;
use std::sync::Arc;

use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::mysql::MySqlDatabaseError;
use sea_orm::{DbErr, RuntimeErr, SqlErr, TransactionError, sqlx};

use crate::domain::ProductId;

/// A store operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be reached or opened.
    #[error("cannot open the database at {place}")]
    Open {
        /// Path or URL without credentials.
        place: String,
        /// Why.
        #[source]
        source: DbErr,
    },
    /// A statement or commit failed.
    #[error("{operation} failed in the database")]
    Database {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: DbErr,
    },
    /// A stored value cannot be read by this version.
    #[error("{what} in the database cannot be read")]
    Corrupt {
        /// Which value, with its key.
        what: String,
    },
    /// Another writer changed a row between our read and our conditional write; the transaction was rolled back.
    #[error("{operation} met a concurrent change")]
    Conflict {
        /// What was being done.
        operation: &'static str,
    },
    /// Redis refused a command or could not be reached: what happened is unknown until asked.
    #[error("{operation} failed in Redis")]
    Redis {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: redis::RedisError,
    },
    /// The ledger has lost what it knew of a product, or never knew it: it is to be rebuilt from the database first.
    #[error("the ledger has no valid account of product {product}")]
    LedgerLost {
        /// Which product.
        product: ProductId,
    },
    /// The operation panicked, which is a bug that what it was given brings out; nothing was committed.
    #[error("{operation} panicked")]
    Panicked {
        /// What was being done.
        operation: &'static str,
    },
    /// A read that was made for several at once failed.
    #[error(transparent)]
    Shared(Arc<Self>),
    /// No answer in time: the outcome is unknown until asked.
    #[error("{operation} got no answer in {timeout_ms} ms")]
    TimedOut {
        /// What was being done.
        operation: &'static str,
        /// How long was waited.
        timeout_ms: u64,
    },
}

impl StoreError {
    /// Wraps a database error with the operation that met it: `.map_err(StoreError::during("placing orders"))`.
    pub fn during(operation: &'static str) -> impl Fn(DbErr) -> Self {
        move |source| Self::Database { operation, source }
    }

    /// True if the same operation may succeed when repeated with the same ids.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Open { .. }
            | Self::Conflict { .. }
            | Self::TimedOut { .. }
            | Self::Redis { .. }
            | Self::LedgerLost { .. } => true,
            Self::Corrupt { .. } | Self::Panicked { .. } => false,
            Self::Database { source, .. } => is_transient(source),
            Self::Shared(error) => error.is_transient(),
        }
    }

    /// True if the connection was lost on the way: whether a commit came through is unknown.
    pub(super) fn is_connection_lost(&self) -> bool {
        matches!(self, Self::Database { source, .. } if is_connection_lost(source))
    }

    /// True if what was to be written is at fault (unreadable, or against a constraint), so that every repeat must fail.
    /// A full disk, a read-only file or an unknown error is the store's fault and can pass.
    #[must_use]
    pub fn is_ticket_fault(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::Panicked { .. } => true,
            Self::Database { source, .. } => breaks_constraint(source),
            Self::Shared(error) => error.is_ticket_fault(),
            Self::Open { .. }
            | Self::Conflict { .. }
            | Self::TimedOut { .. }
            | Self::Redis { .. }
            | Self::LedgerLost { .. } => false,
        }
    }

    /// True if the database takes no writes for now: its disk is full, or it is read-only. What was to be written was not.
    #[must_use]
    pub fn refuses_writes(&self) -> bool {
        match self {
            Self::Database { source, .. } => refuses_writes(source),
            Self::Shared(error) => error.refuses_writes(),
            _ => false,
        }
    }

    /// True if a primary or unique key exists already: another node or an earlier delivery won.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        match self {
            Self::Database { source, .. } => matches!(source.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))),
            _ => false,
        }
    }
}

fn database_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// The number that MySQL and MariaDB give an error: their SQLSTATE says too little.
fn mysql_number(error: &dyn DatabaseError) -> Option<u16> {
    error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// Whether the same statement may succeed when repeated: lost connections, and the codes below.
pub(super) fn is_transient(error: &DbErr) -> bool {
    if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) || is_connection_lost(error) {
        return true;
    }
    match database_error(error) {
        Some(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut) => true,
        Some(sqlx::Error::Database(database)) => match mysql_number(&**database) {
            // Too many connections, lock wait timeout, deadlock, interrupted, statement timeout, changed since the read.
            Some(number) => matches!(number, 1040 | 1205 | 1213 | 1317 | 1969 | 1020 | 3024),
            // SQLite busy or locked; PostgreSQL serialization failure, deadlock, lock not available, query cancelled,
            // too many connections, still starting.
            None => database.code().is_some_and(|code| {
                let sqlite = ["5", "6", "261", "262", "517"];
                let postgres = ["40001", "40P01", "55P03", "57014", "53300", "57P03"];
                sqlite.contains(&&*code) || postgres.contains(&&*code)
            }),
        },
        _ => false,
    }
}

/// Whether the connection is gone, so that a read can be asked of another one at once.
pub(super) fn is_connection_lost(error: &DbErr) -> bool {
    match database_error(error) {
        Some(sqlx::Error::Io(error)) => error.kind() != ErrorKind::TimedOut,
        Some(sqlx::Error::Protocol(_) | sqlx::Error::Tls(_)) => true,
        Some(sqlx::Error::Database(database)) => match mysql_number(&**database) {
            // Shutting down, connection killed, idle for too long.
            Some(number) => matches!(number, 1053 | 1927 | 4031),
            // Terminated by an administrator, by a crash of another session, for idling in a transaction.
            None => database.code().is_some_and(|code| matches!(&*code, "57P01" | "57P02" | "25P03")),
        },
        _ => false,
    }
}

/// Whether what was to be written is at fault: against a constraint, too long or out of range.
fn breaks_constraint(error: &DbErr) -> bool {
    let Some(database) = database_error(error).and_then(sqlx::Error::as_database_error) else { return false };
    let unfit = match mysql_number(database) {
        Some(number) => matches!(number, 1264 | 1366 | 1406 | 4025), // range, characters, length, MariaDB's CHECK
        None => database.code().is_some_and(|code| code.len() == 5 && code.starts_with("22")),
    };
    unfit || !matches!(database.kind(), sqlx::error::ErrorKind::Other)
}

/// Whether there is no room for what was to be written, or it may not be.
pub(super) fn refuses_writes(error: &DbErr) -> bool {
    let Some(database) = database_error(error).and_then(sqlx::Error::as_database_error) else { return false };
    match mysql_number(database) {
        // Writing to a file failed, disk full, table full, read-only by option, by mode.
        Some(number) => matches!(number, 3 | 1021 | 1114 | 1290 | 1836),
        // SQLite read-only, full, or a file that cannot be written, synced, cut or mapped; PostgreSQL disk full, read-only.
        None => database.code().is_some_and(|code| {
            let sqlite = ["8", "13", "778", "1034", "1546", "4874"];
            sqlite.contains(&&*code) || ["53100", "25006"].contains(&&*code)
        }),
    }
}

impl From<TransactionError<StoreError>> for StoreError {
    fn from(error: TransactionError<StoreError>) -> Self {
        match error {
            TransactionError::Connection(source) => Self::Database { operation: "transaction", source },
            TransactionError::Transaction(inner) => inner,
        }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait as _, DbBackend};

    use super::*;
    use crate::persistence::testing::database_with;

    #[actix_rt::test]
    async fn a_broken_constraint_is_the_tickets_fault_and_a_full_disk_is_not() {
        let (db, _own) = database_with(|settings| settings.connections_max = 1).await; // session settings stay
        let run = async |statement: &str| {
            let failure = db.writer().execute_unprepared(statement).await.map_err(StoreError::during("testing"));
            failure.unwrap_err()
        };
        for broken in [
            "INSERT INTO stock (product_id, pool, put_in, free, held, sold) VALUES (1, 0, 0, -1, 0, 0)",
            "INSERT INTO outbox (payload, created_at_ms) VALUES (NULL, 1)",
        ] {
            let error = run(broken).await;
            assert!(error.is_ticket_fault() && !error.refuses_writes(), "{error:?}");
        }
        assert!(db.takes_writes());
        assert!(StoreError::Corrupt { what: "the test".to_owned() }.is_ticket_fault());
        let read_only = match db.backend() {
            DbBackend::Sqlite => {
                let pages = "PRAGMA max_page_count = 1"; // SQLite keeps the pages it has: the next one is too many
                db.writer().execute_unprepared(pages).await.unwrap();
                let full = run("INSERT INTO outbox (payload, created_at_ms) SELECT hex(randomblob(1000000)), 1").await;
                assert!(!full.is_ticket_fault() && full.refuses_writes() && !db.takes_writes(), "{full:?}");
                "PRAGMA query_only = ON"
            }
            DbBackend::Postgres => "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            _ => "SET SESSION TRANSACTION READ ONLY",
        };
        if db.backend() != DbBackend::Sqlite {
            let long =
                "INSERT INTO ledger_moves (step_id, units, at_ms) VALUES ('{}', 1, 1)".replace("{}", &"x".repeat(41));
            let too_long = run(&long).await; // SQLite takes any length
            assert!(too_long.is_ticket_fault(), "{too_long:?}");
        }
        db.writer().execute_unprepared(read_only).await.unwrap();
        let read_only = run("INSERT INTO outbox (payload, created_at_ms) VALUES ('x', 1)").await;
        assert!(!read_only.is_ticket_fault(), "{read_only:?}");
        assert!(read_only.refuses_writes() || db.backend() == DbBackend::MySql, "{read_only:?}"); // there only the session is
        assert!(!StoreError::TimedOut { operation: "testing", timeout_ms: 1 }.is_ticket_fault());
    }
}
