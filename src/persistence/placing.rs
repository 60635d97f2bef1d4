//! The writer of new orders: one transaction for many groups of tickets, because rows and commits decide the pace.
//!
//! An order costs one row each in `orders`, `order_items` and `order_events`; a batch costs one update for each pool
//! it touches and one outbox row. The database is the last authority over units: where it has none, an owed ticket
//! becomes a failed order (so that its buyer is told and its promise taken back), an atomic group is refused. Over the
//! buyers' limits it is the last authority only for tickets of an account that the ledger has lost (`limits`).
//! A duplicate finds its order and changes nothing.

mod limits;
mod rows;

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult};

use super::db::Db;
use super::error::StoreError;
use super::outbox::PoolLevel;
use super::query;
use super::stock::{self, StockDelta};
use crate::domain::order::{FailReason, OrderStatus};
use crate::domain::stock::{ClaimRejection, Pool, Ticket};
use crate::domain::{OrderNo, ProductId};
use crate::failpoint;
use limits::Limits;
use rows::NewOrder;

const OPERATION: &str = "placing orders";

/// Tickets that become orders together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderGroup {
    /// At least one. Owed tickets should come one a group: a group is unplaceable as a whole.
    pub tickets: Vec<Ticket>,
    /// All or nothing (checkout); otherwise a ticket without units becomes a failed order.
    pub atomic: bool,
    /// Cart lines to remove in the same commit.
    pub clears_cart_of: Option<ClearedCart>,
}

/// Lines of a cart that became orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClearedCart {
    /// `cart_items.owner`.
    pub owner: String,
    /// The products whose lines go.
    pub products: Vec<ProductId>,
}

/// What holds for new orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceTerms {
    /// An order is to be paid within this time from the commit, in milliseconds.
    pub pay_deadline_ms: i64,
}

/// What became of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupOutcome {
    /// Every ticket has its order now (or had it before: a duplicate is harmless).
    Placed {
        /// Orders that have their units.
        placed: Vec<OrderNo>,
        /// Orders written as failed: the database had no unit. Their tickets are released by an effect.
        failed: Vec<OrderNo>,
    },
    /// Atomic, and a unit was missing: nothing was written.
    Refused {
        /// Of which product.
        product: ProductId,
        /// None left, or too few.
        rejection: ClaimRejection,
    },
    /// The lines are not in the cart any more: another checkout ordered them, or they were taken out. Nothing was
    /// written.
    CartGone,
    /// Cannot become an order however often it is tried: nothing was written.
    Unplaceable(UnplaceableReason),
}

/// Why a group can never be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnplaceableReason {
    /// The product is not in the database.
    #[error("product {0} does not exist")]
    UnknownProduct(ProductId),
}

/// What the transaction read, and what it is going to write.
struct Batch<'a> {
    existing: HashMap<OrderNo, OrderStatus>,
    products: HashMap<ProductId, Named>,
    limits: Limits,
    free: HashMap<(ProductId, Pool), i64>,
    deltas: BTreeMap<(ProductId, Pool), StockDelta>,
    orders: Vec<NewOrder<'a>>,
    in_cart: HashSet<(String, ProductId)>,
    carts: Vec<&'a ClearedCart>,
}

/// A product's name and picture, as an order keeps them.
#[derive(Clone, Debug, Default)]
struct Named {
    name: String,
    image_url: String,
    /// Of the account that the ledger has now; `None` if it keeps none outside the database.
    epoch: Option<i64>,
}

/// Writes the orders of all groups, in one transaction; outcomes in the order of `groups`.
///
/// # Errors
/// [`StoreError`]; nothing is written then, or all of it if the commit's answer was lost: repeat it.
pub async fn place(
    db: &Db,
    groups: &[OrderGroup],
    terms: PlaceTerms,
    now_ms: i64,
) -> Result<Vec<GroupOutcome>, StoreError> {
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    failpoint::reach("placing.place.before");
    let outcomes = db
        .write(OPERATION, async |tx| {
            let mut batch = Batch::read(tx, groups.iter().flat_map(|group| &group.tickets)).await?;
            batch.in_cart = in_cart(tx, groups).await?;
            let outcomes = groups.iter().map(|group| batch.judge(group)).collect();
            batch.write(tx, terms, now_ms).await?;
            Ok(outcomes)
        })
        .await?;
    failpoint::reach("placing.place.after");
    Ok(outcomes)
}

/// Writes failed orders for tickets that could not be placed after all attempts (dead letters), with the effects that
/// release their units; tickets that have an order already are left alone. The product need not exist.
///
/// # Errors
/// [`StoreError`].
pub async fn place_failed(
    db: &Db,
    tickets: &[Ticket],
    reason: FailReason,
    terms: PlaceTerms,
    now_ms: i64,
) -> Result<(), StoreError> {
    db.write("burying tickets", async |tx| {
        let mut batch = Batch::read(tx, tickets.iter()).await?;
        for ticket in tickets {
            if !batch.existing.contains_key(&ticket.claim.order_no) {
                batch.add(ticket, Some(reason));
            }
        }
        batch.write(tx, terms, now_ms).await
    })
    .await
}

