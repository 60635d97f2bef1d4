//! Durable moves of units between the outside, the free pool and the sales' pools.
//!
//! | step | undo | repeated |
//! |---|---|---|
//! | row in `stock_moves` | refusal written into it | same row |
//! | ledger: units withdrawn from the pool that gives | deposit back | same `step_id`, same units |
//! | SQL: `stock` (and `sales`) changed, row says so | none: from here on it is finished | the row's step is compared |
//! | ledger: terms written, units deposited in the pool that gets | none | same `step_id`, once |
//!
//! Who loses units loses them at the gate first, who gains them gains them in SQL first: so the gate never promises a
//! unit that the authority does not have. After a crash the row is found and the steps are run again.

mod purging;
mod run;

use serde::{Deserialize, Serialize};

use super::db::Db;
use super::error::StoreError;
use super::ledger::StockLedger;
use crate::domain::sale::SaleTerms;
use crate::domain::{ProductId, SaleId};
use run::Move;
pub(super) use run::{begin, open_steps, planned};

/// How long the row of an ended move is kept, in milliseconds: a repeat under its id comes long before (7 days).
pub const KEPT_MS: i64 = 7 * 24 * 3_600_000;
/// A move whose id begins so may be repeated at any time: its row is kept for ever.
pub const FIXED_ID_PREFIX: &str = "0DEM";

/// What an administrator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StockPlan {
    /// New goods into the free pool.
    PutIn {
        /// How many, 1..=`POOL_UNITS_MAX`.
        units: i64,
    },
    /// Goods out of the free pool; all or none.
    TakeOut {
        /// How many, 1..=`POOL_UNITS_MAX`.
        units: i64,
    },
    /// Let the free pool have so many units: the difference to what is free now is put in or taken out (R15).
    SetFree {
        /// How many shall be free, 0..=`POOL_UNITS_MAX`.
        units: i64,
    },
    /// Open the pool of a sale that is in the `sales` table, with units from the free pool. Refused: the row is deleted.
    PlanSale {
        /// The terms, with the row's id.
        terms: SaleTerms,
        /// How many, 0..=`POOL_UNITS_MAX`.
        units: i64,
    },
    /// Write new terms into the `sales` row and the ledger.
    ChangeTerms {
        /// The new terms.
        terms: SaleTerms,
    },
    /// More units from the free pool for a sale, or (negative) back.
    RestockSale {
        /// Which sale.
        sale: SaleId,
        /// How many.
        units: i64,
    },
    /// Let a sale have so many units left: the difference to what is free in it now comes from or goes to the free pool.
    SetSale {
        /// Which sale.
        sale: SaleId,
        /// How many shall be free, 0..=`POOL_UNITS_MAX`.
        units: i64,
    },
    /// End a sale for good and return what is left to the free pool. May be run again when cancelled orders have
    /// brought units back into a closed sale's pool.
    CloseSale {
        /// Which sale.
        sale: SaleId,
    },
}

impl StockPlan {
    /// Its name in the history.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::PutIn { .. } => "put_in",
            Self::TakeOut { .. } => "take_out",
            Self::SetFree { .. } => "set_free",
            Self::PlanSale { .. } => "sale_plan",
            Self::ChangeTerms { .. } => "sale_terms",
            Self::RestockSale { .. } => "sale_restock",
            Self::SetSale { .. } => "sale_set",
            Self::CloseSale { .. } => "sale_close",
        }
    }

    /// True if what moves depends on what is free when it begins.
    const fn is_difference(self) -> bool {
        matches!(self, Self::SetFree { .. } | Self::SetSale { .. })
    }
}

/// The move is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MoveDone {
    /// Units moved; negative if a `SetFree`, `SetSale` or `RestockSale` took away.
    pub units: i64,
}

/// Why units are not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MoveRefusal {
    /// The pool that shall give has fewer units.
    #[error("only {units_left} left to move")]
    Short {
        /// What it has.
        units_left: i64,
    },
    /// The product has no such sale.
    #[error("no such sale")]
    NoSuchSale,
    /// The sale is closed.
    #[error("the sale is closed")]
    SaleClosed,
    /// Outside the plan's bounds.
    #[error("number of units out of range")]
    OutOfRange,
}

/// Runs a plan to its end; a repeat with the same `move_id` (26 characters) answers the same.
///
/// # Errors
/// [`StoreError`]; the move is then finished by [`resume_pending`].
pub async fn run(
    db: &Db,
    ledger: &dyn StockLedger,
    move_id: &str,
    product: ProductId,
    plan: StockPlan,
    now_ms: i64,
) -> Result<Result<MoveDone, MoveRefusal>, StoreError> {
    let step = Move { db, ledger, move_id, product, now_ms };
    begin(db.writer(), move_id, product, plan, now_ms).await?;
    step.finish().await
}

/// What the move of that id shall do, and with which product; `None` if it was never begun, or ended [`KEPT_MS`] ago.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn find(db: &Db, move_id: &str) -> Result<Option<(ProductId, StockPlan)>, StoreError> {
    planned(db.reader(), move_id).await
}

/// Deletes moves that ended [`KEPT_MS`] ago, except those with fixed ids, and the ledger's memory of their steps;
/// answers how many rows went.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn purge(db: &Db, now_ms: i64) -> Result<u64, StoreError> {
    purging::purge(db, now_ms.saturating_sub(KEPT_MS)).await
}

/// Finishes moves that were begun more than `older_than_ms` ago and not ended; answers the products they touched.
///
/// # Errors
/// [`StoreError`] if they cannot be listed; one that fails again is logged and left for the next time.
pub async fn resume_pending(
    db: &Db,
    ledger: &dyn StockLedger,
    older_than_ms: i64,
    now_ms: i64,
) -> Result<Vec<ProductId>, StoreError> {
    let mut products = Vec::new();
    for (move_id, product) in run::pending(db, now_ms.saturating_sub(older_than_ms)).await? {
        match (Move { db, ledger, move_id: &move_id, product, now_ms }).finish().await {
            Ok(outcome) => {
                tracing::info!(move_id, %product, ?outcome, "stock move resumed");
                products.push(product);
            }
            Err(error) => tracing::error!(move_id, %product, %error, "stock move failed again"),
        }
    }
    Ok(products)
}
