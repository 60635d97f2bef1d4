//! Looks for what is due and asks the actors to do it: deadlines, owed effects, tickets without an order, moves of
//! stock that stopped half way, and rows whose time is over.
//!
//! Every node sweeps. Each thing found is driven through a compare-and-swap or an idempotent step, so that two sweeps
//! meeting do no harm. Nothing here has a state that a crash could lose.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use futures::{FutureExt, StreamExt};

use super::background::{Stop, work_off};
use super::inventory::{InventoryActor, MoveStock, RefreshInventory};
use super::kit::Directory;
use super::order_saga::{DriveOrder, OrderSagaActor, Party, RunEffect, SagaRejection};
use super::order_writer::{self, OrderWriterActor};
use super::payments::{PaymentDesk, Progress};
use super::peers::{NodeMessage, Peers};
use crate::clock::Clock;
use crate::config::OrderSettings;
use crate::domain::OrderNo;
use crate::domain::order::{Command, ReviewReason};
use crate::domain::stock::{Ticket, TicketKind};
use crate::messaging::{OrderQueue, QueueError};
use crate::persistence::effects::{self, Lane, OwedEffect};
use crate::persistence::ledger::{StockLedger, TicketRef};
use crate::persistence::stock_moves::{self, StockPlan};
use crate::persistence::{
    CartStore, Db, Lease, StoreError, idempotency, journal, notices, orders, sales, sessions, webhooks,
};
use crate::random::OrderNumbers;

/// Orders driven at the same time.
const CONCURRENCY: usize = 32;
/// Effects that gateways are asked for at the same time.
const GATEWAY_CONCURRENCY: usize = 64;
/// Rows taken at once; what is left is taken in the next round, at once.
const ROWS_MAX: u64 = 500;
/// An effect is another node's after this.
const EFFECT_LEASE_MS: i64 = 30_000;
/// Pause before the second try of an effect, doubled up to the maximum.
const EFFECT_PAUSE_FIRST_MS: i64 = 500;
const EFFECT_PAUSE_MAX_MS: i64 = 300_000;
/// Tries after which a human is asked; trying goes on.
const EFFECT_ATTEMPTS_BEFORE_REVIEW: u32 = 20;
/// An order that could not be driven (paused, stuck) is left alone for so long, so that it does not delay the others.
const POSTPONED_MS: i64 = 10_000;
const DRIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Tickets without an order taken at once.
const ORPHANS_MAX: u64 = 20_000;
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// A stock move untouched for so long was left by a crash.
const MOVE_ABANDONED_MS: i64 = 5_000;
/// A sale's units go back so long after its end, so that an administrator can still prolong it.
const SALE_ENDED_GRACE_MS: i64 = 60_000;
/// Pause between looks for carts that were left half way.
const CARTS_EVERY: Duration = Duration::from_secs(5);
/// Pause between rounds of house-keeping.
const HOUSE_KEEPING_EVERY: Duration = Duration::from_secs(30);

/// What the sweeps need.
#[derive(Clone)]
pub struct SweepDeps {
    /// Orders.
    pub db: Db,
    /// The gate.
    pub ledger: Arc<dyn StockLedger>,
    /// Carts.
    pub carts: Arc<dyn CartStore>,
    /// For what is owed to gateways.
    pub desk: PaymentDesk,
    /// Order sagas.
    pub orders: Directory<OrderSagaActor>,
    /// Inventory actors, told when a move of their units was resumed.
    pub inventory: Directory<InventoryActor>,
    /// The other nodes, told likewise.
    pub peers: Peers,
    /// Where tickets without an order go.
    pub queue: Arc<dyn OrderQueue>,
    /// Where they go if the queue does not take them.
    pub writer: Directory<OrderWriterActor>,
    /// Time.
    pub clock: Clock,
    /// Identities of moves.
    pub numbers: Arc<OrderNumbers>,
    /// `node.slot`.
    pub slot: u8,
    /// Intervals and ages.
    pub settings: OrderSettings,
}

