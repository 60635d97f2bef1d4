//! A trade from its creation to paid or closed.
//!
//! `NotPaid`, `Paying` (the buyer is at it) and `Failed` lead to each other, to `Paid` and to `Closed`; those two are final,
//! refunds are counted beside. The end of the pay window only stops payments: on WeChat Pay it closes nothing, on Alipay it closes the trade.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Terms;

/// Whose ledger a trade stands in. One merchant's numbers are shared by both versions of WeChat Pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// WeChat Pay.
    Wechat,
    /// Alipay.
    Alipay,
}

/// Which interface a trade was created through: its notifications speak the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Wire {
    /// WeChat Pay v3.
    #[serde(rename = "wechat_v3")]
    V3,
    /// WeChat Pay v2.
    #[serde(rename = "wechat_v2")]
    V2,
    /// Alipay.
    #[serde(rename = "alipay")]
    Alipay,
}

/// How the buyer is to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TradeKind {
    /// A code to scan.
    Native,
    /// A page inside WeChat.
    Jsapi,
    /// A page in a phone's browser.
    H5,
    /// The merchant's own app.
    App,
    /// Alipay's page on a desktop.
    Page,
}

/// Where a trade stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TradeState {
    /// Not paid; never final.
    NotPaid,
    /// The buyer is at it: he has to enter his password, or his bank has not answered. Money may come at any moment.
    Paying,
    /// The last try to pay failed; the buyer may try again.
    Failed,
    /// Paid; refunds are counted in [`Trade::refunded_fen`].
    Paid,
    /// Closed without a payment.
    Closed,
}

/// A trade as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trade {
    /// What the merchant asked for, as first given.
    pub order: NewTrade,
    /// Where it stands.
    pub state: TradeState,
    /// When it was created, unix ms.
    pub created_ms: i64,
    /// After this no payment is taken, unix ms.
    pub window_end_ms: i64,
    /// The provider's number: given by the payment (WeChat Pay) or by the first scan (Alipay).
    pub transaction_id: Option<String>,
    /// The payment.
    pub payment: Option<Payment>,
    /// Sum of the refunds that were accepted and not closed, fen.
    pub refunded_fen: i64,
    /// When it was closed, unix ms.
    pub closed_ms: Option<i64>,
}

/// What a merchant asks for. Everything that a repetition must repeat lies in `parameters`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTrade {
    /// Which interface.
    pub wire: Wire,
    /// Merchant number (WeChat Pay) or app id (Alipay).
    pub merchant: String,
    /// App id.
    pub appid: String,
    /// The merchant's number, unique for the merchant.
    pub out_trade_no: String,
    /// How the buyer pays.
    pub kind: TradeKind,
    /// What the buyer reads.
    pub description: String,
    /// Comes back in every answer; may be empty.
    pub attach: String,
    /// The price, fen.
    pub total_fen: i64,
    /// End of the pay window as asked for, unix ms.
    pub expires_ms: Option<i64>,
    /// Where notifications go; may be empty for Alipay.
    pub notify_url: String,
    /// Where the buyer is sent after paying; may be empty.
    pub return_url: String,
    /// The buyer if the merchant named one.
    pub payer: Option<String>,
    /// Serial number of the key that signs notifications (WeChat Pay v3), or the signature's type (v2).
    pub signed_by: String,
    /// All parameters that a repetition must repeat.
    pub parameters: Value,
}

/// A payment that was captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// When, unix ms.
    pub paid_ms: i64,
    /// Who.
    pub payer: String,
    /// Paid by a coupon of the provider, fen; the buyer paid the rest.
    pub coupon_fen: i64,
}

/// Why a trade cannot be created or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradeRefusal {
    /// The number is taken, and only the end of the pay window differs.
    WindowDiffers,
    /// The number is taken by a trade with other parameters.
    ParametersDiffer,
    /// It is paid.
    Paid,
    /// It is closed.
    Closed,
    /// There is no such trade (Alipay: nobody has scanned it).
    NotFound,
}

/// Why a payment is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayRefusal {
    /// There is no such trade.
    NotFound,
    /// It is paid already.
    Paid,
    /// It is closed.
    Closed,
    /// The pay window has ended.
    Expired,
    /// The coupon is negative or covers more than the price.
    Coupon,
}

impl TradeState {
    /// True while money may come.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::NotPaid | Self::Paying | Self::Failed)
    }
}

impl Wire {
    /// Whose ledger.
    #[must_use]
    pub const fn provider(self) -> Provider {
        match self {
            Self::V3 | Self::V2 => Provider::Wechat,
            Self::Alipay => Provider::Alipay,
        }
    }
}

impl Trade {
    /// True if the provider says that the trade exists: Alipay knows none that nobody has scanned.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        matches!(self.order.wire.provider(), Provider::Wechat) || self.transaction_id.is_some()
    }

    /// What the provider says at `now_ms`: Alipay closes what was not paid in its window.
    #[must_use]
    pub fn state_at(&self, now_ms: i64) -> TradeState {
        let is_open = self.state.is_open();
        let closes_by_itself = self.order.wire.provider() == Provider::Alipay;
        if is_open && closes_by_itself && now_ms > self.window_end_ms { TradeState::Closed } else { self.state }
    }

    /// The same as if it had been closed; what a gateway says that is wrong about it.
    #[must_use]
    pub fn said_closed(self) -> Self {
        Self { state: TradeState::Closed, payment: None, ..self }
    }

    /// True if all of it was refunded.
    #[must_use]
    pub const fn is_fully_refunded(&self) -> bool {
        self.refunded_fen >= self.order.total_fen
    }

    /// What the buyer himself paid, fen.
    #[must_use]
    pub fn payer_fen(&self) -> i64 {
        self.order.total_fen - self.payment.as_ref().map_or(0, |payment| payment.coupon_fen)
    }
}

