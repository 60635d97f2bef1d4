//! What an actor kind tells the kit, what the kit promises in return, and how an ask can fail.

use std::fmt::{Debug, Display};
use std::future::Future;
use std::hash::Hash;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Message};
use serde::{Deserialize, Serialize};

use super::vitals::Vitals;

/// An actix actor that the kit can start from durable state, supervise and show.
pub trait KitActor: Actor<Context = Context<Self>> {
    /// What tells one actor of this kind from another; read from and shown as text by the admin API.
    type Key: Clone + Eq + Hash + Display + Debug + FromStr + Send + Sync + 'static;
    /// What every actor of this kind is given to work with: stores, clocks, other directories.
    type Deps: Clone + Send + Sync + 'static;
    /// The kind's name in logs, metrics and the admin API.
    const KIND: &'static str;
    /// True for what a node needs to finish what was accepted: orders that hold actors up reach it by its name only, not
    /// by "all kinds".
    const IS_PLUMBING: bool = false;
    /// What the key is in traces: `user_id`, `product_id` or `order_no`; anything else is not shown there.
    const KEY_IS: &'static str = "key";

    /// Builds the actor from durable state, on the arbiter it will live on. A panic counts as a death.
    ///
    /// # Errors
    /// [`LoadError::Transient`] is retried for as long as it lasts; [`LoadError::Permanent`] counts as a death.
    fn load(
        key: Self::Key,
        deps: Self::Deps,
        vitals: Arc<Vitals>,
    ) -> impl Future<Output = Result<Self, LoadError>> + 'static;

    /// The state an administrator sees. Runs between two messages, so it must be quick.
    fn describe(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Whether this actor may be unloaded when nobody talks to it; it comes back from durable state at the next ask.
    /// An actor with a timer that must fire says no.
    fn may_passivate(&self) -> bool {
        true
    }
}

/// A message that can be asked through the kit: an actix message that can also be kept for replay and shown.
pub trait KitMessage: Message<Result: Send> + Clone + Debug + Send + 'static {}

impl<M: Message<Result: Send> + Clone + Debug + Send + 'static> KitMessage for M {}

/// Why an actor could not be loaded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoadError {
    /// The store cannot be reached. Tried again with backoff without end: an outage must not quarantine every actor.
    #[error("cannot be loaded now: {0}")]
    Transient(String),
    /// The durable state itself is wrong or missing. Counts toward quarantine.
    #[error("cannot be loaded: {0}")]
    Permanent(String),
}

/// Why an ask brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum AskError {
    /// The actor or its kind is at its bound; the message was not taken.
    #[error("busy, try again in {retry_after_ms} ms")]
    Busy {
        /// An estimate from the queue and the mean handling time.
        retry_after_ms: u64,
    },
    /// The actor died too often and is kept down until an administrator lifts it; the message was not handled.
    #[error("quarantined after {deaths} deaths: {reason}")]
    Quarantined {
        /// The last error.
        reason: String,
        /// Deaths within the window.
        deaths: u32,
    },
    /// The actor died while it handled this message: the outcome is unknown.
    #[error("the actor died while it handled this message")]
    Died,
    /// The actor could not be started before the deadline; the message was not handled.
    #[error("the actor cannot be started: {reason}")]
    StartFailed {
        /// The last error.
        reason: String,
    },
    /// The deadline passed; the message may or may not have been handled.
    #[error("no answer within the deadline")]
    TimedOut,
    /// The actor is draining or was stopped; the message was not handled.
    #[error("the actor is stopped")]
    Stopped,
}

/// The bounds of one actor kind.
#[derive(Clone, Debug)]
pub struct KindLimits {
    /// Messages one actor holds, waiting and in flight together; one more is `Busy`. 1,024.
    pub in_flight_max: usize,
    /// Actors in memory; at the bound the longest idle one makes room, and if none is idle, `Busy`. 100,000.
    pub live_max: usize,
    /// An actor without work for this long is unloaded. 2 min.
    pub idle_after: Duration,
    /// Busy with one message for this long: warned about once. 2 s.
    pub heartbeat_report_after: Duration,
    /// Busy with one message for this long: replaced by a new incarnation on another arbiter. 10 s.
    pub heartbeat_replace_after: Duration,
    /// Deaths within the window that are met with a restart; one more quarantines. 8.
    pub deaths_max: u32,
    /// How far back deaths count. 60 s.
    pub deaths_window: Duration,
    /// Pause before the first restart; doubles with each death in the window. 10 ms.
    pub backoff_first: Duration,
    /// Longest pause before a restart. 5 s.
    pub backoff_max: Duration,
}

impl Default for KindLimits {
    fn default() -> Self {
        Self {
            in_flight_max: 1_024,
            live_max: 100_000,
            idle_after: Duration::from_secs(120),
            heartbeat_report_after: Duration::from_secs(2),
            heartbeat_replace_after: Duration::from_secs(10),
            deaths_max: 8,
            deaths_window: Duration::from_secs(60),
            backoff_first: Duration::from_millis(10),
            backoff_max: Duration::from_secs(5),
        }
    }
}

impl KindLimits {
    /// The pause before restart number `attempt` (from 1): exponential, without jitter.
    #[must_use]
    pub fn backoff(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(20);
        self.backoff_first.saturating_mul(1 << doublings).min(self.backoff_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_before_a_restart_doubles_up_to_its_maximum() {
        let limits = KindLimits::default();
        let pauses: Vec<u128> = (1..=11).map(|attempt| limits.backoff(attempt).as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_000, 5_000]);
        assert_eq!(limits.backoff(u32::MAX).as_millis(), 5_000);
    }
}
