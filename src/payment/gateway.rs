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
use super::facts::{BillLine, RefundReport, Trade};
use super::notice::{Notice, NoticeAnswer, NoticeRejection, RawNotice};
use super::numbers::{PaymentNo, RefundNo};
use crate::domain::Money;
pub use crate::domain::order::TradeType;

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

/// One gateway. Implementations share nothing; each call passes its [guard](super::guard::Guard).
#[async_trait]
pub trait PaymentGateway: fmt::Debug + Send + Sync {
    /// Which wire it speaks.
    fn wire(&self) -> Wire;

    /// True while its guard refuses calls, or lets only one try; never of a gateway without a guard.
    fn is_tripped(&self) -> bool {
        false
    }

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

    /// Gives money back. An answer says that it was accepted; only [`RefundState::Succeeded`](super::facts::RefundState::Succeeded) says that it is done.
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
