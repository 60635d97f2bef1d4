//! What happens to actors, told at once to whoever listens: the admin console's live page and alerts.
//!
//! The last events are kept with a number each, so that another node can ask for them and tell what it knows already.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Events that are kept, and that a slow listener may be behind before it misses some.
pub(super) const EVENTS_KEPT: usize = 256;

/// What happened to an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorEventKind {
    /// It died and is started anew.
    Restarted,
    /// It died too often and is kept down: someone has to look.
    Quarantined,
    /// It is busy with one message for longer than `heartbeat_report_after`.
    Busy,
    /// An administrator gave an order; the key is `*` if it was for several.
    Ordered,
}

/// Something that happened to one actor.
#[derive(Clone, Debug, Serialize)]
pub struct ActorEvent {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The actor's kind.
    pub kind: &'static str,
    /// The actor's key.
    pub key: String,
    /// What happened.
    pub what: ActorEventKind,
    /// Why, for people.
    pub detail: String,
}

/// An event with its number on this node, from 1.
#[derive(Clone, Debug, Serialize)]
pub struct NumberedEvent {
    /// Ascending, without holes.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: ActorEvent,
}

/// The last events of one node.
#[derive(Debug, Default)]
pub(super) struct EventLog(Mutex<VecDeque<NumberedEvent>>);

impl EventLog {
    pub fn note(&self, event: ActorEvent) {
        let mut ring = self.ring();
        let seq = ring.back().map_or(1, |last| last.seq + 1);
        if ring.len() >= EVENTS_KEPT {
            ring.pop_front();
        }
        ring.push_back(NumberedEvent { seq, event });
    }

    /// Up to `limit` of the latest, oldest first.
    pub fn latest(&self, limit: usize) -> Vec<NumberedEvent> {
        let ring = self.ring();
        ring.iter().skip(ring.len().saturating_sub(limit)).cloned().collect()
    }

    fn ring(&self) -> MutexGuard<'_, VecDeque<NumberedEvent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_events_are_kept_and_numbers_go_on() {
        let log = EventLog::default();
        for at_ms in 1..=i64::try_from(EVENTS_KEPT).unwrap() + 10 {
            let (key, what) = (String::new(), ActorEventKind::Busy);
            log.note(ActorEvent { at_ms, kind: "counter", key, what, detail: String::new() });
        }
        let seqs = |limit| log.latest(limit).iter().map(|event| event.seq).collect::<Vec<_>>();
        assert_eq!(seqs(3), [264, 265, 266]);
        assert_eq!((seqs(1_000).len(), seqs(1_000)[0]), (EVENTS_KEPT, 11));
    }
}
