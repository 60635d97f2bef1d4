//! The stock ledger on the SQL database: every method is one transaction on the `ledger_*` tables.
//!
//! What it keeps for ever: tombstones, and the row of every buyer in a sale. What it forgets: settled tickets. Their
//! numbers are remembered by the `orders` table, in the same database: a number with an order counts as taken, unless
//! a tombstone says that its units went back. On MySQL and PostgreSQL the pool rows are locked first, so the steps of
//! one pool follow each other; on SQLite a write transaction has the file to itself.

mod accounts;
mod give_back;
mod moves;
mod reads;
mod reserve;
mod tickets;

use async_trait::async_trait;

use super::db::Db;
use super::error::StoreError;
use super::ledger::{
    BuyerState, LedgerAnswer, LedgerSnapshot, PoolState, StockLedger, TicketRecord, TicketRef, Withdraw,
};
use crate::domain::sale::SaleTerms;
use crate::domain::stock::{Claim, ClaimRejection, Pool, Ticket};
use crate::domain::{BuyerId, OrderNo, ProductId};

/// The ledger in the shop's own database; clones share the connections.
#[derive(Clone, Debug)]
pub struct SqlLedger {
    db: Db,
}

impl SqlLedger {
    /// A ledger in that database.
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait(?Send)]
impl StockLedger for SqlLedger {
    async fn reserve(
        &self,
        product: ProductId,
        claims: &[Claim],
        now_ms: i64,
    ) -> Result<Vec<Result<Ticket, ClaimRejection>>, StoreError> {
        reserve::reserve(&self.db, product, claims, now_ms).await
    }

    async fn release(&self, tickets: &[TicketRef]) -> Result<(), StoreError> {
        give_back::release(&self.db, tickets).await
    }

    async fn settle(&self, tickets: &[TicketRef]) -> Result<(), StoreError> {
        give_back::settle(&self.db, tickets).await
    }

    async fn retake(&self, ticket: &TicketRef, now_ms: i64) -> LedgerAnswer<()> {
        give_back::retake(&self.db, ticket, now_ms).await
    }

    async fn find(&self, order_no: OrderNo, _: Option<ProductId>) -> Result<Option<TicketRecord>, StoreError> {
        reads::find(&self.db, order_no).await
    }

    async fn tickets_of(&self, buyer: BuyerId) -> Result<Vec<Ticket>, StoreError> {
        reads::tickets_of(&self.db, buyer).await
    }

    async fn orphans(&self, accepted_before_ms: i64, limit: u64) -> Result<Vec<Ticket>, StoreError> {
        reads::orphans(&self.db, accepted_before_ms, limit).await
    }

    async fn deposit(
        &self,
        step_id: &str,
        product: ProductId,
        pool: Pool,
        units: i64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        moves::deposit(&self.db, moves::Step { id: step_id, product, pool, now_ms }, units).await
    }

    async fn withdraw(
        &self,
        step_id: &str,
        product: ProductId,
        pool: Pool,
        units: Withdraw,
        now_ms: i64,
    ) -> LedgerAnswer<i64> {
        moves::withdraw(&self.db, moves::Step { id: step_id, product, pool, now_ms }, units).await
    }

    async fn set_terms(&self, product: ProductId, terms: &SaleTerms) -> Result<(), StoreError> {
        moves::set_terms(&self.db, product, terms).await
    }

    async fn snapshot(&self, product: ProductId) -> Result<LedgerSnapshot, StoreError> {
        reads::snapshot(&self.db, product).await
    }

    async fn rebuild(
        &self,
        product: ProductId,
        pools: &[PoolState],
        buyers: &[BuyerState],
        epoch: i64,
    ) -> Result<(), StoreError> {
        moves::rebuild(&self.db, product, pools, buyers, epoch).await
    }
}
