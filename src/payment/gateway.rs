//! What the shop asks of a gateway, whichever it is: [`PaymentGateway`] and the facts that go in and come out.
//!
//! The rules that hold for every implementation: numbers and parameters are stored by the caller before a call, and a
//! repeated call repeats them; an answer that cannot be believed is [`PaymentError::OutcomeUnknown`], never a success;
//! a gateway keeps no state of the shop's. Times are unix ms, amounts fen.

use std::fmt;

use async_trait::async_trait;
use chrono::NaiveDate;
use tokio::sync::mpsc;

use super::error::PaymentError;
use super::notice::{Notice, NoticeAnswer, NoticeRejection, RawNotice};
use super::numbers::{PaymentNo, RefundNo};
use crate::domain::Money;

/// One of the wires money goes over. Two of them are WeChat's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wire {
    /// WeChat Pay v3.
    WechatV3,
    /// WeChat Pay v2.
    WechatV2,
    /// Alipay.
    Alipay,
    /// No wire at all: captured at once.
    Simulated,
}

impl Wire {
    /// The word for it in logs, metrics and settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WechatV3 => "wechat_v3",
            Self::WechatV2 => "wechat_v2",
            Self::Alipay => "alipay",
            Self::Simulated => "simulated",
        }
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A person as the gateway calls them. Personal: never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct PayerId(pub String);

impl fmt::Debug for PayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PayerId(***)")
    }
}

/// Where the buyer pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TradeType {
    /// The buyer scans a QR code that the shop shows (WeChat native, Alipay precreate).
    QrCode,
    /// Within WeChat's own browser (JSAPI).
    InWechat {
        /// The buyer's id towards the merchant's app.
        openid: PayerId,
    },
    /// In the browser of a telephone (WeChat H5).
    MobileBrowser,
    /// On a page of the gateway's (Alipay page pay).
    Page {
        /// Where the buyer comes back to; says nothing about whether money came.
        return_url: String,
    },
}

/// A charge to create. Every field is stored by the caller before the first call and is the same in every repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCharge {
    /// Our number: the gateway's `out_trade_no`.
    pub payment_no: PaymentNo,
    /// At least 1 fen.
    pub amount: Money,
    /// What the buyer sees; at least one character, cut to what the wire carries (127 bytes).
    pub description: String,
    /// End of the time to pay, unix ms. The first call sets it for good.
    pub expires_ms: i64,
    /// Where the gateway tells of the payment: https, no query.
    pub notify_url: String,
    /// Where the buyer pays.
    pub trade_type: TradeType,
    /// The buyer's address as far as it is known; H5 and WeChat Pay v2 want one.
    pub buyer_ip: Option<std::net::IpAddr>,
}

/// How the buyer pays a created charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charge {
    /// Show this text as a QR code; valid for 2 h or until the charge expires, whichever comes first.
    QrCode {
        /// The text.
        url: String,
    },
    /// Hand these to `WeixinJSBridge` in the buyer's WeChat.
    InWechat(JsapiCall),
    /// Send the buyer's browser there.
    Redirect {
        /// Where to.
        url: String,
    },
    /// Paid already: there is nothing for the buyer to do (simulated payment only).
    Captured(Trade),
}

/// The arguments of `WeixinJSBridge.invoke("getBrandWCPayRequest", …)`, signed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JsapiCall {
    /// The merchant's app.
    pub app_id: String,
    /// Unix seconds.
    pub time_stamp: String,
    /// Nonce.
    pub nonce_str: String,
    /// `prepay_id=…`, valid for 2 h.
    pub package: String,
    /// `RSA`, `MD5` or `HMAC-SHA256`.
    pub sign_type: String,
    /// The signature.
    pub pay_sign: String,
}

/// What the gateway says of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TradeState {
    /// Nobody has paid so far. Never final: a payer may be about to.
    NotPaid,
    /// The payer is typing the password.
    Paying,
    /// Money came.
    Paid,
    /// Money came, and some or all of it was refunded since.
    PaidThenRefunded,
    /// No money came or will come.
    Closed,
    /// Taken back at the counter (micropay); no money will come.
    Revoked,
    /// The payer's bank refused; the payer may try again until the charge expires.
    Failed,
}

/// What the gateway knows of a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Our number.
    pub payment_no: PaymentNo,
    /// The gateway's number; none before payment.
    pub gateway_no: Option<String>,
    /// What became of it.
    pub state: TradeState,
    /// What was asked for, coupons included; this is what must equal the order. None before payment at WeChat.
    pub total: Option<Money>,
    /// What the payer gave after coupons; of no consequence for the order.
    pub payer_total: Option<Money>,
    /// When it was paid.
    pub paid_at_ms: Option<i64>,
    /// Who paid, as the gateway calls them.
    pub payer: Option<PayerId>,
    /// Something in the answer belongs to another merchant, app or currency.
    pub strange: Option<Mismatch>,
}

/// What in a genuine message does not agree with the order or with us. Money may have moved: a person must look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Mismatch {
    /// Another total than the order's, or none.
    #[error("the amount differs")]
    Amount,
    /// Not CNY.
    #[error("the currency differs")]
    Currency,
    /// Another merchant (mchid or seller).
    #[error("the merchant differs")]
    Merchant,
    /// Another app.
    #[error("the app differs")]
    App,
    /// Another payment than was asked about.
    #[error("the payment number differs")]
    PaymentNo,
}

