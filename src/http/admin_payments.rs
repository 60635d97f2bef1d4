//! Payments and refunds of all orders, for administrators. What moves them goes through the order: see `admin_orders.rs`.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::extract::Query;
use super::fields::{Fields, FromFields};
use super::pages::{PageOf, PageQuery};
use super::state::AppState;
use super::times::Time;
use crate::domain::codes::Code;
use crate::domain::money::Yuan;
use crate::domain::order::{PayChannel, RefundPurpose, RefundState};
use crate::domain::{BuyerId, OrderNo};
use crate::persistence::orders::{self, Slice};
use crate::persistence::payments::{self, PaymentFilter, PaymentRow, PaymentState, RefundFilter, RefundRow};

const CHANNELS: [(&str, PayChannel); 4] = [
    (PayChannel::Wechat.name(), PayChannel::Wechat),
    (PayChannel::Alipay.name(), PayChannel::Alipay),
    (PayChannel::Card.name(), PayChannel::Card),
    (PayChannel::Simulated.name(), PayChannel::Simulated),
];
const CHANNEL_WORDS: &str = "wechat, alipay, card, simulated";
const PAYMENT_STATES: [(&str, PaymentState); 3] =
    [("open", PaymentState::Open), ("closed", PaymentState::Closed), ("captured", PaymentState::Captured)];
const REFUND_STATES: [(&str, RefundState); 4] = [
    ("processing", RefundState::Processing),
    ("abnormal", RefundState::Abnormal),
    ("closed", RefundState::Closed),
    ("succeeded", RefundState::Succeeded),
];
const PURPOSES: [(&str, RefundPurpose); 2] = [("order", RefundPurpose::Order), ("surplus", RefundPurpose::Surplus)];
const SORTS: [(&str, bool); 2] = [("newest", false), ("oldest", true)];
/// Longest number of a gateway.
const GATEWAY_NO_CHARS_MAX: usize = 64;

/// Which payments.
#[derive(Debug)]
pub struct WhichPayments {
    page: PageQuery,
    filter: PaymentFilter,
}

impl FromFields for WhichPayments {
    const CODE: Code = Code::PAYMENT_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let filter = PaymentFilter {
            channel: fields.one_of_if("channel", &CHANNELS, CHANNEL_WORDS),
            state: fields.one_of_if("state", &PAYMENT_STATES, "open, closed, captured"),
            order: fields.number_start_if("order_no"),
            transaction_id: fields.text_if("transaction_id", 1..=GATEWAY_NO_CHARS_MAX),
            from_ms: fields.time_if("from"),
            to_ms: fields.time_if("to"),
            oldest_first: fields.one_of_if("sort", &SORTS, "newest, oldest").unwrap_or(false),
        };
        Self { page: PageQuery::read(fields), filter }
    }
}

/// Which refunds.
#[derive(Debug)]
pub struct WhichRefunds {
    page: PageQuery,
    filter: RefundFilter,
}

impl FromFields for WhichRefunds {
    const CODE: Code = Code::PAYMENT_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let filter = RefundFilter {
            channel: fields.one_of_if("channel", &CHANNELS, CHANNEL_WORDS),
            state: fields.one_of_if("state", &REFUND_STATES, "processing, abnormal, closed, succeeded"),
            purpose: fields.one_of_if("purpose", &PURPOSES, "order, surplus"),
            order: fields.number_start_if("order_no"),
            gateway_no: fields.text_if("gateway_no", 1..=GATEWAY_NO_CHARS_MAX),
            from_ms: fields.time_if("from"),
            to_ms: fields.time_if("to"),
            oldest_first: fields.one_of_if("sort", &SORTS, "newest, oldest").unwrap_or(false),
        };
        Self { page: PageQuery::read(fields), filter }
    }
}

/// One attempt to collect an order's money.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaymentRowJson {
    /// The `out_trade_no` at the gateway.
    pub payment_no: String,
    /// Of which order.
    pub order_no: String,
    /// Whose.
    pub user_id: i64,
    /// 1, 2, … within the order.
    pub attempt: u16,
    /// `wechat`, `alipay`, `card` or `simulated`.
    pub channel: &'static str,
    /// Asked for, or captured; in yuan.
    #[schema(value_type = f64)]
    pub amount: Yuan,
    /// Of it went back, in yuan.
    #[schema(value_type = f64)]
    pub refunded: Yuan,
    /// `open` (money may still come), `closed` (it never will) or `captured`.
    #[schema(value_type = String)]
    pub state: PaymentState,
    /// The gateway's own number; empty until captured.
    pub transaction_id: String,
    /// When it was begun.
    pub created_at: Time,
    /// When the money came.
    pub captured_at: Option<Time>,
}

