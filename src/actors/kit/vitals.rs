//! An actor's vital signs, readable from any thread without asking the actor.
//!
//! Written under the slot's gate, so plain loads and stores suffice; readers may see one number a message older than
//! another. One `Vitals` costs about 200 bytes, which is what lets 100,000 idle actors have one each.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::clock;

const BUCKETS: usize = 16;
/// Handling times below this fall into the first bucket; each further bucket is twice as wide.
const FIRST_BUCKET_US: u64 = 32;

static EPOCH: LazyLock<Instant> = LazyLock::new(clock::monotonic);

/// Microseconds since this process first asked; at least 1, so that 0 can mean "never".
pub(super) fn uptime_us() -> u64 {
    let since = clock::monotonic().saturating_duration_since(*EPOCH);
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX).saturating_add(1)
}

/// Where an actor is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    /// Being loaded from durable state.
    Starting,
    /// Taking messages.
    Running,
    /// Alive, but messages wait until it is resumed.
    Paused,
    /// Refuses new messages, finishes those it has, then stops.
    Draining,
    /// Dead; waiting for its turn to be started anew.
    Restarting,
    /// Died too often; refuses messages until an administrator lifts it.
    Quarantined,
    /// Stopped by an administrator or a shutdown.
    Stopped,
}

impl ActorState {
    /// Its word in the admin API and in figures.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::Restarting => "restarting",
            Self::Quarantined => "quarantined",
            Self::Stopped => "stopped",
        }
    }

    pub(super) const ALL: [Self; 7] = [
        Self::Starting,
        Self::Running,
        Self::Paused,
        Self::Draining,
        Self::Restarting,
        Self::Quarantined,
        Self::Stopped,
    ];
}

/// The vital signs of one actor.
#[derive(Debug, Default)]
pub struct Vitals {
    state: AtomicU8,
    incarnation: AtomicU32,
    restarts: AtomicU32,
    queued: AtomicU32,
    in_flight: AtomicU32,
    handled: AtomicU64,
    handling_total_us: AtomicU64,
    handling_max_us: AtomicU64,
    queue_wait_max_us: AtomicU64,
    handling_buckets: [AtomicU32; BUCKETS],
    started_us: AtomicU64,
    last_used_us: AtomicU64,
    busy_since_us: AtomicU64,
    last_error: Mutex<Option<Box<str>>>,
}

impl Vitals {
    /// Where the actor is in its life.
    #[must_use]
    pub fn state(&self) -> ActorState {
        ActorState::ALL.get(usize::from(self.state.load(Relaxed))).copied().unwrap_or(ActorState::Starting)
    }

    /// Messages waiting and messages in flight.
    #[must_use]
    pub fn load(&self) -> (u32, u32) {
        (self.queued.load(Relaxed), self.in_flight.load(Relaxed))
    }

