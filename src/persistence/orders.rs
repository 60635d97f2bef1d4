//! Reads of orders: the rows that the journal's commits keep up to date.

use serde::{Deserialize, Serialize};

use super::db::Db;
use super::error::StoreError;
use crate::domain::order::{CancelReason, FailReason, OrderStatus, PayChannel, ReviewReason};
use crate::domain::stock::{OrderDetails, Pool, Quantity};
use crate::domain::{BuyerId, Money, OrderNo, ProductId};

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
        }
    }
}

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Left out from the front.
    pub offset: u64,
    /// At most so many.
    pub limit: u64,
}

/// Which orders an administrator wants to see; absent fields do not filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Of one buyer.
    pub buyer: Option<BuyerId>,
    /// Of one product.
    pub product: Option<ProductId>,
    /// From one pool.
    pub pool: Option<Pool>,
    /// In one status.
    pub status: Option<OrderStatus>,
    /// Only those that a human must look at.
    pub needs_review: bool,
}

/// One order; `None` if there is no such row (yet).
///
/// # Errors
/// [`StoreError`].
pub async fn find(_db: &Db, _order_no: OrderNo) -> Result<Option<OrderView>, StoreError> {
    unimplemented!()
}

/// One order if it is the buyer's.
///
/// # Errors
/// [`StoreError`].
pub async fn find_for_buyer(_db: &Db, _order_no: OrderNo, _buyer: BuyerId) -> Result<Option<OrderView>, StoreError> {
    unimplemented!()
}

/// The buyer's orders, newest number first, and how many there are.
///
/// # Errors
/// [`StoreError`].
pub async fn list_of_buyer(
    _db: &Db,
    _buyer: BuyerId,
    _slice: Slice,
    _status: Option<OrderStatus>,
) -> Result<(Vec<OrderView>, u64), StoreError> {
    unimplemented!()
}

/// Orders that pass the filter, newest number first, and how many there are.
///
/// # Errors
/// [`StoreError`].
pub async fn list_all(_db: &Db, _filter: OrderFilter, _slice: Slice) -> Result<(Vec<OrderView>, u64), StoreError> {
    unimplemented!()
}

/// Which of these numbers have a row.
///
/// # Errors
/// [`StoreError`].
pub async fn existing(_db: &Db, _order_nos: &[OrderNo]) -> Result<Vec<OrderNo>, StoreError> {
    unimplemented!()
}

/// Unpaid orders whose deadline was at or before `now_ms`, longest overdue first.
///
/// # Errors
/// [`StoreError`].
pub async fn due_deadlines(_db: &Db, _now_ms: i64, _limit: u64) -> Result<Vec<OrderNo>, StoreError> {
    unimplemented!()
}

/// Orders shipped at or before `shipped_before_ms` and not received.
///
/// # Errors
/// [`StoreError`].
pub async fn due_auto_complete(_db: &Db, _shipped_before_ms: i64, _limit: u64) -> Result<Vec<OrderNo>, StoreError> {
    unimplemented!()
}
