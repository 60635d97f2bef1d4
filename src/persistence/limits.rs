//! How often somebody may do something: events of a subject in a sliding window. [`RateLimiter`] is the port: memory on
//! one machine, Redis in a cluster; both pass the contract suite in tests/limits.
//!
//! A limiter holds people up, it never fails them: if Redis is away each node counts for itself. Flash-sale clicks
//! are too many to ask anybody about; [`SharedClicks`] adds them up behind the buyers' own buckets.

mod clicks;
mod memory;
mod redis_limiter;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

pub use clicks::{ClickLimit, Over, Overdrawn, SharedClicks, SharedCounts};
pub use memory::MemoryLimiter;
pub use redis_limiter::RedisLimiter;

/// What is done too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitClass {
    /// Trying a password, by account.
    SignIn,
    /// Registering, by the name that is wanted.
    Registration,
}

impl LimitClass {
    /// As it stands in keys and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Registration => "registration",
        }
    }
}

/// Who does what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// What.
    pub class: LimitClass,
    /// Who: an account, a name, an address. Only its digest is kept.
    pub key: &'a str,
}

impl Subject<'_> {
    /// Of fixed length whatever the key, and without personal data.
    fn digest(&self) -> [u8; 16] {
        let digest = Sha256::new().chain_update(self.class.name()).chain_update([0]).chain_update(self.key).finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        first
    }
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// At least 1.
    pub events_max: u32,
    /// In any stretch of time of this length, at most [`WINDOW_MS_MAX`].
    pub window_ms: i64,
}

impl Limit {
    /// So many in any minute.
    #[must_use]
    pub const fn per_minute(events_max: u32) -> Self {
        Self { events_max, window_ms: 60_000 }
    }
}

/// Longest window.
pub const WINDOW_MS_MAX: i64 = 3_600_000;

/// Not now; nothing was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many, again in {retry_after_ms} ms")]
pub struct TooMany {
    /// When there is room again, 1..=window.
    pub retry_after_ms: u64,
}

/// Counts events.
#[async_trait(?Send)]
pub trait RateLimiter: Send + Sync {
    /// Counts one event.
    ///
    /// # Errors
    /// [`TooMany`].
    async fn admit(&self, subject: Subject<'_>, limit: Limit) -> Result<(), TooMany>;
}
