//! Whether a kind of actors is alive, and which of its actors are the busiest: asked by probes and scrapes, so it must be
//! cheap with 100,000 actors and must not wait for one that is at work.

use std::sync::Arc;
use std::time::Duration;

use futures::future::select_ok;
use serde_json::Value;
use tokio::sync::oneshot;

use super::actor::KitActor;
use super::directory::{Directory, Shared};
use super::slot::{Slot, wake};
use super::vitals::ActorState;

/// Actors of a kind that are asked at once; one answer will do.
const ASKED: usize = 3;

/// One busy actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hot {
    /// Its key as text.
    pub key: String,
    /// Messages answered since it came to life.
    pub handled: u64,
    /// Messages that wait or are worked on.
    pub held: u32,
}

impl<A: KitActor> Directory<A> {
    /// True if one of some free actors answers within the time, or none is free to be asked: an actor that is on a
    /// message, paused or kept down by a human says nothing of its kind, and one that is stuck is replaced by the watch.
    pub(super) async fn answers(&self, within: Duration) -> bool {
        let asked: Vec<oneshot::Receiver<Value>> = self.shared.free().iter().filter_map(question).collect();
        if asked.is_empty() {
            return true;
        }
        tokio::time::timeout(within, select_ok(asked)).await.is_ok_and(|answer| answer.is_ok())
    }

    /// The actors that answered most, up to `count`, the busiest first.
    pub(super) fn busiest(&self, count: usize) -> Vec<Hot> {
        let mut top: Vec<(u64, Arc<Slot<A>>)> = Vec::with_capacity(count + 1);
        for slot in &self.shared.slots {
            let handled = slot.vitals.handled_count();
            if top.len() == count && top.last().is_some_and(|(least, _)| *least >= handled) {
                continue;
            }
            let place = top.partition_point(|(known, _)| *known >= handled);
            top.insert(place, (handled, Arc::clone(&slot)));
            top.truncate(count);
        }
        let hot = |(handled, slot): (u64, Arc<Slot<A>>)| {
            let (queued, in_flight) = slot.vitals.load();
            Hot { key: slot.key.to_string(), handled, held: queued + in_flight }
        };
        top.into_iter().map(hot).collect()
    }
}

impl<A: KitActor> Shared<A> {
    /// Some actors that run and are on nothing.
    fn free(&self) -> Vec<Arc<Slot<A>>> {
        let is_free = |slot: &Slot<A>| slot.vitals.state() == ActorState::Running && slot.vitals.is_free();
        let slots = self.slots.iter();
        slots.filter(|slot| is_free(slot)).take(ASKED).map(|slot| Arc::clone(&slot)).collect()
    }
}

/// Asks it to describe itself, ahead of its messages; `None` if it is gone by now.
fn question<A: KitActor>(slot: &Arc<Slot<A>>) -> Option<oneshot::Receiver<Value>> {
    let (ask, answer) = oneshot::channel();
    let life = {
        let mut gate = slot.gate();
        if !gate.is_alive() {
            return None;
        }
        gate.questions.push(ask);
        gate.life.take()
    };
    wake(life);
    Some(answer)
}
