//! The account of one product, written anew from what the database says.
//!
//! A product can have a hundred thousand buyers: their accounts are laid ready under a name of their own, a thousand a
//! command, and the script that writes the account only renames them. What a crash leaves lying there expires.

use super::{RedisLedger, record, scripts};
use crate::domain::{OrderNo, ProductId};
use crate::persistence::error::StoreError;
use crate::persistence::ledger::{LostAccount, Rebuild};
use crate::random;

const OPERATION: &str = "rebuilding the ledger";
/// Buyers laid ready by one command.
const BUYERS_MAX: usize = 1_000;
/// How long what was laid ready waits for the script.
const READY_SECONDS: u32 = 120;

/// Beside the names of call.rs: which turn may write the lost account.
const TURN: &str = "turn";

impl RedisLedger {
    pub(super) async fn begin_turn(&self, product: ProductId) -> Result<Option<LostAccount>, StoreError> {
        let mut call = self.redis.call(OPERATION, &scripts::BEGIN, product, 1);
        call.key(self.redis.key(product, TURN)).arg(hex::encode(random::bytes::<8>()));
        let reply = self.redis.run(&call).await?;
        match reply.as_slice() {
            [] => Ok(None),
            [epoch, turn] => {
                let epoch = record::number(&record::text(epoch), OPERATION)?;
                Ok(Some(LostAccount { epoch, turn: record::text(turn).into_owned() }))
            }
            _ => Err(record::corrupt(OPERATION)),
        }
    }

    pub(super) async fn write_account(&self, product: ProductId, rebuild: &Rebuild) -> Result<bool, StoreError> {
        self.enter_again(product).await?;
        let ready = self.redis.key(product, &format!("ready:{}", hex::encode(random::bytes::<8>())));
        self.lay_buyers_ready(&ready, rebuild).await?;
        let mut call = self.redis.call(OPERATION, &scripts::REBUILD, product, 9);
        call.key(ready.clone())
            .key(self.redis.key(product, TURN))
            .arg(&rebuild.turn)
            .arg(rebuild.epoch)
            .arg(OrderNo::time_prefix(rebuild.now_ms))
            .arg(rebuild.buyers.len());
        call.arg(rebuild.pools.len());
        for state in &rebuild.pools {
            let terms = state.terms.as_ref().map(record::terms_text).unwrap_or_default();
            call.arg(i64::from(state.pool)).arg(state.free).arg(terms);
        }
        call.arg(rebuild.returned.len());
        for order_no in &rebuild.returned {
            call.arg(order_no.to_string());
        }
        for step_id in &rebuild.open_steps {
            call.arg(step_id);
        }
        let reply = self.redis.run(&call).await?;
        let answer = reply.first().map(record::text).unwrap_or_default();
        if answer != "W" {
            let () = self.redis.command(OPERATION, redis::cmd("UNLINK").arg(&ready)).await?;
        }
        match &*answer {
            "W" => Ok(true),
            "K" => Ok(false),
            "S" => Err(StoreError::Conflict { operation: OPERATION }),
            _ => Err(record::corrupt(OPERATION)),
        }
    }

    async fn lay_buyers_ready(&self, ready: &str, rebuild: &Rebuild) -> Result<(), StoreError> {
        for buyers in rebuild.buyers.chunks(BUYERS_MAX) {
            let mut lay = redis::cmd("HSET");
            lay.arg(ready);
            for state in buyers {
                let account = format!("{} {} ", state.units.units, state.units.latest);
                lay.arg(record::account(state.pool, state.buyer)).arg(account);
            }
            let () = self.redis.command(OPERATION, &lay).await?;
            let () = self.redis.command(OPERATION, redis::cmd("EXPIRE").arg(ready).arg(READY_SECONDS)).await?;
        }
        Ok(())
    }
}
