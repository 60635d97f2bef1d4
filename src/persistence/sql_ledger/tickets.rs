//! Rows of `ledger_tickets`, and what is known of a number: from its ticket, or from the order it became.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::domain::stock::{Claim, Pool, Ticket, TicketKind};
use crate::domain::{BuyerId, Money, OrderNo, ProductId};
use crate::persistence::dead_tickets::RawTicket;
use crate::persistence::error::StoreError;
use crate::persistence::query;

/// `state` of a ticket row: taken and owed, taken and prepared, returned.
pub(super) const OWED: i16 = 0;
pub(super) const PREPARED: i16 = 1;
pub(super) const RETURNED: i16 = 2;

const COLUMNS: [&str; 9] =
    ["order_no", "product_id", "pool", "buyer_id", "quantity", "unit_price_fen", "state", "details", "accepted_at_ms"];

#[derive(Debug, FromQueryResult)]
pub(super) struct TicketRow {
    pub(super) order_no: String,
    pub(super) product_id: i64,
    pub(super) pool: i64,
    pub(super) buyer_id: i64,
    pub(super) quantity: i64,
    pub(super) unit_price_fen: i64,
    pub(super) state: i16,
    pub(super) details: String,
    pub(super) accepted_at_ms: i64,
}

impl TicketRow {
    pub(super) fn ticket(&self) -> Result<Ticket, StoreError> {
        let claim = Claim {
            order_no: query::order_no(&self.order_no)?,
            buyer: BuyerId(self.buyer_id),
            product: ProductId(self.product_id),
            pool: Pool::from(self.pool),
            quantity: query::quantity(self.quantity, &self.order_no)?,
            unit_price: Money::from_fen(self.unit_price_fen),
            kind: if self.state == PREPARED { TicketKind::Prepared } else { TicketKind::Owed },
            details: query::from_json(&self.details, || format!("details of ticket {}", self.order_no))?,
        };
        Ok(Ticket { claim, accepted_at_ms: self.accepted_at_ms, epoch: 0 })
    }

    /// For a row that [`Self::ticket`] cannot read.
    pub(super) fn raw(&self) -> RawTicket {
        let Self { pool, quantity, unit_price_fen, accepted_at_ms, .. } = *self;
        RawTicket { pool, quantity, unit_price_fen, accepted_at_ms, details: self.details.clone() }
    }
}

#[derive(FromQueryResult)]
struct OrderRow {
    order_no: String,
    user_id: i64,
    product_id: i64,
    pool: i64,
    quantity: i64,
    total_fen: i64,
    details: String,
    created_at_ms: i64,
}

impl OrderRow {
    fn ticket(&self) -> Result<Ticket, StoreError> {
        let row = TicketRow {
            order_no: self.order_no.clone(),
            product_id: self.product_id,
            pool: self.pool,
            buyer_id: self.user_id,
            quantity: self.quantity,
            unit_price_fen: self.total_fen / Ord::max(self.quantity, 1),
            state: OWED,
            details: self.details.clone(),
            accepted_at_ms: self.created_at_ms,
        };
        row.ticket()
    }
}

/// What is known of a number.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// Units were taken; the ticket is there.
    Taken(Ticket),
    /// Units were taken; the ticket is settled, its order is there.
    Settled(Ticket),
    /// A tombstone.
    Returned,
}

/// All that is known of these numbers.
pub(super) async fn known(
    tx: &impl ConnectionTrait,
    order_nos: &[OrderNo],
) -> Result<HashMap<OrderNo, Known>, StoreError> {
    let mut known = HashMap::with_capacity(order_nos.len());
    for row in read(tx, order_nos).await? {
        let state = if row.state == RETURNED { Known::Returned } else { Known::Taken(row.ticket()?) };
        known.insert(query::order_no(&row.order_no)?, state);
    }
    let unknown: Vec<OrderNo> = order_nos.iter().filter(|order_no| !known.contains_key(*order_no)).copied().collect();
    let settled = of_orders(tx, &unknown).await?;
    known.extend(settled.into_iter().map(|(order_no, ticket)| (order_no, Known::Settled(ticket))));
    Ok(known)
}

/// The tickets of those numbers that have become orders.
pub(super) async fn of_orders(
    conn: &impl ConnectionTrait,
    order_nos: &[OrderNo],
) -> Result<HashMap<OrderNo, Ticket>, StoreError> {
    let rows = orders(conn, order_nos).await?;
    rows.iter().map(|row| Ok((query::order_no(&row.order_no)?, row.ticket()?))).collect()
}

/// True if the number has become an order.
pub(super) async fn has_order(tx: &impl ConnectionTrait, order_no: OrderNo) -> Result<bool, StoreError> {
    Ok(!orders(tx, &[order_no]).await?.is_empty())
}

async fn orders(tx: &impl ConnectionTrait, order_nos: &[OrderNo]) -> Result<Vec<OrderRow>, StoreError> {
    let columns = ["order_no", "user_id", "product_id", "pool", "quantity", "total_fen", "details", "created_at_ms"];
    query::by_keys(tx, &query::texts(order_nos), "looking for settled tickets", |keys| {
        Query::select().columns(columns).from("orders").and_where(Expr::col("order_no").is_in(keys)).to_owned()
    })
    .await
}

/// The rows of these numbers.
pub(super) async fn read(conn: &impl ConnectionTrait, order_nos: &[OrderNo]) -> Result<Vec<TicketRow>, StoreError> {
    query::by_keys(conn, &query::texts(order_nos), "reading tickets", |keys| {
        select().and_where(Expr::col("order_no").is_in(keys)).to_owned()
    })
    .await
}

/// All columns of all tickets.
pub(super) fn select() -> SelectStatement {
    Query::select().columns(COLUMNS).from("ledger_tickets").to_owned()
}

/// Writes new rows.
pub(super) async fn insert(
    tx: &impl ConnectionTrait,
    tickets: impl Iterator<Item = (&Ticket, i16)>,
) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for (ticket, state) in tickets {
        let claim = &ticket.claim;
        rows.push(vec![
            claim.order_no.to_string().into(),
            claim.product.0.into(),
            i64::from(claim.pool).into(),
            claim.buyer.0.into(),
            claim.quantity.units().into(),
            claim.unit_price.fen().into(),
            state.into(),
            query::to_json(&claim.details, "order details")?.into(),
            ticket.accepted_at_ms.into(),
        ]);
    }
    query::insert_rows(tx, "ledger_tickets", &COLUMNS, rows, None).await
}

/// The state in which a new ticket of that kind is stored.
pub(super) const fn state_of(kind: TicketKind) -> i16 {
    match kind {
        TicketKind::Owed => OWED,
        TicketKind::Prepared => PREPARED,
    }
}
