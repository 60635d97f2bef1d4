//! `release`, its undo `retake`, and `settle`.

use std::collections::{BTreeMap, HashSet};

use sea_orm::DatabaseTransaction;
use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::accounts::Accounts;
use super::tickets::{self, Known, OWED, PREPARED, RETURNED, TicketRow};
use crate::domain::stock::{Claim, ClaimRejection, Marker, OrderDetails, Pool, Ticket, TicketKind, judge};
use crate::domain::{BuyerId, Money, OrderNo, ProductId};
use crate::failpoint;
use crate::persistence::db::Db;
use crate::persistence::error::StoreError;
use crate::persistence::ledger::{LedgerAnswer, TicketRef};
use crate::persistence::{dead_tickets, query};

const RELEASING: &str = "releasing tickets";
const SETTLING: &str = "settling tickets";
const RETAKING: &str = "retaking a ticket";

pub(super) async fn release(db: &Db, refs: &[TicketRef]) -> Result<(), StoreError> {
    let mut by_product: BTreeMap<ProductId, Vec<&TicketRef>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for ticket in refs.iter().filter(|ticket| seen.insert(ticket.order_no)) {
        by_product.entry(ticket.product).or_default().push(ticket);
    }
    if by_product.is_empty() {
        return Ok(());
    }
    failpoint::reach("ledger.release.before");
    db.write(RELEASING, async |tx| {
        for (product, refs) in &by_product {
            release_of_product(tx, *product, refs).await?;
        }
        Ok(())
    })
    .await?;
    failpoint::reach("ledger.release.after");
    Ok(())
}

async fn release_of_product(
    tx: &DatabaseTransaction,
    product: ProductId,
    refs: &[&TicketRef],
) -> Result<(), StoreError> {
    let buyers: HashSet<_> = refs.iter().map(|ticket| (ticket.pool, ticket.buyer)).collect();
    let mut accounts = Accounts::open(tx, product, &buyers).await?;
    let order_nos: Vec<OrderNo> = refs.iter().map(|ticket| ticket.order_no).collect();
    let known = tickets::known(tx, &order_nos).await?;
    let (mut returned, mut tombstones) = (Vec::new(), Vec::new());
    for ticket in refs {
        match known.get(&ticket.order_no) {
            Some(Known::Returned) => continue,
            Some(Known::Taken(_)) => returned.push(ticket.order_no.to_string()),
            Some(Known::Settled(ticket)) => tombstones.push(ticket.clone()),
            None => tombstones.push(tombstone(ticket)),
        }
        if known.contains_key(&ticket.order_no) {
            accounts.give_back(ticket.pool, ticket.buyer, ticket.quantity.units());
        }
    }
    for order_nos in returned.chunks(query::KEYS_MAX) {
        let update = Query::update()
            .table("ledger_tickets")
            .value("state", RETURNED)
            .and_where(Expr::col("order_no").is_in(order_nos))
            .to_owned();
        query::execute(tx, &update, RELEASING).await?;
    }
    tickets::insert(tx, tombstones.iter().map(|ticket| (ticket, RETURNED))).await?;
    accounts.close(tx).await
}

/// Gives the units of a ticket that cannot be read back by its columns and keeps its raw row as a dead ticket, in one
/// transaction. The tombstone is readable again. If its order was placed before, the ticket is settled only.
pub(super) async fn bury_unreadable(db: &Db, ticket: &TicketRow, now_ms: i64) -> Result<(), StoreError> {
    db.write("burying an unreadable ticket", async |tx| {
        let (product, buyer, pool) = (ProductId(ticket.product_id), BuyerId(ticket.buyer_id), Pool::from(ticket.pool));
        let mut accounts = Accounts::open(tx, product, &HashSet::from([(pool, buyer)])).await?;
        let is_placed = match query::order_no(&ticket.order_no) {
            Ok(order_no) => tickets::has_order(tx, order_no).await?,
            Err(_) => false,
        };
        if is_placed {
            return settle_in(tx, std::slice::from_ref(&ticket.order_no)).await;
        }
        let update = Query::update()
            .table("ledger_tickets")
            .value("state", RETURNED)
            .value("details", query::to_json(&OrderDetails::default(), "order details")?)
            .and_where(Expr::col("order_no").eq(&ticket.order_no))
            .and_where(Expr::col("state").is_in([OWED, PREPARED]))
            .to_owned();
        if query::execute(tx, &update, RELEASING).await? == 0 {
            return Ok(()); // settled or returned meanwhile
        }
        dead_tickets::insert_unreadable(tx, (&ticket.order_no, product, buyer), &ticket.raw(), now_ms).await?;
        if ticket.quantity > 0 {
            accounts.give_back(pool, buyer, ticket.quantity);
        }
        accounts.close(tx).await
    })
    .await
}