impl<'a> Batch<'a> {
    async fn read(
        tx: &DatabaseTransaction,
        tickets: impl Iterator<Item = &'a Ticket> + Clone,
    ) -> Result<Self, StoreError> {
        let mut products: Vec<ProductId> = tickets.clone().map(|ticket| ticket.claim.product).collect();
        products.sort_unstable();
        products.dedup();
        let stock = stock::lock(tx, &products).await?;
        let (existing, products) = (existing(tx, tickets.clone()).await?, named(tx, &products).await?);
        let is_of_interest =
            |ticket: &&Ticket| is_older(&products, ticket) && !existing.contains_key(&ticket.claim.order_no);
        let older: Vec<&Ticket> = tickets.filter(is_of_interest).collect();
        Ok(Self {
            limits: Limits::read(tx, &older).await?,
            existing,
            products,
            free: stock.into_iter().map(|row| ((row.product, row.pool), row.free)).collect(),
            deltas: BTreeMap::new(),
            orders: Vec::new(),
            in_cart: HashSet::new(),
            carts: Vec::new(),
        })
    }

    fn judge(&mut self, group: &'a OrderGroup) -> GroupOutcome {
        let unknown = group.tickets.iter().find(|ticket| self.is_new(ticket) && !self.is_known_product(ticket));
        if let Some(ticket) = unknown {
            return GroupOutcome::Unplaceable(UnplaceableReason::UnknownProduct(ticket.claim.product));
        }
        // A second click on "check out" finds the lines gone (R1); a repeat of the first finds its orders.
        let is_repeat = !group.tickets.iter().any(|ticket| self.is_new(ticket));
        let cart = group.clears_cart_of.as_ref().filter(|_| !is_repeat);
        if cart.is_some_and(|cart| !cart.lines().all(|line| self.in_cart.contains(&line))) {
            return GroupOutcome::CartGone;
        }
        if group.atomic
            && let Err((product, rejection)) = self.all_in_stock(&group.tickets)
        {
            return GroupOutcome::Refused { product, rejection };
        }
        let (mut placed, mut failed) = (Vec::new(), Vec::new());
        for ticket in &group.tickets {
            if self.is_new(ticket) {
                let is_short = self.free_for(ticket) < ticket.claim.quantity.units();
                let over_limit = (!self.limits.allow(&ticket.claim)).then_some(FailReason::OverLimit);
                self.add(ticket, over_limit.or_else(|| is_short.then_some(FailReason::SoldOut)));
            }
            let is_failed = self.existing.get(&ticket.claim.order_no) == Some(&OrderStatus::Failed);
            if is_failed { &mut failed } else { &mut placed }.push(ticket.claim.order_no);
        }
        // A repeat must not empty a cart that was filled again meanwhile.
        if let Some(cart) = cart {
            self.in_cart.retain(|line| !cart.lines().any(|taken| taken == *line));
            self.carts.push(cart);
        }
        GroupOutcome::Placed { placed, failed }
    }

    fn is_new(&self, ticket: &Ticket) -> bool {
        !self.existing.contains_key(&ticket.claim.order_no)
    }

    fn is_known_product(&self, ticket: &Ticket) -> bool {
        self.products.contains_key(&ticket.claim.product)
    }

    fn free_for(&self, ticket: &Ticket) -> i64 {
        self.free.get(&(ticket.claim.product, ticket.claim.pool)).copied().unwrap_or(0)
    }

    /// Whether all new tickets of an atomic group find units, lines of the same pool taken together (R10).
    fn all_in_stock(&self, tickets: &[Ticket]) -> Result<(), (ProductId, ClaimRejection)> {
        let mut wanted: HashMap<(ProductId, Pool), i64> = HashMap::new();
        for ticket in tickets.iter().filter(|ticket| self.is_new(ticket)) {
            let total = wanted.entry((ticket.claim.product, ticket.claim.pool)).or_default();
            *total += ticket.claim.quantity.units();
            let units_left = self.free_for(ticket);
            if *total > units_left {
                let none = units_left <= 0;
                let rejection = if none { ClaimRejection::SoldOut } else { ClaimRejection::StockShort { units_left } };
                return Err((ticket.claim.product, rejection));
            }
        }
        Ok(())
    }

    /// Takes the ticket's units, unless it has failed, and notes its order for writing.
    fn add(&mut self, ticket: &'a Ticket, failed: Option<FailReason>) {
        let claim = &ticket.claim;
        let status = if failed.is_some() { OrderStatus::Failed } else { OrderStatus::PendingPayment };
        if failed.is_none() {
            let (pool, units) = ((claim.product, claim.pool), claim.quantity.units());
            *self.free.entry(pool).or_default() -= units;
            let delta = self.deltas.entry(pool).or_default();
            (delta.free, delta.held) = (delta.free - units, delta.held + units);
            self.limits.take(ticket, is_older(&self.products, ticket));
        }
        self.existing.insert(claim.order_no, status);
        self.orders.push(NewOrder { ticket, failed });
    }

