//! The secret that heads are signed with, as a file of 64 hex digits that only its owner can read (`openssl rand -hex 32`
//! makes one as well).
//!
//! A key that is lost or replaced makes every head that was signed with it unverifiable: a file that cannot be read is an
//! error here, never a reason to make another one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The secret in the file.
///
/// # Errors
/// If it cannot be read or is not 64 hex digits.
pub fn read(path: &Path) -> io::Result<[u8; 32]> {
    let text = fs::read_to_string(path)?;
    let mut secret = [0; 32];
    let unreadable = |_| io::Error::new(io::ErrorKind::InvalidData, "a key file has 64 hex digits");
    hex::decode_to_slice(text.trim(), &mut secret).map_err(unreadable)?;
    Ok(secret)
}

/// The secret in the file, made if there is no file.
///
/// # Errors
/// As [`read`], or if the file cannot be made.
pub fn read_or_make(path: &Path) -> io::Result<[u8; 32]> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(path)?;
            read(path)
        }
        read => read,
    }
}

/// Written beside `path` and put in place whole, so that a crash leaves no half key; another start may be faster.
fn make(path: &Path) -> io::Result<()> {
    let written = path.with_extension(format!("new.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&written)?;
    writeln!(file, "{}", hex::encode(crate::random::bytes::<32>()))?;
    file.sync_all()?;
    let placed = match fs::hard_link(&written, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        placed => placed,
    };
    let _ = fs::remove_file(&written); // its other name is what counts
    placed?;
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.key");
        let secret = read_or_make(&path).unwrap();
        assert_eq!(read_or_make(&path).unwrap(), secret);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside the key");
    }

    #[test]
    fn a_spoiled_key_is_an_error_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.key");
        fs::write(&path, "half a key").unwrap();
        assert_eq!(read_or_make(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read_to_string(&path).unwrap(), "half a key");
    }
}
