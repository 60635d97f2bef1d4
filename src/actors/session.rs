//! One actor per active user: his sign-ins, his limits, the purchases he has in flight and his open WebSockets.
//!
//! **Invariant**: nothing here is the truth about units or orders; it refuses early (revoked token, too many clicks, a
//! click while the same purchase runs) what the ledger would refuse anyway. HTTP handlers ask it for every request of
//! a signed-in user; the feed asks it to push.
//!
//! A crash loses the token bucket (it starts full), the sockets (clients resume by sequence) and the notes of recent
//! purchases (read again at start). Revocation on any node arrives by message at once; an answer older than
//! `ACCESS_FRESH_MS` is read again, so a revocation whose message was lost is seen within 5 s.

mod messages;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

pub use self::messages::{
    Authorize, BuyAnswer, BuyInSale, BuyRejection, Caller, CloseBucket, CloseSocket, DropSockets, OpenSocket,
    PushEvents, SessionRejection, SessionsChanged, SocketSignal,
};
use super::gaps::Gaps;
use super::inventory::{InventoryActor, ReserveInSale, ReserveRefusal};
use super::kit::{AskError, Directory, KitActor, LoadError, Vitals, waiting_since};
use super::token_bucket::{Rate, TokenBucket};
use crate::clock::Clock;
use crate::config::{LiveLimits, LiveSettings};
use crate::domain::order::OrderStatus;
use crate::domain::stock::{ClaimRejection, Ticket};
use crate::domain::{BuyerId, OrderNo, Pool, ProductId};
use crate::failpoint;
use crate::persistence::StoreError;
use crate::persistence::access::{AccessReads, Purchases, UserAccess};
use crate::persistence::ledger::StockLedger;
use crate::persistence::limits::SharedClicks;

/// Longest that a sign-in is trusted without looking again.
const ACCESS_FRESH_MS: i64 = 5_000;
/// When a claim's outcome is unknown, the ledger is asked after these pauses.
const ASK_LEDGER_AFTER_MS: [u64; 3] = [20, 200, 800];

/// What every session actor shares.
#[derive(Clone)]
pub struct SessionDeps {
    /// Users and their purchases.
    pub reads: AccessReads,
    /// The gate, for purchases whose answer was lost.
    pub ledger: Arc<dyn StockLedger>,
    /// Inventory actors.
    pub inventory: Directory<InventoryActor>,
    /// Moments after which news of orders may have been missed.
    pub gaps: Gaps,
    /// Time.
    pub clock: Clock,
    /// The limits in force.
    pub limits: LiveLimits,
    /// Clicks of one user on all nodes; `None` where there is only this one.
    pub shared_clicks: Option<Arc<SharedClicks>>,
    /// For the number of sockets of one user, which may change live.
    pub settings: LiveSettings,
    /// Longest wait for another actor.
    pub ask_timeout: Duration,
}

/// One user on this node.
pub struct SessionActor {
    buyer: BuyerId,
    deps: SessionDeps,
    /// `None` if there is no such user.
    access: Option<UserAccess>,
    access_read_at_ms: i64,
    /// Reads of `access` begun, and the latest that was adopted: one that was overtaken by a later one is stale.
    reads_begun: u64,
    read_adopted: u64,
    clicks: TokenBucket,
    /// Purchases in flight with the clicks that wait for the same answer.
    in_flight: HashMap<ProductId, Vec<oneshot::Sender<Result<Ticket, BuyRejection>>>>,
    /// The latest living order of a product bought in a sale.
    purchases: Purchases,
    /// The count of gaps that `purchases` is as old as.
    gaps_seen: u64,
    sockets: HashMap<u64, (String, mpsc::Sender<SocketSignal>)>,
}

impl KitActor for SessionActor {
    type Key = BuyerId;
    type Deps = SessionDeps;
    const KIND: &'static str = "session";
    const KEY_IS: &'static str = "user_id";