    fn levels(&self) -> Vec<PoolLevel> {
        let taken_from = self.deltas.iter().filter(|(_, delta)| delta.free < 0);
        let level = |(&(product, pool), delta): (&(ProductId, Pool), &StockDelta)| {
            let after = self.free.get(&(product, pool)).copied().unwrap_or_default();
            PoolLevel { product, pool, before: after - delta.free, after }
        };
        taken_from.map(level).collect()
    }

    async fn write(self, tx: &DatabaseTransaction, terms: PlaceTerms, now_ms: i64) -> Result<(), StoreError> {
        if self.orders.is_empty() {
            return Ok(());
        }
        if !stock::apply_all(tx, &self.deltas).await? {
            return Err(StoreError::Conflict { operation: OPERATION });
        }
        self.limits.outdate(tx).await?;
        let (levels, pay_deadline_ms) = (self.levels(), now_ms.saturating_add(terms.pay_deadline_ms));
        match rows::write(tx, &self.orders, &self.products, levels, pay_deadline_ms, now_ms).await {
            // Another node wrote one of these orders after we looked: the next try finds it.
            Err(error) if error.is_duplicate() => return Err(StoreError::Conflict { operation: OPERATION }),
            outcome => outcome?,
        }
        for cart in self.carts {
            let delete = Query::delete()
                .from_table("cart_items")
                .and_where(Expr::col("owner").eq(cart.owner.as_str()))
                .and_where(Expr::col("product_id").is_in(cart.products.iter().map(|product| product.0)))
                .to_owned();
            query::execute(tx, &delete, OPERATION).await?;
        }
        Ok(())
    }
}

impl ClearedCart {
    fn lines(&self) -> impl Iterator<Item = (String, ProductId)> {
        self.products.iter().map(|product| (self.owner.clone(), *product))
    }
}

#[derive(FromQueryResult)]
struct CartRow {
    owner: String,
    product_id: i64,
}

/// Which lines the carts have that these groups order.
async fn in_cart(tx: &impl ConnectionTrait, groups: &[OrderGroup]) -> Result<HashSet<(String, ProductId)>, StoreError> {
    let mut owners: Vec<String> =
        groups.iter().filter_map(|group| group.clears_cart_of.as_ref()).map(|cart| cart.owner.clone()).collect();
    owners.sort_unstable();
    owners.dedup();
    let rows: Vec<CartRow> = query::by_keys(tx, &owners, OPERATION, |owners| {
        let mut select = Query::select();
        select.columns(["owner", "product_id"]).from("cart_items").and_where(Expr::col("owner").is_in(owners));
        query::locked(select, tx)
    })
    .await?;
    Ok(rows.into_iter().map(|row| (row.owner, ProductId(row.product_id))).collect())
}

#[derive(FromQueryResult)]
struct Existing {
    order_no: String,
    status: i16,
}

async fn existing<'a>(
    tx: &impl ConnectionTrait,
    tickets: impl Iterator<Item = &'a Ticket>,
) -> Result<HashMap<OrderNo, OrderStatus>, StoreError> {
    let keys: Vec<String> = tickets.map(|ticket| ticket.claim.order_no.to_string()).collect();
    let rows: Vec<Existing> = query::by_keys(tx, &keys, OPERATION, |keys| {
        let columns = ["order_no", "status"];
        Query::select().columns(columns).from("orders").and_where(Expr::col("order_no").is_in(keys)).to_owned()
    })
    .await?;
    rows.into_iter()
        .map(|row| {
            let unreadable = || StoreError::Corrupt { what: format!("status of order {}", row.order_no) };
            Ok((query::order_no(&row.order_no)?, OrderStatus::from_code(row.status).ok_or_else(unreadable)?))
        })
        .collect()
}

/// True if the ledger has lost the account that accepted the ticket.
fn is_older(products: &HashMap<ProductId, Named>, ticket: &Ticket) -> bool {
    products.get(&ticket.claim.product).and_then(|product| product.epoch).is_some_and(|epoch| ticket.epoch < epoch)
}

#[derive(FromQueryResult)]
struct ProductRow {
    id: i64,
    name: String,
    image_url: String,
    epoch: Option<i64>,
}

async fn named(tx: &impl ConnectionTrait, products: &[ProductId]) -> Result<HashMap<ProductId, Named>, StoreError> {
    let ids: Vec<i64> = products.iter().map(|product| product.0).collect();
    let rows: Vec<ProductRow> = query::by_keys(tx, &ids, OPERATION, |ids| {
        let of_product = Expr::col(("ledger_accounts", "product_id")).equals(("products", "id"));
        Query::select()
            .columns(["id", "name", "image_url"].map(|column| ("products", column)))
            .column(("ledger_accounts", "epoch"))
            .from("products")
            .left_join("ledger_accounts", of_product)
            .and_where(Expr::col(("products", "id")).is_in(ids))
            .to_owned()
    })
    .await?;
    let named = |ProductRow { id, name, image_url, epoch }| (ProductId(id), Named { name, image_url, epoch });
    Ok(rows.into_iter().map(named).collect())
}

#[cfg(test)]
mod tests;
