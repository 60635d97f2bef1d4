//! Paying through a gateway: open a charge, look, stop, ask for the money back. One set of handlers serves all channels; the
//! channel is a part of the path.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::client_address::ClientAddress;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Params, Query};
use super::fields::{Fields, FromFields};
use super::i18n::{Lang, status_text};
use super::idempotent::{Turn, once};
use super::order_reads::{self, Viewer};
use super::orders::drive;
use super::problem::Problem;
use super::refusals::{Wish, of_payment};
use super::state::AppState;
use super::times::Time;
use crate::actors::order_saga::Party;
use crate::actors::payments::ChargeOpened;
use crate::domain::codes::Code;
use crate::domain::money::FEN_MAX;
use crate::domain::order::{ChargeTerms, Command, Order, PayChannel, RefundAsker, TradeType};
use crate::domain::{BuyerId, Money, OrderNo};
use crate::payment::{Charge, JsapiCall, Trade, TradeState};
use crate::persistence::payments::refund_no;
use crate::persistence::{journal, orders};

/// The gateways cut descriptions to 127 bytes; whole characters are kept here.
const DESCRIPTION_BYTES_MAX: usize = 120;
const URL_CHARS_MAX: usize = 255;
const OPENID_CHARS_MAX: usize = 128;

/// Which order, and where its buyer pays.
#[derive(Debug, ToSchema)]
pub struct OpenCharge {
    /// The order.
    #[schema(value_type = String)]
    order_no: Option<OrderNo>,
    /// NATIVE (a QR code, the default), JSAPI, MWEB or PAGE.
    #[schema(value_type = Option<String>)]
    trade_type: TradeType,
}

impl FromFields for OpenCharge {
    const CODE: Code = Code::PAYMENT_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let order_no = order_no(fields);
        let trade_type = match fields.text_if("trade_type", 0..=10).as_deref() {
            None | Some("" | "NATIVE" | "native") => TradeType::QrCode,
            Some("JSAPI" | "jsapi") => TradeType::InWechat { openid: fields.text("openid", 1..=OPENID_CHARS_MAX) },
            Some("MWEB" | "H5" | "h5") => TradeType::MobileBrowser,
            Some("PAGE" | "page") => {
                TradeType::Page { return_url: fields.text_if("return_url", 0..=URL_CHARS_MAX).unwrap_or_default() }
            }
            Some(_) => {
                fields.refuse("trade_type", Problem::NotOneOf("NATIVE, JSAPI, MWEB, PAGE"));
                TradeType::QrCode
            }
        };
        Self { order_no, trade_type }
    }
}

/// Which order.
#[derive(Debug, ToSchema)]
pub struct WhichOrder {
    /// The order.
    #[schema(value_type = String)]
    order_no: Option<OrderNo>,
}

impl FromFields for WhichOrder {
    const CODE: Code = Code::PAYMENT_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { order_no: order_no(fields) }
    }
}

/// How much to give back.
#[derive(Debug, ToSchema)]
pub struct AskRefund {
    /// The order.
    #[schema(value_type = String)]
    order_no: Option<OrderNo>,
    /// Fen; all that is left if absent.
    refund_fee: Option<i64>,
    /// Up to 80 characters.
    reason: String,
}

impl FromFields for AskRefund {
    const CODE: Code = Code::PAYMENT_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        let order_no = order_no(fields);
        let refund_fee = fields.whole_if("refund_fee", 1..=FEN_MAX);
        Self { order_no, refund_fee, reason: fields.text_if("reason", 0..=80).unwrap_or_default() }
    }
}

fn order_no(fields: &mut Fields) -> Option<OrderNo> {
    let text = fields.text("order_no", 1..=64);
    let parsed = text.parse().ok();
    if parsed.is_none() && !text.is_empty() {
        fields.refuse("order_no", Problem::Malformed);
    }
    parsed
}

/// A number that could not be read was refused before.
fn named(order_no: Option<OrderNo>) -> Result<OrderNo, ApiError> {
    let order_no = order_no.ok_or(Code::ORDER_NOT_FOUND)?;
    tracing::Span::current().record("order_no", tracing::field::display(order_no));
    Ok(order_no)
}

/// A charge that waits for its buyer.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnifiedOrder {
    /// The order.
    pub order_no: String,
    /// Its number at the gateway.
    pub out_trade_no: String,
    /// `prepay_id` of JSAPI, else empty.
    pub prepay_id: String,
    /// Show this as a QR code; empty if there is none.
    pub code_url: String,
    /// Send the buyer's browser there; empty if there is nothing to go to.
    pub pay_url: String,
    /// For `WeixinJSBridge`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub jsapi: Option<JsapiCall>,
    /// In fen.
    pub total_fee: i64,
    /// As asked for.
    pub trade_type: &'static str,
    /// Pay before this.
    pub pay_deadline: Time,
}

