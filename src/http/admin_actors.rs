//! The live actors of this node, for administrators: see them, hold them, restart them, replay what they missed.

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
use crate::actors::kit::{ActorState, AnyDirectory, ControlError, Order, ReplayError, Target, VitalsSnapshot};
use crate::domain::codes::Code;

/// Which actors.
#[derive(Debug)]
pub struct WhichActors {
    page: PageQuery,
    kind: Option<String>,
    state: Option<ActorState>,
    sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Key,
    Queued,
    Handled,
    Restarts,
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
        Self { page: PageQuery::read(fields), kind: fields.text_if("kind", 1..=40), state, sort }
    }
}

/// What a command reached on one node.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeResult {
    /// The node's name.
    pub node: String,
    /// Actors that took the command.
    pub reached: usize,
}

/// Vital signs of live actors.
#[utoipa::path(get, path = "/api/admin/actors", tag = "actors", security(("bearer" = [])),
    params(("kind" = Option<String>, Query), ("state" = Option<String>, Query), ("sort" = Option<String>, Query),
        ("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<Object>>)))]
pub async fn list_actors(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(wanted): Query<WhichActors>,
) -> ApiResult<PageOf<VitalsSnapshot>> {
    let mut actors = state.shop.kinds.list(wanted.kind.as_deref(), wanted.state);
    actors.sort_by(|a, b| (a.kind, &a.key).cmp(&(b.kind, &b.key)));
    match wanted.sort {
        Sort::Key => {}
        Sort::Queued => actors.sort_by_key(|actor| std::cmp::Reverse(actor.queued)),
        Sort::Handled => actors.sort_by_key(|actor| std::cmp::Reverse(actor.handled)),
        Sort::Restarts => actors.sort_by_key(|actor| std::cmp::Reverse(actor.restarts)),
    }
    let total = actors.len() as u64;
    let offset = usize::try_from(wanted.page.offset()).unwrap_or(usize::MAX);
    let size = usize::try_from(wanted.page.page_size).unwrap_or(usize::MAX);
    ok(wanted.page.of(actors.into_iter().skip(offset).take(size).collect(), total))
}

/// One actor, from outside and, if it answers within 50 ms, from inside.
#[utoipa::path(get, path = "/api/admin/actors/{kind}/{key}", tag = "actors", security(("bearer" = [])),
    params(("kind" = String, Path), ("key" = String, Path)), responses((status = 200, body = EnvelopeOf<Object>)))]
pub async fn inspect_actor(
    state: web::Data<AppState>,
    _admin: Admin,
    path: web::Path<(String, String)>,
) -> ApiResult<crate::actors::kit::Inspection> {
    let (kind, key) = path.into_inner();
    ok(directory(&state, &kind)?.inspect(&key).await?)
}

/// `pause`, `resume`, `restart`, `stop`, `drain`, `quarantine` or `lift`; key `*` means all of the kind.
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
    let reached = directory(&state, &kind)?.order(&target, order).await?;
    let detail = json!({"reached": reached});
    state.record(&admin, &format!("actor.{word}"), format!("{kind} {key}"), detail).await?;
    ok(vec![NodeResult { node: state.settings.node.name.clone(), reached }])
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

fn directory<'a>(state: &'a AppState, kind: &str) -> Result<&'a dyn AnyDirectory, ApiError> {
    state.shop.kinds.get(kind).ok_or_else(|| Code::NOT_FOUND.into())
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
