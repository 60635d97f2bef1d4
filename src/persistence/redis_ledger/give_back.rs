//! `release`, its undo `retake`, and `settle`: one call a product, those of several products sent together.

use std::collections::{BTreeMap, HashSet};

use futures::future::join_all;
use redis::Value;

use super::{RedisLedger, record, scripts};
use crate::domain::stock::ClaimRejection;
use crate::domain::{OrderNo, ProductId};
use crate::failpoint;
use crate::persistence::error::StoreError;
use crate::persistence::ledger::{LedgerAnswer, TicketRef};
use crate::persistence::orders;

const RELEASING: &str = "releasing tickets";
const SETTLING: &str = "settling tickets";
const RETAKING: &str = "retaking a ticket";
/// Most tickets of one call.
const TICKETS_MAX: usize = 1_000;
/// Keys that these scripts use: all but those of the moves.
const KEYS: usize = 7;
/// What the database says of an order: not asked yet, there is one, there is none that ever had units.
const NOT_ASKED: &str = "?";
const ORDERED: &str = "o";
const NOT_ORDERED: &str = "n";

impl RedisLedger {
    pub(super) async fn release_all(&self, tickets: &[TicketRef]) -> Result<(), StoreError> {
        let by_product = by_product(tickets);
        if by_product.is_empty() {
            return Ok(());
        }
        failpoint::reach("ledger.release.before");
        let calls = by_product.iter().map(|(product, tickets)| self.release_of(*product, tickets));
        all(join_all(calls).await)?;
        failpoint::reach("ledger.release.after");
        Ok(())
    }

    async fn release_of(&self, product: ProductId, tickets: &[TicketRef]) -> Result<(), StoreError> {
        self.enter(product).await?;
        for tickets in tickets.chunks(TICKETS_MAX) {
            let unclear = self.release_call(product, tickets, |_| NOT_ASKED).await?;
            if unclear.is_empty() {
                continue;
            }
            let order_nos: Vec<OrderNo> = unclear.iter().map(|ticket| ticket.order_no).collect();
            let taken = orders::with_units(&self.db, &order_nos).await?;
            self.release_call(product, &unclear, |ticket| word(taken.contains(&ticket.order_no))).await?;
        }
        Ok(())
    }

    /// For a ticket of which nothing can be read but its number: it goes, its units stay taken until the next rebuild.
    pub(super) async fn release_nameless(&self, product: ProductId, order_no: &str) -> Result<(), StoreError> {
        let mut call = self.redis.call(RELEASING, &scripts::RELEASE, product, KEYS);
        call.arg(&[order_no, "0", "0:0", "0", NOT_ORDERED]);
        self.redis.run(&call).await.map(|_| ())
    }

    /// Answers those that the database must be asked about.
    async fn release_call(
        &self,
        product: ProductId,
        tickets: &[TicketRef],
        word: impl Fn(&TicketRef) -> &'static str,
    ) -> Result<Vec<TicketRef>, StoreError> {
        let mut call = self.redis.call(RELEASING, &scripts::RELEASE, product, KEYS);
        for ticket in tickets {
            call.arg(&ticket_args(ticket)).arg(word(ticket));
        }
        let reply = self.redis.run(&call).await?;
        let position = |value: &Value| match value {
            Value::Int(position) => usize::try_from(*position).ok()?.checked_sub(1),
            _ => None,
        };
        let unclear = reply.iter().map(|value| position(value).and_then(|index| tickets.get(index)).copied());
        unclear.collect::<Option<Vec<TicketRef>>>().ok_or_else(|| record::corrupt(RELEASING))
    }

    pub(super) async fn settle_all(&self, tickets: &[TicketRef]) -> Result<(), StoreError> {
        let by_product = by_product(tickets);
        if by_product.is_empty() {
            return Ok(());
        }
        failpoint::reach("ledger.settle.before");
        let calls = by_product.iter().map(|(product, tickets)| self.settle_of(*product, tickets));
        all(join_all(calls).await)?;
        failpoint::reach("ledger.settle.after");
        Ok(())
    }

    async fn settle_of(&self, product: ProductId, tickets: &[TicketRef]) -> Result<(), StoreError> {
        for tickets in tickets.chunks(TICKETS_MAX) {
            let mut call = self.redis.call(SETTLING, &scripts::SETTLE, product, KEYS);
            for ticket in tickets {
                call.arg(&ticket_args(ticket));
            }
            self.redis.run(&call).await?;
        }
        Ok(())
    }

    pub(super) async fn retake_one(&self, ticket: &TicketRef, now_ms: i64) -> LedgerAnswer<()> {
        failpoint::reach("ledger.retake.before");
        let mut answer = self.retake_call(ticket, now_ms, NOT_ASKED).await?;
        if answer == "A" {
            let taken = orders::with_units(&self.db, &[ticket.order_no]).await?;
            answer = self.retake_call(ticket, now_ms, word(taken.contains(&ticket.order_no))).await?;
        }
        failpoint::reach("ledger.retake.after");
        if answer == "T" {
            return Ok(Ok(()));
        }
        let refusal: Option<ClaimRejection> = record::refusal(&answer);
        refusal.map(Err).ok_or_else(|| record::corrupt(RETAKING))
    }

    async fn retake_call(&self, ticket: &TicketRef, now_ms: i64, word: &str) -> Result<String, StoreError> {
        let mut call = self.redis.call(RETAKING, &scripts::RETAKE, ticket.product, KEYS);
        call.arg(now_ms).arg(&ticket_args(ticket)).arg(word);
        let reply = self.redis.run(&call).await?;
        Ok(reply.first().map(record::text).unwrap_or_default().into_owned())
    }
}

/// Order, pool, account and units.
fn ticket_args(ticket: &TicketRef) -> [String; 4] {
    let pool = i64::from(ticket.pool).to_string();
    let account = record::account(ticket.pool, ticket.buyer);
    [ticket.order_no.to_string(), pool, account, ticket.quantity.units().to_string()]
}

const fn word(is_ordered: bool) -> &'static str {
    if is_ordered { ORDERED } else { NOT_ORDERED }
}

/// Each number once, by product.
fn by_product(tickets: &[TicketRef]) -> BTreeMap<ProductId, Vec<TicketRef>> {
    let mut by_product: BTreeMap<ProductId, Vec<TicketRef>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for ticket in tickets.iter().filter(|ticket| seen.insert(ticket.order_no)) {
        by_product.entry(ticket.product).or_default().push(*ticket);
    }
    by_product
}

/// All products are tried; the first failure is told.
fn all(results: Vec<Result<(), StoreError>>) -> Result<(), StoreError> {
    results.into_iter().collect()
}
