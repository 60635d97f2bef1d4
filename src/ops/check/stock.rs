//! Units: the authority in itself, against the orders, against the ledger, and each buyer's account.
//!
//! At any moment, for each pool: ledger free = SQL free − units under tickets without an order − units whose return to
//! the ledger is still owed. For a buyer in a sale: ledger units = units under his orders + the same two. Products with
//! a stock move or a retake under way are left out: their units are between the two.

use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query, SelectStatement};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::Invariant;
use super::stream::Orders;
use crate::domain::order::Effect;
use crate::domain::stock::Pool;
use crate::domain::{BuyerId, ProductId};
use crate::persistence::{StoreError, query};

const OPERATION: &str = "checking units";

#[derive(FromQueryResult)]
struct StockRow {
    product_id: i64,
    pool: i64,
    put_in: i64,
    free: i64,
    held: i64,
    sold: i64,
}

#[derive(FromQueryResult)]
struct PoolRow {
    product_id: i64,
    pool: i64,
    free: i64,
}

#[derive(FromQueryResult)]
struct BuyerRow {
    product_id: i64,
    pool: i64,
    buyer_id: i64,
    units: i64,
}

#[derive(FromQueryResult)]
struct Flying {
    product_id: i64,
    pool: i64,
    buyer_id: i64,
    quantity: i64,
}

#[derive(FromQueryResult)]
struct Busy {
    product_id: i64,
}

#[derive(FromQueryResult)]
struct Limit {
    id: i64,
    units_per_buyer_max: i64,
}

type PoolKey = (ProductId, Pool);
type BuyerKey = (ProductId, Pool, BuyerId);

/// Units that the ledger has given out and SQL has not, or has back already.
#[derive(Default)]
struct InFlight {
    by_pool: HashMap<PoolKey, i64>,
    by_buyer: HashMap<BuyerKey, i64>,
    busy: HashSet<ProductId>,
}

/// `with_ledger`: the ledger lies in the database too.
pub(super) async fn check(
    tx: &impl ConnectionTrait,
    orders: &Orders,
    with_ledger: bool,
) -> Result<Vec<Invariant>, StoreError> {
    let mut sums = Invariant::new("units add up");
    let mut positive = Invariant::new("nothing is negative");
    let mut follow = Invariant::new("units follow orders");
    let mut free = HashMap::new();
    let columns = ["product_id", "pool", "put_in", "free", "held", "sold"];
    let rows: Vec<StockRow> = query::all(tx, &table("stock", &columns), OPERATION).await?;
    for row in &rows {
        let key = (ProductId(row.product_id), Pool::from(row.pool));
        let StockRow { put_in, free: units_free, held, sold, .. } = row;
        sums.expect(*put_in == units_free + held + sold, || {
            format!("{}: put in {put_in}, free {units_free}, held {held}, sold {sold}", named(key))
        });
        let least = [put_in, units_free, held, sold].into_iter().min().copied().unwrap_or(0);
        positive.expect(least >= 0, || format!("{}: {least} in stock", named(key)));
        let ordered = orders.by_pool.get(&key).copied().unwrap_or_default();
        follow.expect((*held, *sold) == (ordered.held, ordered.sold), || {
            format!("{}: held {held} and sold {sold}, by orders {} and {}", named(key), ordered.held, ordered.sold)
        });
        free.insert(key, *units_free);
    }
    for (key, units) in orders.by_pool.iter().filter(|(key, _)| !free.contains_key(*key)) {
        let units = units.held + units.sold;
        follow.expect(units == 0, || format!("{}: {units} under orders, no stock row", named(*key)));
    }
    if !with_ledger {
        return Ok(vec![sums, positive, follow]);
    }
    let flying = InFlight::read(tx).await?;
    let ledger = check_pools(tx, &free, &flying, &mut positive).await?;
    let buyers = check_buyers(tx, orders, &flying, &mut positive).await?;
    Ok(vec![sums, positive, follow, ledger, buyers])
}

async fn check_pools(
    tx: &impl ConnectionTrait,
    free: &HashMap<PoolKey, i64>,
    flying: &InFlight,
    positive: &mut Invariant,
) -> Result<Invariant, StoreError> {
    let mut matches = Invariant::new("ledger matches stock");
    let rows: Vec<PoolRow> = query::all(tx, &table("ledger_pools", &["product_id", "pool", "free"]), OPERATION).await?;
    let mut ledger = HashMap::new();
    for row in rows {
        let key = (ProductId(row.product_id), Pool::from(row.pool));
        positive.expect(row.free >= 0, || format!("{}: {} in the ledger", named(key), row.free));
        ledger.insert(key, row.free);
    }
    let keys: BTreeSet<PoolKey> = free.keys().chain(ledger.keys()).copied().collect();
    for key in keys.into_iter().filter(|(product, _)| !flying.busy.contains(product)) {
        let in_ledger = ledger.get(&key).copied().unwrap_or(0);
        let (in_sql, in_flight) =
            (free.get(&key).copied().unwrap_or(0), flying.by_pool.get(&key).copied().unwrap_or(0));
        matches.expect(in_ledger == in_sql - in_flight, || {
            format!("{}: {in_ledger} free in the ledger, {in_sql} in SQL, {in_flight} in flight", named(key))
        });
    }
    Ok(matches)
}

