//! One open `/ws/admin`: tells what was subscribed to, carries commands out, and ends with the right to be here.
//!
//! Bounds: what is told is always the newest pulse, so a reader who is slow misses moments and holds nothing up; commands in
//! flight, frame size, silence, malformed frames and the time of one write are bounded as well. Whether the sign-in and the
//! role still hold is asked every second, and before each command.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError, Session};
use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use serde_json::json;

use super::actor_commands::{self, Asked, CommandParams};
use super::auth::Caller;
use super::error::ApiError;
use super::fields::Fields;
use super::i18n::Lang;
use super::idempotent::{Answered, Turn, once_over_socket};
use super::state::AppState;
use super::times::Time;
use super::trace::RequestContext;
use super::ws_admin_frames::{self, AdminFrame, SocketCommand, Told, Topic};
use super::ws_frames;
use crate::actors::live::Watcher;
use crate::clock;
use crate::domain::codes::Code;

/// Commands of one socket that run at the same time; one more is refused.
const COMMANDS_MAX: usize = 4;
/// Malformed frames before the socket is closed.
const MALFORMED_MAX: u32 = 10;
/// How often it is asked whether he is still an administrator.
const RIGHT_ASKED_EVERY: Duration = Duration::from_secs(1);
/// The sign-in was revoked.
const REVOKED: CloseCode = CloseCode::Other(4401);
/// He is no administrator any more.
const NO_ADMINISTRATOR: CloseCode = CloseCode::Other(4403);

/// One socket.
pub struct AdminConnection {
    state: Arc<AppState>,
    admin: Caller,
    lang: Lang,
    session: Session,
    topics: BTreeSet<Topic>,
    told: Told,
    malformed: u32,
    last_heard: Instant,
}

impl std::fmt::Debug for AdminConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminConnection").field("admin", &self.admin.buyer).finish_non_exhaustive()
    }
}

/// Why the conversation ends.
enum End {
    /// Nobody to tell.
    Gone,
    /// With this code and word.
    Close(CloseCode, &'static str),
}

/// Commands on their way, each to the frame of its answer.
type Running = FuturesUnordered<LocalBoxFuture<'static, String>>;

impl AdminConnection {
    /// A socket of this administrator.
    #[must_use]
    pub fn new(state: Arc<AppState>, admin: Caller, lang: Lang, session: Session) -> Self {
        let (topics, told, last_heard) = (BTreeSet::new(), Told::default(), clock::monotonic());
        Self { state, admin, lang, session, topics, told, malformed: 0, last_heard }
    }

    /// Talks until one side ends it.
    pub async fn run(mut self, mut frames: AggregatedMessageStream, mut watcher: Watcher) {
        metrics::gauge!("rushmall_admin_websockets").increment(1);
        let Err(end) = self.talk(&mut frames, &mut watcher).await;
        metrics::gauge!("rushmall_admin_websockets").decrement(1);
        if let End::Close(code, word) = end {
            tracing::debug!(admin = %self.admin.buyer, word, "administrator's socket closed");
            let limit = self.write_timeout();
            let reason = CloseReason { code, description: Some(word.to_owned()) };
            let _gone_anyway = tokio::time::timeout(limit, self.session.close(Some(reason))).await;
        }
    }

