//! A ledger outside the database, product by product: no snapshot spans both, so a product that disagrees is looked at
//! again after a moment. What was between the two settles; what stays is wrong.
//!
//! An account that the ledger has lost, or never had, is not wrong: nobody can buy from it, and the next question about
//! it rebuilds it.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query};

use super::{CheckOptions, Invariant};
use crate::domain::stock::{Pool, Ticket};
use crate::domain::{BuyerId, ProductId};
use crate::persistence::ledger::{BuyerState, LedgerSnapshot, Rebuild, StockLedger};
use crate::persistence::{Db, StoreError, query, recovery};

/// Looks at a product that disagrees, and the pause between them.
const LOOKS_MAX: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(300);
const PRODUCTS_PAGE: u64 = 1_000;

/// What the comparison found.
pub(super) struct Compared {
    pub(super) invariants: Vec<Invariant>,
    pub(super) wrong: Vec<ProductId>,
}

/// One look at one product.
enum Look {
    /// The ledger has no valid account of it.
    Lost,
    /// Both agree; so many rows were compared.
    Agrees { rows: u64 },
    /// They differ, or units are on their way between them.
    Differs { rows: u64, told: Vec<String> },
}

pub(super) async fn check(db: &Db, ledger: &dyn StockLedger, options: CheckOptions) -> Result<Compared, StoreError> {
    let mut matches = Invariant::new("ledger matches stock");
    let mut settled = Invariant::new("tickets settled");
    let mut open = Vec::new();
    let before_ms = options.now_ms.saturating_sub(options.grace_ms);
    let mut after = ProductId(0);
    loop {
        let page = products_after(db, after).await?;
        let Some(last) = page.last() else { break };
        after = *last;
        for product in page {
            let tickets = ledger.unsettled(product).await?;
            let is_overdue = |ticket: &&Ticket| ticket.accepted_at_ms <= before_ms;
            settled.rows += tickets.len() as u64;
            if let Some(ticket) = tickets.iter().find(is_overdue) {
                let overdue = tickets.iter().filter(is_overdue).count();
                settled.violate(format!("product {product}: {overdue} overdue, first {}", ticket.claim.order_no));
            }
            match look(db, ledger, product, options.now_ms).await? {
                Look::Lost => {}
                Look::Agrees { rows } => matches.rows += rows,
                Look::Differs { .. } => open.push(product),
            }
        }
    }
    let mut wrong = Vec::new();
    for product in open {
        let told = look_again(db, ledger, product, options.now_ms, &mut matches).await?;
        if !told.is_empty() {
            wrong.push(product);
            told.into_iter().for_each(|told| matches.violate(told));
        }
    }
    Ok(Compared { invariants: vec![matches, settled], wrong })
}

/// What still differs after a while.
async fn look_again(
    db: &Db,
    ledger: &dyn StockLedger,
    product: ProductId,
    now_ms: i64,
    matches: &mut Invariant,
) -> Result<Vec<String>, StoreError> {
    for remaining in (0..LOOKS_MAX).rev() {
        tokio::time::sleep(LOOK_EVERY).await;
        match look(db, ledger, product, now_ms).await? {
            Look::Lost => break,
            Look::Agrees { rows } => {
                matches.rows += rows;
                break;
            }
            Look::Differs { rows, told } if remaining == 0 => {
                matches.rows += rows;
                return Ok(told);
            }
            Look::Differs { .. } => {}
        }
    }
    Ok(Vec::new())
}

async fn look(db: &Db, ledger: &dyn StockLedger, product: ProductId, now_ms: i64) -> Result<Look, StoreError> {
    let snapshot = match ledger.snapshot(product).await {
        Err(StoreError::LedgerLost { .. }) => return Ok(Look::Lost),
        snapshot => snapshot?,
    };
    let buyers = ledger.buyers(product).await?;
    let unsettled = ledger.unsettled(product).await?;
    let account = recovery::account(db, product, &unsettled, now_ms).await?;
    let rows = (account.pools.len() + account.buyers.len()) as u64;
    let mut told = pools_that_differ(product, &snapshot, &account);
    told.extend(buyers_that_differ(product, &account, &buyers));
    if told.is_empty() { Ok(Look::Agrees { rows }) } else { Ok(Look::Differs { rows, told }) }
}

fn pools_that_differ(product: ProductId, snapshot: &LedgerSnapshot, account: &Rebuild) -> Vec<String> {
    let expected: BTreeMap<Pool, i64> = account.pools.iter().map(|state| (state.pool, state.free)).collect();
    let found: BTreeMap<Pool, i64> = snapshot.pools.iter().map(|pool| (pool.pool, pool.free)).collect();
    let pools = expected.keys().chain(found.keys().filter(|pool| !expected.contains_key(pool)));
    pools
        .filter_map(|pool| {
            let free = |of: &BTreeMap<Pool, i64>| of.get(pool).copied().unwrap_or(0);
            let (has, must) = (free(&found), free(&expected));
            (has != must)
                .then(|| format!("product {product}, {pool}: {has} free in the ledger, {must} by the database"))
        })
        .collect()
}

fn buyers_that_differ(product: ProductId, account: &Rebuild, buyers: &[BuyerState]) -> Vec<String> {
    let by_buyer = |states: &[BuyerState], pools: &[Pool]| -> BTreeMap<(Pool, BuyerId), i64> {
        let of_interest = states.iter().filter(|state| pools.contains(&state.pool) && state.units.units != 0);
        of_interest.map(|state| ((state.pool, state.buyer), state.units.units)).collect()
    };
    let pools: Vec<Pool> = account.pools.iter().map(|state| state.pool).collect();
    let (must, has) = (by_buyer(&account.buyers, &pools), by_buyer(buyers, &pools));
    let keys = must.keys().chain(has.keys().filter(|key| !must.contains_key(key)));
    keys.filter_map(|key| {
        let units = |of: &BTreeMap<(Pool, BuyerId), i64>| of.get(key).copied().unwrap_or(0);
        let ((pool, buyer), has, must) = (key, units(&has), units(&must));
        let told =
            || format!("product {product}, {pool}: buyer {buyer} has {has} in the ledger, {must} by the database");
        (has != must).then(told)
    })
    .collect()
}

#[derive(FromQueryResult)]
struct Row {
    product_id: i64,
}

async fn products_after(db: &Db, after: ProductId) -> Result<Vec<ProductId>, StoreError> {
    let select = Query::select()
        .distinct()
        .column("product_id")
        .from("stock")
        .and_where(Expr::col("product_id").gt(after.0))
        .order_by("product_id", Sort::Asc)
        .limit(PRODUCTS_PAGE)
        .to_owned();
    let rows: Vec<Row> = query::all(db.reader(), &select, "listing products").await?;
    Ok(rows.into_iter().map(|row| ProductId(row.product_id)).collect())
}
