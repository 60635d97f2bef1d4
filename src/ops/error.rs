//! Why a command did not do what it was asked, and the exit code that says so.

use crate::config::Problems;
use crate::persistence::StoreError;

/// A command failed. Its text and its sources go to standard error.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// Settings cannot be used; one line each.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// The command line asks for something impossible.
    #[error("{0}")]
    Usage(String),
    /// The database did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or stream could not be used.
    #[error("cannot {action}")]
    Io {
        /// What was tried, e.g. `make the data directory ./data`.
        action: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server at the other end did not answer as it must.
    #[error("{0}")]
    Remote(String),
    /// The command ran and its finding is bad: it has been printed already.
    #[error("{0}")]
    Verdict(String),
    /// Something inside failed that has no name of its own.
    #[error("{0}")]
    Internal(String),
}

impl OpsError {
    /// 2 for usage and settings, 1 for the rest.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Usage(_) => 2,
            _ => 1,
        }
    }
}
