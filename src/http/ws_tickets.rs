//! Single-use tickets that open a WebSocket, so that no token ever stands in a URL.
//!
//! Behind a load balancer the socket may be opened at another node than gave the ticket: the nodes of a cluster keep
//! them in Redis, where taking one and forgetting it is one command. Only a hash of the ticket lies there.

use std::time::Duration;

use moka::future::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::auth::Caller;
use crate::domain::{BuyerId, Role};
use crate::persistence::StoreError;
use crate::redis_link::RedisLink;

/// An upper bound for memory; the exact life is judged by the shop's own clock.
const KEPT_AT_MOST: Duration = Duration::from_secs(600);

/// The tickets outstanding.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the link holds credentials")]
pub enum WsTickets {
    /// Of this node alone: bounded in number, the oldest go first.
    Memory(Cache<String, Outstanding>),
    /// Of all nodes.
    Redis(RedisLink),
}

/// What a ticket stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outstanding {
    user_id: i64,
    username: String,
    role: Role,
    sid: String,
    expires_at_ms: i64,
}

impl WsTickets {
    /// No ticket of this node yet; `tickets_max` bounds those in memory.
    #[must_use]
    pub fn new(tickets_max: u64, redis: Option<RedisLink>) -> Self {
        match redis {
            Some(link) => Self::Redis(link),
            None => Self::Memory(Cache::builder().max_capacity(tickets_max).time_to_live(KEPT_AT_MOST).build()),
        }
    }

    /// A ticket for `caller`, good for `life_ms` from now.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: the ticket may be kept, but nobody has it.
    pub async fn issue(&self, caller: Caller, now_ms: i64, life_ms: i64) -> Result<String, StoreError> {
        let ticket = crate::random::token();
        let Caller { buyer, username, role, sid } = caller;
        let outstanding = Outstanding { user_id: buyer.0, username, role, sid, expires_at_ms: now_ms + life_ms };
        match self {
            Self::Memory(tickets) => tickets.insert(ticket.clone(), outstanding).await,
            Self::Redis(link) => {
                let kept = serde_json::to_string(&outstanding)
                    .map_err(|_| StoreError::Corrupt { what: "WebSocket ticket".to_owned() })?;
                let mut command = redis::cmd("SET");
                command.arg(key(link, &ticket)).arg(kept).arg("PX").arg(life_ms.max(1));
                link.query::<()>(&command).await.map_err(failed("keeping a WebSocket ticket"))?;
            }
        }
        Ok(ticket)
    }

    /// Whose ticket it is; it is worth nothing afterwards. `None` if it was used, has expired or never was.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: the ticket may be used up.
    pub async fn redeem(&self, ticket: &str, now_ms: i64) -> Result<Option<Caller>, StoreError> {
        let known = match self {
            Self::Memory(tickets) => tickets.remove(ticket).await,
            Self::Redis(link) => {
                let mut command = redis::cmd("GETDEL");
                command.arg(key(link, ticket));
                let kept: Option<String> = link.query(&command).await.map_err(failed("redeeming a ticket"))?;
                kept.and_then(|kept| serde_json::from_str(&kept).ok())
            }
        };
        Ok(known.filter(|known: &Outstanding| now_ms < known.expires_at_ms).map(|known| {
            let Outstanding { user_id, username, role, sid, .. } = known;
            Caller { buyer: BuyerId(user_id), username, role, sid }
        }))
    }
}

fn key(link: &RedisLink, ticket: &str) -> String {
    link.key(&format!("ws:{}", hex::encode(Sha256::digest(ticket.as_bytes()))))
}

fn failed(operation: &'static str) -> impl Fn(redis::RedisError) -> StoreError {
    move |source| StoreError::Redis { operation, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_ticket_opens_one_socket_in_time() {
        let tickets = WsTickets::new(10, None);
        let caller = Caller { buyer: BuyerId(1), username: "li".to_owned(), role: Role::User, sid: "s".to_owned() };
        let ticket = tickets.issue(caller.clone(), 0, 1_000).await.unwrap();
        assert_eq!(tickets.redeem("made up", 0).await.unwrap(), None);
        assert_eq!(tickets.redeem(&ticket, 999).await.unwrap(), Some(caller.clone()));
        assert_eq!(tickets.redeem(&ticket, 999).await.unwrap(), None);
        let late = tickets.issue(caller, 0, 1_000).await.unwrap();
        assert_eq!(tickets.redeem(&late, 1_000).await.unwrap(), None);
    }
}
