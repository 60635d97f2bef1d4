//! One actor per product: the only place on this node that talks to the ledger about that product's units.
//!
//! **Invariant**: a unit is promised only by an answer of the ledger; this actor promises nothing by itself.
//! Session actors and the checkout ask it. *Natural batching*: while one ledger call is in flight claims gather, and
//! leave together when it returns; no timer, so an idle shop answers at once. A sold-out flag per pool, set by the
//! ledger's answer, refuses without asking; one claim in every `PROBE_MS` is let through to look again.
//!
//! A buyer is answered once the order queue has his ticket, or, if it would not take it, once his order is written. The
//! next ledger call does not wait for that; up to `PUBLISHES_MAX` batches are on their way.
//!
//! A crash loses the claims that were gathered: their callers get an error and find the outcome by ticket. Terms,
//! price and flags are read again from the store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use serde_json::json;
use tokio::sync::oneshot;
use tracing::Instrument;

use super::kit::{Directory, KitActor, LoadError, Vitals};
use super::order_writer::{self, OrderWriterActor};
use super::peers::{NodeMessage, Peers};
use crate::clock::Clock;
use crate::domain::sale::{SalePhase, SaleTerms};
use crate::domain::stock::{Claim, ClaimRejection, OrderDetails, Ticket, TicketKind};
use crate::domain::{BuyerId, OrderNo, Pool, ProductId, Quantity};
use crate::failpoint;
use crate::messaging::{OrderQueue, QueueError};
use crate::persistence::ledger::{LedgerSnapshot, StockLedger};
use crate::persistence::products::{self, ProductCard};
use crate::persistence::stock_moves::{self, MoveDone, MoveRefusal, StockPlan};
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

/// Claims `claim.quantity` units from `claim.pool`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Ticket, ReserveRefusal>")]
pub struct ReserveUnits {
    /// The claim; its `product` is the actor's.
    pub claim: Claim,
}

/// Claims units from the product's current sale: the open one, else the next, else the last.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Ticket, ReserveRefusal>")]
pub struct ReserveInSale {
    /// Number of the ticket and of the order.
    pub order_no: OrderNo,
    /// Who claims.
    pub buyer: BuyerId,
    /// How many units.
    pub quantity: Quantity,
}

/// Moves units in, out or between pools, durably; at most one repetition of the same `move_id` takes effect.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<MoveDone, MoveStockError>")]
pub struct MoveStock {
    /// Identity of the move.
    pub move_id: String,
    /// What to move.
    pub plan: StockPlan,
}

/// Terms, price or units changed elsewhere: forget the flags and read them again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct RefreshInventory;

/// Why a claim was not answered with a ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveRefusal {
    /// The ledger said no.
    #[error(transparent)]
    Rejected(#[from] ClaimRejection),
    /// There is no such product.
    #[error("no such product")]
    NoProduct,
    /// The product is not on the shelf.
    #[error("product is off the shelf")]
    OffShelf,
    /// Price times quantity is beyond what the shop handles.
    #[error("total amount is too large")]
    TotalTooLarge,
    /// The ledger's answer was lost or it failed: whether units were taken is to be asked by ticket.
    #[error("outcome unknown")]
    OutcomeUnknown,
    /// Units were taken, but neither the queue nor the database would have the ticket yet: the sweep brings it.
    #[error("units taken, order not safe yet")]
    NotSafe,
}

/// Why units were not moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveStockError {
    /// Not possible.
    #[error(transparent)]
    Refused(#[from] MoveRefusal),
    /// The store failed; the sweep resumes the move if it was recorded.
    #[error(transparent)]
    Store(#[from] StoreError),
}

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
    /// Time.
    pub clock: Clock,
    /// Most claims in one ledger call.
    pub batch_claims_max: usize,
    /// Units at or below which an alert is raised.
    pub low_stock_units: i64,
}

/// The units of one product, as seen from this node.
pub struct InventoryActor {
    product: ProductId,
    deps: InventoryDeps,
    /// `None` if there is no such product.
    card: Option<ProductCard>,
    sales: Vec<SaleTerms>,
    /// Units left as last heard, by pool; only for alerts and levels, never for promises.
    levels: HashMap<Pool, i64>,
    /// When the next claim may look again, by sold-out pool.
    sold_out_until_ms: HashMap<Pool, i64>,
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

    async fn load(product: ProductId, deps: InventoryDeps, _vitals: Arc<Vitals>) -> Result<Self, LoadError> {
        failpoint::reach("inventory.load");
        let card = products::card(&deps.db, product).await?;
        let snapshot = deps.ledger.snapshot(product).await?;
        let mut actor = Self {
            product,
            deps,
            card,
            sales: Vec::new(),
            levels: HashMap::new(),
            sold_out_until_ms: HashMap::new(),
            gathered: Vec::new(),
            is_reserving: false,
            publishing: 0,
            reads_begun: 0,
            read_adopted: 0,
        };
        actor.adopt(&snapshot);
        Ok(actor)
    }

