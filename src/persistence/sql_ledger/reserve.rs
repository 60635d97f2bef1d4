//! `reserve`: a whole batch of claims in one transaction, whose rows grow with the claims but whose statements do not.

use std::collections::{HashMap, HashSet};

use sea_orm::DatabaseTransaction;

use super::accounts::Accounts;
use super::tickets::{self, Known};
use crate::domain::stock::{Claim, ClaimRejection, Marker, Pool, Ticket, Verdict, judge};
use crate::domain::{OrderNo, ProductId};
use crate::failpoint;
use crate::persistence::db::Db;
use crate::persistence::error::StoreError;

type Answers = Vec<Result<Ticket, ClaimRejection>>;

pub(super) async fn reserve(db: &Db, product: ProductId, claims: &[Claim], now_ms: i64) -> Result<Answers, StoreError> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    failpoint::reach("ledger.reserve.before");
    let answers = db.write("reserving units", async |tx| reserve_in(tx, product, claims, now_ms).await).await?;
    failpoint::reach("ledger.reserve.after");
    Ok(answers)
}

async fn reserve_in(
    tx: &DatabaseTransaction,
    product: ProductId,
    claims: &[Claim],
    now_ms: i64,
) -> Result<Answers, StoreError> {
    let buyers: HashSet<_> = claims.iter().map(|claim| (claim.pool, claim.buyer)).collect();
    let mut accounts = Accounts::open(tx, product, &buyers).await?;
    let order_nos: Vec<OrderNo> = claims.iter().map(|claim| claim.order_no).collect();
    let mut known = tickets::known(tx, &order_nos).await?;
    let mut taken = Vec::new();
    let mut answers = Vec::with_capacity(claims.len());
    for claim in claims {
        let answer = judge_one(&mut accounts, &known, product, claim, now_ms);
        answers.push(answer.map(|judged| match judged {
            Judged::Repeat(ticket) => ticket,
            Judged::New(ticket) => {
                known.insert(claim.order_no, Known::Taken(ticket.clone()));
                taken.push(answers.len());
                ticket
            }
        }));
    }
    let new = taken.iter().filter_map(|index| answers.get(*index)?.as_ref().ok());
    tickets::insert(tx, new.map(|ticket| (ticket, tickets::state_of(ticket.claim.kind)))).await?;
    accounts.close(tx).await?;
    Ok(answers)
}

enum Judged {
    New(Ticket),
    Repeat(Ticket),
}

fn judge_one(
    accounts: &mut Accounts,
    known: &HashMap<OrderNo, Known>,
    product: ProductId,
    claim: &Claim,
    now_ms: i64,
) -> Result<Judged, ClaimRejection> {
    let marker = match known.get(&claim.order_no) {
        Some(Known::Taken(ticket) | Known::Settled(ticket)) => return Ok(Judged::Repeat(ticket.clone())),
        Some(Known::Returned) => Marker::Returned,
        None => Marker::None,
    };
    let pool = accounts.claimable(claim.pool).filter(|_| claim.product == product);
    let (free, terms) = match (pool, marker) {
        (Some(account), _) => (account.free, account.terms),
        (None, Marker::Returned) => return Err(ClaimRejection::Withdrawn),
        (None, _) => return Err(ClaimRejection::PoolNotFound),
    };
    let sale = terms.filter(|_| claim.pool != Pool::Free);
    let verdict = judge(claim, marker, sale.as_ref(), accounts.buyer(claim.pool, claim.buyer), free, now_ms)?;
    debug_assert_eq!(verdict, Verdict::Take, "a repeat was answered above");
    accounts.take(claim.pool, claim.buyer, claim.quantity.units(), claim.order_no);
    let unit_price = sale.map_or(claim.unit_price, |terms| terms.unit_price);
    Ok(Judged::New(Ticket { claim: Claim { unit_price, ..claim.clone() }, accepted_at_ms: now_ms, epoch: 0 }))
}
