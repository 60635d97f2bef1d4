//! One open WebSocket: says welcome, answers subscriptions with a snapshot and what was missed, then tells what happens.
//!
//! **Invariant**: a client sees each order's steps in order, once: an event is told only if its version is the next one
//! of that order. A lower one was told; before a higher one, or after a moment in which messages of other nodes may have
//! been missed, the steps in between are read from the journal. The socket is registered before the snapshot is read, so
//! nothing falls in between.
//!
//! Bounds: frames waiting (the session actor drops a socket that is full), frame size, silence, malformed frames, and
//! the time one write may take. Whatever closes it, the client resumes by `since`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError, Session};

use tokio::sync::mpsc;
use tracing::Instrument as _;

use super::auth::Caller;
use super::error::ApiError;
use super::i18n::Lang;
use super::order_json::OrderJson;
use super::order_reads::{self, Viewer};
use super::pages::{PAGE_SIZE_MAX, PageQuery};
use super::state::AppState;
use super::ws_frames::{self, ClientFrame, Selection};
use super::ws_stock::StockWatch;
use super::ws_waiting::Watched;
use crate::actors::session::{CloseSocket, SocketSignal};
use crate::clock;
use crate::domain::codes::Code;
use crate::domain::{BuyerId, OrderNo};
use crate::persistence::journal::PastEvent;
use crate::persistence::outbox::FeedEvent;
use crate::persistence::{journal, positions};
use crate::trace_context;