impl PaymentRowJson {
    /// With what else is known of its order.
    #[must_use]
    pub fn new(row: PaymentRow, buyer: BuyerId, refunds: &[RefundRow]) -> Self {
        let returned = refunds
            .iter()
            .filter(|refund| refund.payment_no == row.payment_no && refund.state == RefundState::Succeeded);
        Self {
            user_id: buyer.0,
            refunded: Yuan(returned.map(|refund| refund.amount).sum()),
            payment_no: row.payment_no,
            order_no: row.order_no.to_string(),
            attempt: row.attempt,
            channel: row.channel.name(),
            amount: Yuan(row.amount),
            state: row.state,
            transaction_id: row.transaction_id,
            created_at: Time(row.created_at_ms),
            captured_at: row.captured_at_ms.map(Time),
        }
    }
}

/// One return of money.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefundRowJson {
    /// The `out_refund_no` at the gateway.
    pub refund_no: String,
    /// Of which order.
    pub order_no: String,
    /// Whose money goes back.
    pub payment_no: String,
    /// Of that payment; empty if its row is gone.
    pub channel: &'static str,
    /// In yuan.
    #[schema(value_type = f64)]
    pub amount: Yuan,
    /// `order`: the order's own money; `surplus`: a payment too many.
    #[schema(value_type = String)]
    pub purpose: RefundPurpose,
    /// `processing`, `abnormal` (the gateway needs help), `closed` (without returning the money) or `succeeded`.
    #[schema(value_type = String)]
    pub state: RefundState,
    /// What the person or rule said.
    pub reason: String,
    /// The gateway's own number; empty until it has said it.
    pub gateway_no: String,
    /// When it was asked for.
    pub created_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
}

impl RefundRowJson {
    /// With the payment that it belongs to, if it is among `paid`.
    #[must_use]
    pub fn new(row: RefundRow, paid: &[PaymentRow]) -> Self {
        let payment = paid.iter().find(|payment| payment.payment_no == row.payment_no);
        Self {
            channel: payment.map_or("", |payment| payment.channel.name()),
            refund_no: row.refund_no,
            order_no: row.order_no.to_string(),
            payment_no: row.payment_no,
            amount: Yuan(row.amount),
            purpose: row.purpose,
            state: row.state,
            reason: row.reason,
            gateway_no: row.gateway_no,
            created_at: Time(row.created_at_ms),
            ended_at: row.ended_at_ms.map(Time),
        }
    }
}

/// Payments, the latest begun first (`sort=oldest`: last). `order_no` may be the beginning of a number; `from` and `to` are about when they were begun.
#[utoipa::path(get, path = "/api/admin/payments", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query), ("channel" = Option<String>, Query),
        ("state" = Option<String>, Query), ("order_no" = Option<String>, Query),
        ("transaction_id" = Option<String>, Query), ("from" = Option<String>, Query), ("to" = Option<String>, Query),
        ("sort" = Option<String>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<PaymentRowJson>>)))]
pub async fn list_payments(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(wanted): Query<WhichPayments>,
) -> ApiResult<PageOf<PaymentRowJson>> {
    let slice = Slice { offset: wanted.page.offset(), limit: wanted.page.page_size };
    let (rows, total) = payments::list(&state.db, &wanted.filter, slice).await?;
    let order_nos: Vec<OrderNo> = rows.iter().map(|row| row.order_no).collect();
    let buyers = orders::buyers(&state.db, &order_nos).await?;
    let refunds = payments::refunds_of(&state.db, &order_nos).await?;
    let buyer = |row: &PaymentRow| buyers.get(&row.order_no).copied().unwrap_or(BuyerId(0));
    let shown = rows.into_iter().map(|row| PaymentRowJson::new(row.clone(), buyer(&row), &refunds));
    ok(wanted.page.of(shown.collect(), total))
}

/// Refunds, the latest asked for first (`sort=oldest`: last). `channel` is that of the payment whose money goes back.
#[utoipa::path(get, path = "/api/admin/refunds", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query), ("channel" = Option<String>, Query),
        ("state" = Option<String>, Query), ("purpose" = Option<String>, Query), ("order_no" = Option<String>, Query),
        ("gateway_no" = Option<String>, Query), ("from" = Option<String>, Query), ("to" = Option<String>, Query),
        ("sort" = Option<String>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<RefundRowJson>>)))]
pub async fn list_refunds(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(wanted): Query<WhichRefunds>,
) -> ApiResult<PageOf<RefundRowJson>> {
    let slice = Slice { offset: wanted.page.offset(), limit: wanted.page.page_size };
    let (rows, total) = payments::list_refunds(&state.db, &wanted.filter, slice).await?;
    let order_nos: Vec<OrderNo> = rows.iter().map(|row| row.order_no).collect();
    let paid = payments::of_each(&state.db, &order_nos).await?;
    ok(wanted.page.of(rows.into_iter().map(|row| RefundRowJson::new(row, &paid)).collect(), total))
}