impl SweepDeps {
    /// Drives unpaid and shipped orders whose time is over, until `stop`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read; the supervisor starts it again.
    pub async fn sweep_deadlines(self, mut stop: Stop) -> Result<(), StoreError> {
        let mut postponed = Postponed::default();
        let after_ms = self.settings.auto_complete_ms;
        while !stop.is_set() {
            let now_ms = self.clock.now_ms();
            let unpaid = orders::due_deadlines(&self.db, now_ms, ROWS_MAX).await?;
            self.drive_all(&unpaid, &Command::ExpirePayment, &mut postponed).await;
            let shipped = orders::due_auto_complete(&self.db, now_ms - after_ms, ROWS_MAX).await?;
            self.drive_all(&shipped, &Command::AutoComplete { after_ms }, &mut postponed).await;
            let has_more = unpaid.len().max(shipped.len()) >= ROWS_MAX as usize;
            if !has_more || !postponed.0.is_empty() {
                stop.sleep(Duration::from_millis(self.settings.sweep_interval_ms)).await;
            }
        }
        Ok(())
    }

    /// Runs owed effects that are the orders' own until `stop`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read; the supervisor starts it again.
    pub async fn sweep_effects(self, mut stop: Stop) -> Result<(), StoreError> {
        while !stop.is_set() {
            if self.run_effects().await? < ROWS_MAX as usize {
                stop.sleep(Duration::from_millis(self.settings.sweep_interval_ms)).await;
            }
        }
        Ok(())
    }

    /// Asks gateways for what is owed to them until `stop`. One call does not wait for another: a gateway that hangs has
    /// its calls in flight and no more (its breaker refuses the rest at once), and the others are asked as ever (R39).
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read; the supervisor starts it again.
    pub async fn sweep_gateways(self, stop: Stop) -> Result<(), StoreError> {
        let claim = async |room: usize| self.claim(Lane::Gateways, room as u64).await;
        let work = async |owed: OwedEffect| self.run_effect(owed).await;
        let pause = async || tokio::time::sleep(Duration::from_millis(self.settings.sweep_interval_ms)).await;
        work_off(GATEWAY_CONCURRENCY, stop, claim, work, pause).await
    }

    async fn claim(&self, lane: Lane, limit: u64) -> Result<Vec<OwedEffect>, StoreError> {
        let lease = Lease { slot: self.slot, ms: EFFECT_LEASE_MS };
        effects::claim_due(&self.db, lane, self.clock.now_ms(), lease, limit).await
    }

    /// Publishes tickets without an order and resumes moves until `stop`. At start every ticket is without an owner.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read; the supervisor starts it again.
    pub async fn sweep_tickets(self, mut stop: Stop) -> Result<(), StoreError> {
        let now_ms = self.clock.now_ms();
        let mut published = Postponed::default();
        self.resume_moves(0, now_ms).await?;
        self.adopt_orphans(now_ms, &mut published).await?;
        while !stop.is_set() {
            stop.sleep(Duration::from_millis(self.settings.sweep_interval_ms * 4)).await;
            let now_ms = self.clock.now_ms();
            self.adopt_orphans(now_ms - self.settings.ticket_orphan_after_ms, &mut published).await?;
            self.resume_moves(MOVE_ABANDONED_MS, now_ms).await?;
        }
        Ok(())
    }

    /// Ends checkouts and moves of carts that were cut off, until `stop`.
    ///
    /// # Errors
    /// [`StoreError`] if a store cannot be asked; the supervisor starts it again.
    pub async fn sweep_carts(self, mut stop: Stop) -> Result<(), StoreError> {
        while !stop.is_set() {
            self.carts.tidy(self.clock.now_ms()).await?;
            stop.sleep(CARTS_EVERY).await;
        }
        Ok(())
    }

    /// Removes rows whose time is over, until `stop`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be written; the supervisor starts it again.
    pub async fn keep_house(self, mut stop: Stop) -> Result<(), StoreError> {
        while !stop.is_set() {
            let now_ms = self.clock.now_ms();
            idempotency::purge(&self.db, now_ms).await?;
            sessions::purge(&self.db, now_ms).await?;
            stock_moves::purge(&self.db, now_ms).await?;
            notices::purge(&self.db, now_ms).await?;
            webhooks::purge(&self.db, now_ms).await?;
            self.return_units_of_sales(now_ms).await?;
            stop.sleep(HOUSE_KEEPING_EVERY).await;
        }
        Ok(())
    }

