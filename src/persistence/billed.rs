//! Our side of a reconciliation: the payments and refunds of a day and channel, page by page, and those of given numbers.

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Order as Sort, Query, SelectStatement};

use super::db::Db;
use super::error::StoreError;
use super::orders::{name, word};
use super::payments::PaymentState;
use super::query;
use crate::domain::Money;
use crate::domain::order::{PayChannel, RefundState};
use crate::domain::reconciliation::{OurPayment, OurRefund};

/// Rows of one page.
pub const PAGE_ROWS: u64 = 1_000;

/// Which payments or refunds a bill must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Through which channel.
    pub channel: PayChannel,
    /// We heard of the money then, unix ms.
    pub from_ms: i64,
    /// And before then.
    pub until_ms: i64,
}

#[derive(FromQueryResult)]
struct PaymentRecord {
    payment_no: String,
    amount_fen: i64,
    state: String,
    created_at_ms: i64,
    heard_at_ms: Option<i64>,
}

#[derive(FromQueryResult)]
struct RefundRecord {
    refund_no: String,
    payment_no: String,
    amount_fen: i64,
    state: String,
    created_at_ms: i64,
    heard_at_ms: Option<i64>,
}

impl PaymentRecord {
    fn ours(self, is_expected: bool) -> Result<OurPayment, StoreError> {
        let state: Option<PaymentState> = word(&self.state, "state of a payment")?;
        Ok(OurPayment {
            payment_no: self.payment_no,
            amount: Money::from_fen(self.amount_fen),
            is_captured: state == Some(PaymentState::Captured),
            asked_at_ms: self.created_at_ms,
            is_expected,
        })
    }
}

impl RefundRecord {
    fn ours(self, is_expected: bool) -> Result<OurRefund, StoreError> {
        let unreadable = || StoreError::Corrupt { what: format!("refund {}", self.refund_no) };
        Ok(OurRefund {
            state: word(&self.state, "state of a refund")?.ok_or_else(unreadable)?,
            refund_no: self.refund_no,
            payment_no: self.payment_no,
            amount: Money::from_fen(self.amount_fen),
            asked_at_ms: self.created_at_ms,
            is_expected,
        })
    }
}

/// Where a page ended: time and number of its last row.
pub type After = Option<(i64, String)>;

/// A page of the payments that a bill must have, and where the next begins; `None` after the last.
///
/// # Errors
/// [`StoreError`].
pub async fn payments_expected(
    db: &Db,
    wanted: Expected,
    after: After,
) -> Result<(Vec<OurPayment>, After), StoreError> {
    let mut select = payments();
    select
        .and_where(Expr::col("channel").eq(wanted.channel.code()))
        .and_where(Expr::col("state").eq(name(Some(&PaymentState::Captured))));
    page(&mut select, ("payments", "captured_at_ms", "payment_no"), wanted, &after);
    let rows: Vec<PaymentRecord> = query::all(db.reader(), &select, "reading the payments of a day").await?;
    let last = rows.last().and_then(|row| row.heard_at_ms.map(|at_ms| (at_ms, row.payment_no.clone())));
    let next = last.filter(|_| rows.len() as u64 == PAGE_ROWS);
    Ok((rows.into_iter().map(|row| row.ours(true)).collect::<Result<_, _>>()?, next))
}

/// A page of the refunds that a bill must have, and where the next begins; `None` after the last.
///
/// # Errors
/// [`StoreError`].
pub async fn refunds_expected(db: &Db, wanted: Expected, after: After) -> Result<(Vec<OurRefund>, After), StoreError> {
    let mut select = refunds(wanted.channel);
    select.and_where(Expr::col(("refunds", "state")).eq(name(Some(&RefundState::Succeeded))));
    page(&mut select, ("refunds", "ended_at_ms", "refund_no"), wanted, &after);
    let rows: Vec<RefundRecord> = query::all(db.reader(), &select, "reading the refunds of a day").await?;
    let last = rows.last().and_then(|row| row.heard_at_ms.map(|at_ms| (at_ms, row.refund_no.clone())));
    let next = last.filter(|_| rows.len() as u64 == PAGE_ROWS);
    Ok((rows.into_iter().map(|row| row.ours(true)).collect::<Result<_, _>>()?, next))
}

/// The payments of these numbers through that channel.
///
/// # Errors
/// [`StoreError`].
pub async fn payments_numbered(
    db: &Db,
    channel: PayChannel,
    numbers: &[String],
) -> Result<Vec<OurPayment>, StoreError> {
    let select = |portion: Vec<String>| {
        let mut select = payments();
        select.and_where(Expr::col("payment_no").is_in(portion));
        select.and_where(Expr::col("channel").eq(channel.code())).to_owned()
    };
    let rows: Vec<PaymentRecord> =
        query::by_keys(db.reader(), numbers, "reading payments by their numbers", select).await?;
    rows.into_iter().map(|row| row.ours(false)).collect()
}

/// The refunds of these numbers through that channel.
///
/// # Errors
/// [`StoreError`].
pub async fn refunds_numbered(db: &Db, channel: PayChannel, numbers: &[String]) -> Result<Vec<OurRefund>, StoreError> {
    let select = |portion: Vec<String>| {
        let mut select = refunds(channel);
        select.and_where(Expr::col(("refunds", "refund_no")).is_in(portion)).to_owned()
    };
    let rows: Vec<RefundRecord> =
        query::by_keys(db.reader(), numbers, "reading refunds by their numbers", select).await?;
    rows.into_iter().map(|row| row.ours(false)).collect()
}

fn payments() -> SelectStatement {
    Query::select()
        .columns(["payment_no", "amount_fen", "state", "created_at_ms"])
        .expr_as(Expr::col("captured_at_ms"), "heard_at_ms")
        .from("payments")
        .to_owned()
}

/// A refund goes the way its payment came.
fn refunds(channel: PayChannel) -> SelectStatement {
    let same_payment = Expr::col(("payments", "payment_no")).equals(("refunds", "payment_no"));
    Query::select()
        .columns([
            ("refunds", "refund_no"),
            ("refunds", "payment_no"),
            ("refunds", "amount_fen"),
            ("refunds", "state"),
            ("refunds", "created_at_ms"),
        ])
        .expr_as(Expr::col(("refunds", "ended_at_ms")), "heard_at_ms")
        .from("refunds")
        .join(JoinType::InnerJoin, "payments", same_payment)
        .and_where(Expr::col(("payments", "channel")).eq(channel.code()))
        .to_owned()
}

/// The next rows of the span by time and number: each page begins where the last one ended, at a cost that does not grow.
fn page(
    select: &mut SelectStatement,
    (table, time, number): (&'static str, &'static str, &'static str),
    wanted: Expected,
    after: &After,
) {
    let (time, number) = ((table, time), (table, number));
    let from_ms = after.as_ref().map_or(wanted.from_ms, |(at_ms, _)| *at_ms);
    select.and_where(Expr::col(time).gte(from_ms)).and_where(Expr::col(time).lt(wanted.until_ms));
    if let Some((at_ms, last)) = after {
        let is_later = Expr::col(time).gt(*at_ms).or(Expr::col(number).gt(last.as_str()));
        select.and_where(is_later);
    }
    select.order_by(time, Sort::Asc).order_by(number, Sort::Asc).limit(PAGE_ROWS);
}
