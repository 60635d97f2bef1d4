//! One actor per product: the only place on this node that talks to the ledger about that product's units.
//!
//! **Invariant**: a unit is promised only by an answer of the ledger; this actor promises nothing by itself.
//! Session actors and the checkout ask it. *Natural batching*: while one ledger call is in flight claims gather, and
//! leave together when it returns; no timer, so an idle shop answers at once. A sold-out flag per pool, set by the
//! ledger's answer, refuses without asking; one claim in every `PROBE_MS` is let through to look again. The flag that an
//! administrator sets (`persistence/sold_out.rs`) refuses every claim that comes after it, whatever is left: nothing is
//! let through until it is taken back, and what was claimed before goes its way.
//!
//! A buyer is answered once the order queue has his ticket, or, if it would not take it, once his order is written. The
//! next ledger call does not wait for that; up to `PUBLISHES_MAX` batches are on their way.
//!
//! A crash loses the claims that were gathered: their callers get an error and find the outcome by ticket. Terms,
//! price and flags are read again from the store.

mod messages;
mod reading;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use serde_json::json;
use tokio::sync::oneshot;
use tracing::Instrument;

pub use self::messages::{
    LookAtSale, MoveStock, MoveStockError, RefreshInventory, ReserveInSale, ReserveRefusal, ReserveUnits, SaleSight,
};
pub use self::reading::News;
use self::reading::{Known, Unread};
use super::kit::{Directory, KitActor, LoadError, Vitals, waiting_since};
use super::order_writer::{self, OrderWriterActor};
use super::peers::{NodeMessage, Peers};
use crate::clock::{self, Clock};
use crate::config::LiveLimits;
use crate::domain::sale::{self, SalePhase, SaleTerms};
use crate::domain::stock::{Claim, ClaimRejection, OrderDetails, Ticket, TicketKind};
use crate::domain::{OrderNo, Pool, ProductId};
use crate::failpoint;
use crate::messaging::{OrderQueue, QueueError};
use crate::persistence::ledger::StockLedger;
use crate::persistence::products::ProductCard;
use crate::persistence::stock_moves::{self, MoveDone};
use crate::persistence::{Db, StoreError};
use crate::trace_context;

/// How often one claim may look whether a sold-out pool has units again.
const PROBE_MS: i64 = 200;

/// Batches of tickets of one product on their way to the queue; more wait with their claims.
const PUBLISHES_MAX: usize = 2;

/// Longest that tickets which the queue did not take may need to become orders while their buyers wait.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause before a failed refresh is repeated.
const REFRESH_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What every inventory actor shares.
#[derive(Clone)]
pub struct InventoryDeps {
    /// Orders and catalogue.
    pub db: Db,
    /// The gate.
    pub ledger: Arc<dyn StockLedger>,
    /// Where accepted tickets go.
    pub queue: Arc<dyn OrderQueue>,
    /// Where they go if the queue does not take them.
    pub writer: Directory<OrderWriterActor>,
    /// The other nodes, told when units moved here.
    pub peers: Peers,
    /// What this node has heard of and its actors have not read.
    pub news: News,
    /// Time.
    pub clock: Clock,
    /// The limits in force.
    pub limits: LiveLimits,
    /// Most claims in one ledger call.
    pub batch_claims_max: usize,
}

/// The units of one product, as seen from this node.
pub struct InventoryActor {
    product: ProductId,
    deps: InventoryDeps,
    /// `None` if there is no such product.
    card: Option<ProductCard>,
    sales: Vec<SaleTerms>,
    /// Units left as last heard, by pool; only to be shown, never for promises.
    levels: HashMap<Pool, i64>,
    /// When the next claim may look again, by sold-out pool.
    sold_out_until_ms: HashMap<Pool, i64>,
    /// Since when an administrator has every claim refused as sold out.
    flagged_since_ms: Option<i64>,
    /// Claims that wait for a read.
    unread: Vec<Unread>,
    gathered: Vec<Gathered>,
    is_reserving: bool,
    /// Batches on their way to the queue.
    publishing: usize,
    /// Reads of card and snapshot begun, and the latest that was adopted: one that was overtaken is stale.
    reads_begun: u64,
    read_adopted: u64,
}

