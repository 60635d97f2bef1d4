//! Which stock ledger the settings name. Here, and not in the composition root, because `rushmall seed` needs it too.

use std::sync::Arc;

use super::db::Db;
use super::error::StoreError;
use super::ledger::StockLedger;
use super::recovering::{IsQuiet, Recovering};
use super::redis_ledger::RedisLedger;
use super::sql_ledger::SqlLedger;
use crate::clock::Clock;
use crate::config::Settings;
use crate::redis_link::RedisLink;

/// The ledger of a cluster on Redis, which mends itself from the database, or the one in the database itself.
/// `is_quiet` is asked before a rebuild: see [`Recovering`].
///
/// # Errors
/// [`StoreError::Redis`] if Redis cannot be reached within its connect timeout.
pub async fn open_ledger(
    settings: &Settings,
    db: &Db,
    clock: &Clock,
    is_quiet: IsQuiet,
) -> Result<Arc<dyn StockLedger>, StoreError> {
    let ledger = open_bare_ledger(settings, db).await?;
    if !ledger.is_shared() {
        return Ok(ledger);
    }
    Ok(Arc::new(Recovering::new(ledger, db.clone(), clock.clone(), is_quiet)))
}

/// The same without the mending: to look at it as it is.
///
/// # Errors
/// As [`open_ledger`].
pub async fn open_bare_ledger(settings: &Settings, db: &Db) -> Result<Arc<dyn StockLedger>, StoreError> {
    if !settings.is_cluster() {
        return Ok(Arc::new(SqlLedger::new(db.clone())));
    }
    let operation = "connecting the ledger (redis.url)";
    let link = RedisLink::connect(&settings.redis).await.map_err(|source| StoreError::Redis { operation, source })?;
    Ok(Arc::new(RedisLedger::new(link, db.clone())))
}

/// For a process that has no order queue of its own to wait for.
#[must_use]
pub fn nothing_under_way() -> IsQuiet {
    Box::new(|| Box::pin(std::future::ready(true)))
}
