//! Commands to actors, however they came: over HTTP or over `/ws/admin`. Read, carried out, recorded.
//!
//! Words that hold for every kind become one question to the nodes; words of one kind (kind_commands.rs) go the way of the
//! endpoints that do the same. Every command is recorded with its selector and what came of it, also if it was refused.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::auth::Caller;
use super::error::ApiError;
use super::fields::{Fields, FromFields};
use super::i18n::{Lang, WRONG_STATE};
use super::idempotent::Turn;
use super::notices::{Act, result_of};
use super::problem::Problem;
use super::state::AppState;
use crate::actors::control::{ActorAnswer, ActorCommand};
use crate::actors::kit::{ActorState, ControlError, Order, Selected, Target};
use crate::actors::peers::NodeAnswer;
use crate::domain::codes::Code;
use crate::domain::money::FEN_MAX;
use crate::domain::stock::POOL_UNITS_MAX;

/// Any kind, any key.
pub const ANY: &str = "*";

/// What a command may need beside its kind, key and word.
#[derive(Clone, Debug, Default, PartialEq, Eq, ToSchema)]
pub struct CommandParams {
    /// Only on nodes of this name.
    pub node: Option<String>,
    /// Only actors in this state.
    #[schema(value_type = Option<String>)]
    pub state: Option<ActorState>,
    /// replay: this letter only.
    pub id: Option<u64>,
    /// inventory restock: units put in (negative: taken out).
    pub units: Option<i64>,
    /// inventory restock, close-sale: which sale.
    pub sale_id: Option<i64>,
    /// session revoke: this sign-in only.
    pub sid: Option<String>,
    /// order_saga refund: fen; all that is left if absent.
    pub refund_fee: Option<i64>,
    /// order_saga refund, clear-review: up to 200 characters.
    pub reason: String,
}

impl FromFields for CommandParams {
    const CODE: Code = Code::BAD_REQUEST;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            node: fields.text_if("node", 1..=100),
            state: state_if(fields),
            id: fields.whole_if("id", 1..=i64::MAX).map(i64::unsigned_abs),
            units: fields.whole_if("units", -POOL_UNITS_MAX..=POOL_UNITS_MAX),
            sale_id: fields.whole_if("sale_id", 1..=i64::MAX),
            sid: fields.text_if("sid", 1..=26),
            refund_fee: fields.whole_if("refund_fee", 1..=FEN_MAX),
            reason: fields.text_if("reason", 0..=200).unwrap_or_default(),
        }
    }
}

/// The state that is asked for; a word that is none is noted as wrong.
pub fn state_if(fields: &mut Fields) -> Option<ActorState> {
    let word = fields.text_if("state", 1..=20)?;
    let known = serde_json::from_value(Value::String(word)).ok();
    if known.is_none() {
        fields.refuse("state", Problem::Malformed);
    }
    known
}

/// A command as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The kind, or [`ANY`].
    pub kind: String,
    /// The key, or [`ANY`].
    pub key: String,
    /// E.g. `pause`.
    pub word: String,
    /// The rest.
    pub params: CommandParams,
}

/// What a command reached on one node.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeResult {
    /// The node's name.
    pub node: String,
    /// Its slot.
    pub slot: u8,
    /// Actors that took the command; of replay, messages that were handled.
    pub reached: usize,
    /// Of replay: messages that were not handled this time either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<usize>,
    /// Why none did: `not_live`, `wrong_state`, `unknown_kind`, `refused`, or `no_answer` in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
}

impl From<NodeAnswer> for NodeResult {
    fn from(NodeAnswer { node, slot, answer }: NodeAnswer) -> Self {
        let (reached, failed, error) = match answer {
            Some(ActorAnswer::Reached(reached)) => (reached, None, None),
            Some(ActorAnswer::Replayed { handled, failed }) => (handled, Some(failed), None),
            Some(ActorAnswer::Refused(ControlError::NotLive)) => (0, None, Some("not_live")),
            Some(ActorAnswer::Refused(ControlError::WrongState(_))) => (0, None, Some("wrong_state")),
            Some(ActorAnswer::UnknownKind) => (0, None, Some("unknown_kind")),
            Some(_) => (0, None, Some("refused")),
            None => (0, None, Some("no_answer")),
        };
        Self { node, slot, reached, failed, error }
    }
}

impl Asked {
    fn selected(&self) -> Selected {
        let named = |text: &String| (text != ANY).then(|| text.clone());
        Selected { kind: named(&self.kind), key: named(&self.key), state: self.params.state }
    }

    /// The question to the nodes; `None` if the word belongs to one kind.
    fn question(&self) -> Option<ActorCommand> {
        let (node, selected) = (self.params.node.clone(), self.selected());
        if self.word == "replay" {
            return Some(ActorCommand::Replay { node, id: self.params.id, selected });
        }
        let order: Order = serde_json::from_value(Value::String(self.word.clone())).ok()?;
        // As nodes of earlier releases understand it, where it says the same.
        Some(match selected {
            Selected { kind: Some(kind), key, state: None } if node.is_none() => {
                let target = key.map_or(Target::All, Target::Key);
                ActorCommand::Order { kind, target, order }
            }
            selected => ActorCommand::OrderSelected { node, selected, order },
        })
    }

