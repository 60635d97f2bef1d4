//! Reads of orders: the rows that `placing` writes and the journal's commits keep up to date.
//!
//! Lists are ordered by number, newest first: numbers are unique and ascend in time, so pages stay stable however
//! many orders share a millisecond.

mod filter;

use std::collections::{HashMap, HashSet};

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use serde::{Deserialize, Serialize};

use super::db::Db;
use super::error::StoreError;
use super::query;
use crate::domain::order::{CancelReason, FailReason, OrderStatus, PayChannel, ReviewReason};
use crate::domain::stock::{OrderDetails, Pool, Quantity};
use crate::domain::{BuyerId, Money, OrderNo, ProductId};
pub(super) use filter::NUMBERED_BEFORE_MS;
pub use filter::{NumberStart, OrderFilter};

/// An order as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderView {
    /// Its number.
    pub order_no: OrderNo,
    /// Whose.
    pub buyer: BuyerId,
    /// Of what.
    pub product: ProductId,
    /// From which pool.
    pub pool: Pool,
    /// How many.
    pub quantity: Quantity,
    /// What it costs.
    pub total: Money,
    /// Where it stands.
    pub status: OrderStatus,
    /// Events so far.
    pub version: u32,
    /// The channel of the money that came, else of the latest attempt.
    pub pay_channel: Option<PayChannel>,
    /// Until when it can be paid.
    pub pay_deadline_ms: i64,
    /// Address and remark.
    pub details: OrderDetails,
    /// Empty until shipped.
    pub carrier: String,
    /// Empty until shipped.
    pub tracking_no: String,
    /// Why it is closing, was cancelled or failed.
    pub end_reason: Option<EndReason>,
    /// Why a human must look.
    pub review: Option<ReviewReason>,
    /// Returned of the order's own money.
    pub refunded: Money,
    /// When the claim was accepted.
    pub created_at_ms: i64,
    /// When the last event happened.
    pub updated_at_ms: i64,
    /// When the order's money came.
    pub paid_at_ms: Option<i64>,
    /// When it was handed to the carrier.
    pub shipped_at_ms: Option<i64>,
    /// When it was received.
    pub completed_at_ms: Option<i64>,
    /// What was bought, as it was called then.
    pub items: Vec<OrderItem>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderItem {
    /// The product.
    pub product: ProductId,
    /// Its name when the order was placed.
    pub name: String,
    /// Its picture when the order was placed.
    pub image_url: String,
    /// Price of one unit.
    pub unit_price: Money,
    /// How many.
    pub quantity: Quantity,
}

/// Why an order ended, or is ending, without the goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The buyer changed his mind.
    Buyer,
    /// An administrator ended it.
    Administrator,
    /// Not paid in time.
    PayDeadline,
    /// The database had no unit.
    SoldOut,
    /// Its ticket could not be processed.
    Poisoned,
    /// The buyer had his units by other orders.
    OverLimit,
}

impl From<CancelReason> for EndReason {
    fn from(reason: CancelReason) -> Self {
        match reason {
            CancelReason::Buyer => Self::Buyer,
            CancelReason::Administrator => Self::Administrator,
            CancelReason::PayDeadline => Self::PayDeadline,
        }
    }
}

impl From<FailReason> for EndReason {
    fn from(reason: FailReason) -> Self {
        match reason {
            FailReason::SoldOut => Self::SoldOut,
            FailReason::Poisoned => Self::Poisoned,
            FailReason::OverLimit => Self::OverLimit,
        }
    }
}

/// Where an order has its units, whatever else its row says.
pub(super) const LIVING: [OrderStatus; 6] = [
    OrderStatus::Processing,
    OrderStatus::PendingPayment,
    OrderStatus::Closing,
    OrderStatus::Paid,
    OrderStatus::Shipped,
    OrderStatus::Completed,
];

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Left out from the front.
    pub offset: u64,
    /// At most so many.
    pub limit: u64,
}

impl EndReason {
    fn from_text(text: &str) -> Result<Option<Self>, StoreError> {
        word(text, "end reason of an order")
    }
}

/// A closed set's member by its stored name; empty is none.
pub(super) fn word<T: serde::de::DeserializeOwned>(text: &str, what: &'static str) -> Result<Option<T>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    serde_json::from_value(serde_json::Value::from(text))
        .map(Some)
        .map_err(|_| StoreError::Corrupt { what: what.to_owned() })
}

/// The stored name of a closed set's member; `None` is empty.
pub(super) fn name<T: Serialize>(member: Option<&T>) -> String {
    match member.map(serde_json::to_value) {
        Some(Ok(serde_json::Value::String(name))) => name,
        _ => String::new(),
    }
}

#[derive(FromQueryResult)]
struct Row {
    order_no: String,
    user_id: i64,
    product_id: i64,
    pool: i64,
    quantity: i64,
    total_fen: i64,
    status: i16,
    version: i32,
    pay_type: i16,
    pay_deadline_ms: i64,
    details: String,
    carrier: String,
    tracking_no: String,
    cancel_reason: String,
    review: String,
    refunded_fen: i64,
    created_at_ms: i64,
    updated_at_ms: i64,
    paid_at_ms: Option<i64>,
    shipped_at_ms: Option<i64>,
    completed_at_ms: Option<i64>,
}