    async fn load(buyer: BuyerId, deps: SessionDeps, _vitals: Arc<Vitals>) -> Result<Self, LoadError> {
        let gaps_seen = deps.gaps.count();
        let (access, purchases) = tokio::try_join!(deps.reads.access(buyer), purchases(&deps, buyer))?;
        let now_ms = deps.clock.now_ms();
        Ok(Self {
            buyer,
            access,
            access_read_at_ms: now_ms,
            reads_begun: 0,
            read_adopted: 0,
            clicks: TokenBucket::full(deps.click_rate(), now_ms),
            in_flight: HashMap::new(),
            purchases,
            gaps_seen,
            sockets: HashMap::new(),
            deps,
        })
    }

    fn describe(&self) -> serde_json::Value {
        let in_flight: Vec<_> = self.in_flight.keys().collect();
        let sign_ins = self.access.as_ref().map_or(0, |access| access.live_sessions.len());
        json!({
            "active": self.access.as_ref().is_some_and(|access| access.active), "sign_ins": sign_ins,
            "sockets": self.sockets.len(), "purchases_in_flight": in_flight,
        })
    }

    fn may_passivate(&self) -> bool {
        self.sockets.is_empty() && self.in_flight.is_empty()
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;
}

impl Handler<Authorize> for SessionActor {
    type Result = ResponseActFuture<Self, Result<Caller, SessionRejection>>;

    fn handle(&mut self, Authorize { sid }: Authorize, _ctx: &mut Self::Context) -> Self::Result {
        let now_ms = self.deps.clock.now_ms();
        // A clock that went back makes nothing fresh (R59).
        let is_fresh = (0..ACCESS_FRESH_MS).contains(&(now_ms - self.access_read_at_ms));
        // A sign-in that is not known here may be a moment old, and made at another node: its refusal needs a look.
        if is_fresh && self.access.as_ref().is_some_and(|access| is_live(access, &sid, now_ms)) {
            return Box::pin(actix::fut::ready(self.caller(sid, now_ms)));
        }
        Box::pin(self.read_access().map(move |(), actor, _| actor.caller(sid, now_ms)))
    }
}

impl Handler<BuyInSale> for SessionActor {
    type Result = ResponseActFuture<Self, BuyAnswer>;

    fn handle(&mut self, request: BuyInSale, _ctx: &mut Self::Context) -> Self::Result {
        let request = BuyInSale { since: waiting_since(request.since), ..request };
        let clicks = self.clicks.take(self.deps.click_rate(), self.deps.clock.now_ms());
        if !clicks.is_let_in {
            let outcome = Err(BuyRejection::TooFrequent { retry_after_ms: clicks.reset_ms });
            return Box::pin(actix::fut::ready(BuyAnswer { outcome, clicks }));
        }
        if let Some(shared) = &self.deps.shared_clicks {
            shared.note(self.buyer);
        }
        if let Some(waiting) = self.in_flight.get_mut(&request.product) {
            let answered = second_click(waiting).into_actor(self);
            return Box::pin(answered.map(move |outcome, _, _| BuyAnswer { outcome, clicks }));
        }
        self.in_flight.insert(request.product, Vec::new());
        let (deps, buyer, product) = (self.deps.clone(), self.buyer, request.product);
        let buying = async move { deps.buy_in_sale(buyer, request).await }.in_current_span();
        Box::pin(buying.into_actor(self).map(move |outcome, actor, _| {
            let outcome = actor.conclude(product, outcome);
            BuyAnswer { outcome, clicks }
        }))
    }
}

impl Handler<CloseBucket> for SessionActor {
    type Result = ();

    fn handle(&mut self, CloseBucket { for_ms }: CloseBucket, _ctx: &mut Self::Context) -> Self::Result {
        self.clicks.close(self.deps.clock.now_ms() + for_ms);
    }
}

impl Handler<OpenSocket> for SessionActor {
    type Result = bool;

    fn handle(&mut self, open: OpenSocket, _ctx: &mut Self::Context) -> Self::Result {
        self.sockets.retain(|_, (_, sender)| !sender.is_closed());
        if self.sockets.len() >= self.deps.settings.now().feed.sockets_per_user_max {
            return false;
        }
        self.sockets.insert(open.socket, (open.sid, open.sender));
        true
    }
}

impl Handler<CloseSocket> for SessionActor {
    type Result = ();

