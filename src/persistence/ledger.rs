//! The stock ledger: the gate that says within one atomic step who gets units. The port between the shop and the SQL
//! or Redis ledger; both pass the contract suite in tests/ledger.rs.
//!
//! A number is remembered for longer than its ticket lives. `taken` -> `settle` (the order row exists: the ticket is
//! forgotten, the number still counts as taken) and `taken` or settled -> `release` (units go back once, a tombstone
//! stays and turns every later claim under that number away). `retake` is the undo of `release`, for money that came
//! after the cancellation.
//! The ledger only promises; the `stock` table decides (design.md §3): what it holds is rebuilt from there.
//!
//! **Loss.** A ledger outside the database can lose what it knew. It then answers `LedgerLost` and changes nothing until
//! it is rebuilt; only `begin_rebuild` and `unsettled` answer, for the one who rebuilds. **Presumption.** A rebuilt ledger does
//! not know which of the numbers made before the rebuild were taken, and a ledger need not keep its marks for longer
//! than [`MARKS_KEPT_MS`]. Such a number without a mark is *presumed* taken and settled: a claim under it is refused as
//! `Withdrawn` (never sold twice), and `release` gives its units back once and leaves a tombstone, if an order under
//! it is in the database that did not fail; without one a tombstone is all it gets, because what was not ordered was
//! free in the database when the account was rebuilt. The SQL ledger remembers by the orders themselves and never presumes.

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::domain::order::Order;
use crate::domain::sale::SaleTerms;
use crate::domain::stock::{BuyerUnits, Claim, ClaimRejection, Pool, Quantity, Ticket};
use crate::domain::{BuyerId, OrderNo, ProductId};

/// A ledger keeps the mark of a settled or returned number for at least this long.
pub const MARKS_KEPT_MS: i64 = 48 * 3_600_000;

/// What `release` and `settle` need to know of a ticket: an order knows it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TicketRef {
    /// The number.
    pub order_no: OrderNo,
    /// Units of what.
    pub product: ProductId,
    /// From which pool.
    pub pool: Pool,
    /// Whose.
    pub buyer: BuyerId,
    /// How many.
    pub quantity: Quantity,
}

impl From<&Claim> for TicketRef {
    fn from(claim: &Claim) -> Self {
        let Claim { order_no, product, pool, buyer, quantity, .. } = *claim;
        Self { order_no, product, pool, buyer, quantity }
    }
}

impl From<&Ticket> for TicketRef {
    fn from(ticket: &Ticket) -> Self {
        Self::from(&ticket.claim)
    }
}

impl From<&Order> for TicketRef {
    fn from(order: &Order) -> Self {
        let Order { order_no, product, pool, buyer, quantity, .. } = *order;
        Self { order_no, product, pool, buyer, quantity }
    }
}

/// A ticket that the ledger still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketRecord {
    /// As it was accepted.
    pub ticket: Ticket,
    /// True once its units went back. A number that was never taken has price and time 0 then.
    pub returned: bool,
}

/// How many units [`StockLedger::withdraw`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withdraw {
    /// All of them or none.
    Exactly(i64),
    /// As many as are free, up to this.
    UpTo(i64),
    /// Whatever is free.
    All,
}

/// One pool as the ledger sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerPool {
    /// Which pool.
    pub pool: Pool,
    /// Units that can be claimed, at least 0.
    pub free: i64,
    /// Units under tickets that are neither settled nor returned.
    pub unsettled: i64,
    /// The sale's terms; `None` for the free pool, and for a sale's pool before `set_terms` (nobody can claim then).
    pub terms: Option<SaleTerms>,
    /// Counts the rebuilds.
    pub epoch: i64,
}

/// All pools of one product, the free pool first, then by sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerSnapshot {
    /// The pools.
    pub pools: Vec<LedgerPool>,
}

impl LedgerSnapshot {
    /// The pool of that name.
    #[must_use]
    pub fn pool(&self, pool: Pool) -> Option<&LedgerPool> {
        self.pools.iter().find(|known| known.pool == pool)
    }

