//! What an administrator asks of the actors of a node, and how the node answers: the same words whether the question
//! was asked here or came from another node.
//!
//! A list that travels holds at most [`LISTED_MAX`] actors of a node, so that it fits into one message.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kit::{ActorState, ControlError, Kinds, Order, Target, VitalsSnapshot};

/// Actors of one node in an answer to another.
pub const LISTED_MAX: usize = 2_000;

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
    },
    /// One actor, from outside and inside.
    Inspect {
        /// Its kind.
        kind: String,
        /// Its key.
        key: String,
    },
    /// An order to one actor or all of a kind.
    Order {
        /// The kind.
        kind: String,
        /// Which of them.
        target: Target,
        /// What.
        order: Order,
    },
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// To `List`: the vital signs of the first, and how many there are.
    Listed {
        /// In the order asked for.
        actors: Vec<Value>,
        /// Not only those listed.
        total: u64,
    },
    /// To `Inspect`.
    Inspected(Value),
    /// To `Order`: how many actors took it.
    Reached(usize),
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
            Self::List { kind, state, sort, limit } => Self::List { kind, state, sort, limit: limit.min(LISTED_MAX) },
            other => other,
        }
    }
}

impl Sort {
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

    fn sort(self, actors: &mut [VitalsSnapshot]) {
        actors.sort_by(|a, b| (a.kind, &a.key).cmp(&(b.kind, &b.key)));
        match self {
            Self::Key => {}
            Self::Queued => actors.sort_by_key(|actor| std::cmp::Reverse(actor.queued)),
            Self::Handled => actors.sort_by_key(|actor| std::cmp::Reverse(actor.handled)),
            Self::Restarts => actors.sort_by_key(|actor| std::cmp::Reverse(actor.restarts)),
        }
    }
}

/// Carries a command out on this node.
pub async fn carry_out(kinds: &Kinds, command: &ActorCommand) -> ActorAnswer {
    match command {
        ActorCommand::List { kind, state, sort, limit } => {
            let mut actors = kinds.list(kind.as_deref(), *state);
            sort.sort(&mut actors);
            let total = actors.len() as u64;
            actors.truncate(*limit);
            let actors = actors.iter().filter_map(|actor| serde_json::to_value(actor).ok()).collect();
            ActorAnswer::Listed { actors, total }
        }
        ActorCommand::Inspect { kind, key } => match kinds.get(kind) {
            None => ActorAnswer::UnknownKind,
            Some(directory) => match directory.inspect(key).await {
                Ok(inspection) => ActorAnswer::Inspected(serde_json::to_value(inspection).unwrap_or_default()),
                Err(error) => ActorAnswer::Refused(error),
            },
        },
        ActorCommand::Order { kind, target, order } => match kinds.get(kind) {
            None => ActorAnswer::UnknownKind,
            Some(directory) => match directory.order(target, *order).await {
                Ok(reached) => ActorAnswer::Reached(reached),
                Err(error) => ActorAnswer::Refused(error),
            },
        },
    }
}
