//! Payments and refunds as rows, written by the journal's commits only: for queries, lists and reconciliation.

use serde::{Deserialize, Serialize};

use super::db::Db;
use super::error::StoreError;
use crate::domain::order::{PayChannel, RefundPurpose, RefundState};
use crate::domain::{Money, OrderNo};

/// What is known of a payment attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Money may still come.
    Open,
    /// It never will.
    Closed,
    /// It came.
    Captured,
}

/// One attempt to collect the money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRow {
    /// `{order_no}_{attempt}`: the `out_trade_no` at the gateway.
    pub payment_no: String,
    /// Of which order.
    pub order_no: OrderNo,
    /// 1, 2, … within the order.
    pub attempt: u16,
    /// Through which channel.
    pub channel: PayChannel,
    /// Asked for, or captured.
    pub amount: Money,
    /// What is known.
    pub state: PaymentState,
    /// The gateway's own number; empty until captured.
    pub transaction_id: String,
    /// When it was numbered.
    pub created_at_ms: i64,
    /// When the money came.
    pub captured_at_ms: Option<i64>,
}

/// One return of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRow {
    /// `{order_no}_r{number}`: the `out_refund_no` at the gateway.
    pub refund_no: String,
    /// Of which order.
    pub order_no: OrderNo,
    /// Whose money goes back.
    pub payment_no: String,
    /// How much.
    pub amount: Money,
    /// The order's own money or a payment too many.
    pub purpose: RefundPurpose,
    /// What the gateway last said.
    pub state: RefundState,
    /// What the person or rule said.
    pub reason: String,
    /// When it was asked for.
    pub created_at_ms: i64,
    /// When it ended.
    pub ended_at_ms: Option<i64>,
}

/// The number of a payment attempt at the gateway.
#[must_use]
pub fn payment_no(order_no: OrderNo, attempt: u16) -> String {
    format!("{order_no}_{attempt}")
}

/// The number of a refund at the gateway.
#[must_use]
pub fn refund_no(order_no: OrderNo, refund: u16) -> String {
    format!("{order_no}_r{refund}")
}

/// The order's payments, oldest first.
///
/// # Errors
/// [`StoreError`].
pub async fn of_order(_db: &Db, _order_no: OrderNo) -> Result<Vec<PaymentRow>, StoreError> {
    unimplemented!()
}

/// The order's refunds, oldest first.
///
/// # Errors
/// [`StoreError`].
pub async fn refunds_of_order(_db: &Db, _order_no: OrderNo) -> Result<Vec<RefundRow>, StoreError> {
    unimplemented!()
}

/// The payment of that number.
///
/// # Errors
/// [`StoreError`].
pub async fn find(_db: &Db, _payment_no: &str) -> Result<Option<PaymentRow>, StoreError> {
    unimplemented!()
}
