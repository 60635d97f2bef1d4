//! The live actors of all nodes, for administrators: see them, hold them, restart them, replay what they missed.
//!
//! Every question goes to every live node; one that did not answer within a second is named. What a shop of one node
//! answers is the same, with the node's name added.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::actor_commands::{self, ANY, Asked, CommandParams, NodeResult, state_if};
use super::admin_settings::WhichNodes;
use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Params, Query, from_path};
use super::fields::{Fields, FromFields};
use super::i18n::Lang;
use super::idempotent::{Turn, once};
use super::looks;
use super::notices::{Act, result_of};
use super::pages::{PageOf, PageQuery};
use super::problem::Problem;
use super::state::AppState;
use super::times::Time;
use crate::actors::control::{ActorAnswer, ActorCommand, LISTED_MAX, Sort};
use crate::actors::kit::{ActorState, Selected};
use crate::actors::peers::NodeAnswer;
use crate::domain::codes::Code;

/// An actor that would not take a letter may do so then.
const RETRY_AFTER_REPLAY_MS: u64 = 1_000;

/// Which actors.
#[derive(Debug)]
pub struct WhichActors {
    page: PageQuery,
    kind: Option<String>,
    key: Option<String>,
    state: Option<ActorState>,
    node: Option<String>,
    sort: Sort,
}

impl FromFields for WhichActors {
    const CODE: Code = Code::BAD_REQUEST;

    fn from_fields(fields: &mut Fields) -> Self {
        let state = state_if(fields);
        let sort = fields.text_if("sort", 1..=20).map_or(Some(Sort::Key), |word| Sort::from_word(&word));
        if sort.is_none() {
            fields.refuse("sort", Problem::NotOneOf("key, queued, handled, restarts"));
        }
        let named = |text: Option<String>| text.filter(|text| text != ANY);
        let (kind, key) = (named(fields.text_if("kind", 1..=40)), named(fields.text_if("key", 1..=100)));
        let (node, sort) = (named(fields.text_if("node", 1..=100)), sort.unwrap_or(Sort::Key));
        Self { page: PageQuery::read(fields), kind, key, state, node, sort }
    }
}

/// A page of actors, and the nodes whose actors are missing in it.
#[derive(Debug, Serialize)]
pub struct ActorPage {
    #[serde(flatten)]
    page: PageOf<Value>,
    no_answer: Vec<String>,
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

/// An actor as one node has it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InspectedActor {
    /// The node.
    #[serde(default)]
    pub node: String,
    /// State, counts and times.
    #[schema(value_type = Object)]
    pub vitals: Value,
    /// What it says of itself; null if it says nothing.
    #[schema(value_type = Option<Object>)]
    pub state_data: Value,
    /// Why `state_data` is missing.
    pub note: Option<String>,
    /// The last 16 messages that ended, latest first; a node of an earlier release tells none.
    #[serde(default)]
    pub recent: Vec<RecentMessage>,
}

/// A message to an actor.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RecentMessage {
    /// The name of its type, e.g. `ReserveUnits`.
    pub message: String,
    /// When the actor took it up, or when it was given up; milliseconds since 1970.
    pub at_ms: i64,
    /// How long it waited for the actor.
    pub waited_us: u32,
    /// From there to its end; null if it was never begun.
    pub took_us: Option<u32>,
    /// `answered` (be it with a refusal), `panicked`, `stuck`, `interrupted`, `expired` or `withdrawn`.
    pub outcome: String,
}

/// An actor: the one on this node or else the first, and on every node where it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActorOnNodes {
    /// The one on this node or else the first.
    #[serde(flatten)]
    pub first: InspectedActor,
    /// All of them.
    pub nodes: Vec<InspectedActor>,
    /// Nodes that did not answer in time.
    pub no_answer: Vec<String>,
}

