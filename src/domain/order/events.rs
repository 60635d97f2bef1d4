//! What happened to an order. The journal keeps these for ever, so a variant or field is only ever added.

use serde::{Deserialize, Serialize};

use super::{ChargeTerms, PayChannel, RefundState};
use crate::domain::ids::{BuyerId, OrderNo, ProductId};
use crate::domain::money::Money;
use crate::domain::stock::{Pool, Quantity};

/// One fact, as stored in the journal (`{"kind": "payment_captured", …}`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The row exists and its units are held in SQL.
    OrderPlaced {
        /// Its number.
        order_no: OrderNo,
        /// Whose.
        buyer: BuyerId,
        /// Of what.
        product: ProductId,
        /// From which pool.
        pool: Pool,
        /// How many.
        quantity: Quantity,
        /// What it costs.
        total: Money,
        /// Unpaid after this, it ends.
        pay_deadline_ms: i64,
    },
    /// The unit that the gate promised did not exist.
    OrderFailed {
        /// Why.
        reason: FailReason,
    },
    /// A payment attempt was numbered; the gateway may be asked now.
    PaymentStarted {
        /// Its number in the order.
        attempt: u16,
        /// Through which channel.
        channel: PayChannel,
        /// What the gateway is asked; absent if there is none to ask, and in older journals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms: Option<ChargeTerms>,
    },
    /// The buyer no longer wants to pay this way: the gateway is asked to close the attempt.
    PaymentClosingStarted {
        /// Which.
        attempt: u16,
    },
    /// The gateway said that this attempt will never bring money.
    PaymentAttemptClosed {
        /// Which.
        attempt: u16,
    },
    /// The order's money came.
    PaymentCaptured {
        /// By which attempt.
        attempt: u16,
        /// How much: always the order's total.
        amount: Money,
        /// The gateway's own number.
        transaction_id: String,
    },
    /// Money came that the order does not need (second channel, wrong amount): it goes back.
    SurplusPaymentCaptured {
        /// By which attempt.
        attempt: u16,
        /// How much.
        amount: Money,
        /// The gateway's own number.
        transaction_id: String,
    },
    /// Money came after the order was cancelled; units are looked for.
    LatePaymentRecorded {
        /// By which attempt.
        attempt: u16,
        /// How much.
        amount: Money,
        /// The gateway's own number.
        transaction_id: String,
    },
    /// Units were found for a late payment.
    StockRetaken,
    /// Deadline or cancel with an attempt open: units stay held until the gateway has answered.
    ClosingStarted {
        /// Which of the two.
        reason: CancelReason,
    },
    /// Ended without money; the units are free again in this commit.
    OrderCancelled {
        /// Why.
        reason: CancelReason,
    },
    /// Handed to a carrier.
    OrderShipped {
        /// Name of the carrier.
        carrier: String,
        /// Its number for the parcel.
        tracking_no: String,
    },
    /// Received.
    OrderCompleted {
        /// Who said so.
        by: CompletedBy,
    },
    /// Money is owed to the buyer.
    RefundRequested {
        /// Its number in the order.
        refund: u16,
        /// Whose money goes back.
        attempt: u16,
        /// How much.
        amount: Money,
        /// The order's own money, or a payment too many.
        purpose: RefundPurpose,
        /// What the person or rule said.
        reason: String,
        /// Identity of the person's request; empty if a rule asked, and in older journals.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        request: String,
    },
    /// The gateway reported on a refund.
    RefundReported {
        /// Which.
        refund: u16,
        /// What it said; higher in the lattice than before, or the same with the gateway's number.
        state: RefundState,
        /// The gateway's own number, once it said it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        gateway_no: String,
    },
    /// A human is asked to look.
    ReviewRequested {
        /// Why.
        reason: ReviewReason,
    },
    /// A human has looked.
    ReviewCleared {
        /// What he found.
        note: String,
    },
}

impl Event {
    /// The `kind` in the journal.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OrderPlaced { .. } => "order_placed",
            Self::OrderFailed { .. } => "order_failed",
            Self::PaymentStarted { .. } => "payment_started",
            Self::PaymentClosingStarted { .. } => "payment_closing_started",
            Self::PaymentAttemptClosed { .. } => "payment_attempt_closed",
            Self::PaymentCaptured { .. } => "payment_captured",
            Self::SurplusPaymentCaptured { .. } => "surplus_payment_captured",
            Self::LatePaymentRecorded { .. } => "late_payment_recorded",
            Self::StockRetaken => "stock_retaken",
            Self::ClosingStarted { .. } => "closing_started",
            Self::OrderCancelled { .. } => "order_cancelled",
            Self::OrderShipped { .. } => "order_shipped",
            Self::OrderCompleted { .. } => "order_completed",
            Self::RefundRequested { .. } => "refund_requested",
            Self::RefundReported { .. } => "refund_reported",
            Self::ReviewRequested { .. } => "review_requested",
            Self::ReviewCleared { .. } => "review_cleared",
        }
    }
}

/// Why an order never came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailReason {
    /// The database, last authority over stock, had no unit left.
    SoldOut,
    /// The message could not be processed after all attempts.
    Poisoned,
    /// Accepted by a ledger's account that was lost; its buyer has his units by other orders.
    OverLimit,
}

/// Why an order ended unpaid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// The buyer changed his mind.
    Buyer,
    /// An administrator ended it.
    Administrator,
    /// Not paid in time.
    PayDeadline,
}

/// Who ended the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompletedBy {
    /// The buyer confirmed receipt.
    Buyer,
    /// The time for objections is over.
    Timeout,
}

/// Which money goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundPurpose {
    /// What was paid for this order: moves the order's state.
    Order,
    /// A payment that the order did not need: leaves its state alone.
    Surplus,
}

/// Why a human must look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewReason {
    /// The captured amount is not the order's total.
    AmountMismatch,
    /// The gateway ended a refund without returning the money.
    RefundClosed,
    /// The gateway cannot complete a refund by itself.
    RefundAbnormal,
    /// An owed effect failed on every attempt.
    EffectExhausted,
    /// The gateway refuses to return money.
    RefundRefused,
    /// What the gateway knows and what the shop knows differ.
    BillDiffers,
    /// The gateway has not said for very long how a payment or a refund ends; it is asked on.
    GatewayUndecided,
}
