//! What the ledger's account of a product must be by the database, and how it is written after the ledger lost it.
//!
//! **Invariant**: an account that is rebuilt promises no unit that the database does not have free. For each pool:
//! free = SQL free − units of tickets that the ledger still holds and that have no order yet − units that a move of
//! stock has in SQL already and gives to the gate in its last step. For each buyer of a sale: units under his living
//! orders and under such tickets. All of it is read while the product's stock rows are locked: who places, cancels or
//! moves waits, so nothing changes between two statements. Units that the database has back while their release is
//! still owed get a tombstone; a retake that is still owed too, so that it takes anew.
//!
//! A ticket that the ledger forgot and whose message still waits in the order queue is not seen here: its order takes
//! its unit in SQL later, and a promise too many then ends as a failed order. [`super::Recovering`] therefore lets the queue
//! run empty first, and only then reads. A ticket that comes even later carries an older epoch than the one that is
//! given out here, under the same lock: its buyer's limit is judged once more when it is placed ([`super::placing`]).

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, FromQueryResult};

use super::db::Db;
use super::error::StoreError;
use super::ledger::{BuyerState, LostAccount, PoolState, Rebuild, StockLedger};
use super::orders::LIVING;
use super::{journal, ledger_accounts, query, sales, stock, stock_moves};
use crate::domain::order::{Effect, OrderStatus, UnitsState};
use crate::domain::sale::SaleTerms;
use crate::domain::stock::{BuyerUnits, Pool, Ticket};
use crate::domain::{BuyerId, OrderNo, ProductId};
use crate::failpoint;

const OPERATION: &str = "reading what the ledger must be";
/// Sales that ended before this are left out of a rebuilt account unless they have units: nobody claims from them.
const ENDED_SALES_KEPT_MS: i64 = 7 * 24 * 3_600_000;

type Buyers = HashMap<(Pool, BuyerId), BuyerUnits>;

/// How a rebuild went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuilt {
    /// The account is valid again.
    Done,
    /// Nothing was written: it was valid, or another node was faster, or it was lost once more.
    Overtaken,
    /// The database has no stock of such a product: nothing was written.
    NoSuchProduct,
}

/// Writes the account of a product anew.
///
/// # Errors
/// [`StoreError`]; nothing is written then.
pub async fn rebuild(
    db: &Db,
    ledger: &dyn StockLedger,
    product: ProductId,
    now_ms: i64,
) -> Result<Rebuilt, StoreError> {
    // Before anything is read: of two nodes that read at the same time the second to write must be refused, because claims
    // that the first one's account accepted are not in what the second one has read.
    let Some(lost) = ledger.begin_rebuild(product).await? else { return Ok(Rebuilt::Overtaken) };
    let unsettled = ledger.unsettled(product).await?;
    let account = account_after(db, product, &unsettled, now_ms, Some(&lost)).await?;
    if account.pools.is_empty() {
        return Ok(Rebuilt::NoSuchProduct); // ids that nobody sells must not fill the ledger
    }
    failpoint::reach("ledger.rebuild.read");
    let is_written = ledger.rebuild(product, &account).await?;
    Ok(if is_written { Rebuilt::Done } else { Rebuilt::Overtaken })
}

/// The account that the ledger must have, given the tickets that it still holds; its epoch is left 0. What is owed to
/// the gate (`returned`, `open_steps`) may or may not be there yet.
///
/// # Errors
/// [`StoreError`].
pub async fn account(db: &Db, product: ProductId, unsettled: &[Ticket], now_ms: i64) -> Result<Rebuild, StoreError> {
    account_after(db, product, unsettled, now_ms, None).await
}

