//! Why the books could not be read or written.

use sea_orm::DbErr;

/// The ledger did not do its part; the change did not happen, or was not answered.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be opened.
    #[error("cannot open {place}")]
    Open {
        /// The file.
        place: String,
        /// Why.
        #[source]
        source: DbErr,
    },
    /// A statement failed.
    #[error("the ledger failed")]
    Database(#[from] DbErr),
    /// A row does not hold what this version writes.
    #[error("a row of the ledger cannot be read")]
    Corrupt(#[from] serde_json::Error),
}
