//! What a gateway says, once it is believed: charges, refunds, lines of a bill.

use std::fmt;

use super::numbers::{PaymentNo, RefundNo};
use crate::domain::Money;

/// A person as the gateway calls them. Personal: never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct PayerId(pub String);

impl fmt::Debug for PayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PayerId(***)")
    }
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