/// The same to be written in the place of one that was lost: remembered as the product's account in the transaction that
/// reads it.
async fn account_after(
    db: &Db,
    product: ProductId,
    unsettled: &[Ticket],
    now_ms: i64,
    lost: Option<&LostAccount>,
) -> Result<Rebuild, StoreError> {
    let terms = terms(db, product, now_ms).await?;
    let reading = async |tx: &DatabaseTransaction| {
        let mut account = read(tx, product, unsettled, &terms).await?;
        if let Some(lost) = lost.filter(|_| !account.free.is_empty()) {
            account.epoch = ledger_accounts::succeed(tx, product, lost, now_ms).await?;
        }
        Ok(account)
    };
    let mut account = db.write(OPERATION, reading).await?;
    for (order_no, pool, buyer, units) in std::mem::take(&mut account.ambiguous) {
        let loaded = journal::load(db, order_no).await?;
        if loaded.is_some_and(|loaded| loaded.order.units != UnitsState::Returned) {
            count(&mut account.buyers, (pool, buyer), units, order_no);
        }
    }
    let Account { epoch, free, buyers, returned, open_steps, .. } = account;
    let pools = free.into_iter().map(|(pool, free)| PoolState {
        pool,
        free: Ord::max(free, 0),
        terms: terms.get(&pool).copied(),
    });
    let buyers = buyers.into_iter().map(|((pool, buyer), units)| BuyerState { pool, buyer, units }).collect();
    let turn = lost.map(|lost| lost.turn.clone()).unwrap_or_default();
    Ok(Rebuild { epoch, turn, pools: pools.collect(), buyers, returned, open_steps, now_ms })
}

/// The terms of the sales that somebody may still claim from or give back to.
async fn terms(db: &Db, product: ProductId, now_ms: i64) -> Result<HashMap<Pool, SaleTerms>, StoreError> {
    let known = sales::of_product(db, product).await?.into_iter().map(|known| known.sale.terms);
    let is_of_interest =
        |terms: &SaleTerms| !terms.closed || terms.window.closes_at_ms > now_ms.saturating_sub(ENDED_SALES_KEPT_MS);
    Ok(known.filter(is_of_interest).map(|terms| (Pool::Sale(terms.sale), terms)).collect())
}

/// What one locked look at the database gave.
#[derive(Default)]
struct Account {
    epoch: i64,
    free: BTreeMap<Pool, i64>,
    buyers: Buyers,
    returned: Vec<OrderNo>,
    open_steps: Vec<String>,
    /// Orders of a sale whose row does not say whether their units went back.
    ambiguous: Vec<(OrderNo, Pool, BuyerId, i64)>,
}

async fn read(
    tx: &impl ConnectionTrait,
    product: ProductId,
    unsettled: &[Ticket],
    terms: &HashMap<Pool, SaleTerms>,
) -> Result<Account, StoreError> {
    let mut account = Account::default();
    for row in stock::lock(tx, &[product]).await? {
        if row.pool == Pool::Free || row.free > 0 || terms.contains_key(&row.pool) {
            account.free.insert(row.pool, row.free);
        }
    }
    account.add_buyers(tx, product, terms).await?;
    account.returned = owed_returns(tx, product).await?;
    for open in stock_moves::open_steps(tx, product).await? {
        if let Some((pool, units)) = open.in_sql_only {
            *account.free.entry(pool).or_default() -= units;
        }
        account.open_steps.push(open.step_id);
    }
    account.subtract_tickets(tx, unsettled).await?;
    Ok(account)
}

fn count(buyers: &mut Buyers, key: (Pool, BuyerId), units: i64, order_no: OrderNo) {
    let known = buyers.entry(key).or_insert(BuyerUnits { units: 0, latest: order_no });
    known.units += units;
    known.latest = Ord::max(known.latest, order_no);
}

#[derive(FromQueryResult)]
struct BuyerRow {
    pool: i64,
    user_id: i64,
    units: i64,
    latest: String,
}

#[derive(FromQueryResult)]
struct OrderRow {
    order_no: String,
    pool: i64,
    user_id: i64,
    quantity: i64,
}

#[derive(FromQueryResult)]
struct Number {
    order_no: String,
}

