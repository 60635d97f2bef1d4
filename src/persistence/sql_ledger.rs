//! The stock ledger on the SQL database: one transaction a batch.

use async_trait::async_trait;

use super::db::Db;
use super::error::StoreError;
use super::ledger::{
    BuyerState, LedgerAnswer, LedgerSnapshot, PoolState, StockLedger, TicketRecord, TicketRef, Withdraw,
};
use crate::domain::sale::SaleTerms;
use crate::domain::stock::{Claim, ClaimRejection, Pool, Ticket};
use crate::domain::{BuyerId, OrderNo, ProductId};

/// The ledger in the `ledger_*` tables; clones share the connections.
#[derive(Clone, Debug)]
pub struct SqlLedger {
    db: Db,
}

impl SqlLedger {
    /// A ledger in the shop's own database.
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait(?Send)]
impl StockLedger for SqlLedger {
    async fn reserve(
        &self,
        _: ProductId,
        _: &[Claim],
        _: i64,
    ) -> Result<Vec<Result<Ticket, ClaimRejection>>, StoreError> {
        unimplemented!()
    }
    async fn release(&self, _: &[TicketRef]) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn settle(&self, _: &[TicketRef]) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn retake(&self, _: &TicketRef, _: i64) -> LedgerAnswer<()> {
        unimplemented!()
    }
    async fn find(&self, _: OrderNo, _: Option<ProductId>) -> Result<Option<TicketRecord>, StoreError> {
        unimplemented!()
    }
    async fn tickets_of(&self, _: BuyerId) -> Result<Vec<Ticket>, StoreError> {
        unimplemented!()
    }
    async fn orphans(&self, _: i64, _: u64) -> Result<Vec<Ticket>, StoreError> {
        unimplemented!()
    }
    async fn deposit(&self, _: &str, _: ProductId, _: Pool, _: i64, _: i64) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn withdraw(&self, _: &str, _: ProductId, _: Pool, _: Withdraw, _: i64) -> LedgerAnswer<i64> {
        let _ = &self.db;
        unimplemented!()
    }
    async fn set_terms(&self, _: ProductId, _: &SaleTerms) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn snapshot(&self, _: ProductId) -> Result<LedgerSnapshot, StoreError> {
        unimplemented!()
    }
    async fn rebuild(&self, _: ProductId, _: &[PoolState], _: &[BuyerState], _: i64) -> Result<(), StoreError> {
        unimplemented!()
    }
}
