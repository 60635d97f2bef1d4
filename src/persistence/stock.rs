//! The authority over units: one row a pool, changed only by conditional updates.

use serde::Serialize;

use super::db::Db;
use super::error::StoreError;
use crate::domain::ProductId;
use crate::domain::stock::Pool;

/// Where the units of one pool are: `put_in` = `free` + `held` + `sold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StockRow {
    /// Of what.
    pub product: ProductId,
    /// In which pool.
    pub pool: Pool,
    /// Ever put into this pool, less what was taken out.
    pub put_in: i64,
    /// For sale.
    pub free: i64,
    /// Under unpaid orders.
    pub held: i64,
    /// Under paid orders.
    pub sold: i64,
}

/// A change of one row; every count must stay at least 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockDelta {
    /// Added to `put_in`.
    pub put_in: i64,
    /// Added to `free`.
    pub free: i64,
    /// Added to `held`.
    pub held: i64,
    /// Added to `sold`.
    pub sold: i64,
}

/// All pools of a product, the free pool first.
///
/// # Errors
/// [`StoreError`].
pub async fn of_product(_db: &Db, _product: ProductId) -> Result<Vec<StockRow>, StoreError> {
    unimplemented!()
}

/// All pools of several products, by product and pool.
///
/// # Errors
/// [`StoreError`].
pub async fn of_products(_db: &Db, _products: &[ProductId]) -> Result<Vec<StockRow>, StoreError> {
    unimplemented!()
}
