//! The live actors of all nodes, for administrators: see them, hold them, restart them, replay what they missed.
//!
//! Every question goes to every live node; one that did not answer within a second is named. What a shop of one node
//! answers is the same, with the node's name added. Dead letters are those of the node that is asked.

use actix_web::web;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Query, from_path};
use super::fields::{Fields, FromFields};
use super::pages::{PageOf, PageQuery};
use super::problem::Problem;
use super::state::AppState;
use super::times::Time;
use crate::actors::control::{ActorAnswer, ActorCommand, LISTED_MAX, Sort};
use crate::actors::kit::{ActorState, ControlError, Order, ReplayError, Target};
use crate::actors::peers::NodeAnswer;
use crate::domain::codes::Code;

/// Which actors.
#[derive(Debug)]
pub struct WhichActors {
    page: PageQuery,
    kind: Option<String>,
    state: Option<ActorState>,
    node: Option<String>,
    sort: Sort,
}

impl FromFields for WhichActors {
    const CODE: Code = Code::BAD_REQUEST;

    fn from_fields(fields: &mut Fields) -> Self {
        let state = fields.text_if("state", 1..=20).and_then(|word| {
            let known = serde_json::from_value(Value::String(word)).ok();
            if known.is_none() {
                fields.refuse("state", Problem::Malformed);
            }
            known
        });
        let sort = match fields.text_if("sort", 1..=20).as_deref() {
            None | Some("key") => Sort::Key,
            Some("queued") => Sort::Queued,
            Some("handled") => Sort::Handled,
            Some("restarts") => Sort::Restarts,
            Some(_) => {
                fields.refuse("sort", Problem::NotOneOf("key, queued, handled, restarts"));
                Sort::Key
            }
        };
        let (kind, node) = (fields.text_if("kind", 1..=40), fields.text_if("node", 1..=100));
        Self { page: PageQuery::read(fields), kind, state, node, sort }
    }
}

/// A page of actors, and the nodes whose actors are missing in it.
#[derive(Debug, Serialize)]
pub struct ActorPage {
    #[serde(flatten)]
    page: PageOf<Value>,
    no_answer: Vec<String>,
}

/// What a command reached on one node.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeResult {
    /// The node's name.
    pub node: String,
    /// Its slot.
    pub slot: u8,
    /// Actors that took the command.
    pub reached: usize,
    /// Why none did: `not_live`, `wrong_state`, `refused`, or `no_answer` within a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
}

/// A live node.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveNode {
    /// Its name.
    pub name: String,
    /// Its slot: part of the integer ids of its orders.
    pub slot: u8,
    /// Where it listens.
    pub address: String,
    /// When it started.
    #[schema(value_type = String)]
    pub started_at: Time,
    /// It gives this answer.
    pub is_this: bool,
}

/// The nodes of the shop.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeList {
    /// By slot.
    pub nodes: Vec<LiveNode>,
    /// False if the registry cannot be reached: these were alive when it last could.
    pub is_current: bool,
}

/// Which nodes are alive.
#[utoipa::path(get, path = "/api/admin/nodes", tag = "actors", security(("bearer" = [])),
    responses((status = 200, body = EnvelopeOf<NodeList>)))]
pub async fn list_nodes(state: web::Data<AppState>, _admin: Admin) -> ApiResult<NodeList> {
    let nodes = state.shop.peers.nodes();
    let (own_slot, roll) = (nodes.this().map(|this| this.slot), nodes.roll().await);
    let shown = roll.nodes.into_iter().map(|node| LiveNode {
        is_this: Some(node.slot) == own_slot,
        name: node.name,
        slot: node.slot,
        address: node.address,
        started_at: Time(node.started_at_ms),
    });
    ok(NodeList { nodes: shown.collect(), is_current: roll.is_current })
}

/// Vital signs of live actors, of all nodes or of one.
#[utoipa::path(get, path = "/api/admin/actors", tag = "actors", security(("bearer" = [])),
    params(("kind" = Option<String>, Query), ("state" = Option<String>, Query), ("sort" = Option<String>, Query),
        ("node" = Option<String>, Query), ("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<Object>>)))]
pub async fn list_actors(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(wanted): Query<WhichActors>,
) -> ApiResult<ActorPage> {
    let WhichActors { page, kind, state: actor_state, node: wanted_node, sort } = wanted;
    let offset = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let size = usize::try_from(page.page_size).unwrap_or(usize::MAX);
    let limit = offset.saturating_add(size);
    let answers = state.shop.ask_nodes(ActorCommand::List { kind, state: actor_state, sort, limit }).await;
    if answers.len() > 1 && limit > LISTED_MAX {
        // A node tells others no more than that; a page beyond it could be wrong.
        return Err(ApiError::from(Code::BAD_REQUEST).with("actors_max", LISTED_MAX));
    }
    let (mut listed, mut total, mut no_answer) = (Vec::new(), 0, Vec::new());
    for NodeAnswer { node, answer, .. } in answers {
        if wanted_node.as_ref().is_some_and(|wanted| *wanted != node) {
            continue;
        }
        match answer {
            Some(ActorAnswer::Listed { actors, total: here }) => {
                total += here;
                listed.extend(actors.into_iter().map(|actor| with_node(actor, &node)));
            }
            _ => no_answer.push(node),
        }
    }
    sort.apply(&mut listed);
    ok(ActorPage { page: page.of(listed.into_iter().skip(offset).take(size).collect(), total), no_answer })
}

/// One actor, from outside and, if it answers within 50 ms, from inside: the one on this node or else the first; `nodes`
/// has it on every node where it is.
#[utoipa::path(get, path = "/api/admin/actors/{kind}/{key}", tag = "actors", security(("bearer" = [])),
    params(("kind" = String, Path), ("key" = String, Path)), responses((status = 200, body = EnvelopeOf<Object>)))]
