//! The only place that reads the time.
//!
//! A [`Clock`] is the system's clock plus an offset. In production the offset is 0; tests and the sandbox travel in
//! time by moving it, so a deadline that lies half an hour ahead is reached without a sleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock time in milliseconds since 1970, shared by all who hold a clone.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    /// Now, in milliseconds since 1970 UTC.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now_ms(&self) -> i64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_millis())
            .unwrap_or(i64::MAX)
            .saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Moves this clock and all its clones by `by_ms` (negative: back).
    pub fn travel(&self, by_ms: i64) {
        self.offset_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

/// A monotonic instant, for measuring how long something took.
#[must_use]
pub fn monotonic() -> Instant {
    Instant::now()
}