    async fn talk(&mut self, frames: &mut AggregatedMessageStream, watcher: &mut Watcher) -> Result<Infallible, End> {
        let idle_ms = self.state.settings.feed.idle_timeout_ms;
        let welcome = json!({
            "type": "welcome", "user_id": self.admin.buyer, "node": self.state.settings.node.name,
            "server_time": Time(self.state.clock.now_ms()).with_millis(), "idle_timeout_ms": idle_ms,
        });
        self.send(welcome.to_string()).await?;
        let mut closing = self.state.shop.closing();
        let mut pings = tokio::time::interval(Duration::from_millis((idle_ms / 3).max(1)));
        let mut rights = tokio::time::interval(RIGHT_ASKED_EVERY);
        for ticks in [&mut pings, &mut rights] {
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        let mut running = Running::new();
        loop {
            tokio::select! {
                () = closing.wait() => return Err(End::Close(CloseCode::Away, "server is stopping")),
                frame = frames.recv() => self.hear(frame, &mut running).await?,
                Some(answer) = running.next() => self.send(answer).await?,
                Ok(()) = watcher.pulses.changed(), if !self.topics.is_empty() => {
                    let newest = Arc::clone(&watcher.pulses.borrow_and_update());
                    for frame in self.told.frames(&newest, &self.topics) {
                        self.send(frame).await?;
                    }
                }
                _ = rights.tick() => self.ask_right().await?,
                _ = pings.tick() => self.ping(idle_ms).await?,
            }
        }
    }

    /// Ends the socket if the sign-in or the role is gone; a store that does not answer ends nothing.
    async fn ask_right(&mut self) -> Result<(), End> {
        match self.state.authorize_admin(self.admin.buyer, &self.admin.sid).await {
            Ok(_) => Ok(()),
            Err(error) => match error.code() {
                Code::NOT_ADMINISTRATOR => Err(End::Close(NO_ADMINISTRATOR, "no administrator any more")),
                Code::TOKEN_INVALID | Code::USER_DISABLED => Err(End::Close(REVOKED, "signed out")),
                _ => Ok(()),
            },
        }
    }

    async fn ping(&mut self, idle_ms: u64) -> Result<(), End> {
        if self.last_heard.elapsed() >= Duration::from_millis(idle_ms) {
            return Err(End::Close(CloseCode::Policy, "silent for too long"));
        }
        let limit = self.write_timeout();
        written(tokio::time::timeout(limit, self.session.ping(b"")).await)
    }

    async fn hear(
        &mut self,
        frame: Option<Result<AggregatedMessage, ProtocolError>>,
        running: &mut Running,
    ) -> Result<(), End> {
        self.last_heard = clock::monotonic();
        let text = match frame {
            None | Some(Ok(AggregatedMessage::Close(_)) | Err(ProtocolError::Io(_))) => return Err(End::Gone),
            Some(Err(ProtocolError::Overflow)) => return Err(End::Close(CloseCode::Size, "frame too large")),
            Some(Err(_)) => return Err(End::Close(CloseCode::Protocol, "not a WebSocket frame")),
            Some(Ok(AggregatedMessage::Ping(bytes))) => {
                let limit = self.write_timeout();
                return written(tokio::time::timeout(limit, self.session.pong(&bytes)).await);
            }
            Some(Ok(AggregatedMessage::Pong(_))) => return Ok(()),
            Some(Ok(AggregatedMessage::Binary(_))) => return self.refuse_malformed().await,
            Some(Ok(AggregatedMessage::Text(text))) => text,
        };
        match ws_admin_frames::read(&text) {
            Some(AdminFrame::Ping) => self.send(ws_frames::pong(self.state.clock.now_ms())).await,
            Some(AdminFrame::Subscribe { topics }) => {
                self.told.forget(&topics);
                self.topics.extend(topics);
                self.send(ws_admin_frames::subscribed(&self.topics)).await
            }
            Some(AdminFrame::Unsubscribe { topics }) => {
                self.topics.retain(|topic| !topics.contains(topic));
                self.send(ws_admin_frames::subscribed(&self.topics)).await
            }
            Some(AdminFrame::Command(command)) if running.len() >= COMMANDS_MAX => {
                let busy = ApiError::from(Code::TOO_MANY_REQUESTS).with("commands_max", COMMANDS_MAX);
                self.send(refusal(&command.id, &busy, self.lang)).await
            }
            Some(AdminFrame::Command(command)) => {
                let (state, admin, lang) = (Arc::clone(&self.state), self.admin.clone(), self.lang);
                running.push(Box::pin(async move { carry_out(&state, &admin, lang, command).await }));
                Ok(())
            }
            None => self.refuse_malformed().await,
        }
    }

    async fn refuse_malformed(&mut self) -> Result<(), End> {
        self.malformed += 1;
        if self.malformed > MALFORMED_MAX {
            return Err(End::Close(CloseCode::Policy, "too many malformed frames"));
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
        Ok(Err(_closed)) => Err(End::Gone),
        Err(_elapsed) => Err(End::Close(CloseCode::Again, "too slow")),
    }
}

/// The frame of the answer: `{"type":"result","id":…,"status":…,"replayed":…,"answer":{code, message, data}}`.
async fn carry_out(state: &AppState, admin: &Caller, lang: Lang, command: SocketCommand) -> String {
    let id = command.id.clone();
    match try_carry_out(state, admin, lang, command).await {
        Err(error) => refusal(&id, &error, lang),
        Ok(Answered { unsent, is_repeat }) => {
            let status = unsent.status.as_u16();
            // The text lacks only what would end it: the trace id and a brace.
            format!(
                r#"{{"type":"result","id":{id},"status":{status},"replayed":{is_repeat},"answer":{}}}}}"#,
                unsent.text
            )
        }
    }
}

async fn try_carry_out(
    state: &AppState,
    admin: &Caller,
    lang: Lang,
    command: SocketCommand,
) -> Result<Answered, ApiError> {
    let admin = state.authorize_admin(admin.buyer, &admin.sid).await?;
    let SocketCommand { kind, key, command: word, params, idempotency_key, .. } = command;
    let text = params.map_or_else(|| "{}".to_owned(), |params| params.to_string());
    let mut fields = Fields::default();
    fields.add_json(text.as_bytes());
    let content = format!("/ws/admin\n{kind}\n{key}\n{word}\n{text}");
    let asked = Asked { kind, key, word, params: fields.parse::<CommandParams>()? };
    let context = RequestContext { lang, ..RequestContext::default() };
    once_over_socket(state, admin.buyer, (idempotency_key.as_deref(), &content), context, async |turn: Turn| {
        actor_commands::run(state, &admin, lang, &turn, &asked).await
    })
    .await
}

fn refusal(id: &serde_json::Value, error: &ApiError, lang: Lang) -> String {
    let answer = json!({"code": error.code().0, "message": error.message(lang), "data": error.data(lang)});
    json!({"type": "result", "id": id, "status": error.status().as_u16(), "replayed": false, "answer": answer})
        .to_string()
}
