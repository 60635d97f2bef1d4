//! What happens to actors, told at once to whoever listens: the admin console's live page and alerts.

use serde::{Deserialize, Serialize};

/// Events a slow listener may be behind before it misses some.
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
