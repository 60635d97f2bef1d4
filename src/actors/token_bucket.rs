//! A token bucket that counts in milliseconds: no float, no timer.

/// Refilled at a steady rate up to its burst.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    per_second: i64,
    burst: i64,
    /// Tokens times 1000.
    millitokens: i64,
    filled_at_ms: i64,
}

impl TokenBucket {
    /// A full bucket; both figures count as at least 1.
    #[must_use]
    pub fn new(per_second: u32, burst: u32, now_ms: i64) -> Self {
        let burst = i64::from(burst.max(1));
        Self { per_second: i64::from(per_second.max(1)), burst, millitokens: burst * 1_000, filled_at_ms: now_ms }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// Milliseconds until there is one.
    pub fn take(&mut self, now_ms: i64) -> Result<(), u64> {
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
    fn r59_a_clock_that_steps_back_locks_nobody_out() {
        let mut bucket = TokenBucket::new(5, 1, 3_600_000);
        assert!(bucket.take(3_600_000).is_ok());
        assert!(bucket.take(0).is_err());
        assert!(bucket.take(200).is_ok());
    }
}
