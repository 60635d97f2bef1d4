//! Carts in Redis: one hash an owner, changed by Lua scripts so that every step is atomic, also in a Redis Cluster: all
//! keys of one owner share a hash tag.
//!
//! | key | what |
//! |---|---|
//! | `cart:{owner}` | the lines; ends 7 days after the last change |
//! | `cart:{owner}:checkouts` | lines set aside by checkouts that are not concluded, by the first order's number |
//! | `cart:{owner}:moving`, `cart:{owner}:moved:<id>` | a guest's cart on its way to a user, and the mark that it has arrived |
//! | `carts:open` | all that is under way, by the time it began: found there by any node if its own died |
//!
//! `pending` ends what was left half way. A timeout means that a step may have happened: each carries its own identity,
//! so that a repeat changes nothing.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use redis::{FromRedisValue, RedisError, Script, ScriptInvocation};

use super::pending::Record;
use super::{
    CART_LIFE_MS, Cart, CartAnswer, CartChange, CartOwner, CartRejection, CartStore, Ending, StoredLine, Taken, Taking,
    as_offered, offered, too_many,
};
use crate::domain::stock::{OrderLine, QUANTITY_MAX};
use crate::domain::{BuyerId, OrderNo, ProductId};
use crate::persistence::ledger::StockLedger;
use crate::persistence::{Db, StoreError};
use crate::redis_link::RedisLink;

/// Checkouts of one cart that may be under way: beyond it one must be ended first.
const CHECKOUTS_OPEN_MAX: u32 = 16;

/// A script with the prelude that all of them need.
macro_rules! script {
    // `include_str!` takes no function's argument
    ($file:literal) => {
        LazyLock::new(|| Script::new(concat!(include_str!("../lua/cart_prelude.lua"), include_str!($file))))
    };
}

static ADD: LazyLock<Script> = script!("../lua/cart_add.lua");
static SET: LazyLock<Script> = script!("../lua/cart_set.lua");
static REMOVE: LazyLock<Script> = script!("../lua/cart_remove.lua");
static CLEAR: LazyLock<Script> = script!("../lua/cart_clear.lua");
static TAKE: LazyLock<Script> = script!("../lua/cart_take.lua");
static CONCLUDE: LazyLock<Script> = script!("../lua/cart_conclude.lua");

/// Bounds of what a cart's bookkeeping may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CartTerms {
    /// Distinct products in one cart.
    pub lines_max: u64,
    /// A checkout that was not concluded for so long was cut off: if it has no orders, it will never have any.
    pub cut_off_after_ms: i64,
}

/// Carts in Redis.
#[derive(Clone)]
pub struct RedisCarts {
    pub(super) link: RedisLink,
    /// Products, and orders of checkouts that were cut off.
    pub(super) db: Db,
    /// Tickets of checkouts that were cut off.
    pub(super) ledger: Arc<dyn StockLedger>,
    pub(super) terms: CartTerms,
}

/// A hash as it is read.
pub(super) type Fields = Vec<(String, String)>;

/// The keys of one owner.
pub(super) struct Keys {
    pub cart: String,
    pub checkouts: String,
}

impl RedisCarts {
    /// Carts on `link`.
    #[must_use]
    pub const fn new(link: RedisLink, db: Db, ledger: Arc<dyn StockLedger>, terms: CartTerms) -> Self {
        Self { link, db, ledger, terms }
    }

    pub(super) fn keys(&self, owner: &CartOwner) -> Keys {
        let cart = self.link.key(&format!("cart:{{{owner}}}"));
        Keys { checkouts: format!("{cart}:checkouts"), cart }
    }

    pub(super) async fn run<T: FromRedisValue>(
        &self,
        operation: &'static str,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        self.link.script(invocation).await.map_err(failed(operation))
    }

