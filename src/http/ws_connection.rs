//! One open WebSocket: says welcome, answers subscriptions with a snapshot and what was missed, then tells what happens.
//!
//! **Invariant**: a client never sees an order go back: an event is told only if its version is higher than the last one
//! told of that order. The socket is registered before the snapshot is read, so nothing falls in between.
//!
//! Bounds: frames waiting (the session actor drops a socket that is full), frame size, silence, malformed frames, and
//! the time one write may take. Whatever closes it, the client resumes by `since`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError, Session};

use tokio::sync::mpsc;

use super::auth::Caller;
use super::error::ApiError;
use super::i18n::Lang;
use super::order_json::OrderJson;
use super::order_reads::{self, Viewer};
use super::pages::{PAGE_SIZE_MAX, PageQuery};
use super::state::AppState;
use super::ws_frames::{self, ClientFrame, Selection};
use crate::actors::session::{CloseSocket, SocketSignal};
use crate::clock;
use crate::domain::OrderNo;
use crate::domain::codes::Code;
use crate::persistence::journal::PastEvent;
use crate::persistence::outbox::FeedEvent;
use crate::persistence::{journal, positions};

/// Malformed frames before the socket is closed.
const MALFORMED_MAX: u32 = 10;
/// Missed events that are told one by one; a client that missed more gets the snapshot alone.
const MISSED_MAX: u64 = 1_000;
/// Orders whose last told version is remembered; the oldest are forgotten first.
const REMEMBERED_MAX: usize = 10_000;
/// The sign-in was revoked; the client must not come back with the same token.
const REVOKED: CloseCode = CloseCode::Other(4401);

/// One socket.
pub struct Connection {
    state: Arc<AppState>,
    caller: Caller,
    lang: Lang,
    socket: u64,
    session: Session,
    selection: Option<Selection>,
    /// The version last told, by order.
    told: BTreeMap<OrderNo, u32>,
    malformed: u32,
    last_heard: Instant,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// Why the conversation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client left or the connection broke: nobody to tell.
    Gone,
    /// With this code and word.
    Close(CloseCode, &'static str),
}

impl Connection {
    /// A socket that the session actor knows by number.
    #[must_use]
    pub fn new(state: Arc<AppState>, caller: Caller, lang: Lang, socket: u64, session: Session) -> Self {
        let (selection, told, malformed, last_heard) = (None, BTreeMap::new(), 0, clock::monotonic());
        Self { state, caller, lang, socket, session, selection, told, malformed, last_heard }
    }

    /// Talks until one side ends it.
    pub async fn run(mut self, mut frames: AggregatedMessageStream, mut signals: mpsc::Receiver<SocketSignal>) {
        metrics::gauge!("rushmall_websockets").increment(1);
        let end = match self.talk(&mut frames, &mut signals).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        metrics::gauge!("rushmall_websockets").decrement(1);
        let (state, buyer, socket) = (Arc::clone(&self.state), self.caller.buyer, self.socket);
        if let End::Close(code, word) = end {
            tracing::debug!(%buyer, socket, word, "socket closed");
            let reason = CloseReason { code, description: Some(word.to_owned()) };
            let _gone_anyway = tokio::time::timeout(self.write_timeout(), self.session.close(Some(reason))).await;
        }
        signals.close();
        let closed = state.shop.sessions.ask(&buyer, CloseSocket { socket }, state.ask_timeout()).await;
        if let Err(error) = closed {
            tracing::debug!(%buyer, %error, "session not told of a closed socket; it notices by itself");
        }
    }

