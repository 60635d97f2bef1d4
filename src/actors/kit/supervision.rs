//! What happens when an actor dies, and what an administrator can do to one.
//!
//! Every end of an incarnation goes through [`Slot::bury`]: the message it was on gets an error and is parked, the
//! others in flight get an error too, the lane is left as it is, and the next incarnation is started from durable
//! state after a pause that doubles with each death. Too many deaths within the window quarantine the key.

use std::sync::Arc;
use std::time::Duration;

use super::actor::{AskError, KindLimits, KitActor, LoadError};
use super::dead_letters::DeadLetterReason;
use super::directory::Shared;
use super::events::ActorEventKind;
use super::gate::{Detached, Gate, Phase};
use super::life;
use super::parcel::AnyParcel;
use super::recent::MessageOutcome;
use super::slot::{Slot, wake};
use super::vitals::uptime_us;
use crate::random;

/// Why an incarnation ended.
#[derive(Debug)]
pub(super) enum Cause {
    Panicked(String),
    LoadFailed(LoadError),
    /// The actor called `ctx.stop()` or `ctx.terminate()`.
    StoppedItself,
    /// Its arbiter ended.
    Vanished,
    /// On one message, or in `load`, for too long.
    Stuck(Duration),
    /// It would work, but its arbiter is blocked by another actor.
    ArbiterBlocked(Duration),
    /// An administrator wants a fresh incarnation.
    Ordered,
}

impl Cause {
    /// Whether the actor itself is to blame, so that it brings quarantine nearer.
    const fn counts(&self) -> bool {
        match self {
            Self::Panicked(_) | Self::StoppedItself | Self::Stuck(_) | Self::LoadFailed(LoadError::Permanent(_)) => {
                true
            }
            Self::LoadFailed(LoadError::Transient(_)) | Self::Vanished | Self::ArbiterBlocked(_) | Self::Ordered => {
                false
            }
        }
    }

    /// How the message ended that the incarnation died on.
    const fn ends_message(&self) -> MessageOutcome {
        match self {
            Self::Panicked(_) => MessageOutcome::Panicked,
            Self::Stuck(_) => MessageOutcome::Stuck,
            _ => MessageOutcome::Interrupted,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Panicked(text) => text.clone(),
            Self::LoadFailed(error) => error.to_string(),
            Self::StoppedItself => "stopped itself".to_owned(),
            Self::Vanished => "its arbiter ended".to_owned(),
            Self::Stuck(time) => format!("stuck for {} ms", time.as_millis()),
            Self::ArbiterBlocked(time) => format!("its arbiter was blocked for {} ms", time.as_millis()),
            Self::Ordered => "restarted by an administrator".to_owned(),
        }
    }
}

/// A restart that is due after a pause.
#[must_use = "the actor stays down until it is scheduled"]
pub(super) struct Rebirth<A: KitActor> {
    slot: Arc<Slot<A>>,
    directory: Arc<Shared<A>>,
    incarnation: u32,
    pause: Duration,
    avoid: Option<usize>,
}

impl<A: KitActor> Rebirth<A> {
    pub fn schedule(self) {
        let watch = self.directory.host.watch().clone();
        // Not the directory: a pending restart must not keep it alive.
        let (slot, incarnation, pause, avoid) = (self.slot, self.incarnation, self.pause, self.avoid);
        if pause.is_zero() {
            slot.start(incarnation, avoid);
            return;
        }
        watch.spawn(async move {
            tokio::time::sleep(pause).await;
            slot.start(incarnation, avoid);
        });
    }
}

/// What is to be told once the gate is released.
struct Burial<A: KitActor> {
    left: Detached<A>,
    parked: Vec<(AnyParcel<A>, DeadLetterReason)>,
    refused: Vec<AnyParcel<A>>,
    verdict: Option<AskError>,
}

impl<A: KitActor> Slot<A> {
    /// Starts the incarnation if it is still wanted, on the key's own arbiter or, if that is to be avoided or ill, on
    /// another.
    pub fn start(self: &Arc<Self>, incarnation: u32, avoid: Option<usize>) {
        let Some(directory) = self.directory.upgrade() else { return };
        let seat = directory.host.seat_for(&self.key, avoid);
        {
            let mut gate = self.gate();
            if gate.incarnation != incarnation || gate.phase != Phase::Restarting {
                return;
            }
            gate.arbiter = seat;
            gate.set_phase(Phase::Starting, uptime_us());
            gate.publish(&self.vitals);
        }
        let (slot, deps) = (Arc::clone(self), directory.deps.clone());
        let is_sent = directory.host.run_on(seat, move || {
            actix::spawn(life::begin(slot, incarnation, deps));
        });
        // The arbiter has ended; the restart chooses another.
        if !is_sent && let Some(rebirth) = self.mourn(incarnation, Cause::Vanished) {
            rebirth.schedule();
        }
    }