    /// Why the actor last died or could not start.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).as_deref().map(str::to_owned)
    }

    pub(super) fn set_state(&self, state: ActorState) {
        self.state.store(state as u8, Relaxed);
    }

    pub(super) fn set_load(&self, queued: usize, in_flight: usize) {
        self.queued.store(u32::try_from(queued).unwrap_or(u32::MAX), Relaxed);
        self.in_flight.store(u32::try_from(in_flight).unwrap_or(u32::MAX), Relaxed);
    }

    pub(super) fn set_last_error(&self, error: &str) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.into());
    }

    pub(super) fn born(&self, incarnation: u32, now_us: u64) {
        self.incarnation.store(incarnation, Relaxed);
        self.started_us.store(now_us, Relaxed);
        self.busy_since_us.store(0, Relaxed);
    }

    pub(super) fn restarted(&self) {
        bump(&self.restarts);
    }

    pub(super) fn touch(&self, now_us: u64) {
        self.last_used_us.store(now_us, Relaxed);
    }

    pub(super) fn last_used_us(&self) -> u64 {
        self.last_used_us.load(Relaxed)
    }

    /// The actor took up a message (`0`: it laid the last one down).
    pub(super) fn set_busy_since(&self, since_us: u64) {
        self.busy_since_us.store(since_us, Relaxed);
    }

    pub(super) fn waited(&self, wait_us: u64) {
        raise(&self.queue_wait_max_us, wait_us);
    }

    pub(super) fn handled(&self, handling_us: u64) {
        self.handled.store(self.handled.load(Relaxed).wrapping_add(1), Relaxed);
        let total_us = self.handling_total_us.load(Relaxed).saturating_add(handling_us);
        self.handling_total_us.store(total_us, Relaxed);
        raise(&self.handling_max_us, handling_us);
        if let Some(bucket) = self.handling_buckets.get(bucket_of(handling_us)) {
            bump(bucket);
        }
    }

    /// On no message.
    pub(super) fn is_free(&self) -> bool {
        self.busy_since_us.load(Relaxed) == 0
    }

    /// Messages answered since it came to life.
    pub(super) fn handled_count(&self) -> u64 {
        self.handled.load(Relaxed)
    }

    /// Mean handling time, at least 1.
    pub(super) fn handling_mean_us(&self) -> u64 {
        (self.handling_total_us.load(Relaxed) / self.handled.load(Relaxed).max(1)).max(1)
    }

    pub(super) fn snapshot(&self, kind: &'static str, key: String) -> VitalsSnapshot {
        let now_us = uptime_us();
        let ms_since = |at_us: u64| if at_us == 0 { 0 } else { now_us.saturating_sub(at_us) / 1_000 };
        let (queued, in_flight) = self.load();
        VitalsSnapshot {
            kind,
            key,
            state: self.state(),
            incarnation: self.incarnation.load(Relaxed),
            restarts: self.restarts.load(Relaxed),
            queued,
            in_flight,
            handled: self.handled.load(Relaxed),
            handling_mean_us: self.handling_total_us.load(Relaxed) / self.handled.load(Relaxed).max(1),
            handling_max_us: self.handling_max_us.load(Relaxed),
            handling_us_log2_from_32: self.handling_buckets.each_ref().map(|bucket| bucket.load(Relaxed)),
            queue_wait_max_us: self.queue_wait_max_us.load(Relaxed),
            age_ms: ms_since(self.started_us.load(Relaxed)),
            idle_ms: ms_since(self.last_used_us.load(Relaxed)),
            busy_ms: ms_since(self.busy_since_us.load(Relaxed)),
            last_error: self.last_error(),
        }
    }
}

/// Vital signs at one moment, as the admin API shows them.
#[derive(Clone, Debug, Serialize)]
pub struct VitalsSnapshot {
    /// The actor's kind.
    pub kind: &'static str,
    /// The actor's key as text.
    pub key: String,
    /// Where it is in its life.
    pub state: ActorState,
    /// Grows with every start, restart and replacement.
    pub incarnation: u32,
    /// Restarts since the directory first met this key or passivated it.
    pub restarts: u32,
    /// Messages that wait.
    pub queued: u32,
    /// Messages started and not yet answered.
    pub in_flight: u32,
    /// Messages answered.
    pub handled: u64,
    /// Mean handling time.
    pub handling_mean_us: u64,
    /// Longest handling time.
    pub handling_max_us: u64,
    /// Handling times: bucket `n` counts those below `32 << n` µs, the last one all longer ones.
    pub handling_us_log2_from_32: [u32; BUCKETS],
    /// Longest time a message waited before it was started.
    pub queue_wait_max_us: u64,
    /// Since this incarnation started.
    pub age_ms: u64,
    /// Since the last message came or was answered.
    pub idle_ms: u64,
    /// How long it has been on the message it cannot put down; 0 if it is free to take the next.
    pub busy_ms: u64,
    /// Why it last died or could not start.
    pub last_error: Option<String>,
}

fn bump(counter: &AtomicU32) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

fn raise(maximum: &AtomicU64, value: u64) {
    if value > maximum.load(Relaxed) {
        maximum.store(value, Relaxed);
    }
}

fn bucket_of(handling_us: u64) -> usize {
    let doublings = u64::BITS - (handling_us / FIRST_BUCKET_US).leading_zeros();
    usize::try_from(doublings).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handling_time_falls_into_the_bucket_below_its_bound() {
        for (handling_us, bucket) in [(0, 0), (31, 0), (32, 1), (63, 1), (64, 2), (1_000, 5), (524_288, 15)] {
            assert_eq!(bucket_of(handling_us), bucket, "{handling_us} µs");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn every_state_survives_the_byte_it_is_stored_as() {
        let vitals = Vitals::default();
        for state in ActorState::ALL {
            vitals.set_state(state);
            assert_eq!(vitals.state(), state);
        }
    }
}
