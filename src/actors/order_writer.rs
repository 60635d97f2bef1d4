//! Writes orders: many tickets, one transaction.
//!
//! **Invariant**: a ticket is settled only after its order is committed. The consumer of the order queue asks it with
//! tickets that owe an order, the checkout with groups that commit all or nothing; *natural batching*: what gathers
//! during one transaction is the next. A transaction that fails is halved until the one bad group stands alone; what
//! fails on its own on every try goes to the dead letters, and its units back.
//!
//! A crash loses the gathered groups: tickets are still owed in the ledger, a checkout's caller asks the database.

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures::FutureExt as _;
use serde_json::json;
use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::kit::{Directory, KitActor, LoadError, Vitals};
use super::relay::RelayBell;
use crate::clock::Clock;
use crate::domain::OrderNo;
use crate::domain::order::{FailReason, OrderStatus};
use crate::domain::stock::{Ticket, TicketKind};
use crate::failpoint;
use crate::persistence::dead_tickets::{self, DeadTicket};
use crate::persistence::ledger::{StockLedger, TicketRef};
use crate::persistence::placing::{self, GroupOutcome, OrderGroup, PlaceTerms};
use crate::persistence::{Db, StoreError, orders};
use crate::trace_context;

/// Pause after a transaction that failed as a whole.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// The key of the only writer: SQLite has one write lock, and one writer makes the largest batches.
pub const THE_WRITER: u16 = 0;

/// Writes groups of tickets as orders; one outcome a group, in their order.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Vec<Result<GroupOutcome, WriteError>>")]
pub struct WriteOrders {
    /// Each says whether its tickets stand or fall together.
    pub groups: Vec<OrderGroup>,
}

/// Whether the group was written is to be asked of the database by order number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("orders may or may not be written")]
pub struct WriteError;

/// Writes each ticket as an order of its own; answers those of which it is not known that they were written.
pub async fn write_each(writer: &Directory<OrderWriterActor>, tickets: Vec<Ticket>, timeout: Duration) -> Vec<Ticket> {
    let alone = |ticket: &Ticket| OrderGroup { tickets: vec![ticket.clone()], atomic: false, clears_cart_of: None };
    let groups = tickets.iter().map(alone).collect();
    match writer.ask(&THE_WRITER, WriteOrders { groups }, timeout).await {
        Ok(outcomes) => {
            let unknown = |(ticket, outcome): (Ticket, Result<_, _>)| outcome.is_err().then_some(ticket);
            tickets.into_iter().zip(outcomes).filter_map(unknown).collect()
        }
        Err(error) => {
            tracing::error!(tickets = tickets.len(), %error, "order writer did not answer");
            tickets
        }
    }
}

/// What the writer needs.
#[derive(Clone)]
pub struct WriterDeps {
    /// Orders.
    pub db: Db,
    /// The gate, told of every order written.
    pub ledger: Arc<dyn StockLedger>,
    /// Rung after every commit.
    pub bell: RelayBell,
    /// Time.
    pub clock: Clock,
    /// Deadlines of new orders.
    pub terms: PlaceTerms,
    /// Age at which the sweep gives prepared tickets back.
    pub prepared_expires_ms: i64,
    /// Most tickets in one transaction.
    pub batch_tickets_max: usize,
    /// Tries of a ticket that fails on its own.
    pub ticket_attempts_max: u32,
}

/// Gathers groups and writes them.
pub struct OrderWriterActor {
    deps: WriterDeps,
    gathered: VecDeque<Gathered>,
    is_writing: bool,
}

struct Gathered {
    groups: Vec<OrderGroup>,
    /// Of the request; the transaction belongs to the first one's trace, to which the others are linked.
    span: tracing::Span,
    reply: oneshot::Sender<Vec<Result<GroupOutcome, WriteError>>>,
}

impl KitActor for OrderWriterActor {
    type Key = u16;
    type Deps = WriterDeps;
    const KIND: &'static str = "order_writer";
    const IS_PLUMBING: bool = true;

    async fn load(_: u16, deps: WriterDeps, _vitals: Arc<Vitals>) -> Result<Self, LoadError> {
        Ok(Self { deps, gathered: VecDeque::new(), is_writing: false })
    }

    fn describe(&self) -> serde_json::Value {
        json!({"requests_gathered": self.gathered.len(), "is_writing": self.is_writing})
    }
}

impl Actor for OrderWriterActor {
    type Context = Context<Self>;
}

