//! Carts: lines of products that somebody means to buy. A cart belongs to a user or, until he signs in, to a guest's
//! token. It promises no units and no price: both are read when it is shown, and decided when the order is placed.
//!
//! [`CartStore`] is the port: the database on one machine, Redis in a cluster; both pass the contract suite in
//! tests/carts. A cart is a convenience: who loses Redis loses carts, never an order.

mod pending;
mod redis_carts;
mod sql_carts;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use sea_orm::entity::prelude::*;

use super::Db;
use super::error::StoreError;
use super::placing::ClearedCart;
use super::products::entity as product;
use super::products::{STATUS_ON_SHELF, free_units};
use crate::domain::stock::{OrderLine, QUANTITY_MAX};
use crate::domain::{BuyerId, Money, OrderNo, ProductId, Quantity};

pub use redis_carts::{CartTerms, RedisCarts};
pub use sql_carts::SqlCarts;

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

/// Not the text of a [`CartOwner`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the owner of a cart")]
pub struct CartOwnerError;

impl FromStr for CartOwner {
    type Err = CartOwnerError;

    fn from_str(text: &str) -> Result<Self, CartOwnerError> {
        match text.split_once(':') {
            Some(("u", id)) => id.parse().map(|id| Self::User(BuyerId(id))).map_err(|_| CartOwnerError),
            Some(("g", token)) => Ok(Self::Guest(token.to_owned())),
            _ => Err(CartOwnerError),
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

/// Units that are in the cart then, or why it was not changed.
pub type CartAnswer = Result<Result<i64, CartRejection>, StoreError>;

/// How lines leave a cart for a checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// In the transaction that writes the orders, not before.
    WithTheOrders(ClearedCart),
    /// They lie aside until the checkout is concluded.
    Aside(Taking),
    /// They are not all in the cart any more: another checkout has them, or the buyer took them out.
    Gone,
}

/// Lines that lie aside for one attempt of a checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taking {
    /// Whose cart.
    pub owner: CartOwner,
    /// The checkout: number of its first order.
    pub checkout: OrderNo,
    /// The attempt: a conclusion of an earlier one that comes late changes nothing.
    pub attempt: String,
    /// When they were taken.
    pub taken_at_ms: i64,
}

/// How a checkout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The orders are written: the lines are forgotten.
    Placed,
    /// Nothing was ordered: the lines go back.
    Refused,
}

/// Keeps carts. Every change is one atomic step or is resumed where it stopped.
///
/// # Errors
/// Every method: [`StoreError`] if the store fails or does not answer in time.
#[async_trait(?Send)]
pub trait CartStore: Send + Sync {
    /// Puts `quantity` more of a product into a cart; answers the units that are in it then.
    async fn add(&self, change: &CartChange<'_>, now_ms: i64) -> CartAnswer;

    /// Sets how many of a product are in a cart.
    async fn set(&self, change: &CartChange<'_>, now_ms: i64) -> CartAnswer;

    /// Takes a product out of a cart. False: it was not in it.
    async fn remove(&self, owner: &CartOwner, product: ProductId, now_ms: i64) -> Result<bool, StoreError>;

    /// Empties a cart, lines that lie aside for a checkout included should it be refused; harmless if it is empty.
    async fn clear(&self, owner: &CartOwner) -> Result<(), StoreError>;

    /// A cart with the names, pictures and prices of now. Lines of a checkout that was cut off are back in it, or
    /// gone, according to its orders.
    async fn load(&self, owner: &CartOwner, now_ms: i64) -> Result<Cart, StoreError>;

    /// Moves a guest's cart into the user's when he signs in: units add up to at most 999, lines beyond `lines_max`
    /// are left behind, and the guest's cart is gone.
    async fn merge(&self, guest: &str, user: BuyerId, lines_max: u64, now_ms: i64) -> Result<(), StoreError>;

    /// Sets the lines of a checkout aside. A repeat under the same order numbers finds its own.
    async fn take(&self, owner: &CartOwner, lines: &[OrderLine], now_ms: i64) -> Result<Taken, StoreError>;

    /// The lines that an earlier attempt of this checkout has set aside, if they still lie there.
    async fn set_aside(&self, owner: &CartOwner, checkout: OrderNo) -> Result<Option<Vec<OrderLine>>, StoreError>;

    /// Forgets the lines or puts them back: merged with what the buyer did meanwhile, not above the cart's bounds.
    async fn conclude(&self, taking: &Taking, ending: Ending, now_ms: i64) -> Result<(), StoreError>;

    /// Ends what processes that died have left half way, and deletes what expired; returns how much that was.
    async fn tidy(&self, now_ms: i64) -> Result<u64, StoreError>;
}

/// A line as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StoredLine {
    product: ProductId,
    quantity: i64,
}

/// Free units of a product that can be put into a cart.
async fn offered(db: &Db, product: ProductId) -> CartAnswer {
    match super::products::card(db, product).await? {
        None => Ok(Err(CartRejection::ProductMissing)),
        Some(card) if !card.on_shelf => Ok(Err(CartRejection::OffShelf)),
        Some(_) => Ok(Ok(free_units(db, &[product.0]).await?.get(&product.0).copied().unwrap_or(0))),
    }
}

const fn too_many(stock: i64) -> CartRejection {
    if stock < QUANTITY_MAX { CartRejection::StockShort { units_left: stock } } else { CartRejection::TooManyUnits }
}

/// Stored lines (last added first) as they are offered now.
async fn as_offered(db: &Db, stored: Vec<StoredLine>) -> Result<Cart, StoreError> {
    if stored.is_empty() {
        return Ok(Cart::default());
    }
    let ids: Vec<i64> = stored.iter().map(|line| line.product.0).collect();
    let offered = product::Entity::find()
        .filter(product::Column::Id.is_in(ids.iter().copied()))
        .all(db.reader())
        .await
        .map_err(StoreError::during("loading the products of a cart"))?;
    let mut offered: HashMap<i64, product::Model> = offered.into_iter().map(|row| (row.id, row)).collect();
    let stock = free_units(db, &ids).await?;
    let lines: Vec<CartLine> = stored
        .into_iter()
        .filter_map(|stored| {
            let product = offered.remove(&stored.product.0)?;
            Some(line(stored, product, stock.get(&stored.product.0).copied().unwrap_or(0)))
        })
        .collect();
    let available = || lines.iter().filter(|line| line.available);
    let total_count = available().map(|line| line.quantity).sum();
    let total_price = available().map(|line| line.sub_total).sum();
    Ok(Cart { lines, total_count, total_price })
}

fn line(stored: StoredLine, product: product::Model, stock: i64) -> CartLine {
    let price = Money::from_fen(product.price_fen);
    CartLine {
        product: stored.product,
        name: product.name,
        image_url: product.image_url,
        price,
        quantity: stored.quantity,
        sub_total: Money::from_fen(price.fen().saturating_mul(stored.quantity)),
        stock,
        available: product.status == STATUS_ON_SHELF,
    }
}