    fn handle(&mut self, CloseSocket { socket }: CloseSocket, _ctx: &mut Self::Context) -> Self::Result {
        self.sockets.remove(&socket);
    }
}

impl Handler<DropSockets> for SessionActor {
    type Result = usize;

    fn handle(&mut self, _: DropSockets, _ctx: &mut Self::Context) -> Self::Result {
        std::mem::take(&mut self.sockets).into_values().filter(|(_, sender)| !sender.is_closed()).count()
    }
}

impl Handler<PushEvents> for SessionActor {
    type Result = ();

    fn handle(&mut self, push: PushEvents, _ctx: &mut Self::Context) -> Self::Result {
        for event in push.events {
            if matches!(event.status, OrderStatus::Cancelled | OrderStatus::Failed | OrderStatus::Refunded) {
                self.purchases.retain(|_, order_no| *order_no != event.order_no);
            }
            let signal = SocketSignal::Event { commit_no: push.commit_no, event, span: tracing::Span::current() };
            // A socket that is full is too slow: dropping its sender closes it, and the client resumes by sequence.
            self.sockets.retain(|_, (_, sender)| sender.try_send(signal.clone()).is_ok());
        }
    }
}

impl Handler<SessionsChanged> for SessionActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: SessionsChanged, _ctx: &mut Self::Context) -> Self::Result {
        Box::pin(self.read_access())
    }
}

impl SessionActor {
    fn read_access(&mut self) -> impl ActorFuture<Self, Output = ()> + use<> {
        let (deps, buyer) = (self.deps.clone(), self.buyer);
        self.reads_begun += 1;
        let number = self.reads_begun;
        let reading = async move { deps.reads.access(buyer).await };
        reading.into_actor(self).map(move |read, actor, _| {
            if number > actor.read_adopted {
                actor.read_adopted = number;
                actor.adopt_access(read);
            }
        })
    }

    fn adopt_access(&mut self, read: Result<Option<UserAccess>, StoreError>) {
        match read {
            Ok(access) => self.access = access,
            // Trusting an old answer while the database is away is better than signing everybody out.
            Err(error) => tracing::warn!(buyer = %self.buyer, %error, "sign-ins not read"),
        }
        let now_ms = self.deps.clock.now_ms();
        self.access_read_at_ms = now_ms;
        let access = &self.access;
        self.sockets.retain(|_, (sid, sender)| {
            let stays = access.as_ref().is_some_and(|access| access.active && is_live(access, sid, now_ms));
            if !stays {
                let _ = sender.try_send(SocketSignal::Revoked); // dropping the sender closes it as well
            }
            stays
        });
    }

    fn caller(&self, sid: String, now_ms: i64) -> Result<Caller, SessionRejection> {
        caller_of(self.access.as_ref(), sid, now_ms)
    }

    /// Remembers the purchase, answers the clicks that waited, and names the buyer's own order in a refusal.
    fn conclude(&mut self, product: ProductId, outcome: Result<Ticket, BuyRejection>) -> Result<Ticket, BuyRejection> {
        // Which of them ended meanwhile may not have been heard: without a name a refusal is still right.
        if std::mem::replace(&mut self.gaps_seen, self.deps.gaps.count()) != self.deps.gaps.count() {
            self.purchases.clear();
        }
        if let Ok(ticket) = &outcome {
            self.purchases.insert(product, ticket.claim.order_no);
        }
        let outcome = outcome.map_err(|rejection| match (rejection, self.purchases.get(&product)) {
            (BuyRejection::Claim(ClaimRejection::SoldOut), Some(&order_no)) => {
                ClaimRejection::AlreadyBought { order_no }.into()
            }
            (rejection, _) => rejection,
        });
        for waiting in self.in_flight.remove(&product).unwrap_or_default() {
            let second = match &outcome {
                Ok(ticket) => Err(ClaimRejection::AlreadyBought { order_no: ticket.claim.order_no }.into()),
                Err(rejection) => Err(rejection.clone()),
            };
            let _ = waiting.send(second); // the caller may have gone
        }
        outcome
    }
}

