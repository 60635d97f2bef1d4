//! How a script or command is sent: keys of one product, one time limit, errors told by what was being done.

use std::time::Duration;

use redis::{Cmd, FromRedisValue, RedisError, Script, ScriptInvocation, Value};

use super::record;
use crate::domain::ProductId;
use crate::persistence::error::StoreError;
use crate::redis_link::RedisLink;

/// Names of a product's keys, in the order of lua/fence.lua.
const KEYS: [&str; 9] = ["meta", "pools", "buyers", "tickets", "ages", "marks", "gone", "steps", "step-ages"];

/// Redis as the ledger uses it.
#[derive(Clone)]
pub(super) struct Redis {
    link: RedisLink,
}

/// One script call on the account of one product.
pub(super) struct ScriptCall<'a> {
    operation: &'static str,
    product: ProductId,
    invocation: ScriptInvocation<'a>,
}

impl ScriptCall<'_> {
    pub(super) fn arg(&mut self, arg: impl redis::ToRedisArgs) -> &mut Self {
        self.invocation.arg(arg);
        self
    }

    pub(super) fn key(&mut self, key: String) -> &mut Self {
        self.invocation.key(key);
        self
    }
}

impl Redis {
    pub(super) const fn new(link: RedisLink) -> Self {
        Self { link }
    }

    /// A key of one product; its braces make the whole product one slot.
    pub(super) fn key(&self, product: ProductId, name: &str) -> String {
        self.link.key(&format!("{{p{product}}}:{name}"))
    }

    /// The key of the set of all products that have an account, or had one.
    pub(super) fn products_key(&self) -> String {
        self.link.key("ledger:products")
    }

    /// Begins a call of `script` with the first `keys` keys of the product.
    pub(super) fn call<'a>(
        &self,
        operation: &'static str,
        script: &'a Script,
        product: ProductId,
        keys: usize,
    ) -> ScriptCall<'a> {
        let mut invocation = script.prepare_invoke();
        for name in KEYS.iter().take(keys) {
            invocation.key(self.key(product, name));
        }
        ScriptCall { operation, product, invocation }
    }

    /// Sends a call; what the script says after its `OK`.
    pub(super) async fn run(&self, call: &ScriptCall<'_>) -> Result<Vec<Value>, StoreError> {
        let script = self.link.script(&call.invocation);
        let mut reply: Vec<Value> = self.within(call.operation, script).await?;
        match reply.first().map(record::text).as_deref() {
            Some("OK") => {
                reply.remove(0);
                Ok(reply)
            }
            Some("LOST") => Err(StoreError::LedgerLost { product: call.product }),
            _ => Err(record::corrupt(call.operation)),
        }
    }

    /// Sends one command.
    pub(super) async fn command<T: FromRedisValue>(
        &self,
        operation: &'static str,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        self.within(operation, self.link.query(command)).await
    }

    /// The link limits each exchange; a call can be several (a script that must be loaded, a slot that moved).
    async fn within<T>(
        &self,
        operation: &'static str,
        exchange: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, StoreError> {
        let limit = self.link.command_timeout();
        let timed_out = || StoreError::TimedOut { operation, timeout_ms: as_ms(limit) };
        match tokio::time::timeout(limit, exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) if source.is_timeout() => Err(timed_out()),
            Ok(Err(source)) => Err(StoreError::Redis { operation, source }),
            Err(_) => Err(timed_out()),
        }
    }
}

fn as_ms(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}
