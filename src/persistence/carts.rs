//! Carts: lines of products that somebody means to buy. A cart belongs to a user or, until he signs in, to a guest's
//! token. It promises no units and no price: both are read when it is shown, and decided when the order is placed.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;

use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait, QueryOrder as _, QuerySelect as _, Set};

use super::error::StoreError;
use super::products::entity as product;
use super::products::{STATUS_ON_SHELF, free_units};
use super::{Db, users};
use crate::domain::stock::QUANTITY_MAX;
use crate::domain::{BuyerId, Money, ProductId, Quantity};

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

/// A cart is forgotten this long after its last change.
pub const CART_LIFE_MS: i64 = 7 * 24 * 3_600_000;
/// Longest token of a guest, in bytes.
pub const GUEST_TOKEN_BYTES_MAX: usize = 60;

/// Whose cart; written `u:{id}` or `g:{token}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CartOwner {
    /// Signed in.
    User(BuyerId),
    /// Not yet; a token that cannot be guessed, at most [`GUEST_TOKEN_BYTES_MAX`] bytes.
    Guest(String),
}

impl fmt::Display for CartOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "u:{id}"),
            Self::Guest(token) => write!(f, "g:{token}"),
        }
    }
}

/// One product in a cart, as it is offered now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartLine {
    /// Which product.
    pub product: ProductId,
    /// Its name now.
    pub name: String,
    /// Its picture now.
    pub image_url: String,
    /// Its price now.
    pub price: Money,
    /// 1..=999.
    pub quantity: i64,
    /// `price * quantity`.
    pub sub_total: Money,
    /// Units in the free pool.
    pub stock: i64,
    /// False: off the shelf or deleted; not part of the totals.
    pub available: bool,
}

/// A cart with its totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cart {
    /// Last added first.
    pub lines: Vec<CartLine>,
    /// Units of all available lines.
    pub total_count: i64,
    /// Price of all available lines.
    pub total_price: Money,
}

/// Why a cart was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CartRejection {
    /// No such product.
    ProductMissing,
    /// The product cannot be bought now.
    OffShelf,
    /// More than the free units.
    StockShort {
        /// What there is.
        units_left: i64,
    },
    /// More than 999 of one product.
    TooManyUnits,
    /// More products than a cart may hold.
    TooManyLines,
    /// The product is not in the cart.
    LineMissing,
}

/// How much of what goes where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartChange<'a> {
    /// Whose cart.
    pub owner: &'a CartOwner,
    /// Which product.
    pub product: ProductId,
    /// How many more, or how many in all.
    pub quantity: Quantity,
    /// Distinct products that a cart may hold.
    pub lines_max: u64,
}

