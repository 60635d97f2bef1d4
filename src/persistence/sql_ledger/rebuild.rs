//! The account of one product, written anew from what the database says.

use std::collections::BTreeMap;

use sea_orm::DatabaseTransaction;
use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::accounts::{self, PoolAccount, insert_pool, write_buyers};
use super::tickets::{self, Known, RETURNED};
use crate::domain::stock::{Claim, OrderDetails, Pool, Quantity, Ticket, TicketKind};
use crate::domain::{BuyerId, Money, OrderNo, ProductId};
use crate::persistence::db::Db;
use crate::persistence::error::StoreError;
use crate::persistence::ledger::{LostAccount, Rebuild};
use crate::persistence::query;

const OPERATION: &str = "rebuilding the ledger";

pub(super) async fn begin(db: &Db, product: ProductId) -> Result<LostAccount, StoreError> {
    let epoch = epoch_of(&accounts::pools(db.writer(), product, false).await?);
    Ok(LostAccount { epoch, turn: turn(epoch) })
}

fn epoch_of(pools: &BTreeMap<Pool, PoolAccount>) -> i64 {
    pools.values().map(|account| account.epoch).max().unwrap_or(0)
}

/// An account of this ledger is there as long as no other one is written.
fn turn(epoch: i64) -> String {
    format!("after epoch {epoch}")
}

pub(super) async fn rebuild(db: &Db, product: ProductId, rebuild: &Rebuild) -> Result<bool, StoreError> {
    db.write(OPERATION, async |tx| {
        let epoch = epoch_of(&accounts::pools(tx, product, true).await?);
        if turn(epoch) != rebuild.turn || epoch >= rebuild.epoch {
            return Ok(false);
        }
        for table in ["ledger_pools", "ledger_buyers"] {
            let delete = Query::delete().from_table(table).and_where(Expr::col("product_id").eq(product.0)).to_owned();
            query::execute(tx, &delete, OPERATION).await?;
        }
        for state in &rebuild.pools {
            let account = PoolAccount { free: state.free, terms: state.terms, epoch: rebuild.epoch };
            insert_pool(tx, product, state.pool, &account).await?;
        }
        write_buyers(tx, product, rebuild.buyers.iter().map(|state| ((state.pool, state.buyer), state.units))).await?;
        mark_returned(tx, product, &rebuild.returned).await?;
        for steps in rebuild.open_steps.chunks(query::KEYS_MAX) {
            let these = Expr::col("step_id").is_in(steps);
            let delete = Query::delete().from_table("ledger_moves").and_where(these).to_owned();
            query::execute(tx, &delete, OPERATION).await?;
        }
        Ok(true)
    })
    .await
}

/// Leaves a tombstone under each number without giving units back: the pools were counted with them.
async fn mark_returned(tx: &DatabaseTransaction, product: ProductId, numbers: &[OrderNo]) -> Result<(), StoreError> {
    let known = tickets::known(tx, numbers).await?;
    let (mut returned, mut tombstones) = (Vec::new(), Vec::new());
    for order_no in numbers {
        match known.get(order_no) {
            Some(Known::Returned) => {}
            Some(Known::Taken(_)) => returned.push(order_no.to_string()),
            Some(Known::Settled(ticket)) => tombstones.push(ticket.clone()),
            None => tombstones.push(nameless(product, *order_no)),
        }
    }
    for numbers in returned.chunks(query::KEYS_MAX) {
        let update = Query::update()
            .table("ledger_tickets")
            .value("state", RETURNED)
            .and_where(Expr::col("order_no").is_in(numbers))
            .to_owned();
        query::execute(tx, &update, OPERATION).await?;
    }
    tickets::insert(tx, tombstones.iter().map(|ticket| (ticket, RETURNED))).await
}

/// The tombstone of a number of which nothing but the number is known.
fn nameless(product: ProductId, order_no: OrderNo) -> Ticket {
    let claim = Claim {
        order_no,
        buyer: BuyerId(0),
        product,
        pool: Pool::Free,
        quantity: Quantity::ONE,
        unit_price: Money::ZERO,
        kind: TicketKind::Owed,
        details: OrderDetails::default(),
    };
    Ticket { claim, accepted_at_ms: 0, epoch: 0 }
}