impl Account {
    /// Units under living orders of the sales; a refunded order kept its units if its goods had been shipped.
    async fn add_buyers(
        &mut self,
        tx: &impl ConnectionTrait,
        product: ProductId,
        terms: &HashMap<Pool, SaleTerms>,
    ) -> Result<(), StoreError> {
        use OrderStatus as S;
        let pools: Vec<i64> = terms.keys().map(|pool| i64::from(*pool)).collect();
        if pools.is_empty() {
            return Ok(());
        }
        let sum = match tx.get_database_backend() {
            DbBackend::MySql => "CAST(SUM(quantity) AS SIGNED)",
            _ => "CAST(SUM(quantity) AS BIGINT)",
        };
        let mut of_sales = Query::select();
        of_sales
            .from("orders")
            .and_where(Expr::col("product_id").eq(product.0))
            .and_where(Expr::col("pool").is_in(pools));
        let grouped = of_sales
            .clone()
            .columns(["pool", "user_id"])
            .expr_as(Expr::cust(sum), "units")
            .expr_as(Expr::col("order_no").max(), "latest")
            .and_where(Expr::col("status").is_in(LIVING.map(OrderStatus::code)))
            .add_group_by([Expr::col("pool"), Expr::col("user_id")])
            .to_owned();
        let rows: Vec<BuyerRow> = query::all(tx, &grouped, OPERATION).await?;
        for row in rows {
            let key = (Pool::from(row.pool), BuyerId(row.user_id));
            count(&mut self.buyers, key, row.units, query::order_no(&row.latest)?);
        }
        let ambiguous = of_sales
            .columns(["order_no", "pool", "user_id", "quantity"])
            .and_where(Expr::col("status").is_in([S::Refunding, S::Refunded].map(OrderStatus::code)))
            .to_owned();
        let rows: Vec<OrderRow> = query::all(tx, &ambiguous, OPERATION).await?;
        for row in rows {
            let order_no = query::order_no(&row.order_no)?;
            self.ambiguous.push((order_no, Pool::from(row.pool), BuyerId(row.user_id), row.quantity));
        }
        Ok(())
    }

    /// Tickets without an order hold their units at the gate only; those with one are counted in SQL already.
    async fn subtract_tickets(&mut self, tx: &impl ConnectionTrait, unsettled: &[Ticket]) -> Result<(), StoreError> {
        let order_nos: Vec<OrderNo> = unsettled.iter().map(|ticket| ticket.claim.order_no).collect();
        let written: Vec<Number> = query::by_keys(tx, &query::texts(&order_nos), OPERATION, |keys| {
            Query::select().column("order_no").from("orders").and_where(Expr::col("order_no").is_in(keys)).to_owned()
        })
        .await?;
        let written: HashSet<String> = written.into_iter().map(|row| row.order_no).collect();
        for Ticket { claim, .. } in unsettled.iter().filter(|t| !written.contains(&t.claim.order_no.to_string())) {
            let units = claim.quantity.units();
            *self.free.entry(claim.pool).or_default() -= units;
            if claim.pool != Pool::Free {
                count(&mut self.buyers, (claim.pool, claim.buyer), units, claim.order_no);
            }
        }
        Ok(())
    }
}

/// Orders whose units SQL has back while the gate is still to be told, or to be asked again.
async fn owed_returns(tx: &impl ConnectionTrait, product: ProductId) -> Result<Vec<OrderNo>, StoreError> {
    let kinds = [Effect::ReleaseStock, Effect::RetakeStock, Effect::ReleaseRetakenStock].map(|effect| effect.kind());
    let select = Query::select()
        .distinct()
        .column(("orders", "order_no"))
        .from("effects")
        .inner_join("orders", Expr::col(("orders", "order_no")).equals(("effects", "order_no")))
        .and_where(Expr::col(("orders", "product_id")).eq(product.0))
        .and_where(Expr::col(("effects", "kind")).is_in(kinds))
        .order_by(("orders", "order_no"), Sort::Asc)
        .to_owned();
    let rows: Vec<Number> = query::all(tx, &select, OPERATION).await?;
    rows.iter().map(|row| query::order_no(&row.order_no)).collect()
}

#[cfg(test)]
mod tests;
