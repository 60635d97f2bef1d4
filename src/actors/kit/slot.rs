//! One key's place in the directory: the gate in front of the actor. It stays while incarnations come and go.
//!
//! Lock order: gate, then parcel or dead letters. Wakers and log lines come after the gate is released.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use metrics::Histogram;
use serde_json::Value;
use tokio::sync::oneshot;

use super::actor::{AskError, KitActor};
use super::dead_letters::DeadLetterReason;
use super::directory::Shared;
use super::gate::{Gate, Phase};
use super::parcel::{AnyParcel, Deliver};
use super::recent::MessageOutcome;
use super::vitals::{Vitals, uptime_us};

/// After this long an actor with more to do lets the arbiter's other tasks in; actix itself has no such bound. Time and
/// not a count, since tokio looks only every 31st turn at tasks woken from another thread: 6 ms at the worst.
const TURN_MAX_US: u64 = 200;

pub(super) struct Slot<A: KitActor> {
    pub key: A::Key,
    /// Weak, or the directory would keep itself alive through its slots.
    pub directory: Weak<Shared<A>>,
    pub vitals: Arc<Vitals>,
    times: Times,
    gate: Mutex<Gate<A>>,
}

/// Where the times of a kind's messages are counted; clones are the same.
#[derive(Clone)]
pub(super) struct Times {
    waited: Histogram,
    handled: Histogram,
}

impl Times {
    pub fn of(kind: &'static str) -> Self {
        Self {
            waited: metrics::histogram!("rushmall_actor_wait_seconds", "kind" => kind),
            handled: metrics::histogram!("rushmall_actor_message_seconds", "kind" => kind),
        }
    }
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

/// The gate's answer to a parcel.
pub(super) enum Admission {
    Admitted,
    /// The actor was passivated in between: look the key up again.
    Gone,
    Refused(AskError),
}

/// What the courier does next.
pub(super) enum Next<A: KitActor> {
    Handle(AnyParcel<A>),
    Expired(AnyParcel<A>),
    Describe(Vec<oneshot::Sender<Value>>),
    Leave,
    /// More to do, but it is the others' turn.
    Yield,
    Rest,
    /// This incarnation was replaced or stopped.
    End,
}

impl<A: KitActor> Slot<A> {
    pub fn new(key: A::Key, directory: Weak<Shared<A>>, times: Times) -> Self {
        let now_us = uptime_us();
        let vitals = Arc::new(Vitals::default());
        vitals.touch(now_us);
        Self { key, directory, vitals, times, gate: Mutex::new(Gate::new(now_us)) }
    }

    pub fn gate(&self) -> MutexGuard<'_, Gate<A>> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a parcel into the lane, or says at once why not.
    pub fn admit(&self, parcel: AnyParcel<A>, in_flight_max: usize) -> Admission {
        let life = {
            let mut gate = self.gate();
            match gate.phase {
                Phase::Gone => return Admission::Gone,
                Phase::Stopped => return Admission::Refused(AskError::Stopped),
                Phase::Quarantined => return Admission::Refused(self.quarantined(&gate)),
                _ if gate.draining => return Admission::Refused(AskError::Stopped),
                _ => {}
            }
            if gate.held() >= in_flight_max {
                return Admission::Refused(self.busy(gate.held()));
            }
            self.vitals.touch(parcel.header().queued_us);
            gate.lane.push_back(parcel);
            gate.publish(&self.vitals);
            if gate.paused { None } else { gate.life.take() }
        };
        wake(life);
        Admission::Admitted
    }

    pub fn quarantined(&self, gate: &Gate<A>) -> AskError {
        AskError::Quarantined {
            reason: self.vitals.last_error().unwrap_or_default(),
            deaths: u32::try_from(gate.deaths.len()).unwrap_or(u32::MAX),
        }
    }

    fn busy(&self, held: usize) -> AskError {
        let wait_us = self.vitals.handling_mean_us().saturating_mul(held as u64);
        AskError::Busy { retry_after_ms: (wait_us / 1_000).clamp(20, 5_000) }
    }

    /// Begins a turn of the incarnation; false if it was replaced or stopped. `life` wakes it for the next one.
    pub fn begin_turn(&self, incarnation: u32, life: &Waker) -> bool {
        let mut gate = self.gate();
        if gate.incarnation != incarnation || !gate.is_alive() {
            return false;
        }
        gate.turn_ends_us = 0;
        if gate.life.as_ref().is_none_or(|known| !known.will_wake(life)) {
            gate.life = Some(life.clone());
        }
        true
    }

