//! What all actor kinds of one node share: the arbiters they live on, the thread that watches them, the dead letters.
//!
//! The watch has a thread of its own, so that no actor that blocks its arbiter can keep the kit from noticing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use actix::ArbiterHandle;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{broadcast, oneshot};

use super::dead_letters::DeadLetters;
use super::events::{ActorEvent, ActorEventKind, EVENTS_KEPT, EventLog, NumberedEvent};
use super::vitals::uptime_us;
use crate::clock::Clock;

const PROBE_EVERY: Duration = Duration::from_millis(100);
/// An arbiter that did not run a probe for this long gets no new actors while others do.
const BLOCKED_AFTER_US: u64 = 500_000;

/// The ground that actors of all kinds stand on; one per process.
#[derive(Debug)]
pub struct Host {
    seats: Vec<Seat>,
    watch: Handle,
    dead_letters: DeadLetters,
    events: broadcast::Sender<ActorEvent>,
    latest: EventLog,
    clock: Clock,
    /// Dropped with the host, which ends the watch thread.
    _until_dropped: oneshot::Sender<()>,
}

#[derive(Debug)]
struct Seat {
    arbiter: ArbiterHandle,
    probe: Arc<AtomicU64>,
}

impl Host {
    /// Starts the watch over these arbiters (at least one).
    ///
    /// # Errors
    /// If there is no arbiter, or the watch thread cannot be started.
    pub fn start(arbiters: Vec<ArbiterHandle>, clock: Clock) -> io::Result<Arc<Self>> {
        if arbiters.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "actors need at least one arbiter"));
        }
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let watch = runtime.handle().clone();
        let (until_dropped, dropped) = oneshot::channel::<()>();
        thread::Builder::new().name("actor-watch".to_owned()).spawn(move || {
            // Ends with an error, when the sender is dropped.
            let _ = runtime.block_on(dropped);
        })?;
        let seats = arbiters.into_iter().map(|arbiter| Seat { arbiter, probe: Arc::new(AtomicU64::new(0)) }).collect();
        let host = Arc::new(Self {
            seats,
            watch,
            dead_letters: DeadLetters::new(clock.clone()),
            events: broadcast::Sender::new(EVENTS_KEPT),
            latest: EventLog::default(),
            clock,
            _until_dropped: until_dropped,
        });
        let watched = Arc::downgrade(&host);
        host.watch.spawn(async move {
            while let Some(host) = watched.upgrade() {
                host.probe_arbiters();
                drop(host);
                tokio::time::sleep(PROBE_EVERY).await;
            }
        });
        Ok(host)
    }

    /// The messages that were not handled.
    #[must_use]
    pub const fn dead_letters(&self) -> &DeadLetters {
        &self.dead_letters
    }

    /// What happens to this node's actors from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<ActorEvent> {
        self.events.subscribe()
    }

    /// The latest `limit` of them, oldest first.
    #[must_use]
    pub fn latest_events(&self, limit: usize) -> Vec<NumberedEvent> {
        self.latest.latest(limit)
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(super) fn tell(&self, kind: &'static str, key: String, what: ActorEventKind, detail: String) {
        let event = ActorEvent { at_ms: self.clock.now_ms(), kind, key, what, detail };
        self.latest.note(event.clone());
        let _ = self.events.send(event); // nobody may be listening
    }

    pub(super) const fn watch(&self) -> &Handle {
        &self.watch
    }

    /// The arbiter of a key: always the same, unless it is blocked or to be avoided.
    pub(super) fn seat_for(&self, key: &impl Hash, avoid: Option<usize>) -> usize {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let count = self.seats.len();
        let home = usize::try_from(hasher.finish() % count as u64).unwrap_or(0);
        let in_order = || (0..count).map(|step| (home + step) % count);
        let is_other = |seat: &usize| Some(*seat) != avoid;
        in_order()
            .filter(is_other)
            .find(|seat| self.seats.get(*seat).is_some_and(Seat::is_well))
            .or_else(|| in_order().find(is_other))
            .unwrap_or(home)
    }

    pub(super) fn run_on(&self, seat: usize, work: impl FnOnce() + Send + 'static) -> bool {
        self.seats.get(seat).is_some_and(|seat| seat.arbiter.spawn_fn(work))
    }

    fn probe_arbiters(&self) {
        for (number, seat) in self.seats.iter().enumerate() {
            let sent_us = seat.probe.load(Ordering::Relaxed);
            if sent_us == 0 {
                seat.probe.store(uptime_us(), Ordering::Relaxed);
                let probe = Arc::clone(&seat.probe);
                seat.arbiter.spawn_fn(move || probe.store(0, Ordering::Relaxed));
            } else if !seat.is_well() {
                let blocked_ms = uptime_us().saturating_sub(sent_us) / 1_000;
                tracing::debug!(arbiter = number, blocked_ms, "arbiter is blocked");
            }
        }
    }
}

impl Seat {
    /// A probe that waits is no illness until it waits long.
    fn is_well(&self) -> bool {
        let sent_us = self.probe.load(Ordering::Relaxed);
        self.arbiter.alive() && (sent_us == 0 || uptime_us().saturating_sub(sent_us) < BLOCKED_AFTER_US)
    }
}