/// Malformed frames before the socket is closed.
const MALFORMED_MAX: u32 = 10;
/// Missed events that are told one by one; a client that missed more gets the snapshot alone.
const MISSED_MAX: u64 = 1_000;
/// Orders whose last told version is remembered; the oldest are forgotten first.
const REMEMBERED_MAX: usize = 10_000;
/// After a moment of loss a socket reads the journal within this time.
const MAKE_UP_WITHIN_MS: u64 = 300;
/// Pause before a failed reading of the journal is repeated.
const MAKE_UP_AGAIN_AFTER: Duration = Duration::from_secs(1);
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
    stock: StockWatch,
    /// The version last told, by order.
    told: BTreeMap<OrderNo, u32>,
    /// Of older orders than this it is not known what the client was told.
    told_from: Option<OrderNo>,
    /// The highest commit told.
    seq: i64,
    /// When the journal is to be read for what was missed.
    make_up_at: Option<tokio::time::Instant>,
    /// The place in a waiting room that the client asked to be told of.
    place: Option<Watched>,
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
        Self {
            state,
            caller,
            lang,
            socket,
            session,
            selection: None,
            stock: StockWatch::default(),
            told: BTreeMap::new(),
            told_from: None,
            seq: 0,
            make_up_at: None,
            place: None,
            malformed: 0,
            last_heard: clock::monotonic(),
        }
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
        let mut gaps = self.state.shop.gaps.watch();
        let mut pings = tokio::time::interval(Duration::from_millis((idle_ms / 3).max(1)));
        pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = closing.wait() => return Err(End::Close(CloseCode::Away, "server is stopping")),
                signal = signals.recv() => match signal {
                    Some(SocketSignal::Event { commit_no, event, span }) => {
                        let span = push_span(&span, self.caller.buyer, &event);
                        self.tell(commit_no, &event).instrument(span).await?;
                    }
                    Some(SocketSignal::Revoked) => return Err(End::Close(REVOKED, "signed out")),
                    // Too slow, or the session actor died: the client resumes by `since`.
                    None => return Err(End::Close(CloseCode::Again, "resume by since")),
                },
                Ok(()) = gaps.changed() => self.make_up_soon(),
                () = due(self.make_up_at) => self.make_up().await?,
                level = self.stock.news() => self.send(ws_frames::stock(&level, self.state.clock.now_ms())).await?,
                () = due(self.place.map(|place| place.due)) => self.tell_place().await?,
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
                Some(ClientFrame::Watch { products }) => {
                    let chosen = self.stock.choose(&self.state, &products).await;
                    self.send(ws_frames::watching(chosen, self.lang)).await
                }
                Some(ClientFrame::Subscribe { orders, since, known }) => self.subscribe(orders, since, known).await,
                Some(ClientFrame::Queue { ticket }) => self.watch_place(&ticket).await,
                None => self.refuse_malformed().await,
            },
        }
    }

    async fn watch_place(&mut self, ticket: &str) -> Result<(), End> {
        match Watched::new(&self.state, ticket, self.caller.buyer) {
            Ok(place) => {
                self.place = Some(place);
                Ok(())
            }
            Err(error) => self.send(ws_frames::error(&error, self.lang)).await,
        }
    }

    async fn tell_place(&mut self) -> Result<(), End> {
        let Some(place) = self.place.take() else { return Ok(()) };
        let (frame, next) = place.tell(&self.state).await;
        self.place = next;
        match frame {
            Some(frame) => self.send(frame).await,
            None => Ok(()),
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
    async fn subscribe(
        &mut self,
        selection: Selection,
        since: Option<i64>,
        known: BTreeMap<OrderNo, u32>,
    ) -> Result<(), End> {
        let CaughtUp { seq, orders, missed } = match self.catch_up(&selection, since, &known).await {
            Ok(caught_up) => caught_up,
            Err(error) => return self.send(ws_frames::error(&error, self.lang)).await,
        };
        let is_cut_off = selection == Selection::All && orders.len() >= PAGE_SIZE_MAX.unsigned_abs() as usize;
        self.told_from = if is_cut_off { orders.iter().filter_map(number).min() } else { None };
        for (order_no, version) in known {
            self.told_up_to(order_no, version);
        }
        for order in &orders {
            if let Some(order_no) = number(order) {
                self.told_up_to(order_no, order.version);
            }
        }
        for past in &missed {
            // The first of them is the next of its order, however few were told before.
            self.told.entry(past.event.order_no).or_insert(past.event.version.saturating_sub(1));
        }
        (self.selection, self.seq) = (Some(selection), self.seq.max(seq));
        if let Some(frame) = ws_frames::snapshot(seq, &orders) {
            self.send(frame).await?;
        }
        for past in &missed {
            self.tell(past.commit_no, &past.event).await?;
        }
        Ok(())
    }

    /// Where the stream stands, the orders as they are, and the missed events. An order with a missed event is told by
    /// its events and left out of the snapshot, so that it never goes back.
    async fn catch_up(
        &self,
        selection: &Selection,
        since: Option<i64>,
        known: &BTreeMap<OrderNo, u32>,
    ) -> Result<CaughtUp, ApiError> {
        let (db, buyer) = (&self.state.db, self.caller.buyer);
        let seq = positions::latest_commit(db, buyer).await?; // before the rather newer rows: too low is harmless
        let mut missed = match since {
            None => Vec::new(),
            Some(since) => {
                let from = positions::resume_at(db, buyer, since).await?;
                journal::events_since(db, buyer, from, MISSED_MAX + 1).await?
            }
        };
        if missed.len() as u64 > MISSED_MAX {
            missed.clear();
        }
        missed.retain(|past| selection.includes(past.event.order_no));
        skip_told(&mut missed, since, known);
        // What this socket told before it was subscribed again is shown as it is: its steps are not told twice.
        missed.retain(|past| self.told.get(&past.event.order_no).is_none_or(|told| past.event.version > *told));
        let mut shown = self.orders(selection).await?;
        shown.retain(|order| !missed.iter().any(|past| past.event.order_no.to_string() == order.order_no));
        Ok(CaughtUp { seq, orders: shown, missed })
    }

    /// Soon, but not all sockets at once.
    fn make_up_soon(&mut self) {
        let pause = Duration::from_millis(crate::random::below(MAKE_UP_WITHIN_MS));
        let at = tokio::time::Instant::now() + pause;
        self.make_up_at = Some(self.make_up_at.map_or(at, |due| due.min(at)));
    }

    /// Reads from the journal what other nodes may have told in vain, and tells it.
    async fn make_up(&mut self) -> Result<(), End> {
        self.make_up_at = None;
        if self.selection.is_none() {
            return Ok(()); // a subscription reads everything
        }
        let state = Arc::clone(&self.state);
        let permit = state.shop.making_up.acquire().await;
        let (db, buyer) = (&state.db, self.caller.buyer);
        let read = async {
            let from = positions::resume_at(db, buyer, self.seq).await?;
            journal::events_since(db, buyer, from, MISSED_MAX + 1).await
        };
        let missed = read.await;
        drop(permit);
        match missed {
            Ok(missed) if missed.len() as u64 > MISSED_MAX => Err(End::Close(CloseCode::Again, "resume by since")),
            Ok(missed) => {
                for past in &missed {
                    self.tell(past.commit_no, &past.event).await?;
                }
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%buyer, %error, "what a socket missed cannot be read, trying again");
                self.make_up_at = Some(tokio::time::Instant::now() + MAKE_UP_AGAIN_AFTER);
                Ok(())
            }
        }
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

    fn told_up_to(&mut self, order_no: OrderNo, version: u32) {
        let told = self.told.entry(order_no).or_insert(0);
        *told = (*told).max(version);
    }

    /// The version of the order that the client knows, before `event`.
    fn version_told(&self, event: &FeedEvent) -> u32 {
        let is_forgotten = self.told_from.is_some_and(|from| event.order_no <= from);
        let unknown = if is_forgotten { event.version.saturating_sub(1) } else { 0 };
        self.told.get(&event.order_no).copied().unwrap_or(unknown)
    }

    /// Tells an event of a subscribed order, after the steps before it that were not told, unless it or a later one was.
    async fn tell(&mut self, commit_no: i64, event: &FeedEvent) -> Result<(), End> {
        self.seq = self.seq.max(commit_no);
        let is_wanted = self.selection.as_ref().is_some_and(|selection| selection.includes(event.order_no));
        let told = self.version_told(event);
        if !is_wanted || event.version <= told {
            return Ok(());
        }
        if event.version == told + 1 {
            return self.tell_next(commit_no, event).await;
        }
        // Its relay was faster than that of the step before, or a message was lost.
        match journal::events_after(&self.state.db, event.order_no, told).await {
            Ok(steps) => {
                for step in &steps {
                    self.seq = self.seq.max(step.commit_no);
                    self.tell_next(step.commit_no, &step.event).await?;
                }
            }
            Err(error) => {
                tracing::warn!(order_no = %event.order_no, %error, "steps of an order cannot be read, trying again");
                self.make_up_at = Some(tokio::time::Instant::now() + MAKE_UP_AGAIN_AFTER);
            }
        }
        Ok(())
    }

    async fn tell_next(&mut self, commit_no: i64, event: &FeedEvent) -> Result<(), End> {
        self.told.insert(event.order_no, event.version);
        while self.told.len() > REMEMBERED_MAX {
            let forgotten = self.told.pop_first().map(|(order_no, _)| order_no);
            self.told_from = self.told_from.max(forgotten);
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

/// The last step of a purchase: the frame to the buyer.
fn push_span(pushed: &tracing::Span, buyer: BuyerId, event: &FeedEvent) -> tracing::Span {
    if pushed.is_disabled() {
        return tracing::Span::none();
    }
    tracing::info_span!(
        target: trace_context::DETAIL,
        parent: pushed,
        "push",
        "otel.name" = "websocket push",
        "otel.kind" = "producer",
        event = event.event,
        user_id = buyer.0,
        product_id = event.product.0,
        order_no = %event.order_no,
    )
}

fn written<E>(outcome: Result<Result<(), E>, tokio::time::error::Elapsed>) -> Result<(), End> {
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_closed)) => Err(End::Gone),
        Err(_elapsed) => Err(End::Close(CloseCode::Again, "too slow")),
    }
}

/// Where a client stands when it subscribes.
struct CaughtUp {
    seq: i64,
    orders: Vec<OrderJson>,
    missed: Vec<PastEvent>,
}

fn number(order: &OrderJson) -> Option<OrderNo> {
    order.order_no.parse().ok()
}

async fn due(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Of an order whose version the client says it knows, exactly the later steps are told. Of the others, what happened up
/// to the commit that it stood at may have been told to the end: of that only each order's last step is told again, so
/// that a client that knows no versions does not see an order go back.
fn skip_told(missed: &mut Vec<PastEvent>, since: Option<i64>, known: &BTreeMap<OrderNo, u32>) {
    let is_doubtful = |past: &PastEvent| Some(past.commit_no) <= since;
    let mut last: BTreeMap<OrderNo, u32> = BTreeMap::new();
    for past in missed.iter().filter(|past| is_doubtful(past)) {
        let version = last.entry(past.event.order_no).or_insert(0);
        *version = (*version).max(past.event.version);
    }
    missed.retain(|past| match known.get(&past.event.order_no) {
        Some(version) => past.event.version > *version,
        None => !is_doubtful(past) || last.get(&past.event.order_no) == Some(&past.event.version),
    });
}

#[cfg(test)]
mod tests;