impl Trade {
    /// True if money came.
    #[must_use]
    pub const fn is_paid(&self) -> bool {
        matches!(self.state, TradeState::Paid | TradeState::PaidThenRefunded)
    }

    /// Compares with what the order asks for: merchant, app, currency, and `total` (never what the payer gave).
    ///
    /// # Errors
    /// The first [`Mismatch`].
    pub fn agrees_with(&self, payment_no: &PaymentNo, amount: Money) -> Result<(), Mismatch> {
        if let Some(strange) = self.strange {
            return Err(strange);
        }
        if self.payment_no != *payment_no {
            return Err(Mismatch::PaymentNo);
        }
        if self.total == Some(amount) { Ok(()) } else { Err(Mismatch::Amount) }
    }
}

/// Money to give back. Stored before the first call, the same in every repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundOrder {
    /// The payment whose money goes back.
    pub payment_no: PaymentNo,
    /// Our number: the same number is the same refund, however often it is sent.
    pub refund_no: RefundNo,
    /// At least 1 fen, with earlier refunds at most `total`.
    pub amount: Money,
    /// The total of the payment.
    pub total: Money,
    /// What the buyer sees; cut to 80 bytes.
    pub reason: String,
    /// Where the gateway tells of the end of the refund; Alipay has none.
    pub notify_url: String,
}

/// What became of a refund. Ordered: a report never moves a refund back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefundState {
    /// Accepted. Alipay: or repeated without money moving, so ask.
    Processing,
    /// The payer's account cannot take it: a person must choose another.
    Abnormal,
    /// The money is back.
    Succeeded,
    /// It will not happen; a new refund needs a new number.
    Closed,
}

/// What the gateway knows of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundReport {
    /// Our number.
    pub refund_no: RefundNo,
    /// The payment.
    pub payment_no: PaymentNo,
    /// The gateway's number.
    pub gateway_refund_no: Option<String>,
    /// What became of it.
    pub state: RefundState,
    /// How much.
    pub amount: Option<Money>,
    /// When it succeeded.
    pub refunded_at_ms: Option<i64>,
    /// Something belongs to another merchant or currency, or to another refund than was asked about.
    pub strange: Option<Mismatch>,
}

/// One line of a daily bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillLine {
    /// When it happened, unix ms.
    pub at_ms: i64,
    /// The shop's payment number, as it stands there: a bill may hold payments that are not ours.
    pub payment_no: String,
    /// The gateway's payment number.
    pub gateway_no: String,
    /// The payment's total (positive), also on the line of a refund where the bill has it.
    pub total: Option<Money>,
    /// The refund, if the line is one.
    pub refund: Option<BillRefund>,
}

/// The refund on a line of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillRefund {
    /// The shop's refund number.
    pub refund_no: String,
    /// The gateway's.
    pub gateway_refund_no: String,
    /// How much went back (positive).
    pub amount: Money,
    /// What became of it.
    pub state: RefundState,
}

/// One gateway. Implementations share nothing; each call passes its [guard](super::guard::Guard).
#[async_trait]
pub trait PaymentGateway: fmt::Debug + Send + Sync {
    /// Which wire it speaks.
    fn wire(&self) -> Wire;

    /// Creates the charge, or finds it again by its number and answers anew.
    ///
    /// # Errors
    /// [`PaymentError`]; `OutcomeUnknown` is cured by the same call again.
    async fn create(&self, charge: &NewCharge) -> Result<Charge, PaymentError>;

    /// What became of a charge.
    ///
    /// # Errors
    /// [`PaymentError`]; [`Action::NotFound`](super::error::Action::NotFound) means never created, or at Alipay not
    /// scanned so far.
    async fn query(&self, payment_no: &PaymentNo) -> Result<Trade, PaymentError>;

    /// Asks that no money be taken any more. Success is no proof: ask [`Self::query`] afterwards.
    ///
    /// # Errors
    /// [`PaymentError`]; [`Action::AlreadyPaid`](super::error::Action::AlreadyPaid) when the money came first.
    async fn close(&self, payment_no: &PaymentNo) -> Result<(), PaymentError>;

    /// Gives money back. An answer says that it was accepted; only [`RefundState::Succeeded`] says that it is done.
    ///
    /// # Errors
    /// [`PaymentError`]; `OutcomeUnknown` is cured by the same call again.
    async fn refund(&self, refund: &RefundOrder) -> Result<RefundReport, PaymentError>;

    /// What became of a refund.
    ///
    /// # Errors
    /// [`PaymentError`].
    async fn query_refund(&self, payment_no: &PaymentNo, refund_no: &RefundNo) -> Result<RefundReport, PaymentError>;

    /// Verifies and decodes a notification. Changes nothing; may fetch certificates it has not seen.
    ///
    /// # Errors
    /// [`NoticeRejection`]: nothing of it may be acted on.
    async fn read_notice(&self, notice: &RawNotice) -> Result<Notice, NoticeRejection>;

    /// The answer that this gateway expects to a notification: `stored` only after it was stored durably.
    fn answer_notice(&self, stored: bool) -> NoticeAnswer;

    /// Downloads the bill of a day (Beijing time) and sends its lines as they arrive; the channel bounds the memory.
    /// Nothing of it counts before this returns the number of lines: the whole may turn out to be damaged.
    ///
    /// # Errors
    /// [`PaymentError`]; [`Action::NotFound`](super::error::Action::NotFound) if the day has no bill (so far).
    async fn bill(&self, day: NaiveDate, lines: mpsc::Sender<BillLine>) -> Result<u64, PaymentError>;
}