/// For a number whose claim never came (yet).
fn tombstone(ticket: &TicketRef) -> Ticket {
    Ticket { claim: claim_of(ticket), accepted_at_ms: 0, epoch: 0 }
}

fn claim_of(ticket: &TicketRef) -> Claim {
    let TicketRef { order_no, product, pool, buyer, quantity } = *ticket;
    let (kind, details) = (TicketKind::Owed, OrderDetails::default());
    Claim { order_no, buyer, product, pool, quantity, unit_price: Money::ZERO, kind, details }
}

pub(super) async fn settle(db: &Db, refs: &[TicketRef]) -> Result<(), StoreError> {
    if refs.is_empty() {
        return Ok(());
    }
    failpoint::reach("ledger.settle.before");
    let order_nos = query::texts(refs.iter().map(|ticket| &ticket.order_no));
    db.write(SETTLING, async |tx| {
        for order_nos in order_nos.chunks(query::KEYS_MAX) {
            settle_in(tx, order_nos).await?;
        }
        Ok(())
    })
    .await?;
    failpoint::reach("ledger.settle.after");
    Ok(())
}

async fn settle_in(tx: &DatabaseTransaction, order_nos: &[String]) -> Result<(), StoreError> {
    let delete = Query::delete()
        .from_table("ledger_tickets")
        .and_where(Expr::col("order_no").is_in(order_nos))
        .and_where(Expr::col("state").is_in([OWED, PREPARED]))
        .to_owned();
    query::execute(tx, &delete, SETTLING).await?;
    Ok(())
}

pub(super) async fn retake(db: &Db, ticket: &TicketRef, now_ms: i64) -> LedgerAnswer<()> {
    failpoint::reach("ledger.retake.before");
    let answer = db.write(RETAKING, async |tx| retake_in(tx, ticket, now_ms).await).await?;
    failpoint::reach("ledger.retake.after");
    Ok(answer)
}

async fn retake_in(tx: &DatabaseTransaction, ticket: &TicketRef, now_ms: i64) -> LedgerAnswer<()> {
    let mut accounts = Accounts::open(tx, ticket.product, &HashSet::from([(ticket.pool, ticket.buyer)])).await?;
    match tickets::known(tx, &[ticket.order_no]).await?.get(&ticket.order_no) {
        Some(Known::Taken(_) | Known::Settled(_)) => return Ok(Ok(())),
        Some(Known::Returned) if tickets::has_order(tx, ticket.order_no).await? => {}
        Some(Known::Returned) | None => return Ok(Err(ClaimRejection::Withdrawn)),
    }
    let Some(account) = accounts.claimable(ticket.pool) else { return Ok(Err(ClaimRejection::PoolNotFound)) };
    let terms = account.terms.filter(|_| ticket.pool != Pool::Free);
    let buyer = accounts.buyer(ticket.pool, ticket.buyer);
    if let Err(rejection) = judge(&claim_of(ticket), Marker::None, terms.as_ref(), buyer, account.free, now_ms) {
        return Ok(Err(rejection));
    }
    accounts.take(ticket.pool, ticket.buyer, ticket.quantity.units(), ticket.order_no);
    accounts.close(tx).await?;
    let lift = Query::delete()
        .from_table("ledger_tickets")
        .and_where(Expr::col("order_no").eq(ticket.order_no.to_string()))
        .to_owned();
    query::execute(tx, &lift, RETAKING).await?;
    Ok(Ok(()))
}
