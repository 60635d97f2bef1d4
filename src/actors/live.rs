//! The pulse of all nodes, once a second, for administrators who watch. Nobody watches: nobody is asked.
//!
//! One question a second serves all watchers of a node. What is published replaces what was there, so a watcher who is
//! slow sees the newest and never a queue.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::MissedTickBehavior;

use super::background::Stop;
use super::control::{ActorAnswer, ActorCommand, Sort};
use super::controls::{self, Controls};
use super::peers::Peers;
use crate::clock::Clock;
use crate::persistence::StoreError;

/// Administrators' sockets on one node.
const WATCHERS_MAX: usize = 64;
const PULSE_EVERY: Duration = Duration::from_secs(1);
/// Pause before it is looked again whether somebody watches.
const IDLE_LOOK_EVERY: Duration = Duration::from_millis(100);

/// How the nodes were at one moment.
#[derive(Clone, Debug, Default)]
pub struct Pulses {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// By node: name and pulse, `None` if it did not answer; this node first, then by slot.
    pub nodes: Vec<(String, Option<Value>)>,
}

/// Where pulses are published; clones share it.
#[derive(Clone, Debug)]
pub struct LiveHub {
    latest: Arc<watch::Sender<Arc<Pulses>>>,
    seats: Arc<Semaphore>,
}

/// One who watches, until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    /// Changes with each pulse.
    pub pulses: watch::Receiver<Arc<Pulses>>,
    _seat: OwnedSemaphorePermit,
}

impl Default for LiveHub {
    fn default() -> Self {
        Self { latest: Arc::new(watch::channel(Arc::default()).0), seats: Arc::new(Semaphore::new(WATCHERS_MAX)) }
    }
}

impl LiveHub {
    /// A place to watch from; `None` if all are taken.
    #[must_use]
    pub fn watch(&self) -> Option<Watcher> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        Some(Watcher { pulses: self.latest.subscribe(), _seat: seat })
    }

    /// Asks the nodes while somebody watches, until `stop`. News of this node's alerts are not waited for.
    ///
    /// # Errors
    /// None; the type is that of all background loops.
    pub async fn run(self, controls: Controls, peers: Peers, clock: Clock, mut stop: Stop) -> Result<(), StoreError> {
        let mut ticks = tokio::time::interval(PULSE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut alerts = controls.alerts.changes();
        while !stop.is_set() {
            if self.latest.receiver_count() == 0 {
                stop.sleep(IDLE_LOOK_EVERY).await;
                continue;
            }
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = alerts.changed() => {}
                () = stop.wait() => return Ok(()),
            }
            let answers = controls::ask_nodes(&controls, &peers, ActorCommand::Pulse { sort: Sort::Queued }).await;
            let nodes = answers.into_iter().map(|node| match node.answer {
                Some(ActorAnswer::Pulse(pulse)) => (node.node, Some(pulse)),
                _ => (node.node, None),
            });
            let pulses = Pulses { at_ms: clock.now_ms(), nodes: nodes.collect() };
            self.latest.send_replace(Arc::new(pulses));
        }
        Ok(())
    }
}
