//! Durable moves of units between the outside, the free pool and the sales' pools.

use serde::{Deserialize, Serialize};

use super::db::Db;
use super::error::StoreError;
use super::ledger::StockLedger;
use crate::domain::sale::SaleTerms;
use crate::domain::{ProductId, SaleId};

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
    /// End a sale for good and return what is left to the free pool. May be run again when cancelled orders have
    /// brought units back into a closed sale's pool.
    CloseSale {
        /// Which sale.
        sale: SaleId,
    },
}

/// The move is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MoveDone {
    /// Units moved; negative if a `SetFree` or `RestockSale` took away.
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
    _db: &Db,
    _ledger: &dyn StockLedger,
    _move_id: &str,
    _product: ProductId,
    _plan: StockPlan,
    _now_ms: i64,
) -> Result<Result<MoveDone, MoveRefusal>, StoreError> {
    unimplemented!()
}

/// Finishes moves that were begun more than `older_than_ms` ago and not ended; answers the products they touched.
///
/// # Errors
/// [`StoreError`] if they cannot be listed; one that fails again is logged and left for the next time.
pub async fn resume_pending(
    _db: &Db,
    _ledger: &dyn StockLedger,
    _older_than_ms: i64,
    _now_ms: i64,
) -> Result<Vec<ProductId>, StoreError> {
    unimplemented!()
}
