//! The accounts of one product inside a transaction: units free in its pools, units had by buyers. Read and locked
//! first, changed in memory claim by claim, written once at the end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Order, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::domain::sale::SaleTerms;
use crate::domain::stock::{BuyerUnits, Pool};
use crate::domain::{BuyerId, OrderNo, ProductId};
use crate::persistence::error::StoreError;
use crate::persistence::query;

const OPERATION: &str = "changing the ledger";

/// One row of `ledger_pools`.
#[derive(Clone, Debug)]
pub(super) struct PoolAccount {
    pub(super) free: i64,
    pub(super) terms: Option<SaleTerms>,
    pub(super) epoch: i64,
}

#[derive(FromQueryResult)]
struct PoolRow {
    pool: i64,
    free: i64,
    terms: String,
    epoch: i64,
}

#[derive(FromQueryResult)]
struct BuyerRow {
    pool: i64,
    buyer_id: i64,
    units: i64,
    latest_order_no: String,
}

/// See the file's header.
pub(super) struct Accounts {
    product: ProductId,
    pools: BTreeMap<Pool, PoolAccount>,
    taken: BTreeMap<Pool, i64>,
    buyers: HashMap<(Pool, BuyerId), BuyerUnits>,
    touched: BTreeSet<(Pool, BuyerId)>,
}

impl Accounts {
    /// Reads (and locks) the product's pools, and the accounts of these buyers in its sales.
    pub(super) async fn open(
        tx: &impl ConnectionTrait,
        product: ProductId,
        buyers: &HashSet<(Pool, BuyerId)>,
    ) -> Result<Self, StoreError> {
        let pools = pools(tx, product, true).await?;
        let mut accounts =
            Self { product, pools, taken: BTreeMap::new(), buyers: HashMap::new(), touched: BTreeSet::new() };
        let mut by_sale: BTreeMap<Pool, Vec<i64>> = BTreeMap::new();
        for (pool, buyer) in buyers.iter().filter(|(pool, _)| *pool != Pool::Free) {
            by_sale.entry(*pool).or_default().push(buyer.0);
        }
        for (pool, mut ids) in by_sale {
            ids.sort_unstable();
            accounts.read_buyers(tx, pool, &ids).await?;
        }
        Ok(accounts)
    }

    async fn read_buyers(&mut self, tx: &impl ConnectionTrait, pool: Pool, ids: &[i64]) -> Result<(), StoreError> {
        let rows: Vec<BuyerRow> = query::by_keys(tx, ids, OPERATION, |ids| {
            Query::select()
                .columns(["pool", "buyer_id", "units", "latest_order_no"])
                .from("ledger_buyers")
                .and_where(Expr::col("product_id").eq(self.product.0))
                .and_where(Expr::col("pool").eq(i64::from(pool)))
                .and_where(Expr::col("buyer_id").is_in(ids))
                .to_owned()
        })
        .await?;
        for row in rows {
            let units = BuyerUnits { units: row.units, latest: query::order_no(&row.latest_order_no)? };
            self.buyers.insert((Pool::from(row.pool), BuyerId(row.buyer_id)), units);
        }
        Ok(())
    }

    /// The pool, if claims on it can be judged: a sale's pool without terms cannot.
    pub(super) fn claimable(&self, pool: Pool) -> Option<&PoolAccount> {
        self.pools.get(&pool).filter(|account| pool == Pool::Free || account.terms.is_some())
    }

    /// What the buyer has in that sale.
    pub(super) fn buyer(&self, pool: Pool, buyer: BuyerId) -> Option<BuyerUnits> {
        self.buyers.get(&(pool, buyer)).copied()
    }

    /// Takes `units` for the buyer (who has judged them to be there).
    pub(super) fn take(&mut self, pool: Pool, buyer: BuyerId, units: i64, order_no: OrderNo) {
        self.change_pool(pool, -units);
        if pool != Pool::Free {
            let had = self.buyers.entry((pool, buyer)).or_insert(BuyerUnits { units: 0, latest: order_no });
            *had = BuyerUnits { units: had.units + units, latest: order_no };
            self.touched.insert((pool, buyer));
        }
    }

    /// Gives `units` back to the pool and to the buyer's limit.
    pub(super) fn give_back(&mut self, pool: Pool, buyer: BuyerId, units: i64) {
        self.change_pool(pool, units);
        if let Some(had) = self.buyers.get_mut(&(pool, buyer)) {
            had.units = Ord::max(had.units - units, 0);
            self.touched.insert((pool, buyer));
        }
    }

