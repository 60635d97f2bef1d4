//! One actor per order that something happens to: buyer, administrator, deadline, gateway and effects all ask it.
//!
//! | step | undo | time limit |
//! |---|---|---|
//! | read the journal | forget | the asker's |
//! | decide, append to the journal (compare-and-swap) | a losing append wrote nothing: read again, decide again | the asker's |
//! | run an owed effect, then report its result as a command | effects are idempotent by their own number | lease |
//!
//! **Invariant**: the journal is the order; this actor is a cache of it and a queue in front of it. Any number of them,
//! on any nodes, may exist for one order. A crash loses nothing.

use std::sync::Arc;

use actix::prelude::*;
use serde_json::json;
use tracing::Instrument as _;

use super::kit::{KitActor, LoadError, Vitals};
use super::relay::RelayBell;
use crate::clock::Clock;
use crate::domain::order::{Command, Order, Rejection, decide};
use crate::domain::{BuyerId, OrderNo};
use crate::failpoint;
use crate::persistence::effects::OwedEffect;
use crate::persistence::journal::{self, CommitOutcome, LoadedOrder};
use crate::persistence::ledger::StockLedger;
use crate::persistence::{Db, StoreError};

/// How often a lost compare-and-swap is decided again before the asker is told to try later.
const DECISIONS_MAX: u32 = 8;
/// An order that was accepted a moment ago is waited for: looks, and the pause between them.
const LOOKS_MAX: u32 = 160;
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(25);

/// Who wants something of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// A buyer; another buyer's order does not exist for him.
    Buyer(BuyerId),
    /// An administrator.
    Administrator,
    /// A timer, a gateway or an effect.
    Shop,
}

/// Does what `command` says, if the order's rules allow it; the reply is the order afterwards.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Order, SagaRejection>")]
pub struct DriveOrder {
    /// Who wants it.
    pub party: Party,
    /// What.
    pub command: Command,
}