/// How a payment stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaymentStateJson {
    /// The order.
    pub order_no: String,
    /// SUCCESS, REFUND, NOTPAY, USERPAYING, CLOSED, REVOKED or PAYERROR; UNKNOWN if the gateway does not know the charge.
    pub trade_state: &'static str,
    /// The gateway's number; empty until paid.
    pub transaction_id: String,
    /// In fen.
    pub total_fee: i64,
    /// Of the order, after what the gateway said.
    pub status: i16,
    /// The same in words.
    pub status_text: &'static str,
}

/// A refund that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefundJson {
    /// The order.
    pub order_no: String,
    /// Its number at the gateway; empty if nothing was left.
    pub out_refund_no: String,
    /// In fen.
    pub refund_fee: i64,
    /// Of the order.
    pub status: i16,
    /// The same in words.
    pub status_text: &'static str,
}

/// The channel in the path.
fn channel(word: &str) -> Result<PayChannel, ApiError> {
    match word {
        "wechat" => Ok(PayChannel::Wechat),
        "alipay" => Ok(PayChannel::Alipay),
        _ => Err(Code::NOT_FOUND.into()),
    }
}

/// Opens a charge for an unpaid order, or shows the open one again: the same number and the same terms.
#[utoipa::path(post, path = "/api/pay/{channel}/unified-order", tag = "payment", security(("bearer" = [])),
    params(("channel" = String, Path, description = "wechat or alipay"), ("Idempotency-Key" = Option<String>, Header)),
    request_body = OpenCharge, responses((status = 200, body = EnvelopeOf<UnifiedOrder>)))]
pub async fn unified_order(
    state: web::Data<AppState>,
    caller: Caller,
    request: HttpRequest,
    path: web::Path<String>,
    Params(wanted): Params<OpenCharge>,
) -> Result<HttpResponse, ApiError> {
    let channel = channel(&path)?;
    let order_no = named(wanted.order_no)?;
    once(&request, &state, caller.buyer, 0, async |_: Turn| {
        open_charge(&state, &request, caller.buyer, order_no, (channel, wanted.trade_type.clone())).await
    })
    .await
}

/// Opens a charge; the answer of `unified-order` and of `pay`.
pub(super) async fn open_charge(
    state: &AppState,
    request: &HttpRequest,
    buyer: BuyerId,
    order_no: OrderNo,
    (channel, trade_type): (PayChannel, TradeType),
) -> Result<UnifiedOrder, ApiError> {
    let desk = &state.shop.desk;
    let notify_url = desk.notify_url(channel).ok_or(ApiError::from(Code::PAYMENT_CHANNEL))?;
    let terms = ChargeTerms {
        expires_at_ms: 0, // follows from the order's deadline
        description: description(state, order_no).await?,
        notify_url,
        trade_type,
        buyer_ip: ClientAddress::text_of(request),
    };
    let opened = desk.open(order_no, buyer, channel, terms).await.map_err(|error| of_payment(Wish::Pay, error))?;
    Ok(shown(opened))
}

/// What the buyer reads at the gateway.
async fn description(state: &AppState, order_no: OrderNo) -> Result<String, ApiError> {
    let order = orders::find(&state.db, order_no).await?;
    let name = order.and_then(|order| order.items.into_iter().next()).map(|item| item.name);
    let mut name = name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| order_no.to_string());
    let end = (0..=DESCRIPTION_BYTES_MAX.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
    name.truncate(end.unwrap_or(0));
    Ok(name)
}

fn shown(ChargeOpened { order, payment_no, charge }: ChargeOpened) -> UnifiedOrder {
    let attempt = order.open_attempt().and_then(|attempt| attempt.terms.as_ref());
    let trade_type = match attempt.map(|terms| &terms.trade_type) {
        Some(TradeType::InWechat { .. }) => "JSAPI",
        Some(TradeType::MobileBrowser) => "MWEB",
        Some(TradeType::Page { .. }) => "PAGE",
        Some(TradeType::QrCode) | None => "NATIVE",
    };
    let (mut code_url, mut pay_url, mut jsapi) = (String::new(), String::new(), None);
    match charge {
        Charge::QrCode { url } => code_url = url,
        Charge::Redirect { url } => pay_url = url,
        Charge::InWechat(call) => jsapi = Some(call),
        Charge::Captured(_) => {}
    }
    let prepay_id = jsapi.as_ref().and_then(|call| call.package.strip_prefix("prepay_id=")).unwrap_or_default();
    UnifiedOrder {
        order_no: order.order_no.to_string(),
        out_trade_no: payment_no.to_string(),
        prepay_id: prepay_id.to_owned(),
        code_url,
        pay_url,
        total_fee: order.total.fen(),
        trade_type,
        pay_deadline: Time(order.pay_deadline_ms),
        jsapi,
    }
}

/// Asks the gateway how the latest charge stands; what it says moves the order.
#[utoipa::path(get, path = "/api/pay/{channel}/query", tag = "payment", security(("bearer" = [])),
    params(("channel" = String, Path), ("order_no" = String, Query)),
    responses((status = 200, body = EnvelopeOf<PaymentStateJson>)))]