impl Handler<WriteOrders> for OrderWriterActor {
    type Result = ResponseFuture<Vec<Result<GroupOutcome, WriteError>>>;

    fn handle(&mut self, WriteOrders { groups }: WriteOrders, ctx: &mut Self::Context) -> Self::Result {
        failpoint::reach("order_writer.gather");
        let (reply, answer) = oneshot::channel();
        let count = groups.len();
        self.gathered.push_back(Gathered { groups, span: tracing::Span::current(), reply });
        self.write_gathered(ctx);
        Box::pin(async move { answer.await.unwrap_or_else(|_| vec![Err(WriteError); count]) })
    }
}

impl OrderWriterActor {
    fn write_gathered(&mut self, ctx: &mut Context<Self>) {
        if self.is_writing || self.gathered.is_empty() {
            return;
        }
        self.is_writing = true;
        let batch = self.next_batch();
        let span = trace_context::shared(batch.iter().map(|gathered| &gathered.span));
        let deps = self.deps.clone();
        let writing = async move {
            let groups: Vec<OrderGroup> = batch.iter().flat_map(|gathered| gathered.groups.iter().cloned()).collect();
            let mut outcomes = deps.write(&groups).await.into_iter();
            for gathered in batch {
                let own = outcomes.by_ref().take(gathered.groups.len()).collect();
                let _ = gathered.reply.send(own); // the caller may have gone
            }
        };
        ctx.spawn(writing.instrument(span).into_actor(self).map(|(), actor, ctx| {
            actor.is_writing = false;
            actor.write_gathered(ctx);
        }));
    }

    /// Whole requests, in order, up to the bound; one is taken whatever its size.
    fn next_batch(&mut self) -> Vec<Gathered> {
        let mut tickets = 0;
        let mut batch = Vec::new();
        while let Some(next) = self.gathered.front() {
            tickets += next.groups.iter().map(|group| group.tickets.len()).sum::<usize>();
            if !batch.is_empty() && tickets > self.deps.batch_tickets_max {
                break;
            }
            batch.extend(self.gathered.pop_front());
        }
        batch
    }
}

impl WriterDeps {
    /// Writes the groups, settles what was written, buries what never can be; one outcome a group.
    async fn write(&self, groups: &[OrderGroup]) -> Vec<Result<GroupOutcome, WriteError>> {
        let now_ms = self.clock.now_ms();
        let fresh: Vec<OrderGroup> = groups.iter().filter(|group| !self.is_stale(group, now_ms)).cloned().collect();
        let mut attempts = self.place_halving(&fresh).await.into_iter();
        self.bell.ring();
        let mut settled = Vec::new();
        let mut outcomes = Vec::with_capacity(groups.len());
        for group in groups {
            let attempt = if self.is_stale(group, now_ms) {
                Attempt::Hopeless("its prepared tickets waited too long".to_owned())
            } else {
                attempts.next().unwrap_or(Attempt::Unknown)
            };
            outcomes.push(match attempt {
                Attempt::Done(outcome) => {
                    settled.extend(group.tickets.iter().map(TicketRef::from));
                    Ok(outcome)
                }
                Attempt::Refused(outcome) => Ok(outcome),
                Attempt::Hopeless(reason) => self.bury_all(&group.tickets, &reason).await,
                Attempt::Unknown => Err(WriteError),
            });
        }
        // A failure here is repaired by the sweep: the tickets are published again, found written, and settled.
        if let Err(error) = self.ledger.settle(&settled).await {
            tracing::warn!(tickets = settled.len(), %error, "tickets not settled");
        }
        outcomes
    }

    /// True once the sweep may soon give the group's prepared units back: too late to make orders of them.
    fn is_stale(&self, group: &OrderGroup, now_ms: i64) -> bool {
        let too_old_ms = self.prepared_expires_ms / 2;
        let is_prepared = |ticket: &Ticket| ticket.claim.kind == TicketKind::Prepared;
        group.tickets.iter().any(|ticket| is_prepared(ticket) && now_ms - ticket.accepted_at_ms > too_old_ms)
    }