    /// Ends a life and prepares the next; `None` if that life was over already or there is to be no next.
    pub fn mourn(self: &Arc<Self>, incarnation: u32, cause: Cause) -> Option<Rebirth<A>> {
        let directory = self.directory.upgrade();
        let mut gate = self.gate();
        if gate.incarnation != incarnation || !gate.is_alive() {
            return None;
        }
        let Some(directory) = directory else {
            // The directory is gone and the actor with it.
            gate.set_phase(Phase::Stopped, uptime_us());
            let burial = self.bury(&mut gate, &Cause::Vanished);
            drop(gate);
            self.settle(burial, &AskError::Stopped);
            return None;
        };
        let arbiter = gate.arbiter;
        let mut burial = self.bury(&mut gate, &cause);
        let pause = self.sentence(&mut gate, &cause, &directory.limits, &mut burial);
        let (incarnation, deaths) = (gate.incarnation, gate.deaths.len());
        drop(gate);
        let (kind, key, text) = (A::KIND, &self.key, cause.text());
        let what = if pause.is_some() { ActorEventKind::Restarted } else { ActorEventKind::Quarantined };
        if pause.is_some() {
            metrics::counter!("rushmall_actor_restarts_total", "kind" => kind).increment(1);
            tracing::warn!(kind, %key, incarnation, deaths, cause = %text, "actor is restarted");
        } else {
            tracing::error!(kind, %key, deaths, cause = %text, alert = true, "actor is quarantined");
        }
        directory.host.tell(kind, key.to_string(), what, text);
        self.settle(burial, &AskError::Died);
        let avoid = matches!(cause, Cause::Stuck(_) | Cause::ArbiterBlocked(_) | Cause::Vanished).then_some(arbiter);
        Some(Rebirth { slot: Arc::clone(self), directory, incarnation, pause: pause?, avoid })
    }

    /// Restart after a pause, or quarantine (`None`).
    fn sentence(
        &self,
        gate: &mut Gate<A>,
        cause: &Cause,
        limits: &KindLimits,
        burial: &mut Burial<A>,
    ) -> Option<Duration> {
        let now_us = uptime_us();
        if cause.counts() {
            let window_us = u64::try_from(limits.deaths_window.as_micros()).unwrap_or(u64::MAX);
            gate.deaths.push_back(now_us);
            gate.deaths.retain(|death_us| now_us.saturating_sub(*death_us) <= window_us);
        }
        self.vitals.set_last_error(&cause.text());
        let deaths = u32::try_from(gate.deaths.len()).unwrap_or(u32::MAX);
        if cause.counts() && deaths > limits.deaths_max {
            self.shut(gate, Phase::Quarantined, burial);
            return None;
        }
        self.vitals.restarted();
        gate.set_phase(Phase::Restarting, now_us);
        gate.publish(&self.vitals);
        let attempt = match cause {
            Cause::Ordered | Cause::ArbiterBlocked(_) => return Some(Duration::ZERO),
            Cause::LoadFailed(LoadError::Transient(_)) | Cause::Vanished => {
                gate.failed_starts = gate.failed_starts.saturating_add(1);
                gate.failed_starts
            }
            _ => deaths,
        };
        Some(with_jitter(limits.backoff(attempt)))
    }

    /// Cuts the incarnation off and decides what becomes of what it was on.
    fn bury(&self, gate: &mut Gate<A>, cause: &Cause) -> Burial<A> {
        let now_us = uptime_us();
        self.sweep(gate, now_us);
        // Answered already: whatever the actor died of, it was not this message.
        gate.handling.take_if(|on| on.header().place().is_none());
        let left = gate.detach();
        self.vitals.set_busy_since(0);
        let is_killer = |parcel: &AnyParcel<A>| left.handling.as_ref().is_some_and(|on| Arc::ptr_eq(on, parcel));
        let is_blamed = cause.counts();
        let mut parked = Vec::with_capacity(left.in_flight.len());
        for parcel in &left.in_flight {
            // A lone message in flight when a future panicked is as good as caught in the act.
            let poison = is_blamed && (is_killer(parcel) || (left.handling.is_none() && left.in_flight.len() == 1));
            let (reason, outcome) = match poison {
                true => (DeadLetterReason::Poison, cause.ends_message()),
                false => (DeadLetterReason::Interrupted, MessageOutcome::Interrupted),
            };
            gate.recent.note(parcel.header(), outcome, now_us);
            parked.push((Arc::clone(parcel), reason));
        }
        gate.publish(&self.vitals);
        Burial { left, parked, refused: Vec::new(), verdict: None }
    }

    /// Closes the gate: nobody starts this actor again until told to, and the lane is answered.
    fn shut(&self, gate: &mut Gate<A>, phase: Phase, burial: &mut Burial<A>) {
        gate.set_phase(phase, uptime_us());
        gate.draining = false;
        gate.withdrawn = 0;
        burial.refused = gate.lane.drain(..).filter(|parcel| !parcel.header().is_withdrawn()).collect();
        burial.verdict = Some(if phase == Phase::Quarantined { self.quarantined(gate) } else { AskError::Stopped });
        gate.publish(&self.vitals);
    }

