//! Flash sales: when, at which price, how many for one buyer. Their units lie in the pool of the sale's id.

use serde::Serialize;

use super::db::Db;
use super::error::StoreError;
use crate::domain::sale::SaleTerms;
use crate::domain::{ProductId, SaleId};

/// A planned sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sale {
    /// Of what.
    pub product: ProductId,
    /// Id, window, price, limit, closed or not.
    pub terms: SaleTerms,
    /// Units it was planned with, restocks included.
    pub units_planned: i64,
    /// When it was planned.
    pub created_at_ms: i64,
}

/// A sale with where its units are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaleWithStock {
    /// The sale.
    pub sale: Sale,
    /// Units still free in its pool.
    pub units_left: i64,
    /// Units under unpaid orders.
    pub units_held: i64,
    /// Units under paid orders.
    pub units_sold: i64,
}

/// Why a sale cannot be planned or changed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SaleRefusal {
    /// Another sale of the product that is not closed is open in a part of that time.
    #[error("overlaps with sale {other}")]
    Overlaps {
        /// Which.
        other: SaleId,
    },
    /// No such sale.
    #[error("no such sale")]
    NotFound,
    /// It was closed.
    #[error("the sale is closed")]
    Closed,
}

/// Writes a sale's row; `terms.sale` is ignored and the new id answered in the result. Units follow by
/// `StockPlan::PlanSale`.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    _db: &Db,
    _product: ProductId,
    _terms: SaleTerms,
    _units_planned: i64,
    _now_ms: i64,
) -> Result<Result<Sale, SaleRefusal>, StoreError> {
    unimplemented!()
}

/// Checks new terms (overlap, closed) without writing them: `StockPlan::ChangeTerms` writes them here and in the ledger.
///
/// # Errors
/// [`StoreError`].
pub async fn check_change(_db: &Db, _terms: &SaleTerms) -> Result<Result<Sale, SaleRefusal>, StoreError> {
    unimplemented!()
}

/// One sale.
///
/// # Errors
/// [`StoreError`].
pub async fn find(_db: &Db, _sale: SaleId) -> Result<Option<SaleWithStock>, StoreError> {
    unimplemented!()
}

/// Sales that end after `ends_after_ms`, or all; those that open first come first. And how many there are.
///
/// # Errors
/// [`StoreError`].
pub async fn list(
    _db: &Db,
    _ends_after_ms: Option<i64>,
    _offset: u64,
    _limit: u64,
) -> Result<(Vec<SaleWithStock>, u64), StoreError> {
    unimplemented!()
}

/// All sales of a product, by opening time.
///
/// # Errors
/// [`StoreError`].
pub async fn of_product(_db: &Db, _product: ProductId) -> Result<Vec<SaleWithStock>, StoreError> {
    unimplemented!()
}

/// Closed sales whose pool has free units again (orders cancelled after the close): each wants another `CloseSale`.
///
/// # Errors
/// [`StoreError`].
pub async fn stranded(_db: &Db, _limit: u64) -> Result<Vec<(ProductId, SaleId)>, StoreError> {
    unimplemented!()
}
