//! The limiter of one machine: the times of each subject's latest events.
//!
//! Bounded in two generations: who does something moves into the young one; when that is full, or the longest window
//! has passed, it becomes the old one and the old one is forgotten. So whoever is active is remembered, whoever is idle
//! is not, and nothing is ever searched.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Limit, RateLimiter, Subject, TooMany, WINDOW_MS_MAX};
use crate::clock::Clock;

/// Subjects in each of the two generations.
const GENERATION_MAX: usize = 50_000;

type Subjects = HashMap<[u8; 16], VecDeque<i64>>;

/// Counts in this process.
#[derive(Debug)]
pub struct MemoryLimiter {
    clock: Clock,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    young: Subjects,
    old: Subjects,
    turned_at_ms: i64,
}

impl MemoryLimiter {
    /// Nobody has done anything yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// The same as [`RateLimiter::admit`], at once.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn count(&self, subject: Subject<'_>, limit: Limit) -> Result<(), TooMany> {
        let now_ms = self.clock.now_ms();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.turn(now_ms);
        let digest = subject.digest();
        let returning = known.old.remove(&digest);
        let events = known.young.entry(digest).or_insert_with(|| returning.unwrap_or_default());
        // an event from the future (the clock went back, R59) holds nobody up
        events.retain(|at_ms| (0..limit.window_ms).contains(&(now_ms - at_ms)));
        if events.len() >= limit.events_max.max(1) as usize {
            let room_in_ms = events.front().map_or(1, |oldest_ms| oldest_ms + limit.window_ms - now_ms);
            return Err(TooMany { retry_after_ms: u64::try_from(room_in_ms).unwrap_or(1).max(1) });
        }
        events.push_back(now_ms);
        Ok(())
    }

    #[cfg(test)]
    fn subjects(&self) -> usize {
        let known = self.known.lock().unwrap();
        known.young.len() + known.old.len()
    }
}

impl Known {
    fn turn(&mut self, now_ms: i64) {
        let is_over = !(0..WINDOW_MS_MAX).contains(&(now_ms - self.turned_at_ms));
        if is_over || self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
            self.turned_at_ms = now_ms;
        }
    }
}

#[async_trait(?Send)]
impl RateLimiter for MemoryLimiter {
    async fn admit(&self, subject: Subject<'_>, limit: Limit) -> Result<(), TooMany> {
        self.count(subject, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::limits::LimitClass;

    fn subject(key: &str) -> Subject<'_> {
        Subject { class: LimitClass::SignIn, key }
    }

    #[test]
    fn a_flood_of_strangers_is_bounded_and_does_not_hide_the_active() {
        let limiter = MemoryLimiter::new(Clock::default());
        let limit = Limit::per_minute(3);
        for stranger in 0..3 * GENERATION_MAX {
            limiter.count(subject(&stranger.to_string()), limit).unwrap();
            if stranger % (GENERATION_MAX / 2) == 0 {
                let _ = limiter.count(subject("active"), limit);
            }
        }
        assert!(limiter.subjects() <= 2 * GENERATION_MAX, "{}", limiter.subjects());
        assert!(limiter.count(subject("active"), limit).is_err());
    }

    #[test]
    fn the_idle_are_forgotten() {
        let clock = Clock::default();
        let limiter = MemoryLimiter::new(clock.clone());
        for stranger in 0..100 {
            limiter.count(subject(&stranger.to_string()), Limit::per_minute(1)).unwrap();
        }
        for _ in 0..2 {
            clock.travel(WINDOW_MS_MAX);
            limiter.count(subject("another"), Limit::per_minute(1)).unwrap();
        }
        assert_eq!(limiter.subjects(), 1);
    }

    #[test]
    fn r59_a_clock_that_steps_back_locks_nobody_out() {
        let clock = Clock::default();
        let limiter = MemoryLimiter::new(clock.clone());
        limiter.count(subject("li"), Limit::per_minute(1)).unwrap();
        assert!(limiter.count(subject("li"), Limit::per_minute(1)).is_err());
        clock.travel(-WINDOW_MS_MAX);
        limiter.count(subject("li"), Limit::per_minute(1)).unwrap();
    }
}
