//! Tickets that could not become orders, kept until an administrator has looked.
//!
//! One that the ledger could not read is kept as its raw row; it is shown with what its columns say, and the raw text
//! as a part of the reason. It cannot be replayed.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Order, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::{Deserialize, Serialize};

use super::db::Db;
use super::error::StoreError;
use super::query;
use crate::domain::stock::{Claim, OrderDetails, Pool, QUANTITY_MAX, Ticket, TicketKind};
use crate::domain::{BuyerId, Money, OrderNo, ProductId};

/// Longest reason that is kept.
const REASON_CHARS_MAX: usize = 255;
/// Reason of a ticket that the ledger could not read.
const UNREADABLE: &str = "unreadable";
const COLUMNS: [&str; 7] = ["order_no", "product_id", "buyer_id", "ticket", "reason", "attempts", "at_ms"];

/// A ticket that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadTicket {
    /// The ticket.
    pub ticket: Ticket,
    /// Why, up to 255 characters.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub at_ms: i64,
}

/// What the ledger has of a ticket that it cannot read.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RawTicket {
    pub(super) pool: i64,
    pub(super) quantity: i64,
    pub(super) unit_price_fen: i64,
    pub(super) accepted_at_ms: i64,
    pub(super) details: String,
}

#[derive(FromQueryResult)]
struct Row {
    order_no: String,
    product_id: i64,
    buyer_id: i64,
    ticket: String,
    reason: String,
    attempts: i32,
    at_ms: i64,
}

impl Row {
    fn dead(self) -> Result<DeadTicket, StoreError> {
        let ticket = query::from_json(&self.ticket, || format!("dead ticket {}", self.order_no))?;
        let attempts = query::unsigned(self.attempts, "attempts of a dead ticket")?;
        Ok(DeadTicket { ticket, reason: self.reason, attempts, at_ms: self.at_ms })
    }

    /// As [`Row::dead`]; of a ticket that cannot be read what the columns say, and its raw text.
    fn shown(self) -> Result<DeadTicket, StoreError> {
        if serde_json::from_str::<Ticket>(&self.ticket).is_ok() {
            return self.dead();
        }
        let raw: RawTicket = serde_json::from_str(&self.ticket).unwrap_or_default();
        let claim = Claim {
            order_no: query::order_no(&self.order_no)?,
            buyer: BuyerId(self.buyer_id),
            product: ProductId(self.product_id),
            pool: Pool::from(raw.pool),
            quantity: query::quantity(raw.quantity.clamp(1, QUANTITY_MAX), &self.order_no)?,
            unit_price: Money::from_fen(raw.unit_price_fen),
            kind: TicketKind::Owed,
            details: OrderDetails::default(),
        };
        let ticket = Ticket { claim, accepted_at_ms: raw.accepted_at_ms, epoch: 0 };
        let attempts = query::unsigned(self.attempts, "attempts of a dead ticket")?;
        Ok(DeadTicket { ticket, reason: format!("{}: {}", self.reason, self.ticket), attempts, at_ms: self.at_ms })
    }
}

/// Keeps a dead ticket; one kept before stays as it is.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn insert(db: &Db, dead: &DeadTicket) -> Result<(), StoreError> {
    let claim = &dead.ticket.claim;
    let row = vec![
        claim.order_no.to_string().into(),
        claim.product.0.into(),
        claim.buyer.0.into(),
        query::to_json(&dead.ticket, "dead ticket")?.into(),
        dead.reason.chars().take(REASON_CHARS_MAX).collect::<String>().into(),
        i32::try_from(dead.attempts).unwrap_or(i32::MAX).into(),
        dead.at_ms.into(),
    ];
    write(db.writer(), row).await
}

/// Keeps the raw row of a ticket that the ledger cannot read, in the transaction that gives its units back.
pub(super) async fn insert_unreadable(
    tx: &impl ConnectionTrait,
    (order_no, product, buyer): (&str, ProductId, BuyerId),
    raw: &RawTicket,
    now_ms: i64,
) -> Result<(), StoreError> {
    let text = query::to_json(raw, "unreadable ticket")?;
    write(
        tx,
        vec![
            order_no.into(),
            product.0.into(),
            buyer.0.into(),
            text.into(),
            UNREADABLE.into(),
            0_i32.into(),
            now_ms.into(),
        ],
    )
    .await
}

/// As [`insert_unreadable`], by itself: the units go back in a step of their own, afterwards.
pub(super) async fn keep_unreadable(
    db: &Db,
    whose: (&str, ProductId, BuyerId),
    raw: &RawTicket,
    now_ms: i64,
) -> Result<(), StoreError> {
    insert_unreadable(db.writer(), whose, raw, now_ms).await
}

async fn write(conn: &impl ConnectionTrait, row: Vec<Expr>) -> Result<(), StoreError> {
    let keep = OnConflict::column("order_no").do_nothing_on(["order_no"]).to_owned();
    query::insert_rows(conn, "dead_tickets", &COLUMNS, vec![row], Some(keep)).await
}

/// Dead tickets, latest first, and how many there are. Of those that cannot be read the raw text
/// is in the reason.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn list(db: &Db, offset: u64, limit: u64) -> Result<(Vec<DeadTicket>, u64), StoreError> {
    const OPERATION: &str = "reading dead tickets";
    let total = query::count(db.reader(), Query::select().from("dead_tickets").to_owned(), OPERATION).await?;
    let select = Query::select()
        .columns(COLUMNS)
        .from("dead_tickets")
        .order_by("at_ms", Order::Desc)
        .order_by("order_no", Order::Desc)
        .offset(offset)
        .limit(limit)
        .to_owned();
    let rows: Vec<Row> = query::all(db.reader(), &select, OPERATION).await?;
    let readable = |row: Row| row.shown().inspect_err(|error| tracing::error!(%error, "dead ticket left out")).ok();
    Ok((rows.into_iter().filter_map(readable).collect(), total))
}

/// One dead ticket.
///
/// # Errors
/// [`StoreError`], also if it cannot be read.
pub async fn find(db: &Db, order_no: OrderNo) -> Result<Option<DeadTicket>, StoreError> {
    let select = Query::select()
        .columns(COLUMNS)
        .from("dead_tickets")
        .and_where(Expr::col("order_no").eq(order_no.to_string()))
        .to_owned();
    let row: Option<Row> = query::one(db.reader(), &select, "finding a dead ticket").await?;
    row.map(Row::dead).transpose()
}

/// Forgets one; true if it was there.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn remove(db: &Db, order_no: OrderNo) -> Result<bool, StoreError> {
    let delete =
        Query::delete().from_table("dead_tickets").and_where(Expr::col("order_no").eq(order_no.to_string())).to_owned();
    Ok(query::execute(db.writer(), &delete, "removing a dead ticket").await? == 1)
}