    /// Units that can be claimed from `pool`; 0 if there is no such pool.
    #[must_use]
    pub fn free(&self, pool: Pool) -> i64 {
        self.pool(pool).map_or(0, |known| known.free)
    }

    /// The terms of every sale that the ledger knows.
    pub fn sales(&self) -> impl Iterator<Item = &SaleTerms> {
        self.pools.iter().filter_map(|pool| pool.terms.as_ref())
    }
}

/// One pool as [`StockLedger::rebuild`] shall write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolState {
    /// Which pool.
    pub pool: Pool,
    /// Units that can be claimed: SQL free, less what unsettled tickets hold.
    pub free: i64,
    /// The sale's terms; `None` for the free pool.
    pub terms: Option<SaleTerms>,
}

/// One buyer's account in a sale's pool as [`StockLedger::rebuild`] shall write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuyerState {
    /// In which sale's pool.
    pub pool: Pool,
    /// Who.
    pub buyer: BuyerId,
    /// Units held or bought, and the latest order of them.
    pub units: BuyerUnits,
}

/// What a ledger says of an account that it has lost, before the database is read for another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostAccount {
    /// Of the latest account that it knows of; 0 if it knows of none.
    pub epoch: i64,
    /// Names this loss, in up to 100 characters: whoever rebuilds says in whose place his account comes. Never empty.
    pub turn: String,
}

/// What [`StockLedger::rebuild`] writes: the account of one product as the database has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuild {
    /// Counts the rebuilds; higher than that of every account before.
    pub epoch: i64,
    /// Of the [`LostAccount`] that it replaces, asked for before anything else was read.
    pub turn: String,
    /// All pools.
    pub pools: Vec<PoolState>,
    /// All buyers who hold or bought units in the product's sales.
    pub buyers: Vec<BuyerState>,
    /// Numbers whose units the database has back while their release is still owed: they get a tombstone, so that
    /// the release gives nothing back.
    pub returned: Vec<OrderNo>,
    /// Steps of stock moves under way, to be run (again): they are forgotten.
    pub open_steps: Vec<String>,
    /// When the database was read: numbers made before this may have been taken without a trace in the ledger.
    pub now_ms: i64,
}

/// What a claim, a withdrawal or a retake is answered: units, or the reason why not.
pub type LedgerAnswer<T> = Result<Result<T, ClaimRejection>, StoreError>;

/// Takes and gives back units. Every method is one atomic step and may be repeated with the same numbers: the repeat
/// changes nothing and answers the same.
///
/// # Errors
/// Every method: [`StoreError`]; after one the step has happened entirely or not at all, and a repeat finds out.
#[async_trait(?Send)]
pub trait StockLedger: Send + Sync {
    /// Judges `claims` on `product` in their order by [`crate::domain::stock::judge`] and takes the units of those that
    /// are not refused: one answer each. A claim taken before is answered with the same ticket, whatever is left now.
    /// Claims on a sale's pool are priced by its terms. Claims on another product are refused as `PoolNotFound`.
    async fn reserve(
        &self,
        product: ProductId,
        claims: &[Claim],
        now_ms: i64,
    ) -> Result<Vec<Result<Ticket, ClaimRejection>>, StoreError>;

    /// Gives the units back, to the pool and to the buyer's limit, once for each number; leaves a tombstone. A number
    /// that was never taken leaves the tombstone only.
    async fn release(&self, tickets: &[TicketRef]) -> Result<(), StoreError>;

    /// Forgets tickets whose orders are in the database; changes nothing for returned or unknown ones.
    async fn settle(&self, tickets: &[TicketRef]) -> Result<(), StoreError>;

    /// Takes a released ticket's units again and lifts its tombstone (late payment). Judged as a new claim: the sale
    /// must be open, the buyer within his limit. A number that is taken already is answered `Ok`; one that was never
    /// settled `Withdrawn`, because it has no order that could be paid.
    async fn retake(&self, ticket: &TicketRef, now_ms: i64) -> LedgerAnswer<()>;