/// Who speaks for himself with the sign-in `sid`, by what the database says of him.
///
/// # Errors
/// [`SessionRejection`].
pub fn caller_of(access: Option<&UserAccess>, sid: String, now_ms: i64) -> Result<Caller, SessionRejection> {
    let access = access.ok_or(SessionRejection::Revoked)?;
    if !access.active {
        return Err(SessionRejection::Disabled);
    }
    if !is_live(access, &sid, now_ms) {
        return Err(SessionRejection::Revoked);
    }
    Ok(Caller { buyer: access.id, username: access.username.clone(), role: access.role, sid })
}

fn is_live(access: &UserAccess, sid: &str, now_ms: i64) -> bool {
    access.live_sessions.iter().any(|(live, expires_at_ms)| live == sid && now_ms < *expires_at_ms)
}

/// The buyer's latest order of each product that he bought in a sale, unless it ended without goods; one that is owed
/// but not written yet counts. Tickets are read before rows, so that none is missed in between.
async fn purchases(deps: &SessionDeps, buyer: BuyerId) -> Result<Purchases, StoreError> {
    // A shared ledger is asked by nobody's start: a purchase that is missed here is refused by the ledger itself.
    let owed = if deps.ledger.is_shared() { Vec::new() } else { deps.ledger.tickets_of(buyer).await? };
    let mut purchases = deps.reads.purchases(buyer).await?;
    for claim in owed.iter().map(|ticket| &ticket.claim).filter(|claim| claim.pool != Pool::Free) {
        let newest = purchases.entry(claim.product).or_insert(claim.order_no);
        *newest = claim.order_no.max(*newest);
    }
    Ok(purchases)
}

/// A click while the same purchase runs waits for the first one's answer and touches no stock.
fn second_click(
    waiting: &mut Vec<oneshot::Sender<Result<Ticket, BuyRejection>>>,
) -> impl Future<Output = Result<Ticket, BuyRejection>> + use<> {
    let (sender, answer) = oneshot::channel();
    waiting.push(sender);
    async move { answer.await.unwrap_or(Err(BuyRejection::NotNow(AskError::Died))) }
}

impl SessionDeps {
    fn click_rate(&self) -> Rate {
        Rate::of_seckill(&self.limits.now().limits)
    }

    async fn buy_in_sale(&self, buyer: BuyerId, request: BuyInSale) -> Result<Ticket, BuyRejection> {
        failpoint::reach("session.buy");
        let BuyInSale { product, quantity, order_no, since } = request;
        let reserve = ReserveInSale { order_no, buyer, quantity, since };
        match self.inventory.ask(&product, reserve, self.ask_timeout).await {
            Ok(Ok(ticket)) => Ok(ticket),
            Ok(Err(ReserveRefusal::Rejected(rejection))) => Err(rejection.into()),
            Ok(Err(ReserveRefusal::OffShelf)) => Err(BuyRejection::OffShelf),
            Ok(Err(ReserveRefusal::NoProduct)) => Err(BuyRejection::NoProduct),
            Ok(Err(ReserveRefusal::TotalTooLarge)) => Err(BuyRejection::TotalTooLarge),
            // The ledger has the ticket, but that alone is no promise: the buyer is told to ask again.
            Ok(Err(ReserveRefusal::NotSafe)) => Err(BuyRejection::OutcomeUnknown { order_no }),
            Ok(Err(ReserveRefusal::Overloaded { retry_after_ms })) => Err(AskError::Busy { retry_after_ms }.into()),
            Ok(Err(ReserveRefusal::OutcomeUnknown)) | Err(AskError::Died | AskError::TimedOut) => {
                self.find_ticket(product, order_no).await.ok_or(BuyRejection::OutcomeUnknown { order_no })
            }
            Err(not_now) => Err(not_now.into()),
        }
    }

    /// Looks for the ticket of a claim whose answer was lost.
    async fn find_ticket(&self, product: ProductId, order_no: OrderNo) -> Option<Ticket> {
        for pause_ms in ASK_LEDGER_AFTER_MS {
            actix_rt::time::sleep(Duration::from_millis(pause_ms)).await;
            match self.ledger.find(order_no, Some(product)).await {
                Ok(Some(record)) if !record.returned => return Some(record.ticket),
                Ok(_) => {}
                Err(error) => tracing::warn!(%order_no, %error, "ticket not looked up"),
            }
        }
        None
    }
}
