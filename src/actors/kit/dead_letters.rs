//! Messages that were not handled: counted, the last 1,000 kept, and replayed if an administrator says so.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::actor::AskError;
use super::parcel::Outcome;
use crate::clock::Clock;

const LETTERS_MAX: usize = 1_000;
const REPLAY_DEADLINE: Duration = Duration::from_secs(10);

/// Why a message was not handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterReason {
    /// The actor died of it. Its caller got `Died`.
    Poison,
    /// It was in flight when the actor died of something else or was stopped, or the task that was to answer it
    /// panicked. Its caller got `Died`.
    Interrupted,
    /// Its caller's time ran out, or its caller left, before it was started.
    Expired,
    /// The actor was stopped or draining.
    Stopped,
    /// It waited while the actor was quarantined.
    Quarantined,
}

impl DeadLetterReason {
    const fn label(self) -> &'static str {
        match self {
            Self::Poison => "poison",
            Self::Interrupted => "interrupted",
            Self::Expired => "expired",
            Self::Stopped => "stopped",
            Self::Quarantined => "quarantined",
        }
    }
}

/// A message that was not handled.
#[derive(Clone, Debug, Serialize)]
pub struct DeadLetter {
    /// Its number on this node, from 1.
    pub id: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The actor's kind.
    pub kind: &'static str,
    /// The actor's key.
    pub key: String,
    /// The message's debug text, cut to 1 KiB.
    pub message: String,
    /// Why it was not handled.
    pub reason: DeadLetterReason,
}

/// Why a replay did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// No such letter, or no longer kept.
    #[error("no such dead letter")]
    Unknown,
    /// The actor did not answer. A message that was not handled is kept, as this letter or as a new one.
    #[error(transparent)]
    Failed(#[from] AskError),
}

type Replay = Arc<dyn Fn(Duration) -> Outcome + Send + Sync>;

struct Entry {
    letter: DeadLetter,
    replay: Replay,
}

/// The dead letters of one node.
pub struct DeadLetters {
    clock: Clock,
    total: AtomicU64,
    ring: Mutex<VecDeque<Entry>>,
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetters").field("total", &self.total()).finish_non_exhaustive()
    }
}

impl DeadLetters {
    pub(super) const fn new(clock: Clock) -> Self {
        Self { clock, total: AtomicU64::new(0), ring: Mutex::new(VecDeque::new()) }
    }

    /// How many there ever were on this node.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Those kept, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<DeadLetter> {
        self.ring().iter().map(|entry| entry.letter.clone()).collect()
    }

    /// Forgets a letter; false if it is not kept.
    pub fn discard(&self, id: u64) -> bool {
        self.take(id).is_some()
    }

    /// Asks the actor again. The letter is kept if the actor would not take the message.
    ///
    /// # Errors
    /// [`ReplayError::Unknown`], or how the actor failed to answer.
    pub async fn replay(&self, id: u64) -> Result<(), ReplayError> {
        self.replay_within(id, REPLAY_DEADLINE).await
    }

    /// The same with another patience.
    ///
    /// # Errors
    /// As [`DeadLetters::replay`].
    pub async fn replay_within(&self, id: u64, deadline: Duration) -> Result<(), ReplayError> {
        let entry = self.take(id).ok_or(ReplayError::Unknown)?;
        let outcome = (entry.replay)(deadline).await;
        // After any other failure the message has become a new letter, or was handled.
        if matches!(outcome, Err(AskError::Busy { .. } | AskError::Quarantined { .. })) {
            self.ring().push_back(entry);
        }
        Ok(outcome?)
    }

    pub(super) fn add(
        &self,
        kind: &'static str,
        key: String,
        message: String,
        reason: DeadLetterReason,
        replay: Replay,
    ) {
        let id = self.total.fetch_add(1, Ordering::Relaxed) + 1;
        metrics::counter!("rushmall_actor_dead_letters_total", "kind" => kind, "reason" => reason.label()).increment(1);
        let letter = DeadLetter { id, at_ms: self.clock.now_ms(), kind, key, message, reason };
        let overflow = {
            let mut ring = self.ring();
            ring.push_back(Entry { letter, replay });
            if ring.len() > LETTERS_MAX { ring.pop_front() } else { None }
        };
        // Dropped here and not under the lock: it owns a message of any type.
        drop(overflow);
    }

    fn take(&self, id: u64) -> Option<Entry> {
        let mut ring = self.ring();
        let place = ring.iter().position(|entry| entry.letter.id == id)?;
        ring.remove(place)
    }

    fn ring(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
