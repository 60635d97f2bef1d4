//! Units left, by push: what a socket watches, and `/ws/stock`, a socket for everybody, with an account or without.
//!
//! `/ws/stock` knows nobody and tells only what `GET /api/seckill` and `GET /api/product` tell everybody. It is bounded: sockets
//! of a node, products of a socket, products of a node, frame size, malformed frames, silence, the time of a write.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError, Session};
use futures::future::select_all;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::error::ApiError;
use super::i18n::Lang;
use super::origins;
use super::state::AppState;
use super::ws_frames::{self, StockFrame};
use crate::actors::stock_board::{Level, LevelReceiver, StockBoard};
use crate::domain::ProductId;
use crate::domain::codes::Code;
use crate::persistence::products;

/// Malformed frames before the socket is closed.
const MALFORMED_MAX: u32 = 10;
/// Least time between two choices of what is watched: each is a question to the database.
const CHOICES_EVERY: Duration = Duration::from_millis(200);

/// What one socket watches.
#[derive(Debug, Default)]
pub struct StockWatch {
    receivers: Vec<LevelReceiver>,
    chosen_at: Option<Instant>,
}

impl StockWatch {
    /// Watches these products and no others; unknown ones are left out. Answers those that are watched.
    ///
    /// # Errors
    /// `UNAVAILABLE` if the node watches too many products, or the catalogue cannot be read; then nothing is watched.
    pub async fn choose(&mut self, state: &AppState, wanted: &[ProductId]) -> Result<Vec<ProductId>, ApiError> {
        self.receivers.clear();
        if let Some(chosen_at) = self.chosen_at {
            tokio::time::sleep_until(chosen_at + CHOICES_EVERY).await;
        }
        self.chosen_at = Some(Instant::now());
        let mut known: Vec<ProductId> = products::cards(&state.db, wanted).await?.iter().map(|card| card.id).collect();
        known.sort_unstable();
        self.receivers = receivers(&state.shop.stock_board, &known).ok_or(ApiError::from(Code::UNAVAILABLE))?;
        Ok(known)
    }

    /// The next level that is news; waits for ever if nothing is watched. May be dropped and called again.
    pub async fn news(&mut self) -> Level {
        if self.receivers.is_empty() {
            return std::future::pending().await;
        }
        let (level, ..) = select_all(self.receivers.iter_mut().map(|receiver| Box::pin(news_of(receiver)))).await;
        level
    }
}

fn receivers(board: &StockBoard, products: &[ProductId]) -> Option<Vec<LevelReceiver>> {
    products.iter().map(|product| board.watch(*product)).collect()
}

async fn news_of(receiver: &mut LevelReceiver) -> Level {
    loop {
        if receiver.changed().await.is_err() {
            return std::future::pending().await; // the node stops, and its sockets with it
        }
        if let Some(level) = *receiver.borrow_and_update() {
            return level;
        }
    }
}

/// Opens a WebSocket that tells of units left; no account is needed. Frames: docs/API.md.
#[utoipa::path(get, path = "/ws/stock", tag = "feed",
    responses((status = 101, description = "a WebSocket"), (status = 403, description = "a page from elsewhere"),
        (status = 503, description = "too many visitors")))]
