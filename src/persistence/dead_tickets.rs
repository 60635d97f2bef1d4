//! Tickets that could not become orders, kept until an administrator has looked.

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Order, Query};

use super::db::Db;
use super::error::StoreError;
use super::query;
use crate::domain::OrderNo;
use crate::domain::stock::Ticket;

/// Longest reason that is kept.
const REASON_CHARS_MAX: usize = 255;

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

#[derive(FromQueryResult)]
struct Row {
    order_no: String,
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
    let columns = ["order_no", "product_id", "buyer_id", "ticket", "reason", "attempts", "at_ms"];
    let keep = OnConflict::column("order_no").do_nothing_on(["order_no"]).to_owned();
    query::insert_rows(db.writer(), "dead_tickets", &columns, vec![row], Some(keep)).await
}

/// Dead tickets, latest first, and how many there are. Those that cannot be read are reported and left out.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn list(db: &Db, offset: u64, limit: u64) -> Result<(Vec<DeadTicket>, u64), StoreError> {
    const OPERATION: &str = "reading dead tickets";
    let total = query::count(db.reader(), Query::select().from("dead_tickets").to_owned(), OPERATION).await?;
    let select = Query::select()
        .columns(["order_no", "ticket", "reason", "attempts", "at_ms"])
        .from("dead_tickets")
        .order_by("at_ms", Order::Desc)
        .order_by("order_no", Order::Desc)
        .offset(offset)
        .limit(limit)
        .to_owned();
    let rows: Vec<Row> = query::all(db.reader(), &select, OPERATION).await?;
    let readable = |row: Row| row.dead().inspect_err(|error| tracing::error!(%error, "dead ticket left out")).ok();
    Ok((rows.into_iter().filter_map(readable).collect(), total))
}

/// One dead ticket.
///
/// # Errors
/// [`StoreError`], also if it cannot be read.
pub async fn find(db: &Db, order_no: OrderNo) -> Result<Option<DeadTicket>, StoreError> {
    let select = Query::select()
        .columns(["order_no", "ticket", "reason", "attempts", "at_ms"])
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
