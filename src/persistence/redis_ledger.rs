//! The stock ledger on Redis, one server or a cluster: every method is one Lua script on the keys of one product.
//!
//! All keys of a product share a hash tag, so a script is atomic in a Redis Cluster too; what concerns several products
//! is one call for each, sent together. The scripts (`lua/*.lua`) say what they read, write and cost; `lua/fence.lua`
//! describes the keys. Memory, as Redis counts it: about 260 bytes for an unsettled ticket of a flash sale with its buyer,
//! about 230 for a settled one with its buyer; its mark, half of that, lasts 48 hours.
//!
//! **Never by a stale account.** An account belongs to the Redis process that it was written under; any other answers
//! [`StoreError::LedgerLost`] and changes nothing until [`StockLedger::rebuild`]. **Never guessed.** After a timeout the
//! outcome is unknown and the caller asks `find`; numbers that Redis may have forgotten are looked up among the orders.
//! **One clock a question.** The window of a sale is judged by the caller's `now_ms` in the step that takes the units, so
//! its edge is as sharp as the nodes' clocks agree (NTP: milliseconds); marks are dated by Redis' own clock.

mod accounts;
mod call;
mod give_back;
mod moves;
mod products;
mod reads;
mod rebuild;
mod record;
mod reserve;
mod scripts;

use std::sync::Arc;

use async_trait::async_trait;

use self::call::Redis;
use self::products::Products;
use super::db::Db;
use super::error::StoreError;
use super::ledger::{
    BuyerState, LedgerAnswer, LedgerSnapshot, LostAccount, Rebuild, StockLedger, TicketRecord, TicketRef, Withdraw,
};
use crate::domain::sale::SaleTerms;
use crate::domain::stock::{Claim, ClaimRejection, Pool, Ticket};
use crate::domain::{BuyerId, OrderNo, ProductId};
use crate::redis_link::RedisLink;

/// The ledger in Redis; clones share the connection and what this node has learned.
#[derive(Clone)]
pub struct RedisLedger {
    redis: Redis,
    /// Settled orders are remembered here, and tickets that cannot be read are kept here.
    db: Db,
    products: Arc<Products>,
}

impl RedisLedger {
    /// A ledger on that Redis, for the shop of that database.
    #[must_use]
    pub fn new(link: RedisLink, db: Db) -> Self {
        Self { redis: Redis::new(link), db, products: Arc::default() }
    }
}

#[async_trait(?Send)]
impl StockLedger for RedisLedger {
    async fn reserve(
        &self,
        product: ProductId,
        claims: &[Claim],
        now_ms: i64,
    ) -> Result<Vec<Result<Ticket, ClaimRejection>>, StoreError> {
        self.reserve_batch(product, claims, now_ms).await
    }

    async fn release(&self, tickets: &[TicketRef]) -> Result<(), StoreError> {
        self.release_all(tickets).await
    }

    async fn settle(&self, tickets: &[TicketRef]) -> Result<(), StoreError> {
        self.settle_all(tickets).await
    }

    async fn retake(&self, ticket: &TicketRef, now_ms: i64) -> LedgerAnswer<()> {
        self.retake_one(ticket, now_ms).await
    }

    async fn find(&self, order_no: OrderNo, product: Option<ProductId>) -> Result<Option<TicketRecord>, StoreError> {
        match product.or_else(|| self.products.of_order(order_no)) {
            Some(product) => self.find_in(product, order_no).await,
            None => self.find_anywhere(order_no).await,
        }
    }

    async fn tickets_of(&self, buyer: BuyerId) -> Result<Vec<Ticket>, StoreError> {
        self.tickets_of_buyer(buyer).await
    }

    async fn orphans(&self, accepted_before_ms: i64, limit: u64) -> Result<Vec<Ticket>, StoreError> {
        self.oldest_tickets(accepted_before_ms, limit).await
    }

    async fn deposit(
        &self,
        step_id: &str,
        product: ProductId,
        pool: Pool,
        units: i64,
        _now_ms: i64,
    ) -> Result<(), StoreError> {
        self.deposit_units(step_id, product, pool, units).await
    }

    async fn withdraw(
        &self,
        step_id: &str,
        product: ProductId,
        pool: Pool,
        units: Withdraw,
        _now_ms: i64,
    ) -> LedgerAnswer<i64> {
        self.withdraw_units(step_id, product, pool, units).await
    }

    async fn set_terms(&self, product: ProductId, terms: &SaleTerms) -> Result<(), StoreError> {
        self.write_terms(product, terms).await
    }

    async fn snapshot(&self, product: ProductId) -> Result<LedgerSnapshot, StoreError> {
        self.read_pools(product).await
    }

    async fn begin_rebuild(&self, product: ProductId) -> Result<Option<LostAccount>, StoreError> {
        self.begin_turn(product).await
    }

    async fn rebuild(&self, product: ProductId, rebuild: &Rebuild) -> Result<bool, StoreError> {
        self.write_account(product, rebuild).await
    }

    async fn unsettled(&self, product: ProductId) -> Result<Vec<Ticket>, StoreError> {
        self.all_tickets(product).await
    }

    async fn buyers(&self, product: ProductId) -> Result<Vec<BuyerState>, StoreError> {
        self.all_buyers(product).await
    }

    async fn suspend(&self, product: ProductId) -> Result<(), StoreError> {
        self.suspend_account(product).await
    }

    fn is_shared(&self) -> bool {
        true
    }
}