const COLUMNS: [&str; 21] = [
    "order_no",
    "user_id",
    "product_id",
    "pool",
    "quantity",
    "total_fen",
    "status",
    "version",
    "pay_type",
    "pay_deadline_ms",
    "details",
    "carrier",
    "tracking_no",
    "cancel_reason",
    "review",
    "refunded_fen",
    "created_at_ms",
    "updated_at_ms",
    "paid_at_ms",
    "shipped_at_ms",
    "completed_at_ms",
];

impl Row {
    fn view(self, items: Vec<OrderItem>) -> Result<OrderView, StoreError> {
        let unreadable = |part: &str| StoreError::Corrupt { what: format!("{part} of order {}", self.order_no) };
        Ok(OrderView {
            order_no: query::order_no(&self.order_no)?,
            buyer: BuyerId(self.user_id),
            product: ProductId(self.product_id),
            pool: Pool::from(self.pool),
            quantity: query::quantity(self.quantity, &self.order_no)?,
            total: Money::from_fen(self.total_fen),
            status: OrderStatus::from_code(self.status).ok_or_else(|| unreadable("status"))?,
            version: query::unsigned(self.version, "version of an order")?,
            pay_channel: PayChannel::from_code(self.pay_type.into()),
            pay_deadline_ms: self.pay_deadline_ms,
            details: query::from_json(&self.details, || format!("details of order {}", self.order_no))?,
            end_reason: EndReason::from_text(&self.cancel_reason)?,
            review: word(&self.review, "review of an order")?,
            carrier: self.carrier,
            tracking_no: self.tracking_no,
            refunded: Money::from_fen(self.refunded_fen),
            created_at_ms: self.created_at_ms,
            updated_at_ms: self.updated_at_ms,
            paid_at_ms: self.paid_at_ms,
            shipped_at_ms: self.shipped_at_ms,
            completed_at_ms: self.completed_at_ms,
            items,
        })
    }
}

#[derive(FromQueryResult)]
struct ItemRow {
    order_no: String,
    product_id: i64,
    product_name: String,
    product_image: String,
    unit_price_fen: i64,
    quantity: i64,
}

fn select() -> SelectStatement {
    Query::select().columns(COLUMNS).from("orders").to_owned()
}

async fn views(db: &Db, select: &SelectStatement) -> Result<Vec<OrderView>, StoreError> {
    let rows: Vec<Row> = query::all(db.reader(), select, "reading orders").await?;
    let order_nos: Vec<String> = rows.iter().map(|row| row.order_no.clone()).collect();
    let item_rows: Vec<ItemRow> = query::by_keys(db.reader(), &order_nos, "reading order items", |keys| {
        let columns = ["order_no", "product_id", "product_name", "product_image", "unit_price_fen", "quantity"];
        Query::select()
            .columns(columns)
            .from("order_items")
            .and_where(Expr::col("order_no").is_in(keys))
            .order_by("line_no", Order::Asc)
            .to_owned()
    })
    .await?;
    let mut items: HashMap<String, Vec<OrderItem>> = HashMap::new();
    for row in item_rows {
        let item = OrderItem {
            product: ProductId(row.product_id),
            name: row.product_name,
            image_url: row.product_image,
            unit_price: Money::from_fen(row.unit_price_fen),
            quantity: query::quantity(row.quantity, &row.order_no)?,
        };
        items.entry(row.order_no).or_default().push(item);
    }
    rows.into_iter()
        .map(|row| {
            let items = items.remove(&row.order_no).unwrap_or_default();
            row.view(items)
        })
        .collect()
}

async fn listed(
    db: &Db,
    filtered: SelectStatement,
    sort: Order,
    slice: Slice,
) -> Result<(Vec<OrderView>, u64), StoreError> {
    let total = query::count(db.reader(), filtered.clone(), "counting orders").await?;
    let select =
        filtered.clone().columns(COLUMNS).order_by("order_no", sort).offset(slice.offset).limit(slice.limit).to_owned();
    Ok((views(db, &select).await?, total))
}

/// One order; `None` if there is no such row (yet).
///
/// # Errors
/// [`StoreError`].
pub async fn find(db: &Db, order_no: OrderNo) -> Result<Option<OrderView>, StoreError> {
    let select = select().and_where(Expr::col("order_no").eq(order_no.to_string())).to_owned();
    Ok(views(db, &select).await?.pop())
}

/// One order if it is the buyer's.
///
/// # Errors
/// [`StoreError`].
pub async fn find_for_buyer(db: &Db, order_no: OrderNo, buyer: BuyerId) -> Result<Option<OrderView>, StoreError> {
    Ok(find(db, order_no).await?.filter(|view| view.buyer == buyer))
}