    fn target(&self) -> String {
        format!("{} {}", self.kind, self.key)
    }
}

/// Carries a command out and records it; the answer is the results of the nodes, or what the kind's own command says.
///
/// # Errors
/// 404 for an unknown kind, key or word, 409 if no actor's state allows it, and what the kind's own command refuses.
pub async fn run(state: &AppState, admin: &Caller, lang: Lang, turn: &Turn, asked: &Asked) -> Result<Value, ApiError> {
    let question = asked.question();
    let is_order = question.is_some();
    let outcome = match question {
        Some(question) => ask(state, asked, question).await,
        None => super::kind_commands::run(state, admin, lang, turn, asked).await,
    };
    let result = result_of(&outcome);
    let action = match (is_order, asked.kind.as_str()) {
        (true, _) => format!("actor.{}", asked.word),
        (false, "order_saga") => format!("order.{}", asked.word),
        (false, kind) => format!("{kind}.{}", asked.word),
    };
    let target = if action.starts_with("order.") { format!("order {}", asked.key) } else { asked.target() };
    let detail = detail(asked, is_order.then(|| outcome.as_ref().ok()).flatten());
    state.record_outcome(admin, &Act { action: &action, target, detail, result }).await;
    outcome
}

/// The selector, what else was said, and the answers of the nodes. What a kind's own command answers may be personal.
fn detail(asked: &Asked, answer: Option<&Value>) -> Value {
    let CommandParams { node, state, id, units, sale_id, sid, refund_fee, reason } = &asked.params;
    let mut detail = json!({
        "selector": {"kind": asked.kind, "key": asked.key, "node": node, "state": state}, "id": id, "units": units,
        "sale_id": sale_id, "sid": sid, "refund_fee": refund_fee, "reason": reason,
    });
    if let Some(fields) = detail.as_object_mut() {
        fields.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
    }
    if let Some(answer) = answer {
        let reached = answer.as_array().into_iter().flatten().filter_map(|node| node["reached"].as_u64()).sum::<u64>();
        detail["reached"] = json!(reached);
        detail["nodes"] = answer.clone();
    }
    detail
}

async fn ask(state: &AppState, asked: &Asked, question: ActorCommand) -> Result<Value, ApiError> {
    let answers = state.shop.ask_nodes(question).await;
    if answers.is_empty() {
        return Err(ApiError::from(Code::NOT_FOUND).with("node", asked.params.node.clone().unwrap_or_default()));
    }
    let is_taken = |node: &NodeAnswer| match &node.answer {
        Some(ActorAnswer::Reached(reached)) => *reached > 0 || asked.key == ANY,
        Some(ActorAnswer::Replayed { .. }) => true,
        _ => false,
    };
    if !answers.iter().any(is_taken) {
        // Nobody took it: the refusal that says most, not that of nodes where the actor is not in memory.
        let nobody_answered = answers.iter().all(|node| node.answer.is_none());
        let refusals = answers.into_iter().filter_map(|node| match node.answer {
            Some(ActorAnswer::Refused(error)) => Some(error),
            _ => None,
        });
        let refusal = refusals.min_by_key(|error| matches!(error, ControlError::NotLive));
        let silence = if nobody_answered { Code::UNAVAILABLE } else { Code::NOT_FOUND };
        return Err(refusal.map_or_else(|| silence.into(), ApiError::from));
    }
    let results: Vec<NodeResult> = answers.into_iter().map(NodeResult::from).collect();
    Ok(json!(results))
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::BadKey(_) | ControlError::NotLive => Code::NOT_FOUND.into(),
            ControlError::WrongState(actor) => {
                Self::from(Code::CONFLICT).saying(WRONG_STATE).with("state", actor.word())
            }
            ControlError::Refused(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(kind: &str, key: &str, word: &str, params: CommandParams) -> Asked {
        Asked { kind: kind.to_owned(), key: key.to_owned(), word: word.to_owned(), params }
    }

    #[test]
    fn what_earlier_releases_understand_is_said_in_their_words() {
        let plain = asked("inventory", "5", "pause", CommandParams::default()).question();
        let target = Target::Key("5".to_owned());
        assert_eq!(plain, Some(ActorCommand::Order { kind: "inventory".to_owned(), target, order: Order::Pause }));
        let node = CommandParams { node: Some("b".to_owned()), ..CommandParams::default() };
        let question = asked("*", "*", "drain", node).question().unwrap();
        assert!(question.is_for("b") && !question.is_for("a"), "{question:?}");
        assert_eq!(asked("inventory", "5", "restock", CommandParams::default()).question(), None);
    }
}
