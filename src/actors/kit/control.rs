//! What an administrator can see of actors and do to them, for one key or all, and for all kinds alike.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::actor::{AskError, KitActor};
use super::directory::Directory;
use super::events::ActorEventKind;
use super::pulse::Hot;
use super::recent::RecentMessage;
use super::slot::{Slot, wake};
use super::vitals::{ActorState, VitalsSnapshot, uptime_us};

/// How long an actor may take to describe itself; an inspection promises an answer within 100 ms.
const DESCRIBE_MAX: Duration = Duration::from_millis(50);
const DRAIN_POLL: Duration = Duration::from_millis(5);

/// An order to one actor or to all of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Hold messages back, up to the bound.
    Pause,
    /// Let the held messages through, in order.
    Resume,
    /// A fresh incarnation from durable state, also of a stopped actor.
    Restart,
    /// End now: messages in flight get `Died`, waiting ones `Stopped`.
    Stop,
    /// Refuse new messages, finish those there are, then stop.
    Drain,
    /// Keep it down, and refuse messages, until lifted.
    Quarantine,
    /// End a quarantine.
    Lift,
}

impl Order {
    /// Whether it must also hold for an actor that is not in memory now.
    const fn makes_slot(self) -> bool {
        matches!(self, Self::Pause | Self::Stop | Self::Quarantine)
    }

    /// Whether messages are held back or refused afterwards.
    #[must_use]
    pub const fn holds_up(self) -> bool {
        matches!(self, Self::Pause | Self::Stop | Self::Drain | Self::Quarantine)
    }

    /// Its word in the admin API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Drain => "drain",
            Self::Quarantine => "quarantine",
            Self::Lift => "lift",
        }
    }
}

/// Whom an order is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The actor with this key.
    Key(String),
    /// Every actor of the kind that is in memory.
    All,
}

/// Which actors in memory an order is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selected {
    /// Of this kind; of every kind if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// With this key; with any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// In this state; in any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ActorState>,
}

impl Selected {
    /// True if it leaves nothing out.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.kind.is_none() && self.key.is_none() && self.state.is_none()
    }

    /// True if it fits an actor of this kind and key, whatever its state.
    #[must_use]
    pub fn names(&self, kind: &str, key: &str) -> bool {
        self.kind.as_deref().is_none_or(|wanted| wanted == kind)
            && self.key.as_deref().is_none_or(|wanted| wanted == key)
    }
}

/// Why an order or inspection was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum ControlError {
    /// The text is no key of this kind.
    #[error("{0:?} is no key of this kind")]
    BadKey(String),
    /// No such actor is in memory.
    #[error("no such actor is in memory")]
    NotLive,
    /// The order does not fit the state: lifting what is not quarantined, restarting what is.
    #[error("the actor is {0:?}")]
    WrongState(ActorState),
    /// There is no room for it, or the directory is shutting down.
    #[error(transparent)]
    Refused(#[from] AskError),
}

/// One actor, seen from outside and, if it answers, from inside.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Its vital signs.
    pub vitals: VitalsSnapshot,
    /// What it says of itself; null if it says nothing.
    pub state_data: Value,
    /// Why `state_data` is missing.
    pub note: Option<&'static str>,
    /// Its last messages, latest first.
    pub recent: Vec<RecentMessage>,
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShutdownReport {
    /// Actors that finished all they had.
    pub drained: usize,
    /// Actors stopped at the deadline with messages unfinished.
    pub cut_off: usize,
}

