//! The key that access tokens are signed with, and the refusal to start with one that others may know.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::config::{Environment, Setup};

/// Least length of a key, as RFC 7518 §3.2 asks for HS256.
const KEY_BYTES_MIN: usize = 32;
/// A key with fewer different bytes is a pattern, not a secret.
const KEY_DISTINCT_BYTES_MIN: usize = 8;
/// Pieces of secrets from tutorials and sample configurations.
const WELL_KNOWN: [&str; 7] = ["change", "your-", "your_", "example", "default", "gomall", "rushmall-secret"];

/// Why this server must not start with its signing key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Production has no key.
    #[error("auth.jwt_secret must be set in production")]
    Missing,
    /// Too short or a pattern.
    #[error("auth.jwt_secret must have at least {KEY_BYTES_MIN} bytes that cannot be guessed")]
    Weak,
    /// From a tutorial or sample.
    #[error("auth.jwt_secret is a well-known default")]
    WellKnown,
    /// The generated key cannot be kept.
    #[error("cannot keep the signing key in {path}")]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The key from the settings; in development, if none is set, one that is made once and kept in the data directory.
///
/// # Errors
/// [`KeyError`] if production would run with a key that others may know.
pub fn signing_key(setup: &Setup) -> Result<Vec<u8>, KeyError> {
    let secret = setup.settings.auth.jwt_secret.as_bytes();
    let production = setup.settings.environment == Environment::Production;
    match (secret.is_empty(), production) {
        (true, true) => Err(KeyError::Missing),
        (true, false) => kept_key(&setup.data_dir.join("jwt.key")),
        (false, true) => judge_key(secret).map(|()| secret.to_vec()),
        (false, false) => {
            if let Err(error) = judge_key(secret) {
                tracing::warn!(%error, "weak signing key, accepted in development only");
            }
            Ok(secret.to_vec())
        }
    }
}

fn judge_key(secret: &[u8]) -> Result<(), KeyError> {
    let distinct: std::collections::HashSet<&u8> = secret.iter().collect();
    let text = String::from_utf8_lossy(secret).to_lowercase();
    if WELL_KNOWN.iter().any(|known| text.contains(known)) {
        return Err(KeyError::WellKnown);
    }
    if secret.len() < KEY_BYTES_MIN || distinct.len() < KEY_DISTINCT_BYTES_MIN {
        return Err(KeyError::Weak);
    }
    Ok(())
}

/// The key in the file, made if there is none. A file that is too short was cut off by a crash: it signed nothing yet.
fn kept_key(path: &Path) -> Result<Vec<u8>, KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    match fs::read(path) {
        Ok(key) if key.len() >= KEY_BYTES_MIN => Ok(key),
        Ok(_) => {
            tracing::warn!(path = %path.display(), "signing key is cut off, making a new one");
            make_key(path, |written| fs::rename(written, path)).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match make_key(path, |written| fs::hard_link(written, path)) {
                // another start was faster: its key counts
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read(path),
                made => made,
            }
            .map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a new key beside `path`, readable by its owner only, and puts it in place once it is whole on the disk.
fn make_key(path: &Path, put_in_place: impl Fn(&Path) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let key = crate::random::token().into_bytes();
    let written = path.with_extension(format!("key.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&written)?;
    file.write_all(&key)?;
    file.sync_all()?;
    let placed = put_in_place(&written);
    let _ = fs::remove_file(&written); // gone already if it was renamed
    placed?;
    if let Some(dir) = path.parent() {
        fs::File::open(dir)?.sync_all()?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::Settings;

    fn setup(dir: &Path, environment: Environment, secret: &str) -> Setup {
        let mut settings = Settings { environment, ..Settings::default() };
        settings.auth.jwt_secret = secret.to_owned();
        Setup { settings, data_dir: dir.to_owned() }
    }

    #[test]
    fn development_makes_a_key_once_that_only_its_owner_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let setup = setup(dir.path(), Environment::Development, "");
        let key = signing_key(&setup).unwrap();
        assert!(key.len() >= KEY_BYTES_MIN);
        assert_eq!(signing_key(&setup).unwrap(), key);
        let mode = std::fs::metadata(dir.path().join("jwt.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_file_cut_off_by_a_crash_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let setup = setup(dir.path(), Environment::Development, "");
        for cut_off in ["", "half a key"] {
            fs::write(dir.path().join("jwt.key"), cut_off).unwrap();
            let key = signing_key(&setup).unwrap();
            assert!(key.len() >= KEY_BYTES_MIN);
            assert_eq!(signing_key(&setup).unwrap(), key);
            let mode = fs::metadata(dir.path().join("jwt.key")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside the key");
    }

    #[test]
    fn production_does_not_start_with_a_key_that_others_may_know() {
        let dir = tempfile::tempdir().unwrap();
        let judge = |secret: &str| signing_key(&setup(dir.path(), Environment::Production, secret));
        assert!(matches!(judge(""), Err(KeyError::Missing)));
        for weak in ["short", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
            assert!(matches!(judge(weak), Err(KeyError::Weak)), "{weak}");
        }
        for known in ["your-256-bit-secret-your-256-bit-secret", "change-me-change-me-change-me-0123456789"] {
            assert!(matches!(judge(known), Err(KeyError::WellKnown)), "{known}");
        }
        assert!(judge("kQ7w0ZpT3vR9sXc1mB5nL8dF2gH6jK4y").is_ok());
    }
}
