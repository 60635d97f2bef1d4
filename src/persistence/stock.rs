//! The authority over units: one row a pool, changed only by conditional updates inside somebody's transaction.
//!
//! Every row keeps `put_in = free + held + sold`, and no count ever falls below zero: a change that would make one do
//! so touches no row. Transactions lock rows in the order of (product, pool).

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::Serialize;

use super::db::Db;
use super::error::StoreError;
use super::query;
use crate::domain::ProductId;
use crate::domain::order::UnitsState;
use crate::domain::stock::Pool;

/// Where the units of one pool are: `put_in` = `free` + `held` + `sold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StockRow {
    /// Of what.
    pub product: ProductId,
    /// In which pool.
    pub pool: Pool,
    /// Ever put into this pool, less what was taken out or moved on.
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

impl StockDelta {
    /// `units` come in and are free (negative: go).
    #[must_use]
    pub const fn put_in(units: i64) -> Self {
        Self { put_in: units, free: units, held: 0, sold: 0 }
    }

    /// `units` move from where they were counted to where they are counted now.
    #[must_use]
    pub fn moved(from: UnitsState, to: UnitsState, units: i64) -> Self {
        let mut delta = Self::default();
        *delta.count(from) -= units;
        *delta.count(to) += units;
        delta
    }

    const fn count(&mut self, state: UnitsState) -> &mut i64 {
        match state {
            UnitsState::Held => &mut self.held,
            UnitsState::Sold => &mut self.sold,
            UnitsState::Returned => &mut self.free,
        }
    }
}

#[derive(FromQueryResult)]
struct Row {
    product_id: i64,
    pool: i64,
    put_in: i64,
    free: i64,
    held: i64,
    sold: i64,
}

impl From<Row> for StockRow {
    fn from(row: Row) -> Self {
        let Row { product_id, pool, put_in, free, held, sold } = row;
        Self { product: ProductId(product_id), pool: Pool::from(pool), put_in, free, held, sold }
    }
}

fn select() -> SelectStatement {
    Query::select()
        .columns(["product_id", "pool", "put_in", "free", "held", "sold"])
        .from("stock")
        .order_by("product_id", sea_orm::sea_query::Order::Asc)
        .order_by("pool", sea_orm::sea_query::Order::Asc)
        .to_owned()
}

/// All pools of a product, the free pool first.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn of_product(db: &Db, product: ProductId) -> Result<Vec<StockRow>, StoreError> {
    of_products(db, &[product]).await
}

/// All pools of several products, by product and pool.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn of_products(db: &Db, products: &[ProductId]) -> Result<Vec<StockRow>, StoreError> {
    read(db.reader(), products, false).await
}

/// The same inside a transaction, where the rows stay locked until its end.
pub(super) async fn lock(tx: &impl ConnectionTrait, products: &[ProductId]) -> Result<Vec<StockRow>, StoreError> {
    read(tx, products, true).await
}

async fn read(conn: &impl ConnectionTrait, products: &[ProductId], lock: bool) -> Result<Vec<StockRow>, StoreError> {
    let mut ids: Vec<i64> = products.iter().map(|product| product.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows: Vec<Row> = query::by_keys(conn, &ids, "reading stock", |ids| {
        let select = select().and_where(Expr::col("product_id").is_in(ids)).to_owned();
        if lock { query::locked(select, conn) } else { select }
    })
    .await?;
    Ok(rows.into_iter().map(StockRow::from).collect())
}

/// Changes one row if every count stays at least 0; false if not, or if there is no such row.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn apply(
    tx: &impl ConnectionTrait,
    product: ProductId,
    pool: Pool,
    delta: StockDelta,
) -> Result<bool, StoreError> {
    let mut update = Query::update();
    update
        .table("stock")
        .and_where(Expr::col("product_id").eq(product.0))
        .and_where(Expr::col("pool").eq(i64::from(pool)));
    let counts = [("put_in", delta.put_in), ("free", delta.free), ("held", delta.held), ("sold", delta.sold)];
    for (column, change) in counts.into_iter().filter(|(_, change)| *change != 0) {
        update.value(column, Expr::col(column).add(change));
        if change < 0 {
            update.and_where(Expr::col(column).gte(-change));
        }
    }
    if delta == StockDelta::default() {
        return Ok(true);
    }
    Ok(query::execute(tx, &update, "changing stock").await? == 1)
}

/// Makes the row of a pool, empty, if it is missing.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn ensure(tx: &impl ConnectionTrait, product: ProductId, pool: Pool) -> Result<(), StoreError> {
    if lock(tx, &[product]).await?.iter().any(|row| row.pool == pool) {
        return Ok(());
    }
    let row = vec![product.0.into(), i64::from(pool).into(), 0_i64.into(), 0_i64.into(), 0_i64.into(), 0_i64.into()];
    query::insert_rows(tx, "stock", &["product_id", "pool", "put_in", "free", "held", "sold"], vec![row], None).await
}

/// Applies all changes, in lock order; false at the first that falls short (the caller must roll back).
pub(super) async fn apply_all(
    tx: &impl ConnectionTrait,
    deltas: &BTreeMap<(ProductId, Pool), StockDelta>,
) -> Result<bool, StoreError> {
    for ((product, pool), delta) in deltas {
        if !apply(tx, *product, *pool, *delta).await? {
            return Ok(false);
        }
    }
    Ok(true)
}