impl InspectedActor {
    /// What a node told; `None` if it cannot be read.
    fn read(told: Value, node: &str) -> Option<Self> {
        let read: Result<Self, _> = serde_json::from_value(told);
        let noted = |error| tracing::warn!(node, %error, "a node told of an actor what cannot be read");
        read.map_err(noted).ok().map(|actor| Self { node: node.to_owned(), ..actor })
    }
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
    params(("kind" = Option<String>, Query), ("key" = Option<String>, Query), ("state" = Option<String>, Query), ("sort" = Option<String>, Query),
        ("node" = Option<String>, Query), ("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<Object>>)))]
pub async fn list_actors(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    Query(wanted): Query<WhichActors>,
) -> ApiResult<ActorPage> {
    let WhichActors { page, kind, key, state: actor_state, node: wanted_node, sort } = wanted;
    let named = |part: &Option<String>| part.clone().unwrap_or_else(|| ANY.to_owned());
    looks::note(&state, &admin, "actor.list", format!("{} {}", named(&kind), named(&key))).await;
    let offset = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let size = usize::try_from(page.page_size).unwrap_or(usize::MAX);
    let limit = offset.saturating_add(size);
    let answers = state.shop.ask_nodes(ActorCommand::List { kind, state: actor_state, sort, limit, key }).await;
    if answers.len() > 1 && limit > LISTED_MAX {
        // A node tells others no more than that; a page beyond it could be wrong.
        return Err(ApiError::from(Code::BAD_REQUEST).with("actors_max", LISTED_MAX));
    }
    let (mut listed, total, no_answer) = gathered(answers, wanted_node.as_deref());
    sort.apply(&mut listed);
    ok(ActorPage { page: page.of(listed.into_iter().skip(offset).take(size).collect(), total), no_answer })
}

/// One actor, from outside and, if it answers within 50 ms, from inside, with its last messages: the one on this node or else
/// the first; `nodes` has it on every node where it is.
#[utoipa::path(get, path = "/api/admin/actors/{kind}/{key}", tag = "actors", security(("bearer" = [])),
    params(("kind" = String, Path), ("key" = String, Path)),
    responses((status = 200, body = EnvelopeOf<ActorOnNodes>)))]
pub async fn inspect_actor(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    path: web::Path<(String, String)>,
) -> ApiResult<ActorOnNodes> {
    let (kind, key) = path.into_inner();
    looks::note(&state, &admin, "actor.inspect", format!("{kind} {key}")).await;
    let answers = state.shop.ask_nodes(ActorCommand::Inspect { kind, key }).await;
    let (mut found, mut no_answer, mut refusal) = (Vec::new(), Vec::new(), None);
    for NodeAnswer { node, answer, .. } in answers {
        match answer {
            Some(ActorAnswer::Inspected(inspection)) => found.extend(InspectedActor::read(inspection, &node)),
            Some(ActorAnswer::Refused(error)) => {
                refusal.get_or_insert(error);
            }
            Some(_) => {}
            None => no_answer.push(node),
        }
    }
    let Some(first) = found.first().cloned() else {
        return Err(refusal.map_or_else(|| Code::NOT_FOUND.into(), ApiError::from));
    };
    ok(ActorOnNodes { first, nodes: found, no_answer })
}

/// `pause`, `resume`, `restart`, `stop`, `drain`, `quarantine`, `lift` or `replay` (what they did not handle) on every node;
/// kind and key `*` mean all in memory, `node` and `state` narrow it. All of a node (`*`, `*`) drained: the node says that it
/// is not ready, until they are restarted. Kinds have commands of their own: docs/API.md.
#[utoipa::path(post, path = "/api/admin/actors/{kind}/{key}/{command}", tag = "actors", security(("bearer" = [])),
    params(("kind" = String, Path), ("key" = String, Path), ("command" = String, Path),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = CommandParams, responses((status = 200, body = EnvelopeOf<Vec<NodeResult>>)))]
pub async fn command_actor(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    lang: Lang,
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
    Params(params): Params<CommandParams>,
) -> Result<HttpResponse, ApiError> {
    let (kind, key, word) = path.into_inner();
    let asked = Asked { kind, key, word, params };
    once(&request, &state, admin.buyer, 1, async |turn: Turn| {
        actor_commands::run(&state, &admin, lang, &turn, &asked).await
    })
    .await
}

fn with_node(mut actor: Value, node: &str) -> Value {
    actor["node"] = json!(node);
    actor
}

