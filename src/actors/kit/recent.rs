//! The last messages of one actor, for whoever inspects it: what they were, how long they waited and took, how they ended.
//!
//! They lie beside the lane, under the slot's gate, so they outlive the incarnations and are forgotten when the actor is
//! unloaded. Nothing is measured for them: the times are those that its vital signs are made of. An actor has room for as many
//! as it had messages, up to [`KEPT`]; a message beyond that takes the place of the oldest.

use std::collections::VecDeque;

use serde::Serialize;

use super::parcel::Header;

/// Messages that are kept of each actor.
pub(super) const KEPT: usize = 16;

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageOutcome {
    /// The actor answered, be it with a refusal.
    Answered,
    /// The actor panicked on it.
    Panicked,
    /// The actor was on it for too long and was replaced.
    Stuck,
    /// It was begun, and the actor died of something else or was stopped, or the task that was to answer it ended.
    Interrupted,
    /// Its caller's time was over when its turn came.
    Expired,
    /// Its caller left before its turn came.
    Withdrawn,
}

/// A message as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecentMessage {
    /// The name of its type, e.g. `ReserveUnits`.
    pub message: &'static str,
    /// When the actor took it up, or when it was given up; milliseconds since 1970.
    pub at_ms: i64,
    /// How long it waited for the actor.
    pub waited_us: u32,
    /// From there to its end; null if it was never begun.
    pub took_us: Option<u32>,
    /// How it ended.
    pub outcome: MessageOutcome,
}

#[derive(Clone, Copy)]
struct Entry {
    message: &'static str,
    at_us: u64,
    waited_us: u32,
    took_us: Option<u32>,
    outcome: MessageOutcome,
}

/// The last messages, oldest first.
#[derive(Default)]
pub(super) struct Recent {
    ring: VecDeque<Entry>,
}

impl Recent {
    /// Notes the end of a message.
    pub fn note(&mut self, message: &Header, outcome: MessageOutcome, now_us: u64) {
        let started_us = message.started_us();
        let (at_us, took_us) = match started_us {
            0 => (now_us, None),
            started_us => (started_us, Some(short(now_us.saturating_sub(started_us)))),
        };
        let waited_us = short(at_us.saturating_sub(message.queued_us));
        if self.ring.len() == KEPT {
            self.ring.pop_front();
        }
        self.ring.push_back(Entry { message: message.name, at_us, waited_us, took_us, outcome });
    }

    /// Latest first; `now_us` of the kit is `now_ms` of people.
    pub fn shown(&self, now_us: u64, now_ms: i64) -> Vec<RecentMessage> {
        let ago_ms = |at_us: u64| i64::try_from(now_us.saturating_sub(at_us) / 1_000).unwrap_or(i64::MAX);
        let shown = self.ring.iter().rev().map(|entry| RecentMessage {
            message: entry.message,
            at_ms: now_ms.saturating_sub(ago_ms(entry.at_us)),
            waited_us: entry.waited_us,
            took_us: entry.took_us,
            outcome: entry.outcome,
        });
        shown.collect()
    }
}

/// Over an hour is an hour.
fn short(micros: u64) -> u32 {
    u32::try_from(micros).unwrap_or(u32::MAX)
}
