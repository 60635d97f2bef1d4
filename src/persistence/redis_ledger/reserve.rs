//! `reserve`: a whole batch of claims in one script call.

use std::collections::HashMap;

use super::{RedisLedger, record, scripts};
use crate::domain::stock::{Claim, ClaimRejection, Pool, Ticket};
use crate::domain::{Money, OrderNo, ProductId};
use crate::failpoint;
use crate::persistence::error::StoreError;
use crate::persistence::sql_ledger;

const OPERATION: &str = "reserving units";
/// Most claims of one call: Lua can unpack about 8,000 values, and a ticket is two.
const CLAIMS_MAX: usize = 2_000;
/// Name of a pool that no product has: a claim on another product is judged by its markers and then refused.
const NO_POOL: &str = "-";

type Answers = Vec<Result<Ticket, ClaimRejection>>;

impl RedisLedger {
    pub(super) async fn reserve_batch(
        &self,
        product: ProductId,
        claims: &[Claim],
        now_ms: i64,
    ) -> Result<Answers, StoreError> {
        let mut answers = Answers::with_capacity(claims.len());
        for claims in claims.chunks(CLAIMS_MAX) {
            self.enter(product).await?;
            failpoint::reach("ledger.reserve.before");
            answers.extend(self.reserve_call(product, claims, now_ms).await?);
            failpoint::reach("ledger.reserve.after");
        }
        Ok(answers)
    }

    async fn reserve_call(&self, product: ProductId, claims: &[Claim], now_ms: i64) -> Result<Answers, StoreError> {
        let mut call = self.redis.call(OPERATION, &scripts::RESERVE, product, 6);
        call.arg(now_ms);
        for run in claims.chunk_by(differ_in_order_and_buyer_only) {
            let Some(first) = run.first() else { continue };
            let pool = if first.product == product { i64::from(first.pool).to_string() } else { NO_POOL.to_owned() };
            call.arg(run.len()).arg(pool).arg(first.quantity.units()).arg(first.unit_price.fen());
            call.arg(record::kind(first)).arg(record::details(first)?);
            for claim in run {
                call.arg(claim.order_no.to_string()).arg(record::account(claim.pool, claim.buyer));
            }
        }
        let reply = self.redis.run(&call).await?;
        let (epoch, reply) = record::epoch_and_rest(&reply, OPERATION)?;
        if reply.len() != claims.len() {
            return Err(record::corrupt(OPERATION));
        }
        let texts: Vec<_> = reply.iter().map(record::text).collect();
        let settled = claims.iter().zip(&texts).filter(|(_, text)| *text == "S").map(|(claim, _)| claim.order_no);
        let orders = self.orders(settled.collect()).await?;
        let accepted = Accepted { at_ms: now_ms, epoch };
        let answers = claims.iter().zip(&texts).map(|(claim, text)| answer(claim, product, text, &orders, accepted));
        let answers = answers.collect::<Result<Answers, StoreError>>()?;
        let taken = answers.iter().flatten().map(|ticket| ticket.claim.order_no);
        self.products.learn(product, taken);
        Ok(answers)
    }

    /// The tickets of those numbers that have become orders.
    pub(super) async fn orders(&self, order_nos: Vec<OrderNo>) -> Result<HashMap<OrderNo, Ticket>, StoreError> {
        if order_nos.is_empty() {
            return Ok(HashMap::new());
        }
        sql_ledger::placed_tickets(&self.db, &order_nos).await
    }
}

/// Claims of a rush: said once for all of them what they have in common.
fn differ_in_order_and_buyer_only(one: &Claim, next: &Claim) -> bool {
    let common = |claim: &Claim| (claim.product, claim.pool, claim.quantity, claim.unit_price, claim.kind);
    common(one) == common(next) && one.details == next.details
}

/// When and by which account the claims of a call were judged.
#[derive(Clone, Copy)]
struct Accepted {
    at_ms: i64,
    epoch: i64,
}

fn answer(
    claim: &Claim,
    product: ProductId,
    text: &str,
    orders: &HashMap<OrderNo, Ticket>,
    Accepted { at_ms, epoch }: Accepted,
) -> Result<Result<Ticket, ClaimRejection>, StoreError> {
    let accepted = |unit_price| Ticket { claim: Claim { unit_price, ..claim.clone() }, accepted_at_ms: at_ms, epoch };
    if let Some(known) = text.strip_prefix('R') {
        let ticket = record::ticket(claim.order_no, product, known)?;
        return Ok(Ok(Ticket { epoch, ..ticket }));
    }
    if let Some(price) = text.strip_prefix('T') {
        let is_free = claim.pool == Pool::Free;
        let price = if is_free { claim.unit_price } else { Money::from_fen(record::number(price, OPERATION)?) };
        return Ok(Ok(accepted(price)));
    }
    if text == "S" {
        // Settled, so its order is there; one that an administrator has deleted since is answered as it was claimed.
        return Ok(Ok(orders.get(&claim.order_no).cloned().unwrap_or_else(|| accepted(claim.unit_price))));
    }
    record::refusal(text).map(Err).ok_or_else(|| record::corrupt(OPERATION))
}
