//! Passwords become argon2id hashes, a few at a time: each takes a core and 19 MiB, so an unbounded storm of sign-ins
//! would take the shop down. Verifying takes as long for a name nobody has as for a known one.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{self, PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

/// Hashing or verifying did not work; says nothing about the password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The hash could not be made.
    #[error("password could not be hashed")]
    Hash(#[source] password_hash::Error),
    /// The stored hash is not one.
    #[error("stored password hash cannot be read")]
    Corrupt(#[source] password_hash::phc::Error),
    /// The work was cut off.
    #[error("password work was lost")]
    Lost,
}

/// Hashes and verifies passwords off the request threads.
#[derive(Clone, Debug)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    /// Of a password that nobody knows; verified against for unknown users.
    decoy: Arc<str>,
}

impl Passwords {
    /// At most `concurrency` (at least 1) hashes at the same time.
    ///
    /// # Errors
    /// [`PasswordError::Hash`] if hashing does not work at all.
    pub fn new(concurrency: usize) -> Result<Self, PasswordError> {
        let decoy = hash(&crate::random::token())?;
        Ok(Self { permits: Arc::new(Semaphore::new(concurrency.max(1))), decoy: decoy.into() })
    }

    /// The hash of `password` in PHC form with a salt of its own.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.in_turn(move || hash(&password)).await?
    }

    /// True if `hash` is one of `password`; false, after the same time, if there is no hash.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn verify(&self, password: String, hash: Option<&str>) -> Result<bool, PasswordError> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or(&self.decoy).to_owned();
        Ok(self.in_turn(move || is_hash_of(&hash, &password)).await?? && is_known)
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| PasswordError::Lost)?;
        let done = tokio::task::spawn_blocking(move || {
            let _held_even_if_the_caller_left = permit;
            work()
        });
        done.await.map_err(|_| PasswordError::Lost)
    }
}

/// Argon2id in PHC form, on this thread: for the command line.
///
/// # Errors
/// [`PasswordError::Hash`].
pub fn hash(password: &str) -> Result<String, PasswordError> {
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}

fn is_hash_of(hash: &str, password: &str) -> Result<bool, PasswordError> {
    let hash = PasswordHash::new(hash).map_err(PasswordError::Corrupt)?;
    Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_password_fits_its_hash_only() {
        let passwords = Passwords::new(2).unwrap();
        let hash = passwords.hash("秘密123".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert_ne!(hash, passwords.hash("秘密123".to_owned()).await.unwrap());
        assert!(passwords.verify("秘密123".to_owned(), Some(&hash)).await.unwrap());
        assert!(!passwords.verify("秘密124".to_owned(), Some(&hash)).await.unwrap());
        assert!(!passwords.verify("秘密123".to_owned(), None).await.unwrap());
    }
}