/// Runs one owed effect and reports its result; true if it is done for good.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, SagaRejection>")]
pub struct RunEffect {
    /// As leased from the effects table.
    pub owed: OwedEffect,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum SagaRejection {
    /// No such order, or not the asker's.
    #[error("no such order")]
    NotFound,
    /// The order's rules say no.
    #[error(transparent)]
    Rule(#[from] Rejection),
    /// Others moved the order again and again.
    #[error("order is contended")]
    Contended,
    /// The store failed; whether something was committed is to be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What every order saga shares.
#[derive(Clone)]
pub struct SagaDeps {
    /// Orders.
    pub db: Db,
    /// The gate, for units that go back and for orders not written yet.
    pub ledger: Arc<dyn StockLedger>,
    /// Rung after every commit.
    pub bell: RelayBell,
    /// Time.
    pub clock: Clock,
}

/// One order on this node.
pub struct OrderSagaActor {
    pub(super) order_no: OrderNo,
    pub(super) deps: SagaDeps,
    /// `None` until the order is written.
    cached: Option<LoadedOrder>,
}

impl KitActor for OrderSagaActor {
    type Key = OrderNo;
    type Deps = SagaDeps;
    const KIND: &'static str = "order_saga";
    const KEY_IS: &'static str = "order_no";

    async fn load(order_no: OrderNo, deps: SagaDeps, _vitals: Arc<Vitals>) -> Result<Self, LoadError> {
        failpoint::reach("saga.load");
        let cached = journal::load(&deps.db, order_no).await?;
        Ok(Self { order_no, deps, cached })
    }

    fn describe(&self) -> serde_json::Value {
        let order = self.cached.as_ref().map(|loaded| &loaded.order);
        json!({
            "status": order.map(|order| order.status), "version": order.map(|order| order.version),
            "needs_review": order.and_then(|order| order.review),
        })
    }
}

impl Actor for OrderSagaActor {
    type Context = Context<Self>;
}

impl Handler<DriveOrder> for OrderSagaActor {
    // Atomic: the next command is decided on what this one committed.
    type Result = AtomicResponse<Self, Result<Order, SagaRejection>>;

    fn handle(&mut self, DriveOrder { party, command }: DriveOrder, _ctx: &mut Self::Context) -> Self::Result {
        failpoint::reach("saga.command");
        let (deps, order_no, cached) = (self.deps.clone(), self.order_no, self.cached.clone());
        let driving = async move {
            let loaded = deps.current(order_no, cached).await?;
            if matches!(party, Party::Buyer(buyer) if buyer != loaded.order.buyer) {
                return Err(SagaRejection::NotFound);
            }
            deps.drive(loaded, &command).await
        };
        AtomicResponse::new(Box::pin(driving.in_current_span().into_actor(self).map(|outcome, actor, _| {
            let loaded = actor.adopt(outcome)?;
            Ok(loaded.order)
        })))
    }
}

impl Handler<RunEffect> for OrderSagaActor {
    type Result = AtomicResponse<Self, Result<bool, SagaRejection>>;

    fn handle(&mut self, RunEffect { owed }: RunEffect, _ctx: &mut Self::Context) -> Self::Result {
        failpoint::reach("saga.effect");
        let (deps, order_no, cached) = (self.deps.clone(), self.order_no, self.cached.clone());
        let running = async move {
            let loaded = deps.current(order_no, cached).await?;
            deps.run_effect(loaded, &owed).await
        };
        AtomicResponse::new(Box::pin(
            running.in_current_span().into_actor(self).map(|outcome, actor, _| actor.adopt(outcome).map(|_| true)),
        ))
    }
}

impl OrderSagaActor {
    /// Keeps what was committed; after a failure the next command reads the journal again.
    fn adopt(&mut self, outcome: Result<LoadedOrder, SagaRejection>) -> Result<LoadedOrder, SagaRejection> {
        match &outcome {
            Ok(loaded) => self.cached = Some(loaded.clone()),
            Err(SagaRejection::Rule(_) | SagaRejection::NotFound) => {}
            Err(SagaRejection::Contended | SagaRejection::Store(_)) => self.cached = None,
        }
        outcome
    }
}

impl SagaDeps {
    /// The order as cached, or read; waits a moment for one that is accepted but not written.
    async fn current(&self, order_no: OrderNo, cached: Option<LoadedOrder>) -> Result<LoadedOrder, SagaRejection> {
        if let Some(loaded) = cached {
            return Ok(loaded);
        }
        for _ in 0..LOOKS_MAX {
            if let Some(loaded) = journal::load(&self.db, order_no).await? {
                return Ok(loaded);
            }
            if self.ledger.find(order_no, None).await?.is_none_or(|record| record.returned) {
                return self.read(order_no).await; // settled between the two looks: the order is there now
            }
            actix_rt::time::sleep(LOOK_EVERY).await;
        }
        Err(SagaRejection::Contended)
    }

    /// Decides and commits; a lost compare-and-swap reads and decides again.
    pub(super) async fn drive(&self, mut loaded: LoadedOrder, command: &Command) -> Result<LoadedOrder, SagaRejection> {
        let mut command = command.clone();
        for _ in 0..DECISIONS_MAX {
            let now_ms = self.clock.now_ms();
            let decision = decide(&loaded.order, &command, now_ms);
            let events = match decision {
                Ok(events) if !events.is_empty() => events,
                answer => {
                    // Nothing will be appended, so nothing would notice that the cached order is behind another
                    // node's: such an answer is only believed of a fresh read.
                    let fresh = self.read(loaded.order.order_no).await?;
                    if fresh.order.version == loaded.order.version {
                        return answer.map(|_| loaded).map_err(SagaRejection::from);
                    }
                    loaded = fresh;
                    continue;
                }
            };
            match journal::commit(&self.db, &loaded, &events, now_ms).await? {
                CommitOutcome::Committed { loaded: committed, .. } => {
                    self.bell.ring();
                    return Ok(committed);
                }
                CommitOutcome::Lost => loaded = self.read(loaded.order.order_no).await?,
                CommitOutcome::StockGone => command = Command::ConfirmStockGone,
            }
        }
        Err(SagaRejection::Contended)
    }

    pub(super) async fn read(&self, order_no: OrderNo) -> Result<LoadedOrder, SagaRejection> {
        journal::load(&self.db, order_no).await?.ok_or(SagaRejection::NotFound)
    }
}
