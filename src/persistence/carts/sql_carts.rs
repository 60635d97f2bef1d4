//! Carts in the database: one row a line. A checkout's lines leave the cart in the transaction that writes its orders,
//! so there is never anything to put back.

use std::cell::Cell;

use async_trait::async_trait;
use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait, QueryOrder as _, QuerySelect as _, Set};

use super::{
    CART_LIFE_MS, Cart, CartAnswer, CartChange, CartOwner, CartRejection, CartStore, Ending, StoredLine, Taken, Taking,
    as_offered, offered, too_many,
};
use crate::domain::stock::{OrderLine, QUANTITY_MAX};
use crate::domain::{BuyerId, OrderNo, ProductId};
use crate::persistence::placing::ClearedCart;
use crate::persistence::{Db, StoreError, users};

mod entity {
    //! Table `cart_items`.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "cart_items")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub owner: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub product_id: i64,
        pub quantity: i64,
        pub added_at_ms: i64,
        pub expires_at_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{ActiveModel, Column, Entity, Model};

/// Carts in the database.
#[derive(Clone, Debug)]
pub struct SqlCarts {
    db: Db,
}

impl SqlCarts {
    /// Carts in `db`.
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait(?Send)]
impl CartStore for SqlCarts {
    async fn add(&self, change: &CartChange<'_>, now_ms: i64) -> CartAnswer {
        let operation = "adding to a cart";
        let stock = match offered(&self.db, change.product).await? {
            Ok(stock) => stock,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let owner = change.owner.to_string();
        let earlier = Cell::new(None);
        let attempt = async || {
            self.db
                .write(operation, async |tx| {
                    let failed = StoreError::during(operation);
                    forget_expired(tx, &owner, now_ms).await?;
                    let lines = lines_of(tx, &owner, now_ms).await?;
                    let present = lines.iter().find(|line| line.product_id == change.product.0);
                    let (more, units_max) = (change.quantity.units(), Ord::min(stock, QUANTITY_MAX));
                    let units = more + present.map_or(0, |line| line.quantity);
                    let expires_at_ms = now_ms.saturating_add(CART_LIFE_MS);
                    if let (Some(done), Some(line)) = (earlier.get(), present)
                        && (line.quantity, line.expires_at_ms) == (done, expires_at_ms)
                    {
                        return Ok(Ok(done)); // the first try's commit came through without an answer
                    }
                    if units > units_max {
                        return Ok(Err(too_many(stock)));
                    }
                    if present.is_some() {
                        // Relative and bounded in the statement: two clicks that both came this far still add up.
                        let update = Entity::update_many()
                            .col_expr(Column::Quantity, ExprTrait::add(Expr::col(Column::Quantity), more))
                            .filter(Column::Owner.eq(&owner))
                            .filter(Column::ProductId.eq(change.product.0))
                            .filter(Column::Quantity.lte(units_max - more));
                        if update.exec(tx).await.map_err(&failed)?.rows_affected == 0 {
                            return Ok(Err(too_many(stock)));
                        }
                    } else if lines.len() as u64 >= change.lines_max {
                        return Ok(Err(CartRejection::TooManyLines));
                    } else {
                        let row = row(&owner, change.product.0, units, now_ms);
                        Entity::insert(row).exec_without_returning(tx).await.map_err(&failed)?;
                    }
                    touch(tx, &owner, now_ms).await?;
                    earlier.set(Some(units));
                    Ok(Ok(units))
                })
                .await
        };
        again_if_duplicate(attempt).await
    }

    async fn set(&self, change: &CartChange<'_>, now_ms: i64) -> CartAnswer {
        let operation = "changing a cart";
        let stock = match offered(&self.db, change.product).await? {
            Ok(stock) => stock,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let (owner, units) = (change.owner.to_string(), change.quantity.units());
        if units > stock {
            return Ok(Err(CartRejection::StockShort { units_left: stock }));
        }
        self.db
            .write(operation, async |tx| {
                let update = Entity::update_many()
                    .col_expr(Column::Quantity, Expr::value(units))
                    .filter(Column::Owner.eq(&owner))
                    .filter(Column::ProductId.eq(change.product.0))
                    .filter(Column::ExpiresAtMs.gt(now_ms));
                if update.exec(tx).await.map_err(StoreError::during(operation))?.rows_affected == 0 {
                    return Ok(Err(CartRejection::LineMissing));
                }
                touch(tx, &owner, now_ms).await?;
                Ok(Ok(units))
            })
            .await
    }

    async fn remove(&self, owner: &CartOwner, product: ProductId, now_ms: i64) -> Result<bool, StoreError> {
        let operation = "removing from a cart";
        let owner = owner.to_string();
        self.db
            .write(operation, async |tx| {
                let delete = Entity::delete_many()
                    .filter(Column::Owner.eq(&owner))
                    .filter(Column::ProductId.eq(product.0))
                    .filter(Column::ExpiresAtMs.gt(now_ms));
                Ok(delete.exec(tx).await.map_err(StoreError::during(operation))?.rows_affected == 1)
            })
            .await
    }

    async fn clear(&self, owner: &CartOwner) -> Result<(), StoreError> {
        self.db.write("clearing a cart", async |tx| delete_all(tx, &owner.to_string()).await).await
    }

    async fn load(&self, owner: &CartOwner, now_ms: i64) -> Result<Cart, StoreError> {
        let rows = lines_of(self.db.reader(), &owner.to_string(), now_ms).await?;
        let stored = |row: Model| StoredLine { product: ProductId(row.product_id), quantity: row.quantity };
        as_offered(&self.db, rows.into_iter().map(stored).collect()).await
    }

    async fn merge(&self, guest: &str, user: BuyerId, lines_max: u64, now_ms: i64) -> Result<(), StoreError> {
        let operation = "merging carts";
        let (guest, owner) = (CartOwner::Guest(guest.to_owned()).to_string(), CartOwner::User(user).to_string());
        let attempt = async || {
            self.db
                .write(operation, async |tx| {
                    let user = users::entity::Entity::find_by_id(user.0).lock_exclusive(); // one merge at a time
                    user.one(tx).await.map_err(StoreError::during(operation))?;
                    let brought = lines_of(tx, &guest, now_ms).await?;
                    if brought.is_empty() {
                        return Ok(());
                    }
                    forget_expired(tx, &owner, now_ms).await?;
                    let own = lines_of(tx, &owner, now_ms).await?;
                    let mut room = usize::try_from(lines_max).unwrap_or(usize::MAX).saturating_sub(own.len());
                    for line in brought {
                        let present = own.iter().find(|other| other.product_id == line.product_id);
                        match present {
                            Some(present) => {
                                set_in(tx, present, Ord::min(present.quantity + line.quantity, QUANTITY_MAX)).await?
                            }
                            None if room == 0 => {}
                            None => {
                                room -= 1;
                                let row = row(&owner, line.product_id, line.quantity, now_ms);
                                let inserted = Entity::insert(row).exec_without_returning(tx).await;
                                inserted.map_err(StoreError::during(operation))?;
                            }
                        }
                    }
                    delete_all(tx, &guest).await?;
                    touch(tx, &owner, now_ms).await
                })
                .await
        };
        again_if_duplicate(attempt).await
    }

    async fn take(&self, owner: &CartOwner, lines: &[OrderLine], _now_ms: i64) -> Result<Taken, StoreError> {
        let products = lines.iter().map(|line| line.product).collect();
        Ok(Taken::WithTheOrders(ClearedCart { owner: owner.to_string(), products }))
    }

    async fn set_aside(&self, _owner: &CartOwner, _checkout: OrderNo) -> Result<Option<Vec<OrderLine>>, StoreError> {
        Ok(None)
    }

    async fn conclude(&self, _taking: &Taking, _ending: Ending, _now_ms: i64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn tidy(&self, now_ms: i64) -> Result<u64, StoreError> {
        let operation = "purging carts";
        self.db
            .write(operation, async |tx| {
                let delete = Entity::delete_many().filter(Column::ExpiresAtMs.lte(now_ms));
                Ok(delete.exec(tx).await.map_err(StoreError::during(operation))?.rows_affected)
            })
            .await
    }
}

/// Two transactions may both find a line missing and insert it; the loser then finds it.
async fn again_if_duplicate<T>(attempt: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    match attempt().await {
        Err(error) if error.is_duplicate() => attempt().await,
        outcome => outcome,
    }
}

/// Unexpired lines, last added first.
async fn lines_of(db: &impl ConnectionTrait, owner: &str, now_ms: i64) -> Result<Vec<Model>, StoreError> {
    Entity::find()
        .filter(Column::Owner.eq(owner))
        .filter(Column::ExpiresAtMs.gt(now_ms))
        .order_by_desc(Column::AddedAtMs)
        .order_by_desc(Column::ProductId)
        .all(db)
        .await
        .map_err(StoreError::during("reading a cart"))
}

async fn forget_expired(tx: &impl ConnectionTrait, owner: &str, now_ms: i64) -> Result<(), StoreError> {
    let expired = Entity::delete_many().filter(Column::Owner.eq(owner)).filter(Column::ExpiresAtMs.lte(now_ms));
    expired.exec(tx).await.map_err(StoreError::during("forgetting expired cart lines"))?;
    Ok(())
}

async fn delete_all(tx: &impl ConnectionTrait, owner: &str) -> Result<(), StoreError> {
    let delete = Entity::delete_many().filter(Column::Owner.eq(owner));
    delete.exec(tx).await.map_err(StoreError::during("clearing a cart"))?;
    Ok(())
}

async fn set_in(tx: &impl ConnectionTrait, line: &Model, quantity: i64) -> Result<(), StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::Quantity, Expr::value(quantity))
        .filter(Column::Owner.eq(&line.owner))
        .filter(Column::ProductId.eq(line.product_id));
    update.exec(tx).await.map_err(StoreError::during("changing a cart"))?;
    Ok(())
}

/// A changed cart lives for its full time again, with all its lines.
async fn touch(tx: &impl ConnectionTrait, owner: &str, now_ms: i64) -> Result<(), StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::ExpiresAtMs, Expr::value(now_ms + CART_LIFE_MS))
        .filter(Column::Owner.eq(owner));
    update.exec(tx).await.map_err(StoreError::during("prolonging a cart"))?;
    Ok(())
}

fn row(owner: &str, product_id: i64, quantity: i64, now_ms: i64) -> ActiveModel {
    ActiveModel {
        owner: Set(owner.to_owned()),
        product_id: Set(product_id),
        quantity: Set(quantity),
        added_at_ms: Set(now_ms),
        expires_at_ms: Set(now_ms + CART_LIFE_MS),
    }
}
