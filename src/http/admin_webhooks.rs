//! Outgoing webhooks, for administrators: how it stands with each target, what was given up, and telling it again. Targets
//! themselves are named in the settings only: a request cannot make the server call an address.

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
use crate::actors::webhooks::TargetStanding;
use crate::domain::codes::Code;
use crate::persistence::webhooks::{self, Delivery, Which};

/// A target.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookTargetJson {
    /// As the settings name it.
    pub target: String,
    /// Where it is, without the rest of its URL, which may hold a secret; by the settings of the node that answers.
    pub host: String,
    /// Kinds of events that it is told (`order.paid`, `order.*`, `*`); by the settings of the node that answers.
    pub events: Vec<String>,
    /// Events that it has not taken yet.
    pub waiting: u64,
    /// Of those, the ones that were tried and not taken.
    pub failed: u64,
    /// Events that were given up.
    pub dead: u64,
    /// Since when the oldest waits; absent if none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Time>,
    /// When it took something last, from any node; null if it never did.
    pub last_ok_at: Option<Time>,
    /// Why it did not take what was tried in vain last, by any node; null if everything was taken so far.
    pub last_error: Option<String>,
    /// When that was: before `last_ok_at` it is over.
    pub last_error_at: Option<Time>,
}

impl From<TargetStanding> for WebhookTargetJson {
    fn from(TargetStanding { standing, host, events, last_heard }: TargetStanding) -> Self {
        let (last_error_at_ms, last_error) = last_heard.refused.unzip();
        Self {
            target: standing.target,
            host,
            events,
            waiting: standing.waiting,
            failed: standing.failed,
            dead: standing.dead,
            waiting_since: standing.waiting_since_ms.map(Time),
            last_ok_at: last_heard.taken_at_ms.map(Time),
            last_error,
            last_error_at: last_error_at_ms.map(Time),
        }
    }
}

/// An event that a target did not take in time.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadWebhookJson {
    /// For the replay.
    pub id: String,
    /// Who should have taken it.
    pub target: String,
    /// Of which kind it is.
    pub kind: String,
    /// The event's own id.
    pub event_id: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was not taken at last.
    pub last_error: String,
    /// Since when it was owed.
    pub at: Time,
}

/// How many are told again.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhooksReplayed {
    /// Deliveries.
    pub replayed: u64,
}

/// Every target with what waits for it, what was given up and how it answered last, over all nodes.
#[utoipa::path(get, path = "/api/admin/webhooks", tag = "admin", security(("bearer" = [])),
    responses((status = 200, body = EnvelopeOf<Vec<WebhookTargetJson>>)))]
pub async fn list_webhooks(state: web::Data<AppState>, _admin: Admin) -> ApiResult<Vec<WebhookTargetJson>> {
    ok(state.shop.webhooks.standings().await?.into_iter().map(WebhookTargetJson::from).collect())
}

/// Deliveries that were given up, oldest first.
#[utoipa::path(get, path = "/api/admin/webhooks/dead", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<DeadWebhookJson>>)))]
pub async fn list_dead_webhooks(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(page): Query<PageQuery>,
) -> ApiResult<PageOf<DeadWebhookJson>> {
    let (dead, total) = webhooks::dead(&state.db, page.offset(), page.page_size).await?;
    let shown = |dead: Delivery| DeadWebhookJson {
        id: dead.id,
        target: dead.target,
        kind: dead.kind,
        event_id: dead.event_id,
        attempts: dead.attempts,
        last_error: dead.last_error,
        at: Time(dead.created_at_ms),
    };
    ok(page.of(dead.into_iter().map(shown).collect(), total))
}

/// Tells a given-up event again, as if it were new.
#[utoipa::path(post, path = "/api/admin/webhooks/dead/{id}/replay", tag = "admin", security(("bearer" = [])),
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = EnvelopeOf<WebhooksReplayed>)))]
pub async fn replay_dead_webhook(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    once(&request, &state, admin.buyer, 0, async |turn: Turn| {
        let outcome = tell_one_again(&state, &turn, &path).await;
        let (target, result) = (format!("delivery {path}"), result_of(&outcome));
        state.record_outcome(&admin, &Act { action: "webhook.replay", target, detail: json!({}), result }).await;
        outcome
    })
    .await
}

async fn tell_one_again(state: &AppState, turn: &Turn, id: &str) -> Result<WebhooksReplayed, ApiError> {
    let replayed = webhooks::replay(&state.db, Which::One(id), state.clock.now_ms()).await?;
    state.shop.webhooks.ring();
    // A try under this key that was cut off may have done it; had there been none, its answer would be kept.
    if replayed == 0 && !turn.is_repeat {
        return Err(Code::NOT_FOUND.into());
    }
    Ok(WebhooksReplayed { replayed: 1 })
}

/// Tells everything again that was given up for a target.
#[utoipa::path(post, path = "/api/admin/webhooks/{target}/replay", tag = "admin", security(("bearer" = [])),
    params(("target" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = EnvelopeOf<WebhooksReplayed>)))]
pub async fn replay_webhooks(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    once(&request, &state, admin.buyer, 0, async |_: Turn| {
        let outcome = tell_all_again(&state, &path).await;
        let detail = outcome.as_ref().map_or_else(|_| json!({}), |told| json!({"replayed": told.replayed}));
        let (target, result) = (format!("target {path}"), result_of(&outcome));
        state.record_outcome(&admin, &Act { action: "webhook.replay_all", target, detail, result }).await;
        outcome
    })
    .await
}

/// How many were still given up now: a repeat of a try that was cut off finds none.
async fn tell_all_again(state: &AppState, target: &str) -> Result<WebhooksReplayed, ApiError> {
    if !state.shop.webhooks.names().iter().any(|name| name == target) {
        return Err(Code::NOT_FOUND.into());
    }
    let replayed = webhooks::replay(&state.db, Which::OfTarget(target), state.clock.now_ms()).await?;
    state.shop.webhooks.ring();
    Ok(WebhooksReplayed { replayed })
}