/// The buyer's orders, newest number first, and how many there are. `PendingPayment` finds `Closing` too, as which
/// old clients know it.
///
/// # Errors
/// [`StoreError`].
pub async fn list_of_buyer(
    db: &Db,
    buyer: BuyerId,
    slice: Slice,
    status: Option<OrderStatus>,
) -> Result<(Vec<OrderView>, u64), StoreError> {
    let mut filtered = Query::select().from("orders").and_where(Expr::col("user_id").eq(buyer.0)).to_owned();
    match status {
        Some(OrderStatus::PendingPayment) => {
            let codes = [OrderStatus::PendingPayment.code(), OrderStatus::Closing.code()];
            filtered.and_where(Expr::col("status").is_in(codes));
        }
        Some(status) => {
            filtered.and_where(Expr::col("status").eq(status.code()));
        }
        None => {}
    }
    listed(db, filtered, Order::Desc, slice).await
}

/// Orders that pass the filter, newest number first, and how many there are. A time is a stretch of the numbers, which
/// carry it: no index of its own is needed.
///
/// # Errors
/// [`StoreError`].
pub async fn list_all(db: &Db, filter: &OrderFilter, slice: Slice) -> Result<(Vec<OrderView>, u64), StoreError> {
    let sort = if filter.oldest_first { Order::Asc } else { Order::Desc };
    listed(db, filter.select(), sort, slice).await
}

#[derive(FromQueryResult)]
struct Whose {
    order_no: String,
    user_id: i64,
}

/// Whose these orders are; unknown ones are left out.
///
/// # Errors
/// [`StoreError`].
pub async fn buyers(db: &Db, order_nos: &[OrderNo]) -> Result<HashMap<OrderNo, BuyerId>, StoreError> {
    let rows: Vec<Whose> = query::by_keys(db.reader(), &query::texts(order_nos), "looking for buyers", |keys| {
        Query::select()
            .columns(["order_no", "user_id"])
            .from("orders")
            .and_where(Expr::col("order_no").is_in(keys))
            .to_owned()
    })
    .await?;
    rows.into_iter().map(|row| Ok((query::order_no(&row.order_no)?, BuyerId(row.user_id)))).collect()
}

#[derive(FromQueryResult)]
struct Number {
    order_no: String,
}

fn numbers(rows: &[Number]) -> Result<Vec<OrderNo>, StoreError> {
    rows.iter().map(|row| query::order_no(&row.order_no)).collect()
}

/// Which of these numbers have an order that has or had units: one that failed never took any in the database.
///
/// # Errors
/// [`StoreError`].
pub async fn with_units(db: &Db, order_nos: &[OrderNo]) -> Result<HashSet<OrderNo>, StoreError> {
    let rows: Vec<Number> = query::by_keys(db.writer(), &query::texts(order_nos), "looking for orders", |keys| {
        Query::select()
            .column("order_no")
            .from("orders")
            .and_where(Expr::col("order_no").is_in(keys))
            .and_where(Expr::col("status").ne(OrderStatus::Failed.code()))
            .to_owned()
    })
    .await?;
    Ok(numbers(&rows)?.into_iter().collect())
}

/// Which of these numbers have a row.
///
/// # Errors
/// [`StoreError`].
pub async fn existing(db: &Db, order_nos: &[OrderNo]) -> Result<Vec<OrderNo>, StoreError> {
    let rows: Vec<Number> = query::by_keys(db.reader(), &query::texts(order_nos), "looking for orders", |keys| {
        Query::select().column("order_no").from("orders").and_where(Expr::col("order_no").is_in(keys)).to_owned()
    })
    .await?;
    numbers(&rows)
}

async fn due(
    db: &Db,
    status: OrderStatus,
    column: &'static str,
    until_ms: i64,
    limit: u64,
) -> Result<Vec<OrderNo>, StoreError> {
    let select = Query::select()
        .column("order_no")
        .from("orders")
        .and_where(Expr::col("status").eq(status.code()))
        .and_where(Expr::col(column).lte(until_ms))
        .order_by(column, Order::Asc)
        .limit(limit)
        .to_owned();
    let rows: Vec<Number> = query::all(db.reader(), &select, "looking for due orders").await?;
    numbers(&rows)
}

/// Unpaid orders whose deadline was at or before `now_ms`, longest overdue first.
///
/// # Errors
/// [`StoreError`].
pub async fn due_deadlines(db: &Db, now_ms: i64, limit: u64) -> Result<Vec<OrderNo>, StoreError> {
    due(db, OrderStatus::PendingPayment, "pay_deadline_ms", now_ms, limit).await
}

/// Orders shipped at or before `shipped_before_ms` and not received, longest on their way first.
///
/// # Errors
/// [`StoreError`].
pub async fn due_auto_complete(db: &Db, shipped_before_ms: i64, limit: u64) -> Result<Vec<OrderNo>, StoreError> {
    due(db, OrderStatus::Shipped, "shipped_at_ms", shipped_before_ms, limit).await
}
