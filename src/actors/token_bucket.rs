//! A token bucket that counts in milliseconds: no float, no timer. It knows no rate of its own, so that a changed limit
//! holds for every bucket at its next try.

use crate::config::LimitSettings;

/// What a bucket is filled with; figures count as at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a second.
    pub per_second: u32,
    /// Tokens that it holds.
    pub burst: u32,
}

impl Rate {
    /// Of one user's flash-sale claims.
    #[must_use]
    pub const fn of_seckill(limits: &LimitSettings) -> Self {
        Self { per_second: limits.seckill_per_second, burst: limits.seckill_burst }
    }

    fn per_second(self) -> i64 {
        i64::from(self.per_second.max(1))
    }

    fn burst(self) -> i64 {
        i64::from(self.burst.max(1))
    }

    /// Time that fills an empty bucket.
    #[must_use]
    pub fn fills_in_ms(self) -> i64 {
        (self.burst() * 1_000 + self.per_second() - 1) / self.per_second()
    }
}

/// How a bucket stands after a try, for whoever tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it is filled with.
    pub rate: Rate,
    /// Whole tokens left.
    pub remaining: u32,
    /// When it is full again; after a refusal, when there is a token.
    pub reset_ms: u64,
    /// Whether a token was taken.
    pub is_let_in: bool,
}

/// Refilled at a steady rate up to its burst.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    /// Tokens times 1000.
    millitokens: i64,
    filled_at_ms: i64,
    /// Nothing is let in before.
    closed_until_ms: i64,
}

/// Longest that a bucket is closed; a longer wait comes from a clock that stepped back.
const CLOSED_MS_MAX: i64 = 3_600_000;

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn full(rate: Rate, now_ms: i64) -> Self {
        Self { millitokens: rate.burst() * 1_000, filled_at_ms: now_ms, closed_until_ms: i64::MIN }
    }

    /// Takes one token, if there is one.
    pub fn take(&mut self, rate: Rate, now_ms: i64) -> Standing {
        let closed_ms = self.closed_until_ms.saturating_sub(now_ms);
        if (1..=CLOSED_MS_MAX).contains(&closed_ms) {
            return Standing { rate, remaining: 0, reset_ms: closed_ms.unsigned_abs(), is_let_in: false };
        }
        self.fill(rate, now_ms);
        if self.millitokens < 1_000 {
            let reset_ms = time_for(1_000 - self.millitokens, rate);
            return Standing { rate, remaining: 0, reset_ms, is_let_in: false };
        }
        self.millitokens -= 1_000;
        let remaining = u32::try_from(self.millitokens / 1_000).unwrap_or(0);
        let reset_ms = time_for(rate.burst() * 1_000 - self.millitokens, rate);
        Standing { rate, remaining, reset_ms, is_let_in: true }
    }

    /// True if it is as good as new: to forget it changes nothing.
    #[must_use]
    pub fn is_full(&self, rate: Rate, now_ms: i64) -> bool {
        let passed_ms = now_ms.saturating_sub(self.filled_at_ms).clamp(0, CLOSED_MS_MAX);
        let is_closed = (1..=CLOSED_MS_MAX).contains(&self.closed_until_ms.saturating_sub(now_ms));
        !is_closed && self.millitokens + passed_ms * rate.per_second() >= rate.burst() * 1_000
    }

    /// Empties it and lets nothing in before `until_ms`.
    pub fn close(&mut self, until_ms: i64) {
        self.millitokens = 0;
        self.filled_at_ms = until_ms;
        self.closed_until_ms = until_ms;
    }

    fn fill(&mut self, rate: Rate, now_ms: i64) {
        let passed_ms = now_ms.saturating_sub(self.filled_at_ms).clamp(0, CLOSED_MS_MAX);
        self.filled_at_ms = now_ms; // a clock that steps back gives nothing and takes nothing
        self.millitokens = (self.millitokens + passed_ms * rate.per_second()).min(rate.burst() * 1_000);
    }
}

fn time_for(millitokens: i64, rate: Rate) -> u64 {
    u64::try_from((millitokens + rate.per_second() - 1) / rate.per_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 5, burst: 10 };

    fn taken(bucket: &mut TokenBucket, now_ms: i64) -> Result<u32, u64> {
        let standing = bucket.take(RATE, now_ms);
        if standing.is_let_in { Ok(standing.remaining) } else { Err(standing.reset_ms) }
    }

    #[test]
    fn a_burst_passes_then_the_rate() {
        let mut bucket = TokenBucket::full(RATE, 0);
        assert_eq!((0..20).filter(|_| taken(&mut bucket, 0).is_ok()).count(), 10);
        assert_eq!(taken(&mut bucket, 0), Err(200));
        assert_eq!((0..100).filter(|i| taken(&mut bucket, i * 10).is_ok()).count(), 4); // 990 ms at 5 a second
    }

    #[test]
    fn it_says_what_is_left_and_when_it_is_full_again() {
        let mut bucket = TokenBucket::full(RATE, 0);
        let standing = bucket.take(RATE, 0);
        assert_eq!((standing.remaining, standing.reset_ms), (9, 200));
        assert!(!bucket.is_full(RATE, 199) && bucket.is_full(RATE, 200));
        assert_eq!(RATE.fills_in_ms(), 2_000);
    }

    #[test]
    fn a_changed_rate_holds_at_the_next_try() {
        let mut bucket = TokenBucket::full(RATE, 0);
        let tighter = Rate { per_second: 1, burst: 2 };
        assert_eq!((0..10).filter(|_| bucket.take(tighter, 0).is_let_in).count(), 2);
        let wider = Rate { per_second: 100, burst: 200 };
        assert_eq!((0..100).filter(|_| bucket.take(wider, 500).is_let_in).count(), 50);
    }

    #[test]
    fn a_closed_bucket_opens_empty() {
        let mut bucket = TokenBucket::full(RATE, 0);
        bucket.close(1_000);
        assert_eq!(taken(&mut bucket, 400), Err(600));
        assert_eq!(taken(&mut bucket, 1_000), Err(200));
        assert!(taken(&mut bucket, 1_200).is_ok());
        bucket.close(7_200_000);
        assert!(taken(&mut bucket, 1_400).is_err(), "empty");
        assert!(taken(&mut bucket, 1_600).is_ok(), "a clock that stepped back by hours closes nothing");
    }

    #[test]
    fn r59_a_clock_that_steps_back_locks_nobody_out() {
        let rate = Rate { per_second: 5, burst: 1 };
        let mut bucket = TokenBucket::full(rate, 3_600_000);
        assert!(bucket.take(rate, 3_600_000).is_let_in);
        assert!(!bucket.take(rate, 0).is_let_in);
        assert!(bucket.take(rate, 200).is_let_in);
    }
}
