//! Single-use tickets that open a WebSocket, so that no token ever stands in a URL.

use std::time::Duration;

use moka::future::Cache;

use super::auth::Caller;

/// Outstanding tickets of this node: at most `tickets_max`; the oldest go first.
#[derive(Clone, Debug)]
pub struct WsTickets {
    tickets: Cache<String, Outstanding>,
}

#[derive(Clone, Debug)]
struct Outstanding {
    caller: Caller,
    expires_at_ms: i64,
}

/// An upper bound for memory; the exact life is judged by the shop's own clock.
const KEPT_AT_MOST: Duration = Duration::from_secs(600);

impl WsTickets {
    /// No ticket yet.
    #[must_use]
    pub fn new(tickets_max: u64) -> Self {
        Self { tickets: Cache::builder().max_capacity(tickets_max).time_to_live(KEPT_AT_MOST).build() }
    }

    /// A ticket for `caller`, good until `expires_at_ms`.
    pub async fn issue(&self, caller: Caller, expires_at_ms: i64) -> String {
        let ticket = crate::random::token();
        self.tickets.insert(ticket.clone(), Outstanding { caller, expires_at_ms }).await;
        ticket
    }

    /// Whose ticket it is; it is worth nothing afterwards. `None` if it was used, has expired or never was.
    pub async fn redeem(&self, ticket: &str, now_ms: i64) -> Option<Caller> {
        self.tickets.remove(ticket).await.filter(|known| now_ms < known.expires_at_ms).map(|known| known.caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{BuyerId, Role};

    #[actix_rt::test]
    async fn a_ticket_opens_one_socket_in_time() {
        let tickets = WsTickets::new(10);
        let caller = Caller { buyer: BuyerId(1), username: "li".to_owned(), role: Role::User, sid: "s".to_owned() };
        let ticket = tickets.issue(caller.clone(), 1_000).await;
        assert_eq!(tickets.redeem("made up", 0).await, None);
        assert_eq!(tickets.redeem(&ticket, 999).await, Some(caller.clone()));
        assert_eq!(tickets.redeem(&ticket, 999).await, None);
        let late = tickets.issue(caller, 1_000).await;
        assert_eq!(tickets.redeem(&late, 1_000).await, None);
    }
}