struct Gathered {
    claim: Claim,
    reply: oneshot::Sender<Result<Ticket, ReserveRefusal>>,
    since: Instant,
    /// Of the request.
    span: tracing::Span,
}

/// A ticket whose buyer waits until it is safe.
struct Accepted {
    ticket: Ticket,
    reply: oneshot::Sender<Result<Ticket, ReserveRefusal>>,
    /// Of the request; the message to the queue carries the first one's trace on, to which the others are linked.
    span: tracing::Span,
}

impl KitActor for InventoryActor {
    type Key = ProductId;
    type Deps = InventoryDeps;
    const KIND: &'static str = "inventory";
    const KEY_IS: &'static str = "product_id";

    async fn load(product: ProductId, deps: InventoryDeps, _vitals: Arc<Vitals>) -> Result<Self, LoadError> {
        failpoint::reach("inventory.load");
        let known = Known::read(&deps, product).await?;
        let mut actor = Self {
            product,
            deps,
            card: None,
            sales: Vec::new(),
            levels: HashMap::new(),
            sold_out_until_ms: HashMap::new(),
            flagged_since_ms: None,
            unread: Vec::new(),
            gathered: Vec::new(),
            is_reserving: false,
            publishing: 0,
            reads_begun: 0,
            read_adopted: 0,
        };
        actor.adopt(known);
        Ok(actor)
    }

    fn describe(&self) -> serde_json::Value {
        let levels: Vec<_> =
            self.levels.iter().map(|(pool, units)| json!({"pool": pool, "units_last_heard": units})).collect();
        let sold_out: Vec<_> = self.sold_out_until_ms.keys().collect();
        json!({
            "name": self.card.as_ref().map(|card| &card.name), "sales": self.sales, "levels": levels,
            "sold_out": sold_out, "flagged_since_ms": self.flagged_since_ms, "claims_gathered": self.gathered.len(),
            "is_reserving": self.is_reserving, "publishing": self.publishing,
        })
    }
}

impl Actor for InventoryActor {
    type Context = Context<Self>;
}

impl Handler<ReserveUnits> for InventoryActor {
    type Result = ResponseFuture<Result<Ticket, ReserveRefusal>>;

    fn handle(&mut self, ReserveUnits { claim }: ReserveUnits, ctx: &mut Self::Context) -> Self::Result {
        let since = clock::monotonic();
        self.judge_fresh(ctx, move |actor, ctx| actor.gather(claim, since, ctx))
    }
}

impl Handler<ReserveInSale> for InventoryActor {
    type Result = ResponseFuture<Result<Ticket, ReserveRefusal>>;

    fn handle(&mut self, request: ReserveInSale, ctx: &mut Self::Context) -> Self::Result {
        self.judge_fresh(ctx, move |actor, ctx| actor.claim_in_sale(&request, ctx))
    }
}

impl Handler<MoveStock> for InventoryActor {
    type Result = ResponseActFuture<Self, Result<MoveDone, MoveStockError>>;

    fn handle(&mut self, MoveStock { move_id, plan }: MoveStock, _ctx: &mut Self::Context) -> Self::Result {
        let (deps, product) = (self.deps.clone(), self.product);
        let moving = async move {
            let now_ms = deps.clock.now_ms();
            let moved = stock_moves::run(&deps.db, &*deps.ledger, &move_id, product, plan, now_ms).await??;
            deps.peers.tell(&[NodeMessage::InventoryChanged { product }]).await;
            Ok(moved)
        };
        let moved = moving.into_actor(self);
        Box::pin(moved.then(|outcome, actor, _| actor.refresh().map(move |_, _, _| outcome)))
    }
}