    async fn drive_all(&self, order_nos: &[OrderNo], command: &Command, postponed: &mut Postponed) {
        let now_ms = self.clock.now_ms();
        let due = postponed.without(order_nos, now_ms);
        let driven: Vec<(OrderNo, bool)> = stream::iter(due)
            .map(async |order_no| (order_no, self.drive(order_no, command).await))
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        postponed.0.extend(driven.into_iter().filter(|(_, done)| !done).map(|(no, _)| (no, now_ms + POSTPONED_MS)));
    }

    async fn drive(&self, order_no: OrderNo, command: &Command) -> bool {
        let drive = DriveOrder { party: Party::Shop, command: command.clone() };
        match self.orders.ask(&order_no, drive, DRIVE_TIMEOUT).await {
            Ok(Ok(_)) => return true,
            Ok(Err(error)) => tracing::warn!(%order_no, %error, "due order not driven, later again"),
            Err(error) => tracing::warn!(%order_no, %error, "due order not reached, later again"),
        }
        false
    }

    async fn run_effects(&self) -> Result<usize, StoreError> {
        let due = self.claim(Lane::Orders, ROWS_MAX).await?;
        let count = due.len();
        let results: Vec<Result<(), StoreError>> =
            stream::iter(due).map(|owed| self.run_effect(owed)).buffer_unordered(CONCURRENCY).collect().await;
        results.into_iter().collect::<Result<(), StoreError>>()?;
        Ok(count)
    }

    async fn run_effect(&self, owed: OwedEffect) -> Result<(), StoreError> {
        let ran = if owed.effect.asks_gateway() {
            // One sweep serves all orders: an effect that brings out a bug must fail alone, not hold up the rest (R57).
            let asking = AssertUnwindSafe(self.ask_gateway(&owed)).catch_unwind();
            asking.await.unwrap_or_else(|_| Err("panicked".to_owned()))
        } else {
            self.ask_order(&owed).await
        };
        let Err(error) = ran else { return Ok(()) };
        tracing::warn!(order_no = %owed.key.order_no, kind = owed.effect.kind(), attempts = owed.attempts, error, "effect failed");
        if owed.attempts == EFFECT_ATTEMPTS_BEFORE_REVIEW {
            self.ask_human(owed.key.order_no).await;
        }
        let pause_ms = EFFECT_PAUSE_FIRST_MS.saturating_mul(1 << owed.attempts.min(20)).min(EFFECT_PAUSE_MAX_MS);
        effects::failed(&self.db, owed.key, &error, self.clock.now_ms() + pause_ms).await
    }