/// Messages that no actor handled, of all nodes, latest first.
#[utoipa::path(get, path = "/api/admin/dead-letters", tag = "actors", security(("bearer" = [])),
    params(("kind" = Option<String>, Query), ("key" = Option<String>, Query), ("node" = Option<String>, Query),
        ("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<Object>>)))]
pub async fn list_dead_letters(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(wanted): Query<WhichActors>,
) -> ApiResult<ActorPage> {
    let WhichActors { page, kind, key, node: wanted_node, .. } = wanted;
    let offset = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let size = usize::try_from(page.page_size).unwrap_or(usize::MAX);
    let selected = Selected { kind, key, state: None };
    let question = ActorCommand::DeadLetters { selected, limit: offset.saturating_add(size) };
    let (mut listed, total, no_answer) = gathered(state.shop.ask_nodes(question).await, wanted_node.as_deref());
    listed.sort_by_key(|letter| std::cmp::Reverse(letter["at_ms"].as_i64()));
    ok(ActorPage { page: page.of(listed.into_iter().skip(offset).take(size).collect(), total), no_answer })
}

/// What the nodes listed, each with the node's name; how many there are; who did not answer.
fn gathered(answers: Vec<NodeAnswer>, wanted_node: Option<&str>) -> (Vec<Value>, u64, Vec<String>) {
    let (mut listed, mut total, mut no_answer) = (Vec::new(), 0, Vec::new());
    for NodeAnswer { node, answer, .. } in answers {
        if wanted_node.is_some_and(|wanted| wanted != node) {
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
    (listed, total, no_answer)
}

/// The alerts of all nodes: those that stand, and those that ended lately.
#[utoipa::path(get, path = "/api/admin/alerts", tag = "actors", security(("bearer" = [])),
    responses((status = 200, body = EnvelopeOf<Object>)))]
pub async fn list_alerts(state: web::Data<AppState>, _admin: Admin) -> ApiResult<Value> {
    let (mut open, mut ended, mut no_answer) = (Vec::new(), Vec::new(), Vec::new());
    for NodeAnswer { node, answer, .. } in state.shop.ask_nodes(ActorCommand::Alerts).await {
        let Some(ActorAnswer::Alerts(alerts)) = answer else {
            no_answer.push(node);
            continue;
        };
        for (name, list) in [("open", &mut open), ("ended", &mut ended)] {
            let alerts = alerts[name].as_array().cloned().unwrap_or_default();
            list.extend(alerts.into_iter().map(|alert| with_node(alert, &node)));
        }
    }
    ended.sort_by_key(|alert| std::cmp::Reverse(alert["resolved_at_ms"].as_i64()));
    ok(json!({"open": open, "ended": ended, "no_answer": no_answer}))
}

/// Asks the actor again. Each node numbers its letters itself: `node` says whose letter it is, the asked node's if absent.
/// 503 if it was not handled this time either; it is kept then, as this letter or as a new one.
#[utoipa::path(post, path = "/api/admin/dead-letters/{id}/replay", tag = "actors", security(("bearer" = [])),
    params(("id" = u64, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = WhichNodes,
    responses((status = 200)))]
pub async fn replay_dead_letter(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    request: HttpRequest,
    path: web::Path<String>,
    Params(WhichNodes { node }): Params<WhichNodes>,
) -> Result<HttpResponse, ApiError> {
    let node = node.unwrap_or_else(|| state.settings.node.name.clone());
    once(&request, &state, admin.buyer, 0, async |_: Turn| {
        let outcome = handle_after_all(&state, &node, &path).await;
        let (target, result) = (format!("letter {path}"), result_of(&outcome));
        let act = Act { action: "dead_letter.replay", target, detail: json!({"node": node}), result };
        state.record_outcome(&admin, &act).await;
        outcome
    })
    .await
}

async fn handle_after_all(state: &AppState, node: &str, id: &str) -> Result<(), ApiError> {
    let id: u64 = from_path(id, Code::NOT_FOUND)?;
    let question = ActorCommand::Replay { node: Some(node.to_owned()), id: Some(id), selected: Selected::default() };
    let answers = state.shop.ask_nodes(question).await;
    if answers.is_empty() {
        return Err(ApiError::from(Code::NOT_FOUND).with("node", node));
    }
    let sums = answers.into_iter().fold((0, 0, 0), |(handled, failed, silent), one| match one.answer {
        Some(ActorAnswer::Replayed { handled: more, failed: fewer }) => (handled + more, failed + fewer, silent),
        _ => (handled, failed, silent + 1),
    });
    match sums {
        (0, 0, 0) => Err(Code::NOT_FOUND.into()),
        (0, ..) => Err(ApiError::from(Code::UNAVAILABLE).retry_after_ms(RETRY_AFTER_REPLAY_MS)),
        _ => Ok(()),
    }
}
