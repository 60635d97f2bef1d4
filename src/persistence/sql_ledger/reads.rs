//! Questions to the ledger.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Cond, Expr, ExprTrait, Order, Query};
use sea_orm::{DatabaseTransaction, FromQueryResult};

use super::tickets::{self, OWED, PREPARED, RETURNED, TicketRow};
use super::{accounts, give_back};
use crate::domain::stock::{BuyerUnits, Pool, Ticket};
use crate::domain::{BuyerId, OrderNo, ProductId};
use crate::persistence::db::Db;
use crate::persistence::error::StoreError;
use crate::persistence::ledger::{BuyerState, LedgerPool, LedgerSnapshot, TicketRecord};
use crate::persistence::query;

const READING: &str = "reading the ledger";
/// Most tickets that [`tickets_of`] answers: more than one buyer can have in flight.
const TICKETS_OF_BUYER_MAX: u64 = 200;

pub(super) async fn find(db: &Db, order_no: OrderNo) -> Result<Option<TicketRecord>, StoreError> {
    let rows = tickets::read(db.reader(), &[order_no]).await?;
    rows.first().map(|row| Ok(TicketRecord { ticket: row.ticket()?, returned: row.state == RETURNED })).transpose()
}

pub(super) async fn tickets_of(db: &Db, buyer: BuyerId) -> Result<Vec<Ticket>, StoreError> {
    let select = tickets::select()
        .and_where(Expr::col("buyer_id").eq(buyer.0))
        .and_where(Expr::col("state").eq(OWED))
        .order_by("order_no", Order::Desc)
        .limit(TICKETS_OF_BUYER_MAX)
        .to_owned();
    let rows: Vec<TicketRow> = query::all(db.reader(), &select, "reading a buyer's tickets").await?;
    Ok(rows.iter().filter_map(readable).collect())
}

#[derive(FromQueryResult)]
struct BuyerRow {
    pool: i64,
    buyer_id: i64,
    units: i64,
    latest_order_no: String,
}

pub(super) async fn buyers(db: &Db, product: ProductId) -> Result<Vec<BuyerState>, StoreError> {
    let select = Query::select()
        .columns(["pool", "buyer_id", "units", "latest_order_no"])
        .from("ledger_buyers")
        .and_where(Expr::col("product_id").eq(product.0))
        .and_where(Expr::col("units").gt(0))
        .to_owned();
    let rows: Vec<BuyerRow> = query::all(db.reader(), &select, "reading the accounts of buyers").await?;
    rows.into_iter()
        .map(|row| {
            let units = BuyerUnits { units: row.units, latest: query::order_no(&row.latest_order_no)? };
            Ok(BuyerState { pool: Pool::from(row.pool), buyer: BuyerId(row.buyer_id), units })
        })
        .collect()
}

pub(super) async fn orphans(db: &Db, accepted_before_ms: i64, limit: u64) -> Result<Vec<Ticket>, StoreError> {
    let mut found: Vec<Ticket> = Vec::new();
    let mut after: Option<(i64, String)> = None;
    // Pages past rows that cannot be read, so that they do not stand in the way of those behind them.
    while (found.len() as u64) < limit {
        let mut select = tickets::select();
        select
            .and_where(Expr::col("state").is_in([OWED, PREPARED]))
            .and_where(Expr::col("accepted_at_ms").lt(accepted_before_ms))
            .order_by("accepted_at_ms", Order::Asc)
            .order_by("order_no", Order::Asc)
            .limit(limit);
        if let Some((accepted_at_ms, order_no)) = &after {
            let same_time =
                Expr::col("accepted_at_ms").eq(*accepted_at_ms).and(Expr::col("order_no").gt(order_no.as_str()));
            select.cond_where(Cond::any().add(Expr::col("accepted_at_ms").gt(*accepted_at_ms)).add(same_time));
        }
        let rows: Vec<TicketRow> = query::all(db.reader(), &select, "reading unsettled tickets").await?;
        let Some(last) = rows.last() else { break };
        after = Some((last.accepted_at_ms, last.order_no.clone()));
        for row in &rows {
            match row.ticket() {
                Ok(ticket) => found.push(ticket),
                Err(error) => bury(db, row, &error, accepted_before_ms).await,
            }
        }
    }
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// A ticket that cannot be read would wait for ever. `now_ms` is a moment ago: the caller's bound on the age.
async fn bury(db: &Db, row: &TicketRow, error: &StoreError, now_ms: i64) {
    match give_back::bury_unreadable(db, row, now_ms).await {
        Ok(()) => {
            metrics::counter!("rushmall_dead_tickets_total").increment(1);
            tracing::error!(order_no = row.order_no, %error, "ticket moved to the dead letters, its units are back");
        }
        Err(failure) => tracing::error!(order_no = row.order_no, %error, %failure, "unreadable ticket not buried"),
    }
}

fn readable(row: &TicketRow) -> Option<Ticket> {
    row.ticket().inspect_err(|error| tracing::error!(order_no = row.order_no, %error, "ticket left out")).ok()
}

#[derive(FromQueryResult)]
struct Unsettled {
    pool: i64,
    quantity: i64,
}

pub(super) async fn snapshot(db: &Db, product: ProductId) -> Result<LedgerSnapshot, StoreError> {
    let tx = db.snapshot(READING).await?;
    let snapshot = snapshot_in(&tx, product).await?;
    tx.commit().await.map_err(StoreError::during(READING))?;
    Ok(snapshot)
}

pub(super) async fn snapshot_in(tx: &DatabaseTransaction, product: ProductId) -> Result<LedgerSnapshot, StoreError> {
    let pools = accounts::pools(tx, product, false).await?;
    let select = Query::select()
        .columns(["pool", "quantity"])
        .from("ledger_tickets")
        .and_where(Expr::col("state").is_in([OWED, PREPARED]))
        .and_where(Expr::col("product_id").eq(product.0))
        .to_owned();
    let tickets: Vec<Unsettled> = query::all(tx, &select, READING).await?;
    let mut unsettled: BTreeMap<Pool, i64> = BTreeMap::new();
    for ticket in tickets {
        *unsettled.entry(Pool::from(ticket.pool)).or_default() += ticket.quantity;
    }
    let pools = pools
        .into_iter()
        .map(|(pool, account)| LedgerPool {
            pool,
            free: account.free,
            unsettled: unsettled.get(&pool).copied().unwrap_or(0),
            terms: account.terms,
            epoch: account.epoch,
        })
        .collect();
    Ok(LedgerSnapshot { pools })
}

pub(super) async fn unsettled(db: &Db, product: ProductId) -> Result<Vec<Ticket>, StoreError> {
    let select = tickets::select()
        .and_where(Expr::col("product_id").eq(product.0))
        .and_where(Expr::col("state").is_in([OWED, PREPARED]))
        .order_by("accepted_at_ms", Order::Asc)
        .order_by("order_no", Order::Asc)
        .to_owned();
    let rows: Vec<TicketRow> = query::all(db.reader(), &select, "reading a product's unsettled tickets").await?;
    let without_details = |row: TicketRow| TicketRow { details: "{}".to_owned(), ..row };
    Ok(rows.into_iter().filter_map(|row| row.ticket().or_else(|_| without_details(row).ticket()).ok()).collect())
}
