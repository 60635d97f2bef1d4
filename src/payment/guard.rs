//! What every call to a gateway passes: a circuit breaker, a bound on calls in flight, and the gateways' own limit of
//! six failing refund calls a second.
//!
//! One guard per gateway, so that one that is down takes no other with it. A tripped guard refuses at once: callers do
//! not pile up behind a gateway that hangs. After a pause one call tries; its success lets the others in again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::PaymentError;
use crate::clock::Clock;

/// Failing refund calls of one merchant in any second (payment gateways answer 429 beyond, and may block).
pub const FAILING_REFUNDS_PER_SECOND: usize = 6;
const SECOND_MS: i64 = 1_000;

/// When the guard trips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its name in figures.
    pub gateway: &'static str,
    /// Failures in a row that trip it; at least 1.
    pub failures_max: u32,
    /// How long it then refuses.
    pub pause_ms: u64,
    /// Most calls at the same time; at least 1.
    pub in_flight_max: usize,
}

/// Guards the calls to one gateway.
#[derive(Debug)]
pub struct Guard {
    clock: Clock,
    terms: Terms,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures_in_row: u32,
    /// While set, calls are refused until then; afterwards one may try.
    tripped_until_ms: Option<i64>,
    is_trying: bool,
    in_flight: usize,
    refunds_in_flight: usize,
    failed_refunds_ms: VecDeque<i64>,
}

/// What a call is, as far as limits differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A refund: failures are counted against the gateway's limit.
    Refund,
    /// Anything else.
    Other,
}

/// How a call ended, as far as the guard cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The gateway answered, whatever it said.
    Answered,
    /// The gateway answered with a refusal: healthy, but it counts as a failing call.
    Declined,
    /// It did not answer, did not know, or asked us to slow down.
    Failed,
    /// Nothing will work until a person mends the settings: refuse at once.
    Misconfigured,
}

/// Leave to make one call. Dropped without a verdict (the caller went away), it says nothing about the gateway's health;
/// a refund then counts as failing, because it may have.
#[derive(Debug)]
#[must_use]
pub struct Permit<'a> {
    guard: &'a Guard,
    call: Call,
    is_trial: bool,
    is_over: bool,
}

impl Guard {
    /// A guard that lets everything through at first.
    #[must_use]
    pub fn new(clock: Clock, terms: Terms) -> Self {
        Self { clock, terms, state: Mutex::default() }
    }

    /// Leave to make a call now.
    ///
    /// # Errors
    /// [`PaymentError::HeldBack`] with the time to wait at least.
    pub fn admit(&self, call: Call) -> Result<Permit<'_>, PaymentError> {
        let now_ms = self.clock.now_ms();
        let mut state = self.lock();
        if state.in_flight >= self.terms.in_flight_max {
            return Err(held_back(SECOND_MS));
        }
        let is_trial = match state.tripped_until_ms {
            None => false,
            // a clock that was set back must not lengthen the pause
            Some(until_ms) if now_ms < until_ms && until_ms - now_ms <= self.pause_ms() => {
                return Err(held_back(until_ms - now_ms));
            }
            Some(_) if state.is_trying => return Err(held_back(SECOND_MS)),
            Some(_) => true,
        };
        if call == Call::Refund {
            state.failed_refunds_ms.retain(|at_ms| (0..SECOND_MS).contains(&(now_ms - at_ms)));
            // each refund on its way may fail: counting those too is what keeps the limit under any interleaving
            if state.failed_refunds_ms.len() + state.refunds_in_flight >= FAILING_REFUNDS_PER_SECOND {
                let oldest_ms = state.failed_refunds_ms.front().map_or(SECOND_MS, |at_ms| SECOND_MS - (now_ms - at_ms));
                return Err(held_back(oldest_ms));
            }
            state.refunds_in_flight += 1;
        }
        state.in_flight += 1;
        state.is_trying |= is_trial;
        Ok(Permit { guard: self, call, is_trial, is_over: false })
    }

    /// The gateway's name in figures.
    #[must_use]
    pub const fn gateway(&self) -> &'static str {
        self.terms.gateway
    }

    /// True while calls are refused or only one may try.
    #[must_use]
    pub fn is_tripped(&self) -> bool {
        self.lock().tripped_until_ms.is_some()
    }

    fn pause_ms(&self) -> i64 {
        i64::try_from(self.terms.pause_ms).unwrap_or(i64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, call: Call, is_trial: bool, verdict: Option<Verdict>) {
        let now_ms = self.clock.now_ms();
        let mut state = self.lock();
        state.in_flight -= 1;
        if is_trial {
            state.is_trying = false;
        }
        if call == Call::Refund {
            state.refunds_in_flight -= 1;
            if verdict != Some(Verdict::Answered) {
                state.failed_refunds_ms.push_back(now_ms);
            }
        }
        match verdict {
            None => {}
            Some(Verdict::Answered | Verdict::Declined) => {
                state.failures_in_row = 0;
                // an answer to a call from before the trip says nothing about now
                if is_trial {
                    state.tripped_until_ms = None;
                }
            }
            Some(Verdict::Failed) => {
                state.failures_in_row = state.failures_in_row.saturating_add(1);
                if is_trial || state.failures_in_row >= self.terms.failures_max {
                    state.tripped_until_ms = Some(now_ms.saturating_add(self.pause_ms()));
                }
            }
            Some(Verdict::Misconfigured) => state.tripped_until_ms = Some(now_ms.saturating_add(self.pause_ms())),
        }
    }
}

impl Permit<'_> {
    /// Tells how the call ended.
    pub fn end(mut self, verdict: Verdict) {
        self.is_over = true;
        self.guard.settle(self.call, self.is_trial, Some(verdict));
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.guard.settle(self.call, self.is_trial, None);
        }
    }
}

fn held_back(wait_ms: i64) -> PaymentError {
    PaymentError::HeldBack { retry_after_ms: u64::try_from(wait_ms).unwrap_or(0).max(1) }
}

#[cfg(test)]
mod tests;
