//! Payments and refunds as rows, written by the journal's commits only: for queries, lists and reconciliation.

mod lists;

use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query, SelectStatement};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::{Deserialize, Serialize};

use super::db::Db;
use super::error::StoreError;
use super::orders::{name, word};
use super::query;
use crate::domain::order::{Event, Order, PayChannel, RefundPurpose, RefundState};
use crate::domain::{Money, OrderNo};
pub use lists::{PaymentFilter, RefundFilter, list, list_refunds};

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
    /// The gateway's own number; empty until it has said it.
    pub gateway_no: String,
}

/// Longest refund reason that is kept.
const REASON_CHARS_MAX: usize = 255;

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

#[derive(FromQueryResult)]
struct PaymentRecord {
    payment_no: String,
    order_no: String,
    attempt: i16,
    channel: i16,
    amount_fen: i64,
    state: String,
    transaction_id: String,
    created_at_ms: i64,
    captured_at_ms: Option<i64>,
}

impl PaymentRecord {
    fn row(self) -> Result<PaymentRow, StoreError> {
        let unreadable = || StoreError::Corrupt { what: format!("payment {}", self.payment_no) };
        Ok(PaymentRow {
            order_no: query::order_no(&self.order_no)?,
            attempt: u16::try_from(self.attempt).map_err(|_| unreadable())?,
            channel: PayChannel::from_code(self.channel.into()).ok_or_else(unreadable)?,
            state: word(&self.state, "state of a payment")?.ok_or_else(unreadable)?,
            payment_no: self.payment_no,
            amount: Money::from_fen(self.amount_fen),
            transaction_id: self.transaction_id,
            created_at_ms: self.created_at_ms,
            captured_at_ms: self.captured_at_ms,
        })
    }
}

#[derive(FromQueryResult)]
struct RefundRecord {
    refund_no: String,
    order_no: String,
    payment_no: String,
    amount_fen: i64,
    purpose: String,
    state: String,
    reason: String,
    created_at_ms: i64,
    ended_at_ms: Option<i64>,
    gateway_no: String,
}

impl RefundRecord {
    fn row(self) -> Result<RefundRow, StoreError> {
        let unreadable = || StoreError::Corrupt { what: format!("refund {}", self.refund_no) };
        Ok(RefundRow {
            order_no: query::order_no(&self.order_no)?,
            purpose: word(&self.purpose, "purpose of a refund")?.ok_or_else(unreadable)?,
            state: word(&self.state, "state of a refund")?.ok_or_else(unreadable)?,
            refund_no: self.refund_no,
            payment_no: self.payment_no,
            amount: Money::from_fen(self.amount_fen),
            reason: self.reason,
            created_at_ms: self.created_at_ms,
            ended_at_ms: self.ended_at_ms,
            gateway_no: self.gateway_no,
        })
    }
}

const PAYMENT_COLUMNS: [&str; 9] = [
    "payment_no",
    "order_no",
    "attempt",
    "channel",
    "amount_fen",
    "state",
    "transaction_id",
    "created_at_ms",
    "captured_at_ms",
];
const REFUND_COLUMNS: [&str; 10] = [
    "refund_no",
    "order_no",
    "payment_no",
    "amount_fen",
    "purpose",
    "state",
    "reason",
    "created_at_ms",
    "ended_at_ms",
    "gateway_no",
];
/// Longest number of a gateway that is kept: theirs have at most 64 characters.
const GATEWAY_NO_CHARS_MAX: usize = 64;
const OPERATION: &str = "recording payments";

async fn payments(conn: &impl ConnectionTrait, select: SelectStatement) -> Result<Vec<PaymentRow>, StoreError> {
    let select = select.clone().columns(PAYMENT_COLUMNS).from("payments").order_by("attempt", Sort::Asc).to_owned();
    let rows: Vec<PaymentRecord> = query::all(conn, &select, "reading payments").await?;
    rows.into_iter().map(PaymentRecord::row).collect()
}

/// The order's payments, oldest first.
///
/// # Errors
/// [`StoreError`].
pub async fn of_order(db: &Db, order_no: OrderNo) -> Result<Vec<PaymentRow>, StoreError> {
    of_orders(db.reader(), &[order_no]).await
}

/// The payments of each of these orders.
///
/// # Errors
/// [`StoreError`].
pub async fn of_each(db: &Db, order_nos: &[OrderNo]) -> Result<Vec<PaymentRow>, StoreError> {
    of_orders(db.reader(), order_nos).await
}

/// The refunds of each of these orders, oldest first.
///
/// # Errors
/// [`StoreError`].
pub async fn refunds_of(db: &Db, order_nos: &[OrderNo]) -> Result<Vec<RefundRow>, StoreError> {
    refunds_of_orders(db.reader(), order_nos).await
}

/// The payments of several orders.
pub(crate) async fn of_orders(
    conn: &impl ConnectionTrait,
    order_nos: &[OrderNo],
) -> Result<Vec<PaymentRow>, StoreError> {
    payments(conn, Query::select().and_where(Expr::col("order_no").is_in(query::texts(order_nos))).to_owned()).await
}