    fn describe(&self) -> serde_json::Value {
        let levels: Vec<_> =
            self.levels.iter().map(|(pool, units)| json!({"pool": pool, "units_last_heard": units})).collect();
        let sold_out: Vec<_> = self.sold_out_until_ms.keys().collect();
        json!({
            "name": self.card.as_ref().map(|card| &card.name), "sales": self.sales, "levels": levels,
            "sold_out": sold_out, "claims_gathered": self.gathered.len(), "is_reserving": self.is_reserving,
            "publishing": self.publishing,
        })
    }
}

impl Actor for InventoryActor {
    type Context = Context<Self>;
}

impl Handler<ReserveUnits> for InventoryActor {
    type Result = ResponseFuture<Result<Ticket, ReserveRefusal>>;

    fn handle(&mut self, ReserveUnits { claim }: ReserveUnits, ctx: &mut Self::Context) -> Self::Result {
        failpoint::reach("inventory.claim");
        if let Err(refusal) = self.may_ask_ledger(&claim) {
            return Box::pin(std::future::ready(Err(refusal)));
        }
        let (reply, answer) = oneshot::channel();
        let claim = self.priced(claim);
        if claim.unit_price.times(claim.quantity.units()).is_none() {
            return Box::pin(std::future::ready(Err(ReserveRefusal::TotalTooLarge)));
        }
        self.gathered.push(Gathered { claim, reply, span: tracing::Span::current() });
        self.reserve_gathered(ctx);
        Box::pin(async move { answer.await.unwrap_or(Err(ReserveRefusal::OutcomeUnknown)) })
    }
}

impl Handler<ReserveInSale> for InventoryActor {
    type Result = ResponseFuture<Result<Ticket, ReserveRefusal>>;

    fn handle(&mut self, request: ReserveInSale, ctx: &mut Self::Context) -> Self::Result {
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
        self.handle(ReserveUnits { claim }, ctx)
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
        Box::pin(moved.then(|outcome, actor, _| actor.refresh().map(move |(), _, _| outcome)))
    }
}

impl Handler<RefreshInventory> for InventoryActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: RefreshInventory, _ctx: &mut Self::Context) -> Self::Result {
        Box::pin(self.refresh())
    }
}

impl InventoryActor {
    /// Reads card, terms and levels again; a failed read is repeated.
    fn refresh(&mut self) -> impl ActorFuture<Self, Output = ()> + use<> {
        self.reads_begun += 1;
        let (deps, product, number) = (self.deps.clone(), self.product, self.reads_begun);
        let reading =
            async move { Ok((products::card(&deps.db, product).await?, deps.ledger.snapshot(product).await?)) };
        reading.into_actor(self).map(move |read: Result<_, StoreError>, actor, ctx| match read {
            Ok((card, snapshot)) if number > actor.read_adopted => {
                actor.read_adopted = number;
                actor.card = card;
                actor.adopt(&snapshot);
            }
            Ok(_) => {} // a later read has been adopted
            Err(error) => {
                tracing::warn!(product = %actor.product, %error, "inventory not refreshed, trying again");
                ctx.notify_later(RefreshInventory, REFRESH_AGAIN_AFTER);
            }
        })
    }

    fn adopt(&mut self, snapshot: &LedgerSnapshot) {
        self.sales = snapshot.sales().copied().collect();
        self.levels = snapshot.pools.iter().map(|pool| (pool.pool, pool.free)).collect();
        self.sold_out_until_ms.clear();
    }

    /// The open sale, else the next to open, else the last that ended.
    fn current_sale(&self, now_ms: i64) -> Option<SaleTerms> {
        let rank = |terms: &SaleTerms| match terms.phase(now_ms) {
            SalePhase::Open => (0, 0),
            SalePhase::NotStarted => (1, terms.window.opens_at_ms),
            SalePhase::Ended => (2, -terms.window.closes_at_ms),
        };
        self.sales.iter().copied().min_by_key(rank)
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

    fn reserve_gathered(&mut self, ctx: &mut Context<Self>) {
        if self.is_reserving || self.gathered.is_empty() || self.publishing >= PUBLISHES_MAX {
            return;
        }
        self.is_reserving = true;
        let count = self.gathered.len().min(self.deps.batch_claims_max);
        let batch: Vec<Gathered> = self.gathered.drain(..count).collect();
        let claims: Vec<Claim> = batch.iter().map(|gathered| gathered.claim.clone()).collect();
        let (deps, product) = (self.deps.clone(), self.product);
        let reserving = async move {
            failpoint::reach("inventory.reserve");
            deps.ledger.reserve(product, &claims, deps.clock.now_ms()).await
        };
        ctx.spawn(reserving.into_actor(self).map(move |outcome, actor, ctx| {
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
        for (Gathered { claim, reply, span }, answer) in batch.into_iter().zip(answers) {
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
                let level = self.levels.entry(claim.pool).or_insert(0);
                let was_above = *level > self.deps.low_stock_units;
                *level -= claim.quantity.units();
                if was_above && *level <= self.deps.low_stock_units {
                    tracing::warn!(product = %self.product, pool = %claim.pool, units_left = *level, "stock is low");
                    metrics::counter!("rushmall_low_stock_alerts_total").increment(1);
                }
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
