//! Units in and out of the ledger by step id, and sale terms.

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult};

use super::accounts::{PoolAccount, add_free, insert_pool, pools, terms_text};
use crate::domain::ProductId;
use crate::domain::sale::SaleTerms;
use crate::domain::stock::{ClaimRejection, Pool};
use crate::persistence::db::Db;
use crate::persistence::error::StoreError;
use crate::persistence::ledger::{LedgerAnswer, Withdraw};
use crate::persistence::query;

const OPERATION: &str = "moving ledger units";

/// One step of a move.
pub(super) struct Step<'a> {
    pub(super) id: &'a str,
    pub(super) product: ProductId,
    pub(super) pool: Pool,
    pub(super) now_ms: i64,
}

#[derive(FromQueryResult)]
struct MoveRow {
    units: i64,
}

async fn units_of(tx: &impl ConnectionTrait, step_id: &str) -> Result<Option<i64>, StoreError> {
    let select =
        Query::select().column("units").from("ledger_moves").and_where(Expr::col("step_id").eq(step_id)).to_owned();
    Ok(query::one::<MoveRow>(tx, &select, OPERATION).await?.map(|row| row.units))
}

async fn record(tx: &impl ConnectionTrait, step: &Step<'_>, units: i64) -> Result<(), StoreError> {
    let row = vec![step.id.into(), units.into(), step.now_ms.into()];
    query::insert_rows(tx, "ledger_moves", &["step_id", "units", "at_ms"], vec![row], None).await
}

pub(super) async fn deposit(db: &Db, step: Step<'_>, units: i64) -> Result<(), StoreError> {
    db.write(OPERATION, async |tx| {
        let pools = pools(tx, step.product, true).await?;
        if units_of(tx, step.id).await?.is_some() {
            return Ok(());
        }
        record(tx, &step, units).await?;
        match pools.get(&step.pool) {
            Some(_) => add_free(tx, step.product, step.pool, units).await,
            None => {
                let epoch = pools.values().map(|account| account.epoch).max().unwrap_or(0);
                insert_pool(tx, step.product, step.pool, &PoolAccount { free: units, terms: None, epoch }).await
            }
        }
    })
    .await
}

pub(super) async fn withdraw(db: &Db, step: Step<'_>, units: Withdraw) -> LedgerAnswer<i64> {
    db.write(OPERATION, async |tx| withdraw_in(tx, &step, units).await).await
}

async fn withdraw_in(tx: &DatabaseTransaction, step: &Step<'_>, units: Withdraw) -> LedgerAnswer<i64> {
    let pools = pools(tx, step.product, true).await?;
    if let Some(units) = units_of(tx, step.id).await? {
        return Ok(Ok(units));
    }
    let free = pools.get(&step.pool).map(|account| account.free);
    let units = match (units, free) {
        (Withdraw::Exactly(_), None) => return Ok(Err(ClaimRejection::PoolNotFound)),
        (Withdraw::Exactly(units), Some(0)) if units > 0 => return Ok(Err(ClaimRejection::SoldOut)),
        (Withdraw::Exactly(units), Some(free)) if units > free => {
            return Ok(Err(ClaimRejection::StockShort { units_left: free }));
        }
        (Withdraw::Exactly(units), Some(_)) => units,
        (Withdraw::UpTo(units), free) => Ord::min(units, free.unwrap_or(0)),
        (Withdraw::All, free) => free.unwrap_or(0),
    };
    record(tx, step, units).await?;
    if units != 0 {
        add_free(tx, step.product, step.pool, -units).await?;
    }
    Ok(Ok(units))
}

pub(super) async fn set_terms(db: &Db, product: ProductId, terms: &SaleTerms) -> Result<(), StoreError> {
    let pool = Pool::Sale(terms.sale);
    db.write("writing sale terms", async |tx| {
        let pools = pools(tx, product, true).await?;
        if !pools.contains_key(&pool) {
            let epoch = pools.values().map(|account| account.epoch).max().unwrap_or(0);
            return insert_pool(tx, product, pool, &PoolAccount { free: 0, terms: Some(*terms), epoch }).await;
        }
        let update = Query::update()
            .table("ledger_pools")
            .value("terms", terms_text(terms)?)
            .and_where(Expr::col("product_id").eq(product.0))
            .and_where(Expr::col("pool").eq(i64::from(pool)))
            .to_owned();
        query::execute(tx, &update, OPERATION).await?;
        Ok(())
    })
    .await
}