    /// What the courier of an incarnation does next. Control comes before data, however long the lane is.
    pub fn next(&self, incarnation: u32) -> Next<A> {
        let mut gate = self.gate();
        if gate.incarnation != incarnation || !gate.is_alive() {
            return Next::End;
        }
        let now_us = uptime_us();
        gate.last_pull_us = now_us;
        if let Some(last) = gate.handling.take() {
            self.vitals.set_busy_since(0);
            gate.reported = false;
            if last.is_settled() {
                self.see_off(&mut gate, &*last, now_us);
            }
        }
        if !gate.questions.is_empty() {
            return Next::Describe(std::mem::take(&mut gate.questions));
        }
        if std::mem::take(&mut gate.must_leave) && gate.is_idle() {
            return Next::Leave;
        }
        if gate.paused {
            return Next::Rest;
        }
        if gate.turn_ends_us == 0 {
            gate.turn_ends_us = now_us + TURN_MAX_US;
        } else if gate.turn_ends_us < now_us && !gate.lane.is_empty() {
            return Next::Yield;
        }
        let Some(parcel) = gate.pull() else { return Next::Rest };
        if parcel.header().deadline_us < now_us {
            // Else its caller, whose time ends now too, would withdraw it a second time.
            parcel.header().withdraw();
            gate.recent.note(parcel.header(), MessageOutcome::Expired, now_us);
            gate.publish(&self.vitals);
            return Next::Expired(parcel);
        }
        parcel.header().set_started(now_us);
        let waited_us = now_us.saturating_sub(parcel.header().queued_us);
        self.vitals.waited(waited_us);
        self.times.waited.record(seconds(waited_us));
        self.vitals.set_busy_since(now_us);
        gate.put_in_flight(Arc::clone(&parcel));
        gate.handling = Some(Arc::clone(&parcel));
        gate.publish(&self.vitals);
        Next::Handle(parcel)
    }

    /// Counts an answered parcel and lets it go.
    pub fn finish(&self, parcel: &dyn Deliver<A>) {
        let mut gate = self.gate();
        self.see_off(&mut gate, parcel, uptime_us());
    }

    /// Finishes the answered parcels that nobody came to fetch.
    pub fn sweep(&self, gate: &mut Gate<A>, now_us: u64) {
        let settled: Vec<AnyParcel<A>> =
            gate.started.iter().filter(|parcel| parcel.is_settled()).map(Arc::clone).collect();
        for parcel in settled {
            self.see_off(gate, &*parcel, now_us);
        }
    }

    fn see_off(&self, gate: &mut Gate<A>, parcel: &dyn Deliver<A>, now_us: u64) {
        let Some(parcel) = gate.take_from_flight(parcel) else { return };
        self.vitals.touch(now_us);
        gate.publish(&self.vitals);
        if parcel.header().is_lost() {
            gate.recent.note(parcel.header(), MessageOutcome::Interrupted, now_us);
            self.vitals.set_last_error("a handler's own task ended without an answer");
            self.park(&parcel, DeadLetterReason::Interrupted);
        } else {
            let handling_us = now_us.saturating_sub(parcel.header().started_us());
            self.vitals.handled(handling_us);
            gate.recent.note(parcel.header(), MessageOutcome::Answered, now_us);
            self.times.handled.record(seconds(handling_us));
        }
    }

    /// The caller waits no longer. A started message runs on; one that was not is never started.
    pub fn withdraw(&self, parcel: &AnyParcel<A>) {
        {
            let mut gate = self.gate();
            let is_over = parcel.header().is_withdrawn() || parcel.is_settled();
            if is_over || parcel.header().started_us() != 0 {
                return;
            }
            parcel.header().withdraw();
            gate.note_withdrawn();
            gate.recent.note(parcel.header(), MessageOutcome::Withdrawn, uptime_us());
            gate.publish(&self.vitals);
        }
        self.park(parcel, DeadLetterReason::Expired);
    }

    /// Puts a message that will not be handled among the node's dead letters.
    pub fn park(&self, parcel: &AnyParcel<A>, reason: DeadLetterReason) {
        if let Some(directory) = self.directory.upgrade() {
            directory.park(&self.key, parcel, reason);
        }
    }

    /// The loaded actor is about to take messages; false if it came too late and must not.
    pub fn arrive(&self, incarnation: u32) -> bool {
        let mut gate = self.gate();
        if gate.incarnation != incarnation || gate.phase != Phase::Starting {
            return false;
        }
        let now_us = uptime_us();
        gate.set_phase(Phase::Running, now_us);
        gate.failed_starts = 0;
        self.vitals.born(incarnation, now_us);
        gate.publish(&self.vitals);
        true
    }

    /// Asks the actor to passivate; its courier does so at its next turn if it is still idle.
    pub fn request_leave(&self) {
        let life = {
            let mut gate = self.gate();
            if gate.phase != Phase::Running || gate.paused || gate.draining || !gate.is_idle() {
                return;
            }
            gate.must_leave = true;
            gate.life.take()
        };
        wake(life);
    }

    /// Closes the slot for good if nothing came in meanwhile; a later ask finds `Gone` and opens a new slot.
    pub fn leave(&self, incarnation: u32) -> bool {
        {
            let mut gate = self.gate();
            let is_held = gate.paused || gate.draining || !gate.is_idle();
            if gate.incarnation != incarnation || gate.phase != Phase::Running || is_held {
                return false;
            }
            // not published: who lists actors before it is forgotten must not take it for one that was stopped
            gate.set_phase(Phase::Gone, uptime_us());
        }
        if let Some(directory) = self.directory.upgrade() {
            directory.forget(self);
        }
        true
    }

    /// Why an ask that ran out of time got no answer.
    pub fn why_late(&self) -> AskError {
        let is_down = matches!(self.gate().phase, Phase::Starting | Phase::Restarting);
        match self.vitals.last_error() {
            Some(reason) if is_down => AskError::StartFailed { reason },
            _ => AskError::TimedOut,
        }
    }
}

pub(super) fn wake(life: Option<Waker>) {
    if let Some(life) = life {
        life.wake();
    }
}
