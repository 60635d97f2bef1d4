//! Why a sandbox did not start or a step of it failed.

use super::keys::KeyError;
use super::ledger::LedgerError;

/// The sandbox did not do its part.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Its books failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Its keys failed.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Its HTTP client cannot be made.
    #[error("cannot make the client of notifications")]
    Client(#[source] reqwest::Error),
    /// It cannot listen, or the server ended in an error.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
