//! Whether a ledger outside the database agrees with it about one product. No snapshot spans both, so what differs once is
//! to be looked at again: what is on its way settles, what stays is wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use super::db::Db;
use super::error::StoreError;
use super::ledger::{BuyerState, LedgerSnapshot, Rebuild, StockLedger};
use super::recovery;
use crate::clock::Clock;
use crate::domain::stock::Pool;
use crate::domain::{BuyerId, ProductId};

/// Looks at a product that differs, and the pause between them.
const LOOKS: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// One look at one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The ledger has no valid account of it: nobody can buy, and the next question rebuilds it.
    Lost,
    /// Both agree.
    Agrees {
        /// So many rows were compared.
        rows: u64,
    },
    /// They differ, or units are on their way between them.
    Differs {
        /// So many rows were compared.
        rows: u64,
        /// What differs, for people.
        told: Vec<String>,
    },
}

/// What came of looks over a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The ledger has no valid account of it.
    Lost,
    /// Both agreed at one moment.
    Agrees {
        /// So many rows were compared.
        rows: u64,
    },
    /// They differed at every look, and no row by the same units at all of them: the product is busy, nothing is said.
    Moving,
    /// Rows that differed by the same units at every look: that is not on its way.
    Differs {
        /// Which, for people.
        told: Vec<String>,
    },
}

/// A row in which they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Difference {
    pool: Pool,
    /// `None`: what is free.
    buyer: Option<BuyerId>,
    has: i64,
    must: i64,
}

impl Difference {
    fn told(&self, product: ProductId) -> String {
        let Self { pool, has, must, .. } = self;
        match self.buyer {
            None => format!("product {product}, {pool}: {has} free in the ledger, {must} by the database"),
            Some(buyer) => {
                format!("product {product}, {pool}: buyer {buyer} has {has} in the ledger, {must} by the database")
            }
        }
    }

    /// The same row, and as many units.
    fn is_same(&self, other: &Self) -> bool {
        (self.pool, self.buyer, self.has - self.must) == (other.pool, other.buyer, other.has - other.must)
    }
}

/// Looks once.
///
/// # Errors
/// [`StoreError`] of the database or the ledger.
pub async fn look(db: &Db, ledger: &dyn StockLedger, product: ProductId, now_ms: i64) -> Result<Look, StoreError> {
    Ok(match compare(db, ledger, product, now_ms).await? {
        None => Look::Lost,
        Some((rows, found)) if found.is_empty() => Look::Agrees { rows },
        Some((rows, found)) => Look::Differs { rows, told: found.iter().map(|one| one.told(product)).collect() },
    })
}

/// How many rows there are, and those that differ; `None` if the account is lost.
async fn compare(
    db: &Db,
    ledger: &dyn StockLedger,
    product: ProductId,
    now_ms: i64,
) -> Result<Option<(u64, Vec<Difference>)>, StoreError> {
    let snapshot = match ledger.snapshot(product).await {
        Err(StoreError::LedgerLost { .. }) => return Ok(None),
        snapshot => snapshot?,
    };
    let buyers = ledger.buyers(product).await?;
    let unsettled = ledger.unsettled(product).await?;
    let account = recovery::account(db, product, &unsettled, now_ms).await?;
    let rows = (account.pools.len() + account.buyers.len()) as u64;
    let mut found = pools_that_differ(&snapshot, &account);
    found.extend(buyers_that_differ(&account, &buyers));
    Ok(Some((rows, found)))
}

/// Looks until both agree, for three seconds at most. While buyers buy there is hardly a moment without units on their way,
/// so only what differs by the same units at every look is said to be wrong.
///
/// # Errors
/// [`StoreError`] of the database or the ledger.
pub async fn look_for_a_while(
    db: &Db,
    ledger: &dyn StockLedger,
    product: ProductId,
    clock: &Clock,
) -> Result<Verdict, StoreError> {
    let mut standing: Option<Vec<Difference>> = None;
    for number in 0..LOOKS {
        if number > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let found = match compare(db, ledger, product, clock.now_ms()).await? {
            None => return Ok(Verdict::Lost),
            Some((rows, found)) if found.is_empty() => return Ok(Verdict::Agrees { rows }),
            Some((_, found)) => found,
        };
        let is_known =
            |one: &Difference| standing.as_ref().is_none_or(|known| known.iter().any(|other| one.is_same(other)));
        standing = Some(found.into_iter().filter(is_known).collect());
    }
    let told: Vec<String> = standing.into_iter().flatten().map(|one| one.told(product)).collect();
    Ok(if told.is_empty() { Verdict::Moving } else { Verdict::Differs { told } })
}

fn pools_that_differ(snapshot: &LedgerSnapshot, account: &Rebuild) -> Vec<Difference> {
    let expected: BTreeMap<Pool, i64> = account.pools.iter().map(|state| (state.pool, state.free)).collect();
    let found: BTreeMap<Pool, i64> = snapshot.pools.iter().map(|pool| (pool.pool, pool.free)).collect();
    let pools = expected.keys().chain(found.keys().filter(|pool| !expected.contains_key(pool)));
    pools
        .filter_map(|pool| {
            let free = |of: &BTreeMap<Pool, i64>| of.get(pool).copied().unwrap_or(0);
            let (has, must) = (free(&found), free(&expected));
            (has != must).then_some(Difference { pool: *pool, buyer: None, has, must })
        })
        .collect()
}

fn buyers_that_differ(account: &Rebuild, buyers: &[BuyerState]) -> Vec<Difference> {
    let by_buyer = |states: &[BuyerState], pools: &[Pool]| -> BTreeMap<(Pool, BuyerId), i64> {
        let of_interest = states.iter().filter(|state| pools.contains(&state.pool) && state.units.units != 0);
        of_interest.map(|state| ((state.pool, state.buyer), state.units.units)).collect()
    };
    let pools: Vec<Pool> = account.pools.iter().map(|state| state.pool).collect();
    let (must, has) = (by_buyer(&account.buyers, &pools), by_buyer(buyers, &pools));
    let keys = must.keys().chain(has.keys().filter(|key| !must.contains_key(key)));
    keys.filter_map(|key| {
        let units = |of: &BTreeMap<(Pool, BuyerId), i64>| of.get(key).copied().unwrap_or(0);
        let ((pool, buyer), has, must) = (*key, units(&has), units(&must));
        (has != must).then_some(Difference { pool, buyer: Some(buyer), has, must })
    })
    .collect()
}