    async fn ask_order(&self, owed: &OwedEffect) -> Result<(), String> {
        match self.orders.ask(&owed.key.order_no, RunEffect { owed: owed.clone() }, ASK_TIMEOUT).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A gateway is asked here and not in the order's actor, which could do nothing else while it waits.
    async fn ask_gateway(&self, owed: &OwedEffect) -> Result<(), String> {
        let told = |error: StoreError| error.to_string();
        let Some(loaded) = journal::load(&self.db, owed.key.order_no).await.map_err(told)? else {
            return Err("no such order".to_owned());
        };
        match self.desk.run_effect(&loaded.order, owed).await.map_err(|error| error.to_string())? {
            Progress::Done => effects::done(&self.db, owed.key).await.map_err(told),
            Progress::Again { due_ms } => effects::postponed(&self.db, owed.key, due_ms).await.map_err(told),
        }
    }

    async fn ask_human(&self, order_no: OrderNo) {
        let command = Command::RequestReview { reason: ReviewReason::EffectExhausted };
        let outcome = self.orders.ask(&order_no, DriveOrder { party: Party::Shop, command }, ASK_TIMEOUT).await;
        if !matches!(outcome, Ok(Ok(_) | Err(SagaRejection::NotFound))) {
            tracing::error!(%order_no, "order needs a review that could not be recorded");
        }
    }

    async fn resume_moves(&self, older_than_ms: i64, now_ms: i64) -> Result<(), StoreError> {
        let moved = stock_moves::resume_pending(&self.db, &*self.ledger, older_than_ms, now_ms).await?;
        for product in moved {
            if let Err(error) = self.inventory.ask(&product, RefreshInventory, ASK_TIMEOUT).await {
                tracing::warn!(%product, %error, "inventory not told of a resumed move");
            }
            self.peers.tell(&[NodeMessage::InventoryChanged { product }]).await;
        }
        Ok(())
    }

    /// What a sale did not sell goes back to the free pool when it is over, and so does what is cancelled later.
    async fn return_units_of_sales(&self, now_ms: i64) -> Result<(), StoreError> {
        let mut over = sales::ended(&self.db, now_ms - SALE_ENDED_GRACE_MS, ROWS_MAX).await?;
        over.extend(sales::stranded(&self.db, ROWS_MAX).await?);
        for (product, sale) in over {
            let message = MoveStock { move_id: self.numbers.next().to_string(), plan: StockPlan::CloseSale { sale } };
            match self.inventory.ask(&product, message, ASK_TIMEOUT).await {
                Ok(Ok(moved)) => tracing::info!(%product, %sale, units = moved.units, "sale is over, units returned"),
                Ok(Err(error)) => tracing::warn!(%product, %sale, %error, "units of a sale not returned"),
                Err(error) => tracing::warn!(%product, %sale, %error, "inventory of a sale not reached"),
            }
        }
        Ok(())
    }

    /// Owed tickets are published again, each at most once in a while; prepared ones are settled if their order exists,
    /// else given back.
    async fn adopt_orphans(&self, accepted_before_ms: i64, published: &mut Postponed) -> Result<(), StoreError> {
        let orphans = self.ledger.orphans(accepted_before_ms, ORPHANS_MAX).await?;
        let (mut owed, prepared): (Vec<Ticket>, Vec<Ticket>) =
            orphans.into_iter().partition(|ticket| ticket.claim.kind == TicketKind::Owed);
        let now_ms = self.clock.now_ms();
        owed.retain(|ticket| !published.has(ticket.claim.order_no, now_ms));
        if !owed.is_empty() {
            tracing::info!(tickets = owed.len(), "tickets without an order published again");
        }
        for batch in owed.chunks(self.settings.batch_tickets_max) {
            self.publish_again(batch).await;
            let until_ms = now_ms + self.settings.ticket_orphan_after_ms;
            published.0.extend(batch.iter().map(|ticket| (ticket.claim.order_no, until_ms)));
        }
        published.0.retain(|_, until_ms| now_ms < *until_ms);
        self.end_prepared(&prepared).await
    }

    /// To the queue, or straight to the writer if it does not take them; else they are found again.
    async fn publish_again(&self, tickets: &[Ticket]) {
        match self.queue.publish(tickets).await {
            Ok(()) | Err(QueueError::Full) => {}
            Err(error) => {
                let left = order_writer::write_each(&self.writer, tickets.to_vec(), ASK_TIMEOUT).await.len();
                tracing::warn!(tickets = tickets.len(), left, %error, "tickets not published, orders written instead");
            }
        }
    }

    async fn end_prepared(&self, prepared: &[Ticket]) -> Result<(), StoreError> {
        let expired_before_ms = self.clock.now_ms() - self.settings.prepared_expires_ms;
        let order_nos: Vec<OrderNo> = prepared.iter().map(|ticket| ticket.claim.order_no).collect();
        let written = orders::existing(&self.db, &order_nos).await?;
        let (settled, left): (Vec<&Ticket>, Vec<&Ticket>) =
            prepared.iter().partition(|ticket| written.contains(&ticket.claim.order_no));
        self.ledger.settle(&settled.into_iter().map(TicketRef::from).collect::<Vec<_>>()).await?;
        let expired: Vec<TicketRef> =
            left.into_iter().filter(|t| t.accepted_at_ms < expired_before_ms).map(TicketRef::from).collect();
        if !expired.is_empty() {
            tracing::info!(tickets = expired.len(), "units of abandoned checkouts given back");
        }
        self.ledger.release(&expired).await
    }
}

/// Orders that are left alone for a while, and until when.
#[derive(Default)]
struct Postponed(HashMap<OrderNo, i64>);

impl Postponed {
    fn has(&self, order_no: OrderNo, now_ms: i64) -> bool {
        self.0.get(&order_no).is_some_and(|until_ms| now_ms < *until_ms)
    }

    fn without(&mut self, order_nos: &[OrderNo], now_ms: i64) -> Vec<OrderNo> {
        self.0.retain(|_, until_ms| now_ms < *until_ms);
        order_nos.iter().copied().filter(|order_no| !self.0.contains_key(order_no)).collect()
    }
}