/// Puts `quantity` more of a product into a cart; returns the units that are in it then.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn add(db: &Db, change: &CartChange<'_>, now_ms: i64) -> Result<Result<i64, CartRejection>, StoreError> {
    let operation = "adding to a cart";
    let stock = match offered(db, change.product).await? {
        Ok(stock) => stock,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let owner = change.owner.to_string();
    let earlier = Cell::new(None);
    let attempt = async || {
        db.write(operation, async |tx| {
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

/// Sets how many of a product are in a cart.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn set(db: &Db, change: &CartChange<'_>, now_ms: i64) -> Result<Result<i64, CartRejection>, StoreError> {
    let operation = "changing a cart";
    let stock = match offered(db, change.product).await? {
        Ok(stock) => stock,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let (owner, units) = (change.owner.to_string(), change.quantity.units());
    if units > stock {
        return Ok(Err(CartRejection::StockShort { units_left: stock }));
    }
    db.write(operation, async |tx| {
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

/// Takes a product out of a cart. False: it was not in it.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn remove(db: &Db, owner: &CartOwner, product: ProductId) -> Result<bool, StoreError> {
    let operation = "removing from a cart";
    db.write(operation, async |tx| {
        let delete = Entity::delete_by_id((owner.to_string(), product.0));
        Ok(delete.exec(tx).await.map_err(StoreError::during(operation))?.rows_affected == 1)
    })
    .await
}

/// Empties a cart; harmless if it is empty.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn clear(db: &Db, owner: &CartOwner) -> Result<(), StoreError> {
    db.write("clearing a cart", async |tx| delete_all(tx, &owner.to_string()).await).await
}

/// A cart with the names, pictures and prices of now.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn load(db: &Db, owner: &CartOwner, now_ms: i64) -> Result<Cart, StoreError> {
    let rows = lines_of(db.reader(), &owner.to_string(), now_ms).await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.product_id).collect();
    let offered = product::Entity::find()
        .filter(product::Column::Id.is_in(ids.iter().copied()))
        .all(db.reader())
        .await
        .map_err(StoreError::during("loading the products of a cart"))?;
    let mut offered: HashMap<i64, product::Model> = offered.into_iter().map(|row| (row.id, row)).collect();
    let stock = free_units(db, &ids).await?;
    let lines: Vec<CartLine> = rows
        .into_iter()
        .filter_map(|row| {
            let product = offered.remove(&row.product_id)?;
            Some(line(&row, product, stock.get(&row.product_id).copied().unwrap_or(0)))
        })
        .collect();
    let available = || lines.iter().filter(|line| line.available);
    let total_count = available().map(|line| line.quantity).sum();
    let total_price = available().map(|line| line.sub_total).sum();
    Ok(Cart { lines, total_count, total_price })
}

/// Moves a guest's cart into the user's when he signs in: units add up to at most 999, lines beyond `lines_max` are
/// left behind, and the guest's cart is gone.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn merge(db: &Db, guest: &str, user: BuyerId, lines_max: u64, now_ms: i64) -> Result<(), StoreError> {
    let operation = "merging carts";
    let (guest, owner) = (CartOwner::Guest(guest.to_owned()).to_string(), CartOwner::User(user).to_string());
    let attempt = async || {
        db.write(operation, async |tx| {
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

/// Deletes lines that expired; returns how many.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn purge(db: &Db, now_ms: i64) -> Result<u64, StoreError> {
    let operation = "purging carts";
    db.write(operation, async |tx| {
        let delete = Entity::delete_many().filter(Column::ExpiresAtMs.lte(now_ms));
        Ok(delete.exec(tx).await.map_err(StoreError::during(operation))?.rows_affected)
    })
    .await
}

/// Free units of a product that can be put into a cart.
async fn offered(db: &Db, product: ProductId) -> Result<Result<i64, CartRejection>, StoreError> {
    match super::products::card(db, product).await? {
        None => Ok(Err(CartRejection::ProductMissing)),
        Some(card) if !card.on_shelf => Ok(Err(CartRejection::OffShelf)),
        Some(_) => Ok(Ok(free_units(db, &[product.0]).await?.get(&product.0).copied().unwrap_or(0))),
    }
}

const fn too_many(stock: i64) -> CartRejection {
    if stock < QUANTITY_MAX { CartRejection::StockShort { units_left: stock } } else { CartRejection::TooManyUnits }
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

fn line(row: &Model, product: product::Model, stock: i64) -> CartLine {
    let price = Money::from_fen(product.price_fen);
    CartLine {
        product: ProductId(row.product_id),
        name: product.name,
        image_url: product.image_url,
        price,
        quantity: row.quantity,
        sub_total: Money::from_fen(price.fen().saturating_mul(row.quantity)),
        stock,
        available: product.status == STATUS_ON_SHELF,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::products::{self, ProductChanges, STATUS_OFF_SHELF};
    use crate::persistence::testing::{NOW_MS, database, item, product, user};

    const LINES_MAX: u64 = 3;

    async fn add_units(db: &Db, owner: &CartOwner, product: ProductId, units: i64) -> Result<i64, CartRejection> {
        let quantity = Quantity::try_from(units).unwrap();
        add(db, &CartChange { owner, product, quantity, lines_max: LINES_MAX }, NOW_MS).await.unwrap()
    }

    async fn content(db: &Db, owner: &CartOwner, now_ms: i64) -> Vec<(i64, i64)> {
        let cart = load(db, owner, now_ms).await.unwrap();
        let mut lines: Vec<_> = cart.lines.iter().map(|line| (line.product.0, line.quantity)).collect();
        lines.sort_unstable();
        lines
    }

    #[actix_rt::test]
    async fn units_add_up_to_999_and_to_what_is_there() {
        let (db, _dir) = database().await;
        let owner = CartOwner::User(user(&db, "li").await.id);
        let much = product(&db, &item("much", 100), 10_000).await;
        let little = product(&db, &item("little", 100), 2).await;
        assert_eq!(add_units(&db, &owner, much, 900).await, Ok(900));
        assert_eq!(add_units(&db, &owner, much, 99).await, Ok(999));
        assert_eq!(add_units(&db, &owner, much, 1).await, Err(CartRejection::TooManyUnits));
        assert_eq!(add_units(&db, &owner, little, 3).await, Err(CartRejection::StockShort { units_left: 2 }));
        assert_eq!(add_units(&db, &owner, ProductId(99), 1).await, Err(CartRejection::ProductMissing));
        let clicks = futures::future::join_all((0..4).map(|_| add_units(&db, &owner, little, 1))).await;
        assert_eq!(clicks.iter().filter(|click| click.is_ok()).count(), 2);
        assert_eq!(content(&db, &owner, NOW_MS).await, [(much.0, 999), (little.0, 2)]);
    }

    #[actix_rt::test]
    async fn a_cart_holds_so_many_products() {
        let (db, _dir) = database().await;
        let owner = CartOwner::Guest("token".to_owned());
        for number in 1..=4 {
            let id = product(&db, &item("x", 100), 10).await;
            let expected = if number <= LINES_MAX { Ok(1) } else { Err(CartRejection::TooManyLines) };
            assert_eq!(add_units(&db, &owner, id, 1).await, expected);
        }
        assert!(remove(&db, &owner, ProductId(1)).await.unwrap());
        assert!(!remove(&db, &owner, ProductId(1)).await.unwrap());
        assert_eq!(add_units(&db, &owner, ProductId(4), 1).await, Ok(1));
        clear(&db, &owner).await.unwrap();
        assert!(content(&db, &owner, NOW_MS).await.is_empty());
    }

    #[actix_rt::test]
    async fn totals_count_what_can_be_bought_at_the_price_of_now() {
        let (db, _dir) = database().await;
        let owner = CartOwner::User(user(&db, "li").await.id);
        let kept = product(&db, &item("kept", 1_999), 10).await;
        let gone = product(&db, &item("gone", 100), 10).await;
        add_units(&db, &owner, kept, 3).await.unwrap();
        add_units(&db, &owner, gone, 1).await.unwrap();
        let off = ProductChanges { status: Some(STATUS_OFF_SHELF), ..ProductChanges::default() };
        products::update(&db, gone, &off, NOW_MS).await.unwrap().unwrap();
        assert_eq!(add_units(&db, &owner, gone, 1).await, Err(CartRejection::OffShelf));
        let cart = load(&db, &owner, NOW_MS).await.unwrap();
        assert_eq!((cart.lines.len(), cart.total_count, cart.total_price.fen()), (2, 3, 5_997));
        let five = CartChange { owner: &owner, product: kept, quantity: Quantity::try_from(5).unwrap(), lines_max: 3 };
        assert_eq!(set(&db, &five, NOW_MS).await.unwrap(), Ok(5));
        assert_eq!(load(&db, &owner, NOW_MS).await.unwrap().total_price.fen(), 9_995);
        let missing = CartChange { owner: &CartOwner::User(BuyerId(99)), ..five };
        assert_eq!(set(&db, &missing, NOW_MS).await.unwrap(), Err(CartRejection::LineMissing));
    }

    #[actix_rt::test]
    async fn a_cart_is_forgotten_a_week_after_its_last_change() {
        let (db, _dir) = database().await;
        let owner = CartOwner::Guest("token".to_owned());
        let id = product(&db, &item("x", 100), 10).await;
        add_units(&db, &owner, id, 4).await.unwrap();
        assert_eq!(content(&db, &owner, NOW_MS + CART_LIFE_MS - 1).await, [(id.0, 4)]);
        assert!(content(&db, &owner, NOW_MS + CART_LIFE_MS).await.is_empty());
        let again = CartChange { owner: &owner, product: id, quantity: Quantity::ONE, lines_max: LINES_MAX };
        assert_eq!(add(&db, &again, NOW_MS + CART_LIFE_MS).await.unwrap(), Ok(1));
        assert_eq!(purge(&db, NOW_MS + 3 * CART_LIFE_MS).await.unwrap(), 1);
    }

    #[actix_rt::test]
    async fn a_guests_cart_moves_in_once() {
        let (db, _dir) = database().await;
        let li = user(&db, "li").await.id;
        let (guest, owner) = (CartOwner::Guest("token".to_owned()), CartOwner::User(li));
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(product(&db, &item("x", 100), 10_000).await);
        }
        add_units(&db, &owner, ids[0], 600).await.unwrap();
        add_units(&db, &owner, ids[1], 1).await.unwrap();
        for (id, units) in [(ids[0], 600), (ids[2], 2), (ids[3], 3)] {
            add_units(&db, &guest, id, units).await.unwrap();
        }
        let merges = (0..3).map(|_| merge(&db, "token", li, LINES_MAX, NOW_MS));
        assert!(futures::future::join_all(merges).await.into_iter().all(|merged| merged.is_ok()));
        let merged = content(&db, &owner, NOW_MS).await;
        assert_eq!(merged, [(ids[0].0, 999), (ids[1].0, 1), (ids[3].0, 3)]); // the guest's oldest line found no room
        assert!(content(&db, &guest, NOW_MS).await.is_empty());
    }
}
