//! Why a store did not do what it was asked; never a business answer.

use sea_orm::{DbErr, RuntimeErr, SqlErr, TransactionError};

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
            Self::Open { .. } | Self::Conflict { .. } | Self::TimedOut { .. } => true,
            Self::Corrupt { .. } => false,
            Self::Database { source, .. } => is_transient(source),
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

/// SQLite busy or locked, MySQL deadlock or lock wait timeout, PostgreSQL serialization failure or deadlock, and
/// lost connections.
fn is_transient(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            sea_orm::sqlx::Error::Io(_) | sea_orm::sqlx::Error::PoolTimedOut => true,
            sea_orm::sqlx::Error::Database(database) => database.code().is_some_and(|code| {
                matches!(&*code, "5" | "6" | "261" | "262" | "517" | "1205" | "1213" | "40001" | "40P01")
            }),
            _ => false,
        },
        _ => false,
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