/// A directory whose actor kind is forgotten, for the admin API.
#[async_trait]
pub trait AnyDirectory: Send + Sync {
    /// The kind's name.
    fn kind(&self) -> &'static str;
    /// The vital signs of every actor in memory.
    fn list(&self) -> Vec<VitalsSnapshot>;
    /// One actor; answers within 100 ms whatever the actor does.
    async fn inspect(&self, key: &str) -> Result<Inspection, ControlError>;
    /// Carries an order out; how many actors it reached.
    async fn order(&self, target: &Target, order: Order) -> Result<usize, ControlError>;
    /// Carries an order out on the actors in memory that fit; how many took it.
    fn order_selected(&self, selected: &Selected, order: Order) -> usize;
    /// See [`KitActor::IS_PLUMBING`].
    fn is_plumbing(&self) -> bool;
    /// Whether the kind is alive: true if one of some free actors answers in time, or none is free to be asked.
    async fn answers(&self, within: Duration) -> bool;
    /// The actors that answered most, the busiest first.
    fn busiest(&self, count: usize) -> Vec<Hot>;
    /// Drains every actor, and stops those that are not done by then.
    async fn shutdown(&self, deadline: Duration) -> ShutdownReport;
}

#[async_trait]
impl<A: KitActor> AnyDirectory for Directory<A> {
    fn kind(&self) -> &'static str {
        A::KIND
    }

    fn list(&self) -> Vec<VitalsSnapshot> {
        self.shared.slots.iter().map(|slot| slot.vitals.snapshot(A::KIND, slot.key.to_string())).collect()
    }

    async fn inspect(&self, key: &str) -> Result<Inspection, ControlError> {
        let slot = self.shared.slot(&parse::<A>(key)?).ok_or(ControlError::NotLive)?;
        let (ask, answer) = oneshot::channel();
        let life = {
            let mut gate = slot.gate();
            if gate.is_alive() {
                gate.questions.push(ask);
                gate.life.take()
            } else {
                drop(ask);
                None
            }
        };
        wake(life);
        let (state_data, note) = match timeout(DESCRIBE_MAX, answer).await {
            Ok(Ok(description)) => (description, None),
            Ok(Err(_)) => (Value::Null, Some("the actor is not running")),
            Err(_) => (Value::Null, Some("the actor is on a message and did not answer within 50 ms")),
        };
        let (now_us, now_ms) = (uptime_us(), self.shared.host.now_ms());
        let recent = slot.gate().recent.shown(now_us, now_ms);
        Ok(Inspection { vitals: slot.vitals.snapshot(A::KIND, slot.key.to_string()), state_data, note, recent })
    }

    async fn order(&self, target: &Target, order: Order) -> Result<usize, ControlError> {
        tracing::info!(kind = A::KIND, ?target, ?order, "actor order");
        let Target::Key(key) = target else {
            return Ok(self.order_selected(&Selected::default(), order));
        };
        let named = key;
        let key = parse::<A>(key)?;
        let slot = match self.shared.slot(&key) {
            Some(slot) => slot,
            None if order.makes_slot() => self.shared.open(&key).await?,
            None => return Err(ControlError::NotLive),
        };
        if !obey(&slot, order) {
            return Err(ControlError::WrongState(slot.vitals.state()));
        }
        self.shared.host.tell(A::KIND, named.clone(), ActorEventKind::Ordered, order.word().to_owned());
        Ok(1)
    }

    fn order_selected(&self, selected: &Selected, order: Order) -> usize {
        let is_meant = |slot: &&Arc<Slot<A>>| {
            selected.state.is_none_or(|state| slot.vitals.state() == state)
                && (selected.key.is_none() || selected.names(A::KIND, &slot.key.to_string()))
        };
        let reached = self.shared.all().iter().filter(is_meant).filter(|slot| obey(slot, order)).count();
        if reached > 0 {
            let key = selected.key.clone().unwrap_or_else(|| "*".to_owned());
            let detail = format!("{}: {reached} actors", order.word());
            self.shared.host.tell(A::KIND, key, ActorEventKind::Ordered, detail);
        }
        reached
    }

    fn is_plumbing(&self) -> bool {
        A::IS_PLUMBING
    }

    async fn answers(&self, within: Duration) -> bool {
        Self::answers(self, within).await
    }

    fn busiest(&self, count: usize) -> Vec<Hot> {
        Self::busiest(self, count)
    }

    async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        self.shared.closing.store(true, Ordering::Release);
        let give_up_at = Instant::now() + deadline;
        loop {
            // Looked up each time: an ask may have been opening a slot when the door closed.
            let slots = self.shared.all();
            slots.iter().for_each(|slot| slot.drain());
            let left: Vec<&Arc<Slot<A>>> = slots.iter().filter(|slot| !slot.is_drained()).collect();
            let is_late = Instant::now() >= give_up_at;
            if left.is_empty() || is_late {
                let report = ShutdownReport { drained: slots.len() - left.len(), cut_off: left.len() };
                left.into_iter().for_each(|slot| slot.stop());
                return report;
            }
            sleep(DRAIN_POLL).await;
        }
    }
}

