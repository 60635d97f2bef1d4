//! What an administrator asks of the actors of a node, in the same words whether the question was asked here or came from
//! another node. `controls.rs` carries it out.
//!
//! A list that travels holds at most [`LISTED_MAX`] actors of a node, so that it fits into one message. A node of an
//! earlier release that does not know a command does not answer it, and is named as one that gave no answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kit::{ActorState, ControlError, Order, Selected, Target, VitalsSnapshot};
use super::settings_lever::Reloaded;
use crate::domain::BuyerId;

/// Actors of one node in an answer to another.
pub const LISTED_MAX: usize = 2_000;
/// Actors in a pulse.
pub const PULSE_ACTORS_MAX: usize = 50;
/// Longest wait for the answers of other nodes.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// The same where actors are asked again what they missed, or files are read.
const SLOW_ANSWERS_WITHIN: Duration = Duration::from_secs(8);

/// What to do on each node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum ActorCommand {
    /// The first actors in an order.
    List {
        /// Of this kind only.
        kind: Option<String>,
        /// In this state only.
        state: Option<ActorState>,
        /// In this order.
        sort: Sort,
        /// So many.
        limit: usize,
        /// With this key only. A node of an earlier release lists others as well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// One actor, from outside and inside.
    Inspect {
        /// Its kind.
        kind: String,
        /// Its key.
        key: String,
    },
    /// An order to one actor or all of a kind, on every node.
    Order {
        /// The kind.
        kind: String,
        /// Which of them.
        target: Target,
        /// What.
        order: Order,
    },
    /// An order to the actors in memory that fit.
    OrderSelected {
        /// On the nodes of this name; on every node if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// Which.
        selected: Selected,
        /// What.
        order: Order,
    },
    /// Messages that no actor handled, latest first.
    DeadLetters {
        /// Of these actors; the state says nothing here.
        selected: Selected,
        /// So many.
        limit: usize,
    },
    /// Asks the actors again what they did not handle.
    Replay {
        /// On the nodes of this name; on every node if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// This letter only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// Letters to these actors; the state says nothing here.
        selected: Selected,
    },
    /// Closes the WebSockets of a user; clients resume at once.
    Disconnect {
        /// Whose.
        user: BuyerId,
    },
    /// How the node is: what a live page shows.
    Pulse {
        /// The busiest actors first.
        sort: Sort,
    },
    /// The alerts that stand, and those that ended lately.
    Alerts,
    /// The settings in effect, secrets masked.
    Settings {
        /// On the nodes of this name; on every node if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
    },
    /// Reads the settings anew.
    ReloadSettings {
        /// On the nodes of this name; on every node if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
    },
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// By kind and key.
    Key,
    /// Most waiting messages first.
    Queued,
    /// Busiest first.
    Handled,
    /// Most often restarted first.
    Restarts,
}

/// What a node says to a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorAnswer {
    /// To `List` and `DeadLetters`: the first, and how many there are.
    Listed {
        /// In the order asked for.
        actors: Vec<Value>,
        /// Not only those listed.
        total: u64,
    },
    /// To `Inspect`.
    Inspected(Value),
    /// To an order and to `Disconnect`: how many actors or sockets it reached.
    Reached(usize),
    /// To `Replay`.
    Replayed {
        /// Messages that were handled now.
        handled: usize,
        /// Messages that were not; they are among the dead letters still, or once more.
        failed: usize,
    },
    /// To `Pulse`.
    Pulse(Value),
    /// To `Alerts`.
    Alerts(Value),
    /// To `Settings`: a list of keys.
    Settings(Value),
    /// To `ReloadSettings`.
    Reloaded(Reloaded),
    /// Not carried out.
    Refused(ControlError),
    /// There is no such kind.
    UnknownKind,
}

impl ActorCommand {
    /// The same, with an answer that fits into one message.
    #[must_use]
    pub fn bounded(self) -> Self {
        match self {
            Self::List { kind, state, sort, limit, key } => {
                Self::List { kind, state, sort, limit: limit.min(LISTED_MAX), key }
            }
            Self::DeadLetters { selected, limit } => Self::DeadLetters { selected, limit: limit.min(LISTED_MAX) },
            other => other,
        }
    }

    /// True if a node of this name is asked.
    #[must_use]
    pub fn is_for(&self, node: &str) -> bool {
        match self {
            Self::OrderSelected { node: wanted, .. }
            | Self::Replay { node: wanted, .. }
            | Self::Settings { node: wanted }
            | Self::ReloadSettings { node: wanted } => wanted.as_deref().is_none_or(|wanted| wanted == node),
            _ => true,
        }
    }

    /// Longest wait for the answers of other nodes.
    #[must_use]
    pub const fn answers_within(&self) -> Duration {
        match self {
            Self::Replay { .. } | Self::ReloadSettings { .. } => SLOW_ANSWERS_WITHIN,
            _ => ANSWERS_WITHIN,
        }
    }
}

impl Sort {
    /// Reads the word of the admin API.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [("key", Self::Key), ("queued", Self::Queued), ("handled", Self::Handled), ("restarts", Self::Restarts)]
            .into_iter()
            .find_map(|(name, sort)| (name == word).then_some(sort))
    }

    /// Sorts listed actors, of one node or of several.
    pub fn apply(self, actors: &mut [Value]) {
        let text = |actor: &Value, field: &str| actor[field].as_str().unwrap_or_default().to_owned();
        let most = |field: &'static str| move |actor: &Value| std::cmp::Reverse(actor[field].as_u64().unwrap_or(0));
        actors.sort_by_cached_key(|actor| (text(actor, "kind"), text(actor, "key")));
        match self {
            Self::Key => {}
            Self::Queued => actors.sort_by_key(most("queued")),
            Self::Handled => actors.sort_by_key(most("handled")),
            Self::Restarts => actors.sort_by_key(most("restarts")),
        }
    }

    pub(super) fn sort(self, actors: &mut [VitalsSnapshot]) {
        actors.sort_by(|a, b| (a.kind, &a.key).cmp(&(b.kind, &b.key)));
        match self {
            Self::Key => {}
            Self::Queued => actors.sort_by_key(|actor| std::cmp::Reverse(actor.queued)),
            Self::Handled => actors.sort_by_key(|actor| std::cmp::Reverse(actor.handled)),
            Self::Restarts => actors.sort_by_key(|actor| std::cmp::Reverse(actor.restarts)),
        }
    }
}
