//! A new product: its row, its pools without units, and the move of its first units, in one transaction.
//!
//! The id of that move names the product, so that a request that is repeated under the same id finds what it made.

use std::cell::Cell;

use sea_orm::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Query;

use super::entity::{ActiveModel, Column, Entity};
use super::{NewProduct, ProductRejection, json};
use crate::domain::{Pool, ProductId};
use crate::persistence::error::StoreError;
use crate::persistence::stock_moves::{self, StockPlan};
use crate::persistence::{Db, categories};

/// Units that a product begins with.
#[derive(Clone, Copy, Debug)]
pub struct FirstUnits<'a> {
    /// Of the move that brings them, 26 characters.
    pub move_id: &'a str,
    /// How many.
    pub units: i64,
}

impl NewProduct {
    fn row(&self, now_ms: i64) -> ActiveModel {
        ActiveModel {
            name: Set(self.name.clone()),
            description: Set(self.description.clone()),
            category_id: Set(self.category_id),
            price_fen: Set(self.price.fen()),
            image_url: Set(self.image_url.clone()),
            images: Set(json(&self.images)),
            attributes: Set(json(&self.attributes)),
            sales: Set(0),
            rating_hundredths: Set(0),
            status: Set(self.status),
            version: Set(1),
            created_at_ms: Set(now_ms),
            updated_at_ms: Set(now_ms),
            ..Default::default()
        }
    }
}

/// Adds a product, and with it its free pool without units, in the authority and in the SQL ledger.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn insert(db: &Db, new: &NewProduct, now_ms: i64) -> Result<Result<ProductId, ProductRejection>, StoreError> {
    insert_with(db, new, None, now_ms).await
}

/// The same, and begins the move of its first units; under a `move_id` that was begun before it answers the product of
/// that time.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn insert_once(
    db: &Db,
    new: &NewProduct,
    first: FirstUnits<'_>,
    now_ms: i64,
) -> Result<Result<ProductId, ProductRejection>, StoreError> {
    insert_with(db, new, Some(first), now_ms).await
}

async fn insert_with(
    db: &Db,
    new: &NewProduct,
    first: Option<FirstUnits<'_>>,
    now_ms: i64,
) -> Result<Result<ProductId, ProductRejection>, StoreError> {
    let operation = "adding a product";
    let earlier = Cell::new(None);
    db.write(operation, async |tx| {
        let failed = StoreError::during(operation);
        if let Some(id) = earlier.get() {
            // The first try's commit may have come through without an answer.
            let own = Entity::find_by_id(id).filter(Column::Name.eq(&new.name)).filter(Column::CreatedAtMs.eq(now_ms));
            if own.one(tx).await.map_err(&failed)?.is_some() {
                return Ok(Ok(ProductId(id)));
            }
        }
        if let Some(first) = first
            && let Some((product, _)) = stock_moves::planned(tx, first.move_id).await?
        {
            return Ok(Ok(product));
        }
        if new.category_id != 0 && !categories::hold(tx, new.category_id).await? {
            return Ok(Err(ProductRejection::CategoryUnknown));
        }
        let id = Entity::insert(new.row(now_ms)).exec(tx).await.map_err(&failed)?.last_insert_id;
        insert_empty_pools(tx, ProductId(id)).await?;
        if let Some(first) = first {
            begin_first_move(tx, ProductId(id), first, now_ms).await?;
        }
        earlier.set(Some(id));
        Ok(Ok(ProductId(id)))
    })
    .await
}

/// Of two requests under one id the second finds the other's move here, and with it its product when it tries again.
async fn begin_first_move(
    tx: &impl ConnectionTrait,
    id: ProductId,
    FirstUnits { move_id, units }: FirstUnits<'_>,
    now_ms: i64,
) -> Result<(), StoreError> {
    stock_moves::begin(tx, move_id, id, StockPlan::SetFree { units }, now_ms).await?;
    let begun = stock_moves::planned(tx, move_id).await?;
    let is_own = begun.is_some_and(|(product, _)| product == id);
    if is_own { Ok(()) } else { Err(StoreError::Conflict { operation: "adding a product" }) }
}

async fn insert_empty_pools(tx: &impl ConnectionTrait, product: ProductId) -> Result<(), StoreError> {
    let failed = StoreError::during("adding the empty pools of a product");
    let (id, pool) = (product.0, i64::from(Pool::Free));
    let stock = Query::insert()
        .into_table("stock")
        .columns(["product_id", "pool", "put_in", "free", "held", "sold"])
        .values_panic([id.into(), pool.into(), 0_i64.into(), 0_i64.into(), 0_i64.into(), 0_i64.into()])
        .to_owned();
    let ledger = Query::insert()
        .into_table("ledger_pools")
        .columns(["product_id", "pool", "free", "terms", "epoch"])
        .values_panic([id.into(), pool.into(), 0_i64.into(), "".into(), 0_i64.into()])
        .to_owned();
    tx.execute(&stock).await.map_err(&failed)?;
    tx.execute(&ledger).await.map_err(&failed)?;
    Ok(())
}