    fn settle(&self, burial: Burial<A>, in_flight_get: &AskError) {
        for (parcel, reason) in burial.parked {
            // First parked, then told: a caller who has the error finds the letter.
            self.park(&parcel, reason);
            parcel.fail(in_flight_get.clone());
        }
        if let Some(verdict) = burial.verdict {
            let reason = match verdict {
                AskError::Quarantined { .. } => DeadLetterReason::Quarantined,
                _ => DeadLetterReason::Stopped,
            };
            for parcel in burial.refused {
                self.park(&parcel, reason);
                parcel.fail(verdict.clone());
            }
        }
        wake(burial.left.life);
    }

    /// Holds messages back from the actor; they wait up to the bound.
    pub fn pause(&self) {
        let mut gate = self.gate();
        gate.paused = true;
        gate.publish(&self.vitals);
    }

    /// Lets the held messages through, in order.
    pub fn resume(&self) {
        let life = {
            let mut gate = self.gate();
            gate.paused = false;
            gate.last_pull_us = uptime_us();
            gate.publish(&self.vitals);
            gate.life.take()
        };
        wake(life);
    }

    /// A fresh incarnation at once, also of a stopped actor; ends draining. False if it is quarantined.
    pub fn restart(self: &Arc<Self>) -> bool {
        let (phase, incarnation) = {
            let mut gate = self.gate();
            // Else the new incarnation would refuse messages and stop.
            gate.draining = false;
            gate.publish(&self.vitals);
            (gate.phase, gate.incarnation)
        };
        match phase {
            Phase::Quarantined | Phase::Gone => return false,
            Phase::Stopped => self.reopen(Phase::Stopped),
            Phase::Restarting => self.start(incarnation, None),
            Phase::Starting | Phase::Running => {
                if let Some(rebirth) = self.mourn(incarnation, Cause::Ordered) {
                    rebirth.schedule();
                }
            }
        }
        true
    }

    /// Ends the actor now: what it was on gets `Died`, what waits gets `Stopped`.
    pub fn stop(&self) {
        self.close(Phase::Stopped);
    }

    /// Keeps the actor down until it is lifted.
    pub fn quarantine(&self) {
        self.vitals.set_last_error("quarantined by an administrator");
        self.close(Phase::Quarantined);
    }

    fn close(&self, phase: Phase) {
        let burial = {
            let mut gate = self.gate();
            if gate.phase == Phase::Gone || gate.phase == phase {
                return;
            }
            let mut burial = self.bury(&mut gate, &Cause::Ordered);
            self.shut(&mut gate, phase, &mut burial);
            burial
        };
        self.settle(burial, &AskError::Died);
    }

    /// Ends a quarantine: the deaths are forgotten and the actor starts. False if it was not quarantined.
    pub fn lift(self: &Arc<Self>) -> bool {
        let is_quarantined = self.gate().phase == Phase::Quarantined;
        if is_quarantined {
            self.reopen(Phase::Quarantined);
        }
        is_quarantined
    }

    fn reopen(self: &Arc<Self>, closed: Phase) {
        let incarnation = {
            let mut gate = self.gate();
            if gate.phase != closed {
                return;
            }
            gate.deaths.clear();
            gate.failed_starts = 0;
            gate.draining = false;
            gate.set_phase(Phase::Restarting, uptime_us());
            self.vitals.restarted();
            gate.publish(&self.vitals);
            gate.incarnation
        };
        self.start(incarnation, None);
    }

    /// Refuses new messages; the actor stops when it has answered those it has. Ends a pause.
    pub fn drain(&self) {
        let life = {
            let mut gate = self.gate();
            if matches!(gate.phase, Phase::Quarantined | Phase::Stopped | Phase::Gone) {
                return;
            }
            gate.draining = true;
            gate.paused = false;
            gate.publish(&self.vitals);
            gate.life.take()
        };
        wake(life);
    }

    /// Stops the actor if it is draining and has nothing left. True if it is stopped.
    pub fn is_drained(&self) -> bool {
        let burial = {
            let mut gate = self.gate();
            self.sweep(&mut gate, uptime_us());
            match gate.phase {
                Phase::Quarantined | Phase::Stopped | Phase::Gone => return true,
                _ if gate.draining && gate.held() == 0 => {}
                _ => return false,
            }
            let mut burial = self.bury(&mut gate, &Cause::Ordered);
            self.shut(&mut gate, Phase::Stopped, &mut burial);
            burial
        };
        self.settle(burial, &AskError::Stopped);
        true
    }
}

/// Between three quarters and five quarters of the pause, so that actors that died together do not load together.
fn with_jitter(pause: Duration) -> Duration {
    let half_us = u64::try_from(pause.as_micros() / 2).unwrap_or(u64::MAX);
    pause.mul_f64(0.75) + Duration::from_micros(random::below(half_us.saturating_add(1)))
}
