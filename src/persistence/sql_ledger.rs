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
mod rebuild;
mod reserve;
mod tickets;

use std::collections::HashMap;

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;

use super::db::Db;
use super::error::StoreError;
use super::ledger::{
    BuyerState, LedgerAnswer, LedgerSnapshot, LostAccount, Rebuild, StockLedger, TicketRecord, TicketRef, Withdraw,
};
use crate::domain::sale::SaleTerms;
use crate::domain::stock::{Claim, ClaimRejection, Pool, Ticket};
use crate::domain::{BuyerId, OrderNo, ProductId};

/// The tickets of those numbers that have become orders, as the orders tell them: the lasting memory of either ledger.
pub(super) async fn placed_tickets(db: &Db, order_nos: &[OrderNo]) -> Result<HashMap<OrderNo, Ticket>, StoreError> {
    tickets::of_orders(db.writer(), order_nos).await // a replica may not have them yet
}

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

    async fn glance_in(&self, tx: &DatabaseTransaction, product: ProductId) -> Result<LedgerSnapshot, StoreError> {
        reads::snapshot_in(tx, product).await
    }

    async fn begin_rebuild(&self, product: ProductId) -> Result<Option<LostAccount>, StoreError> {
        rebuild::begin(&self.db, product).await.map(Some)
    }

    async fn rebuild(&self, product: ProductId, rebuild: &Rebuild) -> Result<bool, StoreError> {
        rebuild::rebuild(&self.db, product, rebuild).await
    }

    async fn unsettled(&self, product: ProductId) -> Result<Vec<Ticket>, StoreError> {
        reads::unsettled(&self.db, product).await
    }

    async fn buyers(&self, product: ProductId) -> Result<Vec<BuyerState>, StoreError> {
        reads::buyers(&self.db, product).await
    }

    async fn suspend(&self, _: ProductId) -> Result<(), StoreError> {
        Ok(()) // it lies in the database itself
    }

    fn is_shared(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::dead_tickets;
    use crate::persistence::fixture::{NOW_MS, PRODUCT, Shop, alone};

    #[actix_rt::test]
    async fn tickets_that_cannot_be_read_do_not_stall_those_behind_them() {
        let shop = Shop::with_units(20).await;
        let mut tickets = Vec::new();
        for _ in 0..8 {
            tickets.push(shop.ticket(Pool::Free, 1, 1).await);
        }
        for poisoned in &tickets[..5] {
            let order_no = poisoned.claim.order_no;
            shop.sql(&format!("UPDATE ledger_tickets SET details = '?' WHERE order_no = '{order_no}'")).await;
        }
        assert_eq!(shop.ledger.orphans(NOW_MS + 1, 2).await.unwrap(), tickets[5..7]);
        assert_eq!(shop.ledger.orphans(NOW_MS + 1, 9).await.unwrap(), tickets[5..]);
        assert_eq!(shop.ledger.tickets_of(BuyerId(1)).await.unwrap().len(), 3);
    }

    #[actix_rt::test]
    async fn a_ticket_that_cannot_be_read_is_buried_and_its_units_come_back() {
        let shop = Shop::with_units(20).await;
        let pool = Pool::Sale(shop.sale(10, 3).await);
        let (bad, placed) = (shop.ticket(pool, 1, 3).await, shop.ticket(pool, 2, 2).await);
        shop.place(&[alone(&placed)]).await;
        shop.sql("UPDATE ledger_tickets SET details = '?'").await;
        for _ in 0..2 {
            assert_eq!(shop.ledger.orphans(NOW_MS + 1, 9).await.unwrap(), []);
        }
        assert_eq!(shop.free(pool).await, 8, "the order keeps its units");
        let (dead, total) = dead_tickets::list(&shop.db, 0, 10).await.unwrap();
        let claim = &dead[0].ticket.claim;
        assert_eq!((total, claim.order_no, claim.quantity), (1, bad.claim.order_no, bad.claim.quantity));
        assert!(dead[0].reason.starts_with("unreadable: ") && dead[0].reason.contains(r#""details":"?""#));
        assert!(shop.ledger.find(bad.claim.order_no, None).await.unwrap().unwrap().returned, "a tombstone stays");
        shop.ticket(pool, 1, 3).await; // the buyer's limit is free again
    }

    #[actix_rt::test]
    async fn a_full_batch_is_reserved_at_once() {
        let shop = Shop::with_units(300).await;
        let pool = Pool::Sale(shop.sale(250, 1).await);
        let claims: Vec<Claim> = (0..256).map(|buyer| shop.claim(pool, buyer, 1)).collect();
        let answers = shop.ledger.reserve(PRODUCT, &claims, NOW_MS).await.unwrap();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 250);
        assert!(answers[250..].iter().all(|answer| *answer == Err(ClaimRejection::SoldOut)));
    }
}