/// A new trade, or the one that stands there if `order` repeats it.
///
/// # Errors
/// [`TradeRefusal`].
pub fn create(existing: Option<Trade>, order: NewTrade, now_ms: i64, terms: &Terms) -> Result<Trade, TradeRefusal> {
    let Some(existing) = existing else {
        let window_end_ms = terms.window_end(order.expires_ms, now_ms);
        return Ok(Trade {
            order,
            state: TradeState::NotPaid,
            created_ms: now_ms,
            window_end_ms,
            transaction_id: None,
            payment: None,
            refunded_fen: 0,
            closed_ms: None,
        });
    };
    match existing.state_at(now_ms) {
        TradeState::Paid => return Err(TradeRefusal::Paid),
        TradeState::Closed => return Err(TradeRefusal::Closed),
        TradeState::NotPaid | TradeState::Paying | TradeState::Failed => {}
    }
    if existing.order.wire != order.wire || existing.order.parameters != order.parameters {
        return Err(TradeRefusal::ParametersDiffer);
    }
    // Alipay's may be relative to the call, and is one of its parameters
    if order.wire.provider() == Provider::Wechat && existing.order.expires_ms != order.expires_ms {
        return Err(TradeRefusal::WindowDiffers);
    }
    Ok(existing)
}

/// The buyer has seen the trade. Alipay gives it its number by that, `transaction_id`.
#[must_use]
pub fn scan(mut trade: Trade, transaction_id: &str, now_ms: i64) -> Trade {
    let is_open = trade.state_at(now_ms) == TradeState::NotPaid;
    if is_open && trade.order.wire.provider() == Provider::Alipay && trade.transaction_id.is_none() {
        trade.transaction_id = Some(transaction_id.to_owned());
    }
    trade
}

/// The buyer pays, or his payment becomes known; `transaction_id` is taken unless a scan gave one.
///
/// # Errors
/// [`PayRefusal`].
pub fn pay(mut trade: Trade, payment: Payment, transaction_id: &str) -> Result<Trade, PayRefusal> {
    match trade.state {
        TradeState::Paid => return Err(PayRefusal::Paid),
        TradeState::Closed => return Err(PayRefusal::Closed),
        TradeState::NotPaid | TradeState::Paying | TradeState::Failed => {}
    }
    if payment.paid_ms > trade.window_end_ms {
        return Err(PayRefusal::Expired);
    }
    if payment.coupon_fen < 0 || payment.coupon_fen > trade.order.total_fen {
        return Err(PayRefusal::Coupon);
    }
    trade.state = TradeState::Paid;
    trade.transaction_id.get_or_insert_with(|| transaction_id.to_owned());
    trade.payment = Some(payment);
    Ok(trade)
}

/// The trade as it was a moment before it was closed: a payment may cross the close, and become known only after it.
#[must_use]
pub fn before_close(mut trade: Trade) -> Trade {
    if trade.state == TradeState::Closed && trade.closed_ms.is_some() {
        trade.state = TradeState::NotPaid;
        trade.closed_ms = None;
    }
    trade
}

/// The buyer is asked for his password, or his bank thinks about it.
///
/// # Errors
/// [`PayRefusal`] if no payment could be tried.
pub fn enter(trade: Trade, now_ms: i64) -> Result<Trade, PayRefusal> {
    Ok(Trade { state: TradeState::Paying, ..fail(trade, now_ms)? })
}

/// The buyer's try to pay fails.
///
/// # Errors
/// [`PayRefusal`] if no payment could be tried.
pub fn fail(mut trade: Trade, now_ms: i64) -> Result<Trade, PayRefusal> {
    match trade.state {
        TradeState::Paid => Err(PayRefusal::Paid),
        TradeState::Closed => Err(PayRefusal::Closed),
        TradeState::NotPaid | TradeState::Failed if now_ms > trade.window_end_ms => Err(PayRefusal::Expired),
        // a try that began in time may fail after it
        TradeState::NotPaid | TradeState::Paying | TradeState::Failed => {
            trade.state = TradeState::Failed;
            Ok(trade)
        }
    }
}

/// The merchant closes an unpaid trade.
///
/// # Errors
/// [`TradeRefusal::NotFound`], [`TradeRefusal::Paid`], [`TradeRefusal::Closed`].
pub fn close(trade: Option<Trade>, now_ms: i64) -> Result<Trade, TradeRefusal> {
    let mut trade = trade.filter(Trade::is_known).ok_or(TradeRefusal::NotFound)?;
    match trade.state_at(now_ms) {
        TradeState::Paid => Err(TradeRefusal::Paid),
        TradeState::Closed => Err(TradeRefusal::Closed),
        TradeState::NotPaid | TradeState::Paying | TradeState::Failed => {
            trade.state = TradeState::Closed;
            trade.closed_ms = Some(now_ms);
            Ok(trade)
        }
    }
}