pub async fn inspect_actor(
    state: web::Data<AppState>,
    _admin: Admin,
    path: web::Path<(String, String)>,
) -> ApiResult<Value> {
    let (kind, key) = path.into_inner();
    let answers = state.shop.ask_nodes(ActorCommand::Inspect { kind, key }).await;
    let (mut found, mut no_answer, mut refusal) = (Vec::new(), Vec::new(), None);
    for NodeAnswer { node, answer, .. } in answers {
        match answer {
            Some(ActorAnswer::Inspected(inspection)) => found.push(with_node(inspection, &node)),
            Some(ActorAnswer::Refused(error)) => {
                refusal.get_or_insert(error);
            }
            Some(_) => {}
            None => no_answer.push(node),
        }
    }
    let Some(mut first) = found.first().cloned() else {
        return Err(refusal.map_or_else(|| Code::NOT_FOUND.into(), ApiError::from));
    };
    first["nodes"] = json!(found);
    first["no_answer"] = json!(no_answer);
    ok(first)
}

/// `pause`, `resume`, `restart`, `stop`, `drain`, `quarantine` or `lift`, on every node; key `*` means all of the kind.
#[utoipa::path(post, path = "/api/admin/actors/{kind}/{key}/{command}", tag = "actors", security(("bearer" = [])),
    params(("kind" = String, Path), ("key" = String, Path), ("command" = String, Path)),
    responses((status = 200, body = EnvelopeOf<Vec<NodeResult>>)))]
pub async fn command_actor(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    path: web::Path<(String, String, String)>,
) -> ApiResult<Vec<NodeResult>> {
    let (kind, key, word) = path.into_inner();
    let order: Order =
        serde_json::from_value(Value::String(word.clone())).map_err(|_| ApiError::from(Code::NOT_FOUND))?;
    let target = if key == "*" { Target::All } else { Target::Key(key.clone()) };
    let answers = state.shop.ask_nodes(ActorCommand::Order { kind: kind.clone(), target, order }).await;
    let is_done = answers.iter().any(|node| matches!(node.answer, Some(ActorAnswer::Reached(_))));
    if !is_done {
        // Nobody took it: the refusal that says most, not that of nodes where the actor is not in memory.
        let refusals = answers.into_iter().filter_map(|node| match node.answer {
            Some(ActorAnswer::Refused(error)) => Some(error),
            _ => None,
        });
        let refusal = refusals.min_by_key(|error| matches!(error, ControlError::NotLive));
        return Err(refusal.map_or_else(|| Code::NOT_FOUND.into(), ApiError::from));
    }
    let results: Vec<NodeResult> = answers.into_iter().map(NodeResult::from).collect();
    let detail = json!({"reached": results.iter().map(|node| node.reached).sum::<usize>(), "nodes": results});
    state.record(&admin, &format!("actor.{word}"), format!("{kind} {key}"), detail).await?;
    ok(results)
}

impl From<NodeAnswer> for NodeResult {
    fn from(NodeAnswer { node, slot, answer }: NodeAnswer) -> Self {
        let (reached, error) = match answer {
            Some(ActorAnswer::Reached(reached)) => (reached, None),
            Some(ActorAnswer::Refused(ControlError::NotLive)) => (0, Some("not_live")),
            Some(ActorAnswer::Refused(ControlError::WrongState(_))) => (0, Some("wrong_state")),
            Some(_) => (0, Some("refused")),
            None => (0, Some("no_answer")),
        };
        Self { node, slot, reached, error }
    }
}

fn with_node(mut actor: Value, node: &str) -> Value {
    actor["node"] = json!(node);
    actor
}

/// Messages that no actor handled, oldest first.
#[utoipa::path(get, path = "/api/admin/dead-letters", tag = "actors", security(("bearer" = [])),
    responses((status = 200, body = EnvelopeOf<PageOf<Object>>)))]
pub async fn list_dead_letters(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(page): Query<PageQuery>,
) -> ApiResult<PageOf<crate::actors::kit::DeadLetter>> {
    let letters = state.shop.host.dead_letters().list();
    let total = letters.len() as u64;
    let offset = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let size = usize::try_from(page.page_size).unwrap_or(usize::MAX);
    ok(page.of(letters.into_iter().skip(offset).take(size).collect(), total))
}

/// Asks the actor again.
#[utoipa::path(post, path = "/api/admin/dead-letters/{id}/replay", tag = "actors", security(("bearer" = [])),
    params(("id" = u64, Path)), responses((status = 200)))]
pub async fn replay_dead_letter(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    path: web::Path<String>,
) -> ApiResult<()> {
    let id: u64 = from_path(&path, Code::NOT_FOUND)?;
    state.shop.host.dead_letters().replay(id).await?;
    state.record(&admin, "dead_letter.replay", format!("letter {id}"), json!({})).await?;
    ok(())
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::BadKey(_) | ControlError::NotLive => Code::NOT_FOUND.into(),
            ControlError::WrongState(actor) => {
                Self::from(Code::CONFLICT).with("state", serde_json::to_value(actor).unwrap_or_default())
            }
            ControlError::Refused(error) => error.into(),
        }
    }
}

impl From<ReplayError> for ApiError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Unknown => Code::NOT_FOUND.into(),
            ReplayError::Failed(error) => error.into(),
        }
    }
}