async fn check_buyers(
    tx: &impl ConnectionTrait,
    orders: &Orders,
    flying: &InFlight,
    positive: &mut Invariant,
) -> Result<Invariant, StoreError> {
    let mut limits = Invariant::new("buyers keep limits");
    let rows: Vec<Limit> =
        query::all(tx, &Query::select().columns(["id", "units_per_buyer_max"]).from("sales").to_owned(), OPERATION)
            .await?;
    let max: HashMap<Pool, i64> = rows.into_iter().map(|row| (Pool::from(row.id), row.units_per_buyer_max)).collect();
    for ((product, pool, buyer), units) in &orders.by_buyer {
        let max = max.get(pool).copied().unwrap_or(0);
        limits.expect(*units <= max, || format!("{}: buyer {buyer} has {units} of {max}", named((*product, *pool))));
    }
    let mut expected: HashMap<BuyerKey, i64> = orders.by_buyer.clone();
    for (key, units) in flying.by_buyer.iter().filter(|((_, pool, _), _)| *pool != Pool::Free) {
        *expected.entry(*key).or_default() += units;
    }
    let mut after = (i64::MIN, i64::MIN, i64::MIN);
    loop {
        let page = buyers_after(tx, after).await?;
        let Some(last) = page.last() else { break };
        after = (last.product_id, last.pool, last.buyer_id);
        for row in page {
            let key = (ProductId(row.product_id), Pool::from(row.pool), BuyerId(row.buyer_id));
            positive.expect(row.units >= 0, || format!("{}: buyer {} has {}", named((key.0, key.1)), key.2, row.units));
            let has = expected.remove(&key).unwrap_or(0);
            let agrees = row.units == has || flying.busy.contains(&key.0);
            limits.expect(agrees, || {
                format!("{}: buyer {} has {has}, the ledger says {}", named((key.0, key.1)), key.2, row.units)
            });
        }
    }
    for ((product, pool, buyer), units) in expected.into_iter().filter(|(key, _)| !flying.busy.contains(&key.0)) {
        limits.expect(units == 0, || format!("{}: the ledger forgot {units} of buyer {buyer}", named((product, pool))));
    }
    Ok(limits)
}

async fn buyers_after(tx: &impl ConnectionTrait, after: (i64, i64, i64)) -> Result<Vec<BuyerRow>, StoreError> {
    let (product, pool, buyer) = after;
    let same_pool = Expr::col("pool").eq(pool).and(Expr::col("buyer_id").gt(buyer));
    let same_product = Expr::col("product_id").eq(product).and(Expr::col("pool").gt(pool).or(same_pool));
    let select = table("ledger_buyers", &["product_id", "pool", "buyer_id", "units"])
        .and_where(Expr::col("product_id").gt(product).or(same_product))
        .order_by("buyer_id", Sort::Asc)
        .limit(5_000)
        .to_owned();
    query::all(tx, &select, OPERATION).await
}

impl InFlight {
    async fn read(tx: &impl ConnectionTrait) -> Result<Self, StoreError> {
        let mut flying = Self::default();
        let unsettled = Query::select()
            .columns(["product_id", "pool", "buyer_id", "quantity"].map(|column| ("ledger_tickets", column)))
            .from("ledger_tickets")
            .left_join("orders", Expr::col(("orders", "order_no")).equals(("ledger_tickets", "order_no")))
            .and_where(Expr::col(("ledger_tickets", "state")).is_in([0, 1]))
            .and_where(Expr::col(("orders", "order_no")).is_null())
            .to_owned();
        let owed = Query::select()
            .columns(["product_id", "pool", "quantity"].map(|column| ("orders", column)))
            .expr_as(Expr::col(("orders", "user_id")), "buyer_id")
            .from("effects")
            .inner_join("orders", Expr::col(("orders", "order_no")).equals(("effects", "order_no")))
            .left_join("ledger_tickets", Expr::col(("ledger_tickets", "order_no")).equals(("effects", "order_no")))
            .and_where(Expr::col(("effects", "kind")).eq(Effect::ReleaseStock.kind()))
            .and_where(
                Expr::col(("ledger_tickets", "state")).is_null().or(Expr::col(("ledger_tickets", "state")).ne(2)),
            )
            .to_owned();
        for select in [unsettled, owed] {
            let rows: Vec<Flying> = query::all(tx, &select, OPERATION).await?;
            for row in rows {
                let (product, pool) = (ProductId(row.product_id), Pool::from(row.pool));
                *flying.by_pool.entry((product, pool)).or_default() += row.quantity;
                *flying.by_buyer.entry((product, pool, BuyerId(row.buyer_id))).or_default() += row.quantity;
            }
        }
        let moving =
            Query::select().column("product_id").from("stock_moves").and_where(Expr::col("step").lt(3)).to_owned();
        let retaking = Query::select()
            .column(("orders", "product_id"))
            .from("effects")
            .inner_join("orders", Expr::col(("orders", "order_no")).equals(("effects", "order_no")))
            .and_where(Expr::col(("effects", "kind")).eq(Effect::RetakeStock.kind()))
            .to_owned();
        for select in [moving, retaking] {
            let rows: Vec<Busy> = query::all(tx, &select, OPERATION).await?;
            flying.busy.extend(rows.into_iter().map(|row| ProductId(row.product_id)));
        }
        Ok(flying)
    }
}

/// A whole table that is small (pools), by product and pool.
fn table(name: &'static str, columns: &[&'static str]) -> SelectStatement {
    Query::select()
        .columns(columns.iter().copied())
        .from(name)
        .order_by("product_id", Sort::Asc)
        .order_by("pool", Sort::Asc)
        .to_owned()
}

fn named((product, pool): PoolKey) -> String {
    format!("product {product}, {pool}")
}
