//! A token bucket that counts in milliseconds: no float, no timer.

/// Refilled at a steady rate up to its burst.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    per_second: i64,
    burst: i64,
    /// Tokens times 1000.
    millitokens: i64,
    filled_at_ms: i64,
    /// Nothing is let in before.
    closed_until_ms: i64,
}

/// Longest that a bucket is closed; a longer wait comes from a clock that stepped back.
const CLOSED_MS_MAX: i64 = 3_600_000;

impl TokenBucket {
    /// A full bucket; both figures count as at least 1.
    #[must_use]
    pub fn new(per_second: u32, burst: u32, now_ms: i64) -> Self {
        let burst = i64::from(burst.max(1));
        let per_second = i64::from(per_second.max(1));
        Self { per_second, burst, millitokens: burst * 1_000, filled_at_ms: now_ms, closed_until_ms: i64::MIN }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// Milliseconds until there is one.
    pub fn take(&mut self, now_ms: i64) -> Result<(), u64> {
        let closed_ms = self.closed_until_ms.saturating_sub(now_ms);
        if (1..=CLOSED_MS_MAX).contains(&closed_ms) {
            return Err(closed_ms.unsigned_abs());
        }
        let passed_ms = now_ms.saturating_sub(self.filled_at_ms).clamp(0, 3_600_000);
        self.filled_at_ms = now_ms; // a clock that steps back gives nothing and takes nothing
        self.millitokens = (self.millitokens + passed_ms * self.per_second).min(self.burst * 1_000);
        if self.millitokens < 1_000 {
            let missing = 1_000 - self.millitokens;
            return Err(u64::try_from((missing + self.per_second - 1) / self.per_second).unwrap_or(1_000));
        }
        self.millitokens -= 1_000;
        Ok(())
    }

    /// Empties it and lets nothing in before `until_ms`.
    pub fn close(&mut self, until_ms: i64) {
        self.millitokens = 0;
        self.filled_at_ms = until_ms;
        self.closed_until_ms = until_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate() {
        let mut bucket = TokenBucket::new(5, 10, 0);
        assert_eq!((0..20).filter(|_| bucket.take(0).is_ok()).count(), 10);
        assert_eq!(bucket.take(0), Err(200));
        assert_eq!((0..100).filter(|i| bucket.take(i * 10).is_ok()).count(), 4); // 990 ms at 5 a second
    }

    #[test]
    fn a_closed_bucket_opens_empty() {
        let mut bucket = TokenBucket::new(5, 10, 0);
        bucket.close(1_000);
        assert_eq!(bucket.take(400), Err(600));
        assert_eq!(bucket.take(1_000), Err(200));
        assert!(bucket.take(1_200).is_ok());
        bucket.close(7_200_000);
        assert!(bucket.take(1_400).is_err(), "empty");
        assert!(bucket.take(1_600).is_ok(), "a clock that stepped back by hours closes nothing");
    }

    #[test]
    fn r59_a_clock_that_steps_back_locks_nobody_out() {
        let mut bucket = TokenBucket::new(5, 1, 3_600_000);
        assert!(bucket.take(3_600_000).is_ok());
        assert!(bucket.take(0).is_err());
        assert!(bucket.take(200).is_ok());
    }
}
