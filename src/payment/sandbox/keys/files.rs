//! Files that only their owner may read, written whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::payment::crypto::CryptoError;

/// Keys could not be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file could not be used.
    #[error("cannot {action} {path}")]
    File {
        /// `read`, `write`, `make`.
        action: &'static str,
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} cannot be understood")]
    Content {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A key cannot be used.
    #[error("a key cannot be used")]
    Crypto(#[from] CryptoError),
    /// A certificate could not be made.
    #[error("a certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    /// The work was cut off.
    #[error("making keys was cut off")]
    Lost,
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = path.display().to_string();
    move |source| KeyError::File { action, path, source }
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, KeyError> {
    fs::read_to_string(path).map_err(failed("read", path))
}

/// Replaces a file; mode 0600, on disk before it is seen.
pub(super) fn write(path: &Path, text: &str) -> Result<(), KeyError> {
    let beside = path.with_extension("new");
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    written().map_err(failed("write", path))
}

/// Makes a directory for such files.
pub(super) fn make_directory(path: &Path) -> Result<(), KeyError> {
    fs::create_dir_all(path).map_err(failed("make", path))
}