    async fn talk(
        &mut self,
        frames: &mut AggregatedMessageStream,
        signals: &mut mpsc::Receiver<SocketSignal>,
    ) -> Result<std::convert::Infallible, End> {
        let idle_ms = self.state.settings.feed.idle_timeout_ms;
        let seq = positions::latest_commit(&self.state.db, self.caller.buyer).await.unwrap_or(0);
        self.send(ws_frames::welcome(seq, self.caller.buyer.0, self.state.clock.now_ms(), idle_ms)).await?;
        let mut closing = self.state.shop.closing();
        let mut pings = tokio::time::interval(Duration::from_millis((idle_ms / 3).max(1)));
        pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = closing.wait() => return Err(End::Close(CloseCode::Away, "server is stopping")),
                signal = signals.recv() => match signal {
                    Some(SocketSignal::Event { commit_no, event }) => self.tell(commit_no, &event).await?,
                    Some(SocketSignal::Revoked) => return Err(End::Close(REVOKED, "signed out")),
                    // Too slow, or the session actor died: the client resumes by `since`.
                    None => return Err(End::Close(CloseCode::Again, "resume by since")),
                },
                frame = frames.recv() => self.hear(frame).await?,
                _ = pings.tick() => self.ping(idle_ms).await?,
            }
        }
    }

    async fn ping(&mut self, idle_ms: u64) -> Result<(), End> {
        if self.last_heard.elapsed() >= Duration::from_millis(idle_ms) {
            return Err(End::Close(CloseCode::Policy, "silent for too long"));
        }
        let limit = self.write_timeout();
        written(tokio::time::timeout(limit, self.session.ping(b"")).await)
    }

    async fn hear(&mut self, frame: Option<Result<AggregatedMessage, ProtocolError>>) -> Result<(), End> {
        self.last_heard = clock::monotonic();
        match frame {
            None | Some(Ok(AggregatedMessage::Close(_))) => Err(End::Gone),
            Some(Err(ProtocolError::Overflow)) => Err(End::Close(CloseCode::Size, "frame too large")),
            Some(Err(ProtocolError::Io(_))) => Err(End::Gone),
            Some(Err(_)) => Err(End::Close(CloseCode::Protocol, "not a WebSocket frame")),
            Some(Ok(AggregatedMessage::Ping(bytes))) => {
                let limit = self.write_timeout();
                written(tokio::time::timeout(limit, self.session.pong(&bytes)).await)
            }
            Some(Ok(AggregatedMessage::Pong(_))) => Ok(()),
            Some(Ok(AggregatedMessage::Binary(_))) => self.refuse_malformed().await,
            Some(Ok(AggregatedMessage::Text(text))) => match ws_frames::read(&text) {
                Some(ClientFrame::Ping) => self.send(ws_frames::pong(self.state.clock.now_ms())).await,
                Some(ClientFrame::Subscribe { orders, since }) => self.subscribe(orders, since).await,
                None => self.refuse_malformed().await,
            },
        }
    }

    async fn refuse_malformed(&mut self) -> Result<(), End> {
        self.malformed += 1;
        if self.malformed > MALFORMED_MAX {
            return Err(End::Close(CloseCode::Policy, "too many malformed frames"));
        }
        self.send(ws_frames::malformed(self.lang)).await
    }

    /// Snapshot, then what was missed, then everything that happens.
    async fn subscribe(&mut self, selection: Selection, since: Option<i64>) -> Result<(), End> {
        match self.catch_up(&selection, since).await {
            Ok((seq, orders, missed)) => {
                for order in &orders {
                    self.remember(order);
                }
                self.selection = Some(selection);
                if let Some(frame) = ws_frames::snapshot(seq, &orders) {
                    self.send(frame).await?;
                }
                for past in &missed {
                    self.tell(past.commit_no, &past.event).await?;
                }
                Ok(())
            }
            Err(error) => self.send(ws_frames::error(&error, self.lang)).await,
        }
    }

    /// Where the stream stands, the orders as they are, and the missed events. An order with a missed event is told by
    /// its events and left out of the snapshot, so that it never goes back.
    async fn catch_up(
        &self,
        selection: &Selection,
        since: Option<i64>,
    ) -> Result<(i64, Vec<OrderJson>, Vec<PastEvent>), ApiError> {
        let (db, buyer) = (&self.state.db, self.caller.buyer);
        let seq = positions::latest_commit(db, buyer).await?; // before the rather newer rows: too low is harmless
        let mut missed = match since {
            None => Vec::new(),
            Some(since) => journal::events_since(db, buyer, since, MISSED_MAX + 1).await?,
        };
        if missed.len() as u64 > MISSED_MAX {
            missed.clear();
        }
        missed.retain(|past| selection.includes(past.event.order_no));
        skip_steps_within(&mut missed, since);
        let mut orders = self.orders(selection).await?;
        orders.retain(|order| !missed.iter().any(|past| past.event.order_no.to_string() == order.order_no));
        Ok((seq, orders, missed))
    }

    async fn orders(&self, selection: &Selection) -> Result<Vec<OrderJson>, ApiError> {
        let (buyer, lang) = (self.caller.buyer, self.lang);
        let Selection::Named(named) = selection else {
            let page = PageQuery { page: 1, page_size: PAGE_SIZE_MAX.unsigned_abs() };
            return Ok(order_reads::list(&self.state, buyer, page, None, lang).await?.list);
        };
        let mut orders = Vec::with_capacity(named.len());
        for order_no in named {
            match order_reads::order(&self.state, Viewer::Buyer(buyer), *order_no, lang).await {
                Ok(order) => orders.push(order),
                Err(error) if error.code() == Code::ORDER_NOT_FOUND => {} // accepted later, or not his
                Err(error) => return Err(error),
            }
        }
        Ok(orders)
    }

    fn remember(&mut self, order: &OrderJson) {
        if let Ok(order_no) = order.order_no.parse() {
            let told = self.told.entry(order_no).or_insert(0);
            *told = (*told).max(order.version);
        }
    }

    /// Tells an event of a subscribed order, unless it or a later one was told.
    async fn tell(&mut self, commit_no: i64, event: &FeedEvent) -> Result<(), End> {
        let is_wanted = self.selection.as_ref().is_some_and(|selection| selection.includes(event.order_no));
        if !is_wanted || self.told.get(&event.order_no).is_some_and(|told| event.version <= *told) {
            return Ok(());
        }
        self.told.insert(event.order_no, event.version);
        while self.told.len() > REMEMBERED_MAX {
            self.told.pop_first();
        }
        match ws_frames::order(commit_no, event, self.lang) {
            Some(frame) => self.send(frame).await,
            None => Ok(()),
        }
    }

    fn write_timeout(&self) -> Duration {
        Duration::from_millis((self.state.settings.feed.idle_timeout_ms / 3).max(1))
    }

    /// A client that does not read holds its own socket up, nothing else, and not for long.
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

/// The commit that the client stood at may have been told to the end: of it only each order's last step is told again,
/// so that a client that knows no versions does not see an order go back.
fn skip_steps_within(missed: &mut Vec<PastEvent>, since: Option<i64>) {
    let mut last: BTreeMap<OrderNo, u32> = BTreeMap::new();
    for past in missed.iter().filter(|past| Some(past.commit_no) == since) {
        let version = last.entry(past.event.order_no).or_insert(0);
        *version = (*version).max(past.event.version);
    }
    let is_last = |past: &PastEvent| last.get(&past.event.order_no) == Some(&past.event.version);
    missed.retain(|past| Some(past.commit_no) != since || is_last(past));
}