    /// The ticket or tombstone under that number; `None` if it is unknown or settled. `product` tells a ledger that is
    /// split by product where to look.
    async fn find(&self, order_no: OrderNo, product: Option<ProductId>) -> Result<Option<TicketRecord>, StoreError>;

    /// The buyer's owed tickets that are taken and not settled, newest first.
    async fn tickets_of(&self, buyer: BuyerId) -> Result<Vec<Ticket>, StoreError>;

    /// Up to `limit` tickets taken before `accepted_before_ms` and not settled, oldest first. One that cannot be
    /// read is kept as a dead ticket and its units go back, in one step.
    async fn orphans(&self, accepted_before_ms: i64, limit: u64) -> Result<Vec<Ticket>, StoreError>;

    /// Adds `units` (0 or more) to a pool, making it if need be; once for each `step_id` (up to 40 characters).
    async fn deposit(
        &self,
        step_id: &str,
        product: ProductId,
        pool: Pool,
        units: i64,
        now_ms: i64,
    ) -> Result<(), StoreError>;

    /// Takes units out of a pool and answers how many; once for each `step_id`. A refusal is not remembered.
    /// `UpTo` and `All` are never refused.
    async fn withdraw(
        &self,
        step_id: &str,
        product: ProductId,
        pool: Pool,
        units: Withdraw,
        now_ms: i64,
    ) -> LedgerAnswer<i64>;

    /// Writes the terms of a sale beside its units; makes the pool, empty, if it is new.
    async fn set_terms(&self, product: ProductId, terms: &SaleTerms) -> Result<(), StoreError>;

    /// All pools of a product.
    async fn snapshot(&self, product: ProductId) -> Result<LedgerSnapshot, StoreError>;

    /// The same for who only looks, or must not wait: an account that is lost is told as `LedgerLost` and not rebuilt.
    async fn glance(&self, product: ProductId) -> Result<LedgerSnapshot, StoreError> {
        self.snapshot(product).await
    }

    /// A glance for who has the product's stock rows locked in `tx`: a rebuild waits for these rows, and another
    /// connection may be one that waits for them, too.
    async fn glance_in(&self, _tx: &DatabaseTransaction, product: ProductId) -> Result<LedgerSnapshot, StoreError> {
        self.glance(product).await
    }

    /// Begins a rebuild: `None` if the account is valid and there is nothing to rebuild. Several nodes may be told the same
    /// turn. A ledger that cannot lose anything lets its account be written anew whenever somebody asks.
    async fn begin_rebuild(&self, product: ProductId) -> Result<Option<LostAccount>, StoreError>;

    /// Replaces all pools and buyers of a product by what the database says, under a new `epoch`. Tickets and marks
    /// that are there stay. False, and nothing changed, if the turn is over: since it began another has written the
    /// account, or it was lost once more. What was read in that turn must not be written then: claims that were accepted
    /// meanwhile are not in it.
    async fn rebuild(&self, product: ProductId, rebuild: &Rebuild) -> Result<bool, StoreError>;

    /// All tickets of a product that are taken and not settled, oldest first; one whose details cannot
    /// be read is told without them, because it holds its units until [`StockLedger::orphans`] buries it. Answers also while the account is lost.
    async fn unsettled(&self, product: ProductId) -> Result<Vec<Ticket>, StoreError>;

    /// The accounts of all buyers of a product's sales who hold or bought units; for checks.
    async fn buyers(&self, product: ProductId) -> Result<Vec<BuyerState>, StoreError>;

    /// Treats the account of a product as lost: nobody can claim until it is rebuilt. A ledger that cannot lose
    /// anything has nothing to suspend.
    async fn suspend(&self, product: ProductId) -> Result<(), StoreError>;

    /// True if other nodes use the same ledger: what it says may be old the next moment, and a question that goes over
    /// all products ([`StockLedger::tickets_of`]) costs one look-up for each.
    fn is_shared(&self) -> bool;
}
