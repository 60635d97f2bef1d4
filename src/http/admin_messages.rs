//! Messages of the order queue that were given up, for administrators: look at them, have them delivered again.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::Query;
use super::idempotent::{Turn, once};
use super::notices::{Act, result_of};
use super::pages::{PageOf, PageQuery};
use super::state::AppState;
use super::times::Time;
use crate::domain::codes::Code;
use crate::messaging::{DeadMessage, QueueError};

/// Dead messages that one can look through.
const LOOKED_AT_MAX: usize = 1_000;

/// A message that could not be read, or was delivered too often.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadMessageJson {
    /// For the replay.
    pub id: String,
    /// Why it was given up.
    pub reason: String,
    /// How often it was delivered.
    pub attempts: u32,
    /// Tickets in it; null if it cannot be read.
    pub tickets: Option<usize>,
    /// The node that gave it up.
    pub node: String,
    /// When.
    pub at: Time,
    /// Its beginning.
    pub content: String,
}

impl From<DeadMessage> for DeadMessageJson {
    fn from(dead: DeadMessage) -> Self {
        let DeadMessage { id, reason, attempts, tickets, node, at_ms, content } = dead;
        Self { id, reason, attempts, tickets, node, at: Time(at_ms), content }
    }
}

/// Messages of the order queue that were given up, oldest first; the first 1,000 of them.
#[utoipa::path(get, path = "/api/admin/dead-messages", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<DeadMessageJson>>)))]
pub async fn list_dead_messages(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(page): Query<PageQuery>,
) -> ApiResult<PageOf<DeadMessageJson>> {
    let dead = state.shop.queue.dead_messages(LOOKED_AT_MAX).await?;
    let total = dead.len() as u64;
    let offset = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let size = usize::try_from(page.page_size).unwrap_or(usize::MAX);
    ok(page.of(dead.into_iter().skip(offset).take(size).map(Into::into).collect(), total))
}

/// Has the message delivered again, as if for the first time; harmless if its orders exist.
#[utoipa::path(post, path = "/api/admin/dead-messages/{id}/replay", tag = "admin", security(("bearer" = [])),
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)), responses((status = 200)))]
pub async fn replay_dead_message(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    once(&request, &state, admin.buyer, 0, async |turn: Turn| {
        let outcome = deliver_again(&state, &turn, &path).await;
        let (target, result) = (format!("message {path}"), result_of(&outcome));
        let act = Act { action: "dead_message.replay", target, detail: json!({}), result };
        state.record_outcome(&admin, &act).await;
        outcome
    })
    .await
}

async fn deliver_again(state: &AppState, turn: &Turn, id: &str) -> Result<(), ApiError> {
    // A try under this key that was cut off may have taken it from the dead ones; had it not been there, its answer would be
    // kept.
    let is_done = state.shop.queue.replay_dead(id).await? || turn.is_repeat;
    if is_done { Ok(()) } else { Err(Code::NOT_FOUND.into()) }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        tracing::warn!(%error, "order queue not reached for an administrator");
        Code::UNAVAILABLE.into()
    }
}