    /// The unexpired lines, last added first, and the checkouts that are not concluded.
    pub(super) async fn read(
        &self,
        owner: &CartOwner,
        now_ms: i64,
    ) -> Result<(Vec<StoredLine>, Vec<Record>), StoreError> {
        let keys = self.keys(owner);
        let mut reading = redis::pipe();
        reading.hgetall(&keys.cart).hgetall(&keys.checkouts);
        let (cart, open): (Fields, Fields) = self.link.pipeline(&reading).await.map_err(failed("reading a cart"))?;
        let records = open.iter().map(|(checkout, text)| Record::read(owner, checkout, text));
        Ok((stored_lines(&cart, now_ms)?, records.collect::<Result<_, _>>()?))
    }
}

#[async_trait(?Send)]
impl CartStore for RedisCarts {
    async fn add(&self, change: &CartChange<'_>, now_ms: i64) -> CartAnswer {
        let stock = match offered(&self.db, change.product).await? {
            Ok(stock) => stock,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let mut adding = ADD.prepare_invoke();
        adding.key(self.keys(change.owner).cart).arg(now_ms).arg(CART_LIFE_MS).arg(change.product.0);
        adding.arg(change.quantity.units()).arg(Ord::min(stock, QUANTITY_MAX)).arg(change.lines_max);
        let (outcome, units): (String, i64) = self.run("adding to a cart", &adding).await?;
        Ok(match outcome.as_str() {
            "ok" => Ok(units),
            "units" => Err(too_many(stock)),
            _ => Err(CartRejection::TooManyLines),
        })
    }

    async fn set(&self, change: &CartChange<'_>, now_ms: i64) -> CartAnswer {
        let stock = match offered(&self.db, change.product).await? {
            Ok(stock) => stock,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let units = change.quantity.units();
        if units > stock {
            return Ok(Err(CartRejection::StockShort { units_left: stock }));
        }
        let mut setting = SET.prepare_invoke();
        setting.key(self.keys(change.owner).cart).arg(now_ms).arg(CART_LIFE_MS).arg(change.product.0).arg(units);
        let is_set: bool = self.run("changing a cart", &setting).await?;
        Ok(if is_set { Ok(units) } else { Err(CartRejection::LineMissing) })
    }

    async fn remove(&self, owner: &CartOwner, product: ProductId, now_ms: i64) -> Result<bool, StoreError> {
        let mut removing = REMOVE.prepare_invoke();
        removing.key(self.keys(owner).cart).arg(now_ms).arg(product.0);
        self.run("removing from a cart", &removing).await
    }

    async fn clear(&self, owner: &CartOwner) -> Result<(), StoreError> {
        let keys = self.keys(owner);
        let mut clearing = CLEAR.prepare_invoke();
        clearing.key(keys.cart).key(keys.checkouts);
        self.run::<i64>("clearing a cart", &clearing).await.map(|_| ())
    }

    async fn load(&self, owner: &CartOwner, now_ms: i64) -> Result<Cart, StoreError> {
        let (mut lines, open) = self.read(owner, now_ms).await?;
        let mut is_changed = false;
        for record in &open {
            is_changed |= self.end_if_known(record, now_ms).await?;
        }
        if is_changed {
            (lines, _) = self.read(owner, now_ms).await?;
        }
        as_offered(&self.db, lines).await
    }

    async fn merge(&self, guest: &str, user: BuyerId, lines_max: u64, now_ms: i64) -> Result<(), StoreError> {
        self.move_cart(guest, user, lines_max, now_ms).await
    }

    async fn take(&self, owner: &CartOwner, lines: &[OrderLine], now_ms: i64) -> Result<Taken, StoreError> {
        let operation = "taking lines out of a cart";
        let Some(first) = lines.first() else { return Ok(Taken::Gone) };
        let (checkout, attempt) = (first.order_no, crate::random::token());
        let taking = Taking { owner: owner.clone(), checkout, attempt, taken_at_ms: now_ms };
        self.note_open(&checkout_entry(owner, checkout), now_ms).await?;
        let keys = self.keys(owner);
        let mut setting_aside = TAKE.prepare_invoke();
        setting_aside.key(keys.cart).key(keys.checkouts).arg(now_ms).arg(CART_LIFE_MS);
        setting_aside.arg(checkout.to_string()).arg(&taking.attempt).arg(CHECKOUTS_OPEN_MAX);
        for line in lines {
            setting_aside.arg(line.product.0).arg(line.quantity.units()).arg(line.order_no.to_string());
        }
        match self.run::<String>(operation, &setting_aside).await {
            Ok(outcome) => match outcome.as_str() {
                "taken" => Ok(Taken::Aside(taking)),
                "busy" => Err(StoreError::Conflict { operation }),
                _ => {
                    self.note_ended(&checkout_entry(owner, checkout)).await;
                    Ok(Taken::Gone)
                }
            },
            Err(error) => {
                // It may have happened: undone at once if Redis answers again, else when the record is found.
                let _ = self.end(&taking, Ending::Refused, now_ms).await;
                Err(error)
            }
        }
    }

    async fn set_aside(&self, owner: &CartOwner, checkout: OrderNo) -> Result<Option<Vec<OrderLine>>, StoreError> {
        Ok(self.record(owner, checkout).await?.map(|record| record.lines))
    }

    async fn conclude(&self, taking: &Taking, ending: Ending, now_ms: i64) -> Result<(), StoreError> {
        self.end(taking, ending, now_ms).await?;
        self.note_ended(&checkout_entry(&taking.owner, taking.checkout)).await;
        Ok(())
    }

    async fn tidy(&self, now_ms: i64) -> Result<u64, StoreError> {
        self.end_cut_off(now_ms).await
    }
}

impl RedisCarts {
    /// Ends an attempt, if it is still the one that has the lines.
    pub(super) async fn end(&self, taking: &Taking, ending: Ending, now_ms: i64) -> Result<(), StoreError> {
        let keys = self.keys(&taking.owner);
        let mut ending_it = CONCLUDE.prepare_invoke();
        ending_it.key(keys.cart).key(keys.checkouts).arg(now_ms).arg(CART_LIFE_MS);
        ending_it.arg(taking.checkout.to_string()).arg(&taking.attempt);
        ending_it.arg(if ending == Ending::Placed { "placed" } else { "refused" }).arg(self.terms.lines_max);
        self.run::<i64>("concluding a checkout", &ending_it).await.map(|_| ())
    }
}

/// How a checkout is named among what is open.
pub(super) fn checkout_entry(owner: &CartOwner, checkout: OrderNo) -> String {
    format!("checkout|{owner}|{checkout}")
}

pub(super) fn failed(operation: &'static str) -> impl Fn(RedisError) -> StoreError {
    move |source| StoreError::Redis { operation, source }
}

/// A cart's hash as lines, last added first; none if its time is over.
pub(super) fn stored_lines(fields: &[(String, String)], now_ms: i64) -> Result<Vec<StoredLine>, StoreError> {
    let ends_at_ms = fields.iter().find(|(field, _)| field == "t").and_then(|(_, at)| at.parse::<i64>().ok());
    if ends_at_ms.is_none_or(|ends_at_ms| ends_at_ms <= now_ms) {
        return Ok(Vec::new());
    }
    let mut lines = Vec::with_capacity(fields.len());
    for (field, value) in fields.iter().filter(|(field, _)| !["t", "to", "id"].contains(&field.as_str())) {
        let read = || {
            let (units, added_at_ms) = value.split_once(':')?;
            let line = StoredLine { product: ProductId(field.parse().ok()?), quantity: units.parse().ok()? };
            Some((added_at_ms.parse::<i64>().ok()?, line))
        };
        lines.push(read().ok_or_else(|| StoreError::Corrupt { what: format!("line {field} of a cart") })?);
    }
    lines.sort_by_key(|(added_at_ms, line)| std::cmp::Reverse((*added_at_ms, line.product)));
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}