    /// Transactions of ever smaller halves, until each bad group is alone; outcomes in the order of the groups.
    async fn place_halving(&self, groups: &[OrderGroup]) -> Vec<Attempt> {
        let mut attempts: BTreeMap<usize, Attempt> = BTreeMap::new();
        let mut ranges: Vec<_> = std::iter::once(0..groups.len()).collect();
        while let Some(range) = ranges.pop() {
            match self.place(&groups[range.clone()]).await {
                Ok(outcomes) => attempts.extend(range.zip(outcomes.into_iter().map(Attempt::from))),
                // No group is at fault, and halves would wait as long each: the sweep brings the tickets again.
                Err(error) if error.is_transient() => {
                    tracing::warn!(groups = range.len(), %error, "orders not written, the store is away");
                    attempts.extend(range.map(|index| (index, Attempt::Unknown)));
                }
                Err(error) if range.len() == 1 => {
                    attempts.insert(range.start, self.place_alone(&groups[range.start], error).await);
                }
                Err(error) => {
                    tracing::warn!(groups = range.len(), %error, "orders not written together, halving");
                    let middle = range.start + range.len() / 2;
                    ranges.extend([range.start..middle, middle..range.end]);
                }
            }
        }
        attempts.into_values().collect()
    }

    async fn place(&self, groups: &[OrderGroup]) -> Result<Vec<GroupOutcome>, StoreError> {
        // One writer serves everybody: a group that brings out a bug must fail alone, not take the actor along (R57).
        let placing = AssertUnwindSafe(placing::place(&self.db, groups, self.terms, self.clock.now_ms()));
        placing.catch_unwind().await.unwrap_or(Err(StoreError::Panicked { operation: "placing orders" }))
    }

    /// Repeats a group that failed on its own. A store that is away is not the group's fault and buries nothing.
    async fn place_alone(&self, group: &OrderGroup, mut error: StoreError) -> Attempt {
        for _ in 1..self.ticket_attempts_max {
            actix_rt::time::sleep(PAUSE_AFTER_FAILURE).await;
            match self.place(std::slice::from_ref(group)).await {
                Ok(outcomes) => return outcomes.into_iter().next().map_or(Attempt::Unknown, Attempt::from),
                Err(again) => error = again,
            }
        }
        let order_nos: Vec<OrderNo> = group.tickets.iter().map(|ticket| ticket.claim.order_no).collect();
        tracing::error!(?order_nos, %error, "orders not written");
        if error.is_ticket_fault() { Attempt::Hopeless(error.to_string()) } else { Attempt::Unknown }
    }

    async fn bury_all(&self, tickets: &[Ticket], reason: &str) -> Result<GroupOutcome, WriteError> {
        for ticket in tickets {
            if let Err(error) = self.bury(ticket, reason).await {
                tracing::error!(order_no = %ticket.claim.order_no, %error, "ticket not buried, the sweep brings it back");
                return Err(WriteError);
            }
        }
        let failed = tickets.iter().map(|ticket| ticket.claim.order_no).collect();
        Ok(GroupOutcome::Placed { placed: Vec::new(), failed })
    }

    /// First the dead letter and the failed order, then the units: a crash in between is repeated by the sweep. A ticket
    /// that has its order already keeps it.
    async fn bury(&self, ticket: &Ticket, reason: &str) -> Result<(), StoreError> {
        let order_no = ticket.claim.order_no;
        if orders::find(&self.db, order_no).await?.is_some_and(|order| order.status != OrderStatus::Failed) {
            return self.ledger.settle(&[TicketRef::from(ticket)]).await;
        }
        if ticket.claim.kind == TicketKind::Owed {
            tracing::error!(%order_no, reason, "ticket moved to the dead letters");
            metrics::counter!("rushmall_dead_tickets_total").increment(1);
            let now_ms = self.clock.now_ms();
            let (attempts, reason) = (self.ticket_attempts_max, reason.chars().take(255).collect());
            dead_tickets::insert(&self.db, &DeadTicket { ticket: ticket.clone(), reason, attempts, at_ms: now_ms })
                .await?;
            let tickets = std::slice::from_ref(ticket);
            placing::place_failed(&self.db, tickets, FailReason::Poisoned, self.terms, now_ms).await?;
        }
        self.ledger.release(&[TicketRef::from(ticket)]).await
    }
}

/// How a group fared, before tickets are settled or buried.
enum Attempt {
    Done(GroupOutcome),
    Refused(GroupOutcome),
    Hopeless(String),
    Unknown,
}

impl From<GroupOutcome> for Attempt {
    fn from(outcome: GroupOutcome) -> Self {
        match outcome {
            GroupOutcome::Placed { .. } => Self::Done(outcome),
            GroupOutcome::Refused { .. } | GroupOutcome::CartGone => Self::Refused(outcome),
            GroupOutcome::Unplaceable(reason) => Self::Hopeless(reason.to_string()),
        }
    }
}