pub async fn open_stock_socket(
    state: web::Data<AppState>,
    lang: Lang,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, ApiError> {
    origins::check(&request, &state)?;
    if state.is_stopping() {
        return Err(Code::UNAVAILABLE.into());
    }
    let seat = Arc::clone(&state.visitor_seats).try_acquire_owned();
    let seat = seat.map_err(|_full| ApiError::from(Code::UNAVAILABLE).with("reason", "too many visitors"))?;
    let (response, session, frames) = actix_ws::handle(&request, body)
        .map_err(|_| ApiError::from(Code::BAD_REQUEST).with("reason", "no handshake"))?;
    let bytes_max = state.settings.feed.frame_bytes_max;
    let frames = frames.max_frame_size(bytes_max).aggregate_continuations().max_continuation_size(bytes_max);
    let (watch, last_heard) = (StockWatch::default(), Instant::now());
    let visitor = Visitor { state: state.into_inner(), lang, session, watch, malformed: 0, last_heard, _seat: seat };
    actix_rt::spawn(visitor.run(frames));
    Ok(response)
}

/// One socket of `/ws/stock`.
struct Visitor {
    state: Arc<AppState>,
    lang: Lang,
    session: Session,
    watch: StockWatch,
    malformed: u32,
    last_heard: Instant,
    _seat: OwnedSemaphorePermit,
}

/// Why the conversation ends: with this code and word, or (`None`) with nobody to tell.
type End = Option<(CloseCode, &'static str)>;

impl Visitor {
    async fn run(mut self, mut frames: AggregatedMessageStream) {
        metrics::gauge!("rushmall_visitor_websockets").increment(1);
        let Err(end) = self.talk(&mut frames).await;
        metrics::gauge!("rushmall_visitor_websockets").decrement(1);
        if let Some((code, word)) = end {
            let (limit, reason) = (self.write_timeout(), CloseReason { code, description: Some(word.to_owned()) });
            let _gone_anyway = tokio::time::timeout(limit, self.session.close(Some(reason))).await;
        }
    }

    async fn talk(&mut self, frames: &mut AggregatedMessageStream) -> Result<Infallible, End> {
        let idle_ms = self.state.settings.feed.idle_timeout_ms;
        self.send(ws_frames::stock_welcome(self.state.clock.now_ms(), idle_ms)).await?;
        let mut closing = self.state.shop.closing();
        let mut pings = tokio::time::interval(Duration::from_millis((idle_ms / 3).max(1)));
        pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = closing.wait() => return Err(Some((CloseCode::Away, "server is stopping"))),
                level = self.watch.news() => {
                    let frame = ws_frames::stock(&level, self.state.clock.now_ms());
                    self.send(frame).await?;
                }
                frame = frames.recv() => self.hear(frame).await?,
                _ = pings.tick() => self.ping(idle_ms).await?,
            }
        }
    }

    async fn ping(&mut self, idle_ms: u64) -> Result<(), End> {
        if self.last_heard.elapsed() >= Duration::from_millis(idle_ms) {
            return Err(Some((CloseCode::Policy, "silent for too long")));
        }
        let limit = self.write_timeout();
        written(tokio::time::timeout(limit, self.session.ping(b"")).await)
    }

    async fn hear(&mut self, frame: Option<Result<AggregatedMessage, ProtocolError>>) -> Result<(), End> {
        self.last_heard = Instant::now();
        match frame {
            None | Some(Ok(AggregatedMessage::Close(_)) | Err(ProtocolError::Io(_))) => Err(None),
            Some(Err(ProtocolError::Overflow)) => Err(Some((CloseCode::Size, "frame too large"))),
            Some(Err(_)) => Err(Some((CloseCode::Protocol, "not a WebSocket frame"))),
            Some(Ok(AggregatedMessage::Ping(bytes))) => {
                let limit = self.write_timeout();
                written(tokio::time::timeout(limit, self.session.pong(&bytes)).await)
            }
            Some(Ok(AggregatedMessage::Pong(_))) => Ok(()),
            Some(Ok(AggregatedMessage::Binary(_))) => self.refuse_malformed().await,
            Some(Ok(AggregatedMessage::Text(text))) => match ws_frames::read_stock(&text) {
                Some(StockFrame::Ping) => self.send(ws_frames::pong(self.state.clock.now_ms())).await,
                Some(StockFrame::Watch { products }) => {
                    let state = Arc::clone(&self.state);
                    let answer = ws_frames::watching(self.watch.choose(&state, &products).await, self.lang);
                    self.send(answer).await
                }
                None => self.refuse_malformed().await,
            },
        }
    }

    async fn refuse_malformed(&mut self) -> Result<(), End> {
        self.malformed += 1;
        if self.malformed > MALFORMED_MAX {
            return Err(Some((CloseCode::Policy, "too many malformed frames")));
        }
        self.send(ws_frames::malformed(self.lang)).await
    }

    fn write_timeout(&self) -> Duration {
        Duration::from_millis((self.state.settings.feed.idle_timeout_ms / 3).max(1))
    }

    async fn send(&mut self, frame: String) -> Result<(), End> {
        let limit = self.write_timeout();
        written(tokio::time::timeout(limit, self.session.text(frame)).await)
    }
}

fn written<E>(outcome: Result<Result<(), E>, tokio::time::error::Elapsed>) -> Result<(), End> {
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_closed)) => Err(None),
        Err(_elapsed) => Err(Some((CloseCode::Again, "too slow"))),
    }
}
