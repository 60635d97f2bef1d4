//! `/ws`: orders pushed as they move (design.md §3). The handshake; `ws_connection.rs` is the conversation.

use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::auth::{Caller, MaybeCaller};
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::Query;
use super::fields::{Fields, FromFields};
use super::i18n::Lang;
use super::origins;
use super::state::AppState;
use super::ws_connection::Connection;
use crate::actors::session::{Authorize, OpenSocket};
use crate::domain::codes::Code;

/// Numbers the sockets of this process.
static NEXT_SOCKET: AtomicU64 = AtomicU64::new(1);

/// A single-use ticket for `/ws?ticket=`.
#[derive(Debug, Serialize, ToSchema)]
pub struct WsTicket {
    /// Opens one socket.
    pub ticket: String,
    /// In seconds.
    pub expires_in: i64,
}

/// How a browser proves who it is.
#[derive(Debug)]
pub struct Handshake {
    ticket: Option<String>,
}

impl Handshake {
    /// The ticket, if there is one.
    #[must_use]
    pub fn ticket(&self) -> Option<&str> {
        self.ticket.as_deref()
    }
}

impl FromFields for Handshake {
    const CODE: Code = Code::BAD_REQUEST;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { ticket: fields.text_if("ticket", 1..=64) }
    }
}

/// Gives a ticket for one WebSocket.
#[utoipa::path(post, path = "/api/ws/ticket", tag = "feed", security(("bearer" = [])),
    responses((status = 200, body = EnvelopeOf<WsTicket>)))]
pub async fn issue_ticket(state: web::Data<AppState>, caller: Caller) -> ApiResult<WsTicket> {
    let life_ms = state.settings.feed.ticket_ms;
    let ticket = state.ws_tickets.issue(caller, state.clock.now_ms(), life_ms).await?;
    ok(WsTicket { ticket, expires_in: life_ms / 1_000 })
}

/// Opens a WebSocket. Frames: docs/API.md.
#[utoipa::path(get, path = "/ws", tag = "feed", security((), ("bearer" = [])),
    params(("ticket" = Option<String>, Query, description = "from POST /api/ws/ticket")),
    responses((status = 101, description = "a WebSocket"), (status = 401, description = "no valid ticket or token"),
        (status = 403, description = "a page from elsewhere"), (status = 429, description = "too many sockets of this user")))]
pub async fn open_socket(
    state: web::Data<AppState>,
    MaybeCaller(by_token): MaybeCaller,
    lang: Lang,
    request: HttpRequest,
    body: web::Payload,
    Query(handshake): Query<Handshake>,
) -> Result<HttpResponse, ApiError> {
    origins::check(&request, &state)?;
    let caller = match handshake.ticket {
        None => by_token.ok_or(ApiError::from(Code::SIGN_IN_NEEDED))?,
        Some(ticket) => redeem(&state, &ticket).await?,
    };
    if state.is_stopping() {
        return Err(Code::UNAVAILABLE.into());
    }
    let (response, session, frames) = actix_ws::handle(&request, body)
        .map_err(|_| ApiError::from(Code::BAD_REQUEST).with("reason", "no handshake"))?;
    let feed = &state.settings.feed;
    let (sender, signals) = mpsc::channel(feed.frames_queued_max.max(1));
    let socket = NEXT_SOCKET.fetch_add(1, Ordering::Relaxed);
    let open = OpenSocket { socket, sid: caller.sid.clone(), sender };
    if !state.shop.sessions.ask(&caller.buyer, open, state.ask_timeout()).await? {
        return Err(
            ApiError::from(Code::TOO_MANY_REQUESTS).with("sockets_max", state.in_effect().feed.sockets_per_user_max)
        );
    }
    let frame_bytes_max = feed.frame_bytes_max;
    let frames =
        frames.max_frame_size(frame_bytes_max).aggregate_continuations().max_continuation_size(frame_bytes_max);
    let connection = Connection::new(state.into_inner(), caller, lang, socket, session);
    actix_rt::spawn(connection.run(frames, signals));
    Ok(response)
}

/// Whose ticket it is, if his session still lives.
async fn redeem(state: &AppState, ticket: &str) -> Result<Caller, ApiError> {
    let known = state.ws_tickets.redeem(ticket, state.clock.now_ms()).await?;
    let caller = known.ok_or(ApiError::from(Code::TOKEN_INVALID))?;
    let authorize = Authorize { sid: caller.sid };
    Ok(state.shop.sessions.ask(&caller.buyer, authorize, state.ask_timeout()).await??)
}
