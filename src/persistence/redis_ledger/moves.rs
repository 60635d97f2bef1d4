//! Units in and out of the ledger by step id, and sale terms.

use super::{RedisLedger, record, scripts};
use crate::domain::ProductId;
use crate::domain::sale::SaleTerms;
use crate::domain::stock::Pool;
use crate::persistence::error::StoreError;
use crate::persistence::ledger::{LedgerAnswer, Withdraw};

const OPERATION: &str = "moving ledger units";
/// Keys that a move uses.
const KEYS: usize = 9;

impl RedisLedger {
    pub(super) async fn deposit_units(
        &self,
        step_id: &str,
        product: ProductId,
        pool: Pool,
        units: i64,
    ) -> Result<(), StoreError> {
        self.enter(product).await?;
        self.move_units(step_id, product, pool, ("in", units))
            .await?
            .map(|_| ())
            .map_err(|_| record::corrupt(OPERATION))
    }

    pub(super) async fn withdraw_units(
        &self,
        step_id: &str,
        product: ProductId,
        pool: Pool,
        units: Withdraw,
    ) -> LedgerAnswer<i64> {
        let how = match units {
            Withdraw::Exactly(units) => ("exactly", units),
            Withdraw::UpTo(units) => ("upto", units),
            Withdraw::All => ("all", 0),
        };
        self.move_units(step_id, product, pool, how).await
    }

    async fn move_units(
        &self,
        step_id: &str,
        product: ProductId,
        pool: Pool,
        (how, units): (&str, i64),
    ) -> LedgerAnswer<i64> {
        let mut call = self.redis.call(OPERATION, &scripts::MOVE, product, KEYS);
        call.arg(step_id).arg(i64::from(pool)).arg(how).arg(units);
        let reply = self.redis.run(&call).await?;
        let answer = reply.first().map(record::text).unwrap_or_default();
        match record::refusal(&answer) {
            Some(refusal) => Ok(Err(refusal)),
            None => record::number(&answer, OPERATION).map(Ok),
        }
    }

    pub(super) async fn write_terms(&self, product: ProductId, terms: &SaleTerms) -> Result<(), StoreError> {
        self.enter(product).await?;
        let mut call = self.redis.call("writing sale terms", &scripts::SET_TERMS, product, 2);
        call.arg(terms.sale.0).arg(record::terms_text(terms));
        self.redis.run(&call).await.map(|_| ())
    }
}