fn parse<A: KitActor>(key: &str) -> Result<A::Key, ControlError> {
    key.parse().map_err(|_| ControlError::BadKey(key.to_owned()))
}

/// False if the order does not fit the actor's state.
fn obey<A: KitActor>(slot: &Arc<Slot<A>>, order: Order) -> bool {
    match order {
        Order::Pause => slot.pause(),
        Order::Resume => slot.resume(),
        Order::Stop => slot.stop(),
        Order::Drain => slot.drain(),
        Order::Quarantine => slot.quarantine(),
        Order::Restart => return slot.restart(),
        Order::Lift => return slot.lift(),
    }
    true
}

/// Every actor kind of this node, by name.
#[derive(Clone, Default)]
pub struct Kinds {
    directories: BTreeMap<&'static str, Arc<dyn AnyDirectory>>,
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.directories.keys()).finish()
    }
}

impl Kinds {
    /// Adds a kind.
    pub fn register<A: KitActor>(&mut self, directory: &Directory<A>) {
        self.directories.insert(A::KIND, Arc::new(directory.clone()));
    }

    /// The directory of a kind.
    #[must_use]
    pub fn get(&self, kind: &str) -> Option<&dyn AnyDirectory> {
        self.directories.get(kind).map(AsRef::as_ref)
    }

    /// Carries an order out on every actor in memory that fits; how many took it. An order that holds actors up reaches
    /// the plumbing only if it names it.
    #[must_use]
    pub fn order(&self, selected: &Selected, order: Order) -> usize {
        let names_kind = selected.kind.is_some();
        let meant = self.directories.iter().filter(|(name, directory)| {
            selected.kind.as_deref().is_none_or(|kind| kind == **name)
                && (names_kind || !order.holds_up() || !directory.is_plumbing())
        });
        meant.map(|(_, directory)| directory.order_selected(selected, order)).sum()
    }

    /// Actors that an order to everybody would hold up: those that are up, plumbing left out.
    #[must_use]
    pub fn count_held_up(&self) -> usize {
        let down = |actor: &VitalsSnapshot| matches!(actor.state, ActorState::Stopped | ActorState::Quarantined);
        let kinds = self.directories.values().filter(|directory| !directory.is_plumbing());
        kinds.map(|directory| directory.list().iter().filter(|actor| !down(actor)).count()).sum()
    }

    /// The names of all kinds.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.directories.keys().copied()
    }

    /// Every kind's directory, by name.
    pub fn all(&self) -> impl Iterator<Item = &dyn AnyDirectory> {
        self.directories.values().map(AsRef::as_ref)
    }

    /// The actors of one kind (or all) in one state (or any).
    #[must_use]
    pub fn list(&self, kind: Option<&str>, state: Option<ActorState>) -> Vec<VitalsSnapshot> {
        self.directories
            .iter()
            .filter(|(name, _)| kind.is_none_or(|kind| kind == **name))
            .flat_map(|(_, directory)| directory.list())
            .filter(|vitals| state.is_none_or(|state| state == vitals.state))
            .collect()
    }
}