impl Handler<RefreshInventory> for InventoryActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: RefreshInventory, _ctx: &mut Self::Context) -> Self::Result {
        Box::pin(self.refresh().map(|_, _, _| ()))
    }
}

impl Handler<LookAtSale> for InventoryActor {
    type Result = ResponseActFuture<Self, Option<SaleSight>>;

    fn handle(&mut self, _: LookAtSale, _ctx: &mut Self::Context) -> Self::Result {
        if self.deps.news.has(self.product) {
            return Box::pin(self.refresh().map(|_, actor, _| actor.sight()));
        }
        Box::pin(actix::fut::ready(self.sight()))
    }
}

impl InventoryActor {
    /// A claim on the current sale.
    fn claim_in_sale(
        &mut self,
        request: &ReserveInSale,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<Result<Ticket, ReserveRefusal>> {
        let Some(terms) = self.current_sale(self.deps.clock.now_ms()) else {
            let refusal = match self.card {
                Some(_) => ClaimRejection::PoolNotFound.into(),
                None => ReserveRefusal::NoProduct,
            };
            return Box::pin(std::future::ready(Err(refusal)));
        };
        let claim = Claim {
            order_no: request.order_no,
            buyer: request.buyer,
            product: self.product,
            pool: Pool::Sale(terms.sale),
            quantity: request.quantity,
            unit_price: terms.unit_price,
            kind: TicketKind::Owed,
            details: OrderDetails::default(),
        };
        self.gather(claim, waiting_since(request.since), ctx)
    }

    fn sight(&self) -> Option<SaleSight> {
        let is_sold_out = |terms: SaleTerms| {
            self.flagged_since_ms.is_some() || self.sold_out_until_ms.contains_key(&Pool::Sale(terms.sale))
        };
        let sight = |terms| SaleSight { terms, is_sold_out: is_sold_out(terms) };
        self.current_sale(self.deps.clock.now_ms()).map(sight)
    }

    /// The open sale, else the next to open, else the last that ended.
    fn current_sale(&self, now_ms: i64) -> Option<SaleTerms> {
        sale::current(&self.sales, now_ms)
    }

    fn terms_of(&self, pool: Pool) -> Option<&SaleTerms> {
        self.sales.iter().find(|terms| Pool::Sale(terms.sale) == pool)
    }

    fn phase_of(&self, pool: Pool, now_ms: i64) -> Option<SalePhase> {
        self.terms_of(pool).map(|terms| terms.phase(now_ms))
    }

    /// Refuses what needs no ledger.
    fn may_ask_ledger(&mut self, claim: &Claim) -> Result<(), ReserveRefusal> {
        match &self.card {
            None => return Err(ReserveRefusal::NoProduct),
            Some(card) if !card.on_shelf => return Err(ReserveRefusal::OffShelf),
            Some(_) => {}
        }
        let now_ms = self.deps.clock.now_ms();
        match self.phase_of(claim.pool, now_ms) {
            Some(SalePhase::NotStarted) => {
                let opens_at_ms = self.terms_of(claim.pool).map_or(now_ms, |terms| terms.window.opens_at_ms);
                return Err(ClaimRejection::NotStarted { opens_at_ms }.into());
            }
            // A retry of an accepted claim is still answered by the ledger, unless the pool is known to be empty.
            Some(SalePhase::Ended) if self.sold_out_until_ms.contains_key(&claim.pool) => {
                return Err(ClaimRejection::Ended.into());
            }
            Some(SalePhase::Ended) => {}
            _ if self.flagged_since_ms.is_some() => return Err(ClaimRejection::SoldOut.into()),
            _ => {}
        }
        if let Some(next_probe_ms) = self.sold_out_until_ms.get_mut(&claim.pool) {
            // A clock that went back must not keep the flag up for as long as it jumped (R59).
            if (1..=PROBE_MS).contains(&(*next_probe_ms - now_ms)) {
                return Err(ClaimRejection::SoldOut.into());
            }
            *next_probe_ms = now_ms + PROBE_MS;
        }
        Ok(())
    }

    /// A claim whose buyer waits since `since` leaves for the ledger with the next batch.
    fn gather(
        &mut self,
        claim: Claim,
        since: Instant,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<Result<Ticket, ReserveRefusal>> {
        failpoint::reach("inventory.claim");
        if let Err(refusal) = self.may_ask_ledger(&claim) {
            return Box::pin(std::future::ready(Err(refusal)));
        }
        let (reply, answer) = oneshot::channel();
        let claim = self.priced(claim);
        if claim.unit_price.times(claim.quantity.units()).is_none() {
            return Box::pin(std::future::ready(Err(ReserveRefusal::TotalTooLarge)));
        }
        self.gathered.push(Gathered { claim, reply, since, span: tracing::Span::current() });
        self.turn_late_ones_away();
        self.reserve_gathered(ctx);
        Box::pin(async move { answer.await.unwrap_or(Err(ReserveRefusal::OutcomeUnknown)) })
    }

    /// Claims that have waited for too long are refused before the ledger is asked: their buyers are about to give up, and
    /// work on them would only make the others late as well.
    fn turn_late_ones_away(&mut self) {
        let wait_max_ms = self.deps.limits.now().limits.queue_wait_max_ms;
        let is_late = |gathered: &Gathered| gathered.since.elapsed() > Duration::from_millis(wait_max_ms);
        // the first and the last have waited longest: here, or on their way
        if wait_max_ms == 0 || ![self.gathered.first(), self.gathered.last()].into_iter().flatten().any(is_late) {
            return;
        }
        let (late, in_time): (Vec<_>, Vec<_>) = std::mem::take(&mut self.gathered).into_iter().partition(is_late);
        self.gathered = in_time;
        metrics::counter!("rushmall_shed_total", "at" => "gate").increment(late.len() as u64);
        tracing::debug!(product = %self.product, claims = late.len(), "claims waited for too long");
        for gathered in late {
            let _ = gathered.reply.send(Err(ReserveRefusal::Overloaded { retry_after_ms: wait_max_ms })); // he may have gone
        }
    }

    fn reserve_gathered(&mut self, ctx: &mut Context<Self>) {
        if self.is_reserving || self.gathered.is_empty() || self.publishing >= PUBLISHES_MAX {
            return;
        }
        self.turn_late_ones_away();
        if self.gathered.is_empty() {
            return;
        }
        self.is_reserving = true;
        let count = self.gathered.len().min(self.deps.batch_claims_max);
        let batch: Vec<Gathered> = self.gathered.drain(..count).collect();
        let claims: Vec<Claim> = batch.iter().map(|gathered| gathered.claim.clone()).collect();
        let (deps, product) = (self.deps.clone(), self.product);
        // One call serves many clicks: it stands in the trace of the first of them, under that one's numbers.
        let span = batch.first().map_or_else(tracing::Span::none, |Gathered { claim, span, .. }| {
            trace_context::reserve(span, batch.len(), (claim.buyer.0, product.0, &claim.order_no))
        });
        let reserving = async move {
            failpoint::reach("inventory.reserve");
            deps.ledger.reserve(product, &claims, deps.clock.now_ms()).await
        };
        ctx.spawn(reserving.instrument(span).into_actor(self).map(move |outcome, actor, ctx| {
            actor.is_reserving = false;
            actor.answer(batch, outcome, ctx);
            actor.reserve_gathered(ctx);
        }));
    }

    /// The price as this node knows it; for a sale the ledger's terms have the last word.
    fn priced(&self, claim: Claim) -> Claim {
        let price = match claim.pool {
            Pool::Free => self.card.as_ref().map(|card| card.price),
            Pool::Sale(_) => self.terms_of(claim.pool).map(|terms| terms.unit_price),
        };
        Claim { unit_price: price.unwrap_or(claim.unit_price), ..claim }
    }

    fn answer(
        &mut self,
        batch: Vec<Gathered>,
        outcome: Result<Vec<Result<Ticket, ClaimRejection>>, StoreError>,
        ctx: &mut Context<Self>,
    ) {
        let answers = match outcome {
            Ok(answers) => answers,
            Err(error) => {
                tracing::error!(product = %self.product, claims = batch.len(), %error, "ledger did not reserve");
                for gathered in batch {
                    let _ = gathered.reply.send(Err(ReserveRefusal::OutcomeUnknown));
                }
                return;
            }
        };
        metrics::histogram!("rushmall_ledger_batch_claims").record(batch.len() as u32);
        let mut accepted = Vec::new();
        for (Gathered { claim, reply, span, .. }, answer) in batch.into_iter().zip(answers) {
            self.learn(&claim, &answer);
            match answer {
                Ok(ticket) if ticket.claim.kind == TicketKind::Owed => accepted.push(Accepted { ticket, reply, span }),
                answer => {
                    let _ = reply.send(answer.map_err(ReserveRefusal::from)); // the caller may have gone
                }
            }
        }
        if !accepted.is_empty() {
            self.make_safe(accepted, ctx);
        }
    }

    /// The orders are owed from here on, whoever hears of it: queue first, then answer.
    fn make_safe(&mut self, accepted: Vec<Accepted>, ctx: &mut Context<Self>) {
        self.publishing += 1;
        let span = trace_context::shared(accepted.iter().map(|accepted| &accepted.span));
        let (deps, product) = (self.deps.clone(), self.product);
        let publishing = async move {
            let tickets: Vec<Ticket> = accepted.iter().map(|accepted| accepted.ticket.clone()).collect();
            let unsafe_ones = deps.make_safe(product, tickets).await;
            for Accepted { ticket, reply, .. } in accepted {
                let is_safe = !unsafe_ones.contains(&ticket.claim.order_no);
                let _ = reply.send(if is_safe { Ok(ticket) } else { Err(ReserveRefusal::NotSafe) });
            }
        };
        ctx.spawn(publishing.instrument(span).into_actor(self).map(|(), actor, ctx| {
            actor.publishing -= 1;
            actor.reserve_gathered(ctx);
        }));
    }

    /// Keeps the sold-out flag and the level of the claim's pool.
    fn learn(&mut self, claim: &Claim, answer: &Result<Ticket, ClaimRejection>) {
        match answer {
            Ok(_) => {
                self.sold_out_until_ms.remove(&claim.pool);
                *self.levels.entry(claim.pool).or_insert(0) -= claim.quantity.units();
            }
            Err(ClaimRejection::SoldOut) => {
                self.levels.insert(claim.pool, 0);
                self.sold_out_until_ms.entry(claim.pool).or_insert_with(|| self.deps.clock.now_ms() + PROBE_MS);
            }
            Err(_) => {}
        }
    }
}

impl InventoryDeps {
    /// Publishes the tickets; what the queue does not take becomes orders at once. Answers the numbers of those that
    /// did not become safe either way: the sweep brings them.
    async fn make_safe(&self, product: ProductId, tickets: Vec<Ticket>) -> HashSet<OrderNo> {
        failpoint::reach("queue.publish.before");
        let published = self.queue.publish(&tickets).await;
        failpoint::reach("queue.publish.after");
        match published {
            Ok(()) => return HashSet::new(),
            Err(QueueError::Full) => {
                tracing::warn!(%product, "order queue is full; tickets wait for the sweep");
                return HashSet::new();
            }
            Err(error) => {
                tracing::warn!(%product, tickets = tickets.len(), %error, "tickets not published, writing their orders");
                metrics::counter!("rushmall_tickets_written_without_queue_total").increment(tickets.len() as u64);
            }
        }
        let unwritten = order_writer::write_each(&self.writer, tickets, WRITE_TIMEOUT).await;
        if !unwritten.is_empty() {
            tracing::error!(%product, tickets = unwritten.len(), "tickets neither published nor written, the sweep brings them");
        }
        unwritten.into_iter().map(|ticket| ticket.claim.order_no).collect()
    }
}
