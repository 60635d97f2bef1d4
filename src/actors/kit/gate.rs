//! What a slot guards with its lock: the lane of waiting parcels, those in flight, and where the actor is in its life.
//!
//! Only plain data and its rules; [`super::slot`] takes the lock, wakes and answers. All of it outlives the actor.

use std::collections::VecDeque;
use std::task::Waker;

use serde_json::Value;
use tokio::sync::oneshot;

use super::actor::KitActor;
use super::parcel::{AnyParcel, Deliver};
use super::recent::Recent;
use super::vitals::{ActorState, Vitals};

/// A lane that grew beyond this gives its memory back when it is empty.
const LANE_KEPT: usize = 64;

/// Where the actor is in its life; pausing and draining lie across it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Running,
    Restarting,
    Quarantined,
    Stopped,
    /// The slot left the directory; whoever still holds it must look the key up again.
    Gone,
}

pub(super) struct Gate<A: KitActor> {
    pub phase: Phase,
    pub phase_since_us: u64,
    pub paused: bool,
    pub draining: bool,
    /// Asked to passivate.
    pub must_leave: bool,
    /// Warned about for the message it is on.
    pub reported: bool,
    /// Which life this is. A courier with another number has been replaced.
    pub incarnation: u32,
    /// Index of the arbiter it lives on.
    pub arbiter: usize,
    /// When this turn on the arbiter is over; 0 before its first message.
    pub turn_ends_us: u64,
    /// Wakes the actor's task.
    pub life: Option<Waker>,
    pub lane: VecDeque<AnyParcel<A>>,
    /// How many in the lane were withdrawn by their callers.
    pub withdrawn: usize,
    pub started: Vec<AnyParcel<A>>,
    /// The message the actor is on and cannot put down: a handler that runs, or an atomic response.
    pub handling: Option<AnyParcel<A>>,
    /// Requests to describe the actor; they overtake the lane.
    pub questions: Vec<oneshot::Sender<Value>>,
    pub last_pull_us: u64,
    pub deaths: VecDeque<u64>,
    /// Transient load failures in a row.
    pub failed_starts: u32,
    /// For whoever inspects the actor.
    pub recent: Recent,
}

impl<A: KitActor> Gate<A> {
    pub fn new(now_us: u64) -> Self {
        Self {
            phase: Phase::Restarting,
            phase_since_us: now_us,
            paused: false,
            draining: false,
            must_leave: false,
            reported: false,
            incarnation: 1,
            arbiter: 0,
            turn_ends_us: 0,
            life: None,
            lane: VecDeque::new(),
            withdrawn: 0,
            started: Vec::new(),
            handling: None,
            questions: Vec::new(),
            last_pull_us: now_us,
            deaths: VecDeque::new(),
            failed_starts: 0,
            recent: Recent::default(),
        }
    }

    pub fn set_phase(&mut self, phase: Phase, now_us: u64) {
        self.phase = phase;
        self.phase_since_us = now_us;
        self.reported = false;
    }

    pub fn is_alive(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Running)
    }

    pub fn is_idle(&self) -> bool {
        self.lane.is_empty() && self.started.is_empty() && self.questions.is_empty()
    }

    /// Messages held, waiting and in flight; those whose callers left do not count.
    pub fn held(&self) -> usize {
        self.lane.len().saturating_sub(self.withdrawn) + self.started.len()
    }

    pub fn state(&self) -> ActorState {
        match self.phase {
            Phase::Quarantined => ActorState::Quarantined,
            Phase::Stopped | Phase::Gone => ActorState::Stopped,
            _ if self.draining => ActorState::Draining,
            Phase::Restarting => ActorState::Restarting,
            Phase::Starting => ActorState::Starting,
            Phase::Running if self.paused => ActorState::Paused,
            Phase::Running => ActorState::Running,
        }
    }

    pub fn publish(&self, vitals: &Vitals) {
        vitals.set_state(self.state());
        vitals.set_load(self.lane.len().saturating_sub(self.withdrawn), self.started.len());
    }

    /// The next parcel whose caller still waits for it.
    pub fn pull(&mut self) -> Option<AnyParcel<A>> {
        while let Some(parcel) = self.lane.pop_front() {
            if !parcel.header().is_withdrawn() {
                return Some(parcel);
            }
            self.withdrawn = self.withdrawn.saturating_sub(1);
        }
        if self.lane.capacity() > LANE_KEPT {
            self.lane = VecDeque::new();
        }
        None
    }

    /// Notes that a parcel in the lane was withdrawn; sweeps when they are the most, which keeps it cheap.
    pub fn note_withdrawn(&mut self) {
        self.withdrawn += 1;
        if self.withdrawn * 2 > self.lane.len() {
            self.lane.retain(|parcel| !parcel.header().is_withdrawn());
            self.withdrawn = 0;
        }
    }

    pub fn put_in_flight(&mut self, parcel: AnyParcel<A>) {
        parcel.header().set_place(Some(self.started.len()));
        self.started.push(parcel);
    }

    /// Removes an answered parcel; `None` if it was removed before.
    pub fn take_from_flight(&mut self, parcel: &dyn Deliver<A>) -> Option<AnyParcel<A>> {
        let place = parcel.header().place().filter(|place| *place < self.started.len())?;
        parcel.header().set_place(None);
        let taken = self.started.swap_remove(place);
        if let Some(moved) = self.started.get(place) {
            moved.header().set_place(Some(place));
        } else if self.started.is_empty() && self.started.capacity() > LANE_KEPT {
            self.started = Vec::new();
        }
        Some(taken)
    }

    /// Cuts the running incarnation off: what it has in flight is no longer its business, and its courier ends at its
    /// next turn.
    pub fn detach(&mut self) -> Detached<A> {
        self.incarnation = self.incarnation.wrapping_add(1);
        self.must_leave = false;
        self.reported = false;
        self.questions.clear();
        let in_flight = std::mem::take(&mut self.started);
        for parcel in &in_flight {
            parcel.header().set_place(None);
        }
        Detached { handling: self.handling.take(), in_flight, life: self.life.take() }
    }

    /// How long nothing moves although it should, in µs; 0 for an actor that is well or has nothing to do.
    pub fn stuck_us(&self, now_us: u64) -> u64 {
        let since_us = match (self.phase, &self.handling) {
            (Phase::Starting, _) => self.phase_since_us,
            (Phase::Running, Some(parcel)) if !parcel.is_settled() => parcel.header().started_us(),
            (Phase::Running, _) if !self.paused => match self.lane.front() {
                Some(parcel) => self.last_pull_us.max(parcel.header().queued_us).max(self.phase_since_us),
                None => return 0,
            },
            _ => return 0,
        };
        now_us.saturating_sub(since_us)
    }
}

/// What a cut-off incarnation leaves behind.
pub(super) struct Detached<A: KitActor> {
    pub handling: Option<AnyParcel<A>>,
    pub in_flight: Vec<AnyParcel<A>>,
    pub life: Option<Waker>,
}
