//! `/ws/admin`: how the nodes are, live, and commands to their actors. The handshake; `ws_admin_connection.rs` is the
//! conversation.

use actix_web::{HttpRequest, HttpResponse, web};

use super::auth::{Caller, MaybeAdmin};
use super::error::ApiError;
use super::extract::Query;
use super::i18n::Lang;
use super::origins;
use super::state::AppState;
use super::ws::Handshake;
use super::ws_admin_connection::AdminConnection;
use crate::domain::codes::Code;

/// Opens a WebSocket for an administrator. Frames: docs/API.md.
#[utoipa::path(get, path = "/ws/admin", tag = "actors", security((), ("bearer" = [])),
    params(("ticket" = Option<String>, Query, description = "from POST /api/ws/ticket")),
    responses((status = 101, description = "a WebSocket"), (status = 401, description = "no valid ticket or token"),
        (status = 403, description = "no administrator, or a page from elsewhere"), (status = 429, description = "too many such sockets here")))]
pub async fn open_admin_socket(
    state: web::Data<AppState>,
    MaybeAdmin(by_token): MaybeAdmin,
    lang: Lang,
    request: HttpRequest,
    body: web::Payload,
    Query(handshake): Query<Handshake>,
) -> Result<HttpResponse, ApiError> {
    origins::check(&request, &state)?;
    let admin = match handshake.ticket() {
        None => by_token.ok_or(ApiError::from(Code::SIGN_IN_NEEDED))?,
        Some(ticket) => redeem(&state, ticket).await?,
    };
    if state.is_stopping() {
        return Err(Code::UNAVAILABLE.into());
    }
    let watcher = state.shop.live.watch().ok_or(ApiError::from(Code::TOO_MANY_REQUESTS))?;
    let (response, session, frames) = actix_ws::handle(&request, body)
        .map_err(|_| ApiError::from(Code::BAD_REQUEST).with("reason", "no handshake"))?;
    let bytes_max = state.settings.feed.frame_bytes_max;
    let frames = frames.max_frame_size(bytes_max).aggregate_continuations().max_continuation_size(bytes_max);
    let connection = AdminConnection::new(state.into_inner(), admin, lang, session);
    actix_rt::spawn(connection.run(frames, watcher));
    Ok(response)
}

/// Whose ticket it is, if he is an administrator still.
async fn redeem(state: &AppState, ticket: &str) -> Result<Caller, ApiError> {
    let known = state.ws_tickets.redeem(ticket, state.clock.now_ms()).await?;
    let caller = known.ok_or(ApiError::from(Code::TOKEN_INVALID))?;
    state.authorize_admin(caller.buyer, &caller.sid).await
}
