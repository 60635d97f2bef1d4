//! What a check asks: the accounts of all buyers, and to have an account written anew.

use redis::Value;

use super::{RedisLedger, record};
use crate::domain::stock::{BuyerUnits, Pool};
use crate::domain::{BuyerId, ProductId};
use crate::persistence::error::StoreError;
use crate::persistence::ledger::BuyerState;
use crate::persistence::query;

const OPERATION: &str = "reading the accounts of buyers";
/// Accounts read by one command.
const SCAN_COUNT: usize = 1_000;

impl RedisLedger {
    /// Page by page: who buys meanwhile may be missing or be there.
    pub(super) async fn all_buyers(&self, product: ProductId) -> Result<Vec<BuyerState>, StoreError> {
        let key = self.redis.key(product, "buyers");
        let mut buyers: Vec<BuyerState> = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let scan = redis::cmd("HSCAN").arg(&key).arg(&cursor).arg("COUNT").arg(SCAN_COUNT).to_owned();
            let (next, page): (String, Vec<Value>) = self.redis.command(OPERATION, &scan).await?;
            for pair in page.as_chunks::<2>().0 {
                buyers.extend(buyer(pair)?);
            }
            if next == "0" {
                buyers.sort_by_key(|state| (state.pool, state.buyer));
                buyers.dedup_by_key(|state| (state.pool, state.buyer)); // a page may be told twice
                return Ok(buyers);
            }
            cursor = next;
        }
    }

    /// The fence turns everybody away from an account without the id of a process.
    pub(super) async fn suspend_account(&self, product: ProductId) -> Result<(), StoreError> {
        let forget = redis::cmd("HDEL").arg(self.redis.key(product, "meta")).arg("run").to_owned();
        self.redis.command("suspending the ledger", &forget).await
    }
}

/// `<pool>:<buyer>` and `<units> <latest order> <owed orders>`; `None` for one who has no units.
fn buyer([account, text]: &[Value; 2]) -> Result<Option<BuyerState>, StoreError> {
    let (account, text) = (record::text(account), record::text(text));
    let unreadable = || record::corrupt(OPERATION);
    let (pool, buyer) = account.split_once(':').ok_or_else(unreadable)?;
    let mut parts = text.split(' ');
    let units = record::number(parts.next().unwrap_or_default(), OPERATION)?;
    if units == 0 {
        return Ok(None);
    }
    let latest = query::order_no(parts.next().unwrap_or_default())?;
    Ok(Some(BuyerState {
        pool: Pool::from(record::number(pool, OPERATION)?),
        buyer: BuyerId(record::number(buyer, OPERATION)?),
        units: BuyerUnits { units, latest },
    }))
}