pub async fn query_payment(
    state: web::Data<AppState>,
    caller: Caller,
    lang: Lang,
    path: web::Path<String>,
    Query(wanted): Query<WhichOrder>,
) -> ApiResult<PaymentStateJson> {
    let (channel, order_no) = (channel(&path)?, named(wanted.order_no)?);
    let looked = state.shop.desk.look(order_no, Party::Buyer(caller.buyer), channel).await;
    let (trade, order) = looked.map_err(|error| of_payment(Wish::Pay, error))?;
    ok(payment_state(&order, trade.as_ref(), lang))
}

fn payment_state(order: &Order, trade: Option<&Trade>, lang: Lang) -> PaymentStateJson {
    PaymentStateJson {
        order_no: order.order_no.to_string(),
        trade_state: trade.map_or("UNKNOWN", |trade| word(trade.state)),
        transaction_id: trade.and_then(|trade| trade.gateway_no.clone()).unwrap_or_default(),
        total_fee: order.total.fen(),
        status: order.status.code(),
        status_text: status_text(order.status, lang),
    }
}

/// WeChat Pay's words for all gateways.
const fn word(state: TradeState) -> &'static str {
    match state {
        TradeState::NotPaid => "NOTPAY",
        TradeState::Paying => "USERPAYING",
        TradeState::Paid => "SUCCESS",
        TradeState::PaidThenRefunded => "REFUND",
        TradeState::Closed => "CLOSED",
        TradeState::Revoked => "REVOKED",
        TradeState::Failed => "PAYERROR",
    }
}

/// Asks for the end of the open charge, so that the buyer can pay otherwise. The order stays unpaid; another charge can be
/// opened once the gateway has confirmed, which the order's `attempts` tell.
#[utoipa::path(post, path = "/api/pay/{channel}/close", tag = "payment", security(("bearer" = [])),
    params(("channel" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = WhichOrder,
    responses((status = 200, body = EnvelopeOf<super::order_json::OrderJson>)))]
pub async fn close_payment(
    state: web::Data<AppState>,
    caller: Caller,
    lang: Lang,
    request: HttpRequest,
    path: web::Path<String>,
    Params(wanted): Params<WhichOrder>,
) -> Result<HttpResponse, ApiError> {
    let (channel, order_no) = (channel(&path)?, named(wanted.order_no)?);
    once(&request, &state, caller.buyer, 0, async |_: Turn| {
        let stopped = state.shop.desk.stop(order_no, caller.buyer, channel).await;
        stopped.map_err(|error| of_payment(Wish::Pay, error))?;
        order_reads::order(&state, Viewer::Buyer(caller.buyer), order_no, lang).await
    })
    .await
}

/// Asks for money back before the goods are on their way. All that is left if no sum is named.
#[utoipa::path(post, path = "/api/pay/{channel}/refund", tag = "payment", security(("bearer" = [])),
    params(("channel" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = AskRefund,
    responses((status = 200, body = EnvelopeOf<RefundJson>)))]
pub async fn refund_payment(
    state: web::Data<AppState>,
    caller: Caller,
    lang: Lang,
    request: HttpRequest,
    path: web::Path<String>,
    Params(wanted): Params<AskRefund>,
) -> Result<HttpResponse, ApiError> {
    channel(&path)?;
    let order_no = named(wanted.order_no)?;
    // The number is the identity of the request: under one key it stays the same, so a repeat asks for no second refund.
    once(&request, &state, caller.buyer, 1, async |turn: Turn| {
        let request = turn.order_no()?.to_string();
        let (by, reason) = (RefundAsker::Buyer, wanted.reason.clone());
        let amount = refundable(&state, caller.buyer, order_no, wanted.refund_fee).await?;
        let command = Command::RequestRefund { by, amount, reason, request: request.clone() };
        drive(&state, Party::Buyer(caller.buyer), order_no, (Wish::Refund, command)).await?;
        let order = load(&state, caller.buyer, order_no).await?;
        let refund = order.refunds.iter().find(|refund| refund.is_asked_by(&request));
        Ok(RefundJson {
            order_no: order_no.to_string(),
            out_refund_no: refund.map(|refund| refund_no(order_no, refund.number)).unwrap_or_default(),
            refund_fee: refund.map_or(0, |refund| refund.amount.fen()),
            status: order.status.code(),
            status_text: status_text(order.status, lang),
        })
    })
    .await
}

async fn refundable(state: &AppState, buyer: BuyerId, order_no: OrderNo, fen: Option<i64>) -> Result<Money, ApiError> {
    match fen {
        Some(fen) => Ok(Money::from_fen(fen)),
        None => {
            let order = load(state, buyer, order_no).await?;
            Ok(order.total.minus(order.refund_promised()))
        }
    }
}

/// Another buyer's order does not exist.
async fn load(state: &AppState, buyer: BuyerId, order_no: OrderNo) -> Result<Order, ApiError> {
    let loaded = journal::load(&state.db, order_no).await?.filter(|loaded| loaded.order.buyer == buyer);
    loaded.map(|loaded| loaded.order).ok_or(Code::ORDER_NOT_FOUND.into())
}