    fn change_pool(&mut self, pool: Pool, units: i64) {
        *self.taken.entry(pool).or_default() -= units;
        if let Some(account) = self.pools.get_mut(&pool) {
            account.free += units;
        }
    }

    /// Writes what was changed: one update a pool, one upsert for all buyers.
    pub(super) async fn close(self, tx: &impl ConnectionTrait) -> Result<(), StoreError> {
        for (pool, taken) in self.taken.iter().filter(|(_, taken)| **taken != 0) {
            if self.pools.contains_key(pool) {
                add_free(tx, self.product, *pool, -taken).await?;
            } else {
                let account = PoolAccount { free: -taken, terms: None, epoch: 0 };
                insert_pool(tx, self.product, *pool, &account).await?;
            }
        }
        let rows = self.touched.iter().filter_map(|key| self.buyers.get(key).map(|units| (*key, *units)));
        write_buyers(tx, self.product, rows).await
    }
}

/// The product's pools.
pub(super) async fn pools(
    conn: &impl ConnectionTrait,
    product: ProductId,
    lock: bool,
) -> Result<BTreeMap<Pool, PoolAccount>, StoreError> {
    let select = Query::select()
        .columns(["pool", "free", "terms", "epoch"])
        .from("ledger_pools")
        .and_where(Expr::col("product_id").eq(product.0))
        .order_by("pool", Order::Asc)
        .to_owned();
    let select = if lock { query::locked(select, conn) } else { select };
    let rows: Vec<PoolRow> = query::all(conn, &select, "reading ledger pools").await?;
    rows.into_iter()
        .map(|row| {
            let terms = match row.terms.as_str() {
                "" => None,
                text => Some(query::from_json(text, || format!("terms of pool {} of product {product}", row.pool))?),
            };
            Ok((Pool::from(row.pool), PoolAccount { free: row.free, terms, epoch: row.epoch }))
        })
        .collect()
}

/// Adds to a pool's free units (negative: takes), which must not fall below zero.
pub(super) async fn add_free(
    tx: &impl ConnectionTrait,
    product: ProductId,
    pool: Pool,
    units: i64,
) -> Result<(), StoreError> {
    let update = Query::update()
        .table("ledger_pools")
        .value("free", Expr::col("free").add(units))
        .and_where(Expr::col("product_id").eq(product.0))
        .and_where(Expr::col("pool").eq(i64::from(pool)))
        .and_where(Expr::col("free").gte(-units))
        .to_owned();
    match query::execute(tx, &update, OPERATION).await? {
        1 => Ok(()),
        _ => Err(StoreError::Conflict { operation: OPERATION }),
    }
}

/// Writes a new pool.
pub(super) async fn insert_pool(
    tx: &impl ConnectionTrait,
    product: ProductId,
    pool: Pool,
    account: &PoolAccount,
) -> Result<(), StoreError> {
    let terms = account.terms.as_ref().map(terms_text).transpose()?.unwrap_or_default();
    let row = vec![product.0.into(), i64::from(pool).into(), account.free.into(), terms.into(), account.epoch.into()];
    query::insert_rows(tx, "ledger_pools", &["product_id", "pool", "free", "terms", "epoch"], vec![row], None).await
}

/// Terms as stored beside the units.
pub(super) fn terms_text(terms: &SaleTerms) -> Result<String, StoreError> {
    query::to_json(terms, "sale terms")
}

/// Writes buyers' accounts, new or changed.
pub(super) async fn write_buyers(
    tx: &impl ConnectionTrait,
    product: ProductId,
    buyers: impl Iterator<Item = ((Pool, BuyerId), BuyerUnits)>,
) -> Result<(), StoreError> {
    let rows = buyers
        .map(|((pool, buyer), had)| {
            vec![
                product.0.into(),
                i64::from(pool).into(),
                buyer.0.into(),
                had.units.into(),
                had.latest.to_string().into(),
            ]
        })
        .collect();
    let overwrite =
        OnConflict::columns(["product_id", "pool", "buyer_id"]).update_columns(["units", "latest_order_no"]).to_owned();
    let columns = ["product_id", "pool", "buyer_id", "units", "latest_order_no"];
    query::insert_rows(tx, "ledger_buyers", &columns, rows, Some(overwrite)).await
}