/// The payment of that number.
///
/// # Errors
/// [`StoreError`].
pub async fn find(db: &Db, payment_no: &str) -> Result<Option<PaymentRow>, StoreError> {
    let select = Query::select().and_where(Expr::col("payment_no").eq(payment_no)).to_owned();
    Ok(payments(db.reader(), select).await?.pop())
}

/// The refund of that number.
///
/// # Errors
/// [`StoreError`].
pub async fn refund(db: &Db, refund_no: &str) -> Result<Option<RefundRow>, StoreError> {
    let select = Query::select().and_where(Expr::col("refund_no").eq(refund_no)).to_owned();
    Ok(refunds(db.reader(), select).await?.pop())
}

/// The refunds of several orders.
pub(crate) async fn refunds_of_orders(
    conn: &impl ConnectionTrait,
    order_nos: &[OrderNo],
) -> Result<Vec<RefundRow>, StoreError> {
    refunds(conn, Query::select().and_where(Expr::col("order_no").is_in(query::texts(order_nos))).to_owned()).await
}

async fn refunds(conn: &impl ConnectionTrait, mut select: SelectStatement) -> Result<Vec<RefundRow>, StoreError> {
    select.columns(REFUND_COLUMNS).from("refunds");
    select.order_by("created_at_ms", Sort::Asc).order_by("refund_no", Sort::Asc);
    let rows: Vec<RefundRecord> = query::all(conn, &select, "reading refunds").await?;
    rows.into_iter().map(RefundRecord::row).collect()
}

/// Writes what an event says about money into the rows; `after` is the order after it.
pub(super) async fn record(
    tx: &impl ConnectionTrait,
    after: &Order,
    event: &Event,
    at_ms: i64,
) -> Result<(), StoreError> {
    match event {
        Event::PaymentStarted { attempt, channel, .. } => start(tx, after, *attempt, *channel, at_ms).await,
        Event::PaymentAttemptClosed { attempt } => {
            let closed = [("state", Expr::val(name(Some(&PaymentState::Closed))))];
            change(tx, "payments", ("payment_no", payment_no(after.order_no, *attempt)), closed).await
        }
        Event::PaymentCaptured { attempt, amount, transaction_id }
        | Event::SurplusPaymentCaptured { attempt, amount, transaction_id }
        | Event::LatePaymentRecorded { attempt, amount, transaction_id } => {
            let captured = [
                ("state", Expr::val(name(Some(&PaymentState::Captured)))),
                ("amount_fen", Expr::val(amount.fen())),
                ("transaction_id", Expr::val(transaction_id.as_str())),
                ("captured_at_ms", Expr::val(at_ms)),
            ];
            change(tx, "payments", ("payment_no", payment_no(after.order_no, *attempt)), captured).await
        }
        Event::RefundRequested { refund, attempt, amount, purpose, reason, .. } => {
            let row = vec![
                refund_no(after.order_no, *refund).into(),
                after.order_no.to_string().into(),
                payment_no(after.order_no, *attempt).into(),
                amount.fen().into(),
                name(Some(purpose)).into(),
                name(Some(&RefundState::Processing)).into(),
                reason.chars().take(REASON_CHARS_MAX).collect::<String>().into(),
                at_ms.into(),
                None::<i64>.into(),
                "".into(),
            ];
            query::insert_rows(tx, "refunds", &REFUND_COLUMNS, vec![row], None).await
        }
        Event::RefundReported { refund, state, gateway_no } => {
            let ended = matches!(state, RefundState::Closed | RefundState::Succeeded).then_some(at_ms);
            let key = || ("refund_no", refund_no(after.order_no, *refund));
            let reported = [("state", Expr::val(name(Some(state)))), ("ended_at_ms", Expr::val(ended))];
            change(tx, "refunds", key(), reported).await?;
            if gateway_no.is_empty() {
                return Ok(());
            }
            let gateway_no: String = gateway_no.chars().take(GATEWAY_NO_CHARS_MAX).collect();
            change(tx, "refunds", key(), [("gateway_no", Expr::val(gateway_no))]).await
        }
        _ => Ok(()),
    }
}

async fn start(
    tx: &impl ConnectionTrait,
    after: &Order,
    attempt: u16,
    channel: PayChannel,
    at_ms: i64,
) -> Result<(), StoreError> {
    let row = vec![
        payment_no(after.order_no, attempt).into(),
        after.order_no.to_string().into(),
        i16::try_from(attempt).unwrap_or(i16::MAX).into(),
        channel.code().into(),
        after.total.fen().into(),
        name(Some(&PaymentState::Open)).into(),
        "".into(),
        at_ms.into(),
        None::<i64>.into(),
    ];
    query::insert_rows(tx, "payments", &PAYMENT_COLUMNS, vec![row], None).await
}

async fn change<const N: usize>(
    tx: &impl ConnectionTrait,
    table: &'static str,
    (key, number): (&'static str, String),
    values: [(&'static str, Expr); N],
) -> Result<(), StoreError> {
    let update = Query::update().table(table).values(values).and_where(Expr::col(key).eq(number)).to_owned();
    query::execute(tx, &update, OPERATION).await?;
    Ok(())
}
