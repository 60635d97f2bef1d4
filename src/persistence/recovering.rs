//! A ledger that mends itself: what is asked of an account that was lost waits until the account is rebuilt from the
//! database, and is then asked again.
//!
//! **Invariant**: nobody is promised a unit between the loss and the rebuild; the lost ledger refuses by itself. The
//! sale of that product pauses meanwhile, other products go on. One rebuild at a time on a node; between nodes the
//! ledger takes the first and refuses the rest.
//!
//! A rebuild locks the product's stock rows. Whoever holds them asks by [`StockLedger::glance_in`] only: any
//! other question about a lost account would wait for a rebuild that waits for him, which no database can see.

use std::sync::{Arc, Mutex as Short, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dashmap::DashMap;
use futures::future::LocalBoxFuture;
use sea_orm::DatabaseTransaction;
use tokio::sync::Mutex;

use super::db::Db;
use super::error::StoreError;
use super::ledger::{
    BuyerState, LedgerAnswer, LedgerSnapshot, LostAccount, Rebuild, StockLedger, TicketRecord, TicketRef, Withdraw,
};
use super::ledger_accounts;
use super::recovery::{self, Rebuilt};
use crate::clock::{self, Clock};
use crate::domain::sale::SaleTerms;
use crate::domain::stock::{Claim, ClaimRejection, Pool, Ticket};
use crate::domain::{BuyerId, OrderNo, ProductId};

/// Rebuilds that one call may wait for: it can be about many products, and each can be lost.
const REBUILDS_MAX: usize = 64;
/// How long a rebuild waits for tickets on their way to the order writer, and how often it looks.
const QUIET_WITHIN: Duration = Duration::from_secs(3);
const QUIET_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Orders whose tickets could not be settled, remembered by this node until they can.
const SETTLES_OWED_MAX: usize = 16_384;

/// Tells whether no ticket is on its way to the order writer at the moment.
pub type IsQuiet = Box<dyn Fn() -> LocalBoxFuture<'static, bool> + Send + Sync>;

/// A [`StockLedger`] in front of one that can lose what it knows.
pub struct Recovering {
    ledger: Arc<dyn StockLedger>,
    db: Db,
    clock: Clock,
    is_quiet: IsQuiet,
    /// One lock a product that was ever lost.
    rebuilding: DashMap<ProductId, Arc<Mutex<()>>>,
    /// A ticket that the ledger still has is published and settled again; one that it lost only this remembers, and
    /// settling it is how the ledger hears of an order that a rebuild did not see.
    settles_owed: Short<Vec<TicketRef>>,
}

impl Recovering {
    /// Mends `ledger` from `db`; before it reads, it waits a bounded time for `is_quiet`.
    #[must_use]
    pub fn new(ledger: Arc<dyn StockLedger>, db: Db, clock: Clock, is_quiet: IsQuiet) -> Self {
        Self { ledger, db, clock, is_quiet, rebuilding: DashMap::new(), settles_owed: Short::default() }
    }

    /// Settles what could not be settled before; an account that was lost is rebuilt for it.
    async fn settle_what_is_owed(&self) -> Result<(), StoreError> {
        let owed = std::mem::take(&mut *self.settles_owed.lock().unwrap_or_else(PoisonError::into_inner));
        if owed.is_empty() {
            return Ok(());
        }
        let outcome = self.asking(async || self.ledger.settle(&owed).await).await;
        if outcome.is_err() {
            self.owe(&owed);
        }
        outcome
    }

    /// Takes the owed tickets of a product: their orders are in the database, where a rebuild that begins now reads them.
    fn take_owed(&self, product: ProductId) -> Vec<TicketRef> {
        let mut owed = self.settles_owed.lock().unwrap_or_else(PoisonError::into_inner);
        owed.extract_if(.., |ticket| ticket.product == product).collect()
    }

    fn owe(&self, tickets: &[TicketRef]) {
        let mut owed = self.settles_owed.lock().unwrap_or_else(PoisonError::into_inner);
        let room = SETTLES_OWED_MAX.saturating_sub(owed.len());
        owed.extend(tickets.iter().take(room));
        if tickets.len() > room {
            tracing::error!(tickets = tickets.len() - room, "more unsettled orders than are remembered: run a check");
        }
    }

    /// Asks; whenever an account turns out to be lost, rebuilds it and asks again.
    async fn asking<T>(&self, ask: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        for _ in 0..REBUILDS_MAX {
            match ask().await {
                Err(StoreError::LedgerLost { product }) => match self.rebuild_once(product).await? {
                    Rebuilt::Done | Rebuilt::Overtaken => {}
                    Rebuilt::NoSuchProduct => return Err(StoreError::LedgerLost { product }),
                },
                outcome => return outcome,
            }
        }
        ask().await
    }

    async fn rebuild_once(&self, product: ProductId) -> Result<Rebuilt, StoreError> {
        let lock = Arc::clone(&self.rebuilding.entry(product).or_default());
        let _turn = lock.lock().await;
        match self.ledger.snapshot(product).await {
            Err(StoreError::LedgerLost { .. }) => {}
            known => return known.map(|_| Rebuilt::Overtaken), // somebody else did it meanwhile
        }
        let begun = clock::monotonic();
        // The very first account of a product need not wait for the orders of others.
        let may_have_sold = ledger_accounts::find(&self.db, product).await?.is_some();
        while may_have_sold && !(self.is_quiet)().await && begun.elapsed() < QUIET_WITHIN {
            tokio::time::sleep(QUIET_LOOK_EVERY).await;
        }
        let owed = self.take_owed(product);
        let rebuilt = recovery::rebuild(&self.db, &*self.ledger, product, self.clock.now_ms()).await;
        if !matches!(rebuilt, Ok(Rebuilt::Done)) {
            self.owe(&owed);
        }
        let rebuilt = rebuilt?;
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(%product, ?rebuilt, took_ms, "account of the ledger rebuilt from the database");
        metrics::counter!("rushmall_ledger_rebuilds_total").increment(1);
        Ok(rebuilt)
    }
}

/// What nobody sells is not lost.
fn unless_unknown<T>(outcome: Result<T, StoreError>, unknown: impl FnOnce() -> T) -> Result<T, StoreError> {
    match outcome {
        Err(StoreError::LedgerLost { .. }) => Ok(unknown()),
        outcome => outcome,
    }
}

#[async_trait(?Send)]
impl StockLedger for Recovering {
    async fn reserve(
        &self,
        product: ProductId,
        claims: &[Claim],
        now_ms: i64,
    ) -> Result<Vec<Result<Ticket, ClaimRejection>>, StoreError> {
        let outcome = self.asking(async || self.ledger.reserve(product, claims, now_ms).await).await;
        unless_unknown(outcome, || claims.iter().map(|_| Err(ClaimRejection::PoolNotFound)).collect())
    }

    async fn release(&self, tickets: &[TicketRef]) -> Result<(), StoreError> {
        self.asking(async || self.ledger.release(tickets).await).await
    }

    /// Never waits for a rebuild: who settles is the order writer, and a rebuild waits until its queue is empty.
    async fn settle(&self, tickets: &[TicketRef]) -> Result<(), StoreError> {
        let outcome = self.ledger.settle(tickets).await;
        if outcome.is_err() {
            self.owe(tickets);
        }
        outcome
    }

    async fn retake(&self, ticket: &TicketRef, now_ms: i64) -> LedgerAnswer<()> {
        self.asking(async || self.ledger.retake(ticket, now_ms).await).await
    }

    async fn find(&self, order_no: OrderNo, product: Option<ProductId>) -> Result<Option<TicketRecord>, StoreError> {
        let outcome = self.asking(async || self.ledger.find(order_no, product).await).await;
        unless_unknown(outcome, || None)
    }

    async fn tickets_of(&self, buyer: BuyerId) -> Result<Vec<Ticket>, StoreError> {
        self.asking(async || self.ledger.tickets_of(buyer).await).await
    }

    async fn orphans(&self, accepted_before_ms: i64, limit: u64) -> Result<Vec<Ticket>, StoreError> {
        self.settle_what_is_owed().await?; // the sweep asks this again and again
        self.asking(async || self.ledger.orphans(accepted_before_ms, limit).await).await
    }

    async fn deposit(
        &self,
        step_id: &str,
        product: ProductId,
        pool: Pool,
        units: i64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.asking(async || self.ledger.deposit(step_id, product, pool, units, now_ms).await).await
    }

    async fn withdraw(
        &self,
        step_id: &str,
        product: ProductId,
        pool: Pool,
        units: Withdraw,
        now_ms: i64,
    ) -> LedgerAnswer<i64> {
        self.asking(async || self.ledger.withdraw(step_id, product, pool, units, now_ms).await).await
    }

    async fn set_terms(&self, product: ProductId, terms: &SaleTerms) -> Result<(), StoreError> {
        self.asking(async || self.ledger.set_terms(product, terms).await).await
    }

    async fn snapshot(&self, product: ProductId) -> Result<LedgerSnapshot, StoreError> {
        let outcome = self.asking(async || self.ledger.snapshot(product).await).await;
        unless_unknown(outcome, LedgerSnapshot::default)
    }

    async fn glance(&self, product: ProductId) -> Result<LedgerSnapshot, StoreError> {
        self.ledger.glance(product).await
    }

    async fn glance_in(&self, tx: &DatabaseTransaction, product: ProductId) -> Result<LedgerSnapshot, StoreError> {
        self.ledger.glance_in(tx, product).await
    }

    async fn begin_rebuild(&self, product: ProductId) -> Result<Option<LostAccount>, StoreError> {
        self.ledger.begin_rebuild(product).await
    }

    async fn rebuild(&self, product: ProductId, rebuild: &Rebuild) -> Result<bool, StoreError> {
        self.ledger.rebuild(product, rebuild).await
    }

    async fn unsettled(&self, product: ProductId) -> Result<Vec<Ticket>, StoreError> {
        self.ledger.unsettled(product).await
    }

    async fn buyers(&self, product: ProductId) -> Result<Vec<BuyerState>, StoreError> {
        self.ledger.buyers(product).await
    }

    async fn suspend(&self, product: ProductId) -> Result<(), StoreError> {
        self.ledger.suspend(product).await
    }

    fn is_shared(&self) -> bool {
        self.ledger.is_shared()
    }
}
