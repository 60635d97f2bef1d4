//! The life of one order: its states, the commands that move it, the events that record it, the effects it owes.
//!
//! | step | undo | time limit |
//! |---|---|---|
//! | units held (`OrderPlaced`) | `OrderCancelled` gives them back in the same commit | pay deadline |
//! | payment attempt open (`PaymentStarted`) | `ClosingStarted`, then the gateway's answer | pay deadline |
//! | money captured (`PaymentCaptured`) | `RefundRequested` until `RefundSucceeded` | none |
//! | goods sent (`OrderShipped`) | refund without stock return | auto-complete |
//!
//! [`decide`] says what a command means now, [`apply`] is the only code that changes an [`Order`]. An order with a
//! payment attempt open is never cancelled by a local clock: it is `Closing`, its units stay held, and only the
//! gateway's answer ends that (races.md rule 2).

mod apply;
mod charge;
mod decide;
mod effects;
mod events;
mod money_fact;
mod report;
#[cfg(test)]
mod tests;

pub use apply::{apply, replay};
pub use charge::{ChargeTerms, TradeType};
pub use decide::{ATTEMPTS_MAX, Command, REFUNDS_MAX, RefundAsker, Rejection, decide};
pub use effects::{Effect, owed_effects};
pub use events::{CancelReason, CompletedBy, Event, FailReason, RefundPurpose, ReviewReason};
pub use money_fact::{JournalEvent, MoneyFact, money_facts};
pub use report::GatewayFact;

use serde::{Deserialize, Serialize};

use super::ids::{BuyerId, OrderNo, ProductId};
use super::money::Money;
use super::stock::{Pool, Quantity};

/// Where an order stands. The integers are part of the HTTP contract (api.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Accepted: a ticket exists, the row not yet.
    Processing = 0,
    /// Units held, waiting for money until the deadline.
    PendingPayment = 1,
    /// Money captured.
    Paid = 2,
    /// On its way.
    Shipped = 3,
    /// Received, or taken as received.
    Completed = 4,
    /// Ended without money; units given back.
    Cancelled = 5,
    /// Money on its way back.
    Refunding = 6,
    /// All money returned.
    Refunded = 7,
    /// The promised unit did not exist.
    Failed = 8,
    /// Deadline or cancel came while a payment attempt was open: the gateway is asked.
    Closing = 9,
}

impl OrderStatus {
    /// All states.
    pub const ALL: [Self; 10] = [
        Self::Processing,
        Self::PendingPayment,
        Self::Paid,
        Self::Shipped,
        Self::Completed,
        Self::Cancelled,
        Self::Refunding,
        Self::Refunded,
        Self::Failed,
        Self::Closing,
    ];

    /// Its name, as figures and events have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::PendingPayment => "pending_payment",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
            Self::Failed => "failed",
            Self::Closing => "closing",
        }
    }

    /// The number in the database and in pushes.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The state with that number.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// True if the edge `self -> next` is drawn in design.md §4.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use OrderStatus as S;
        matches!(
            (self, next),
            (S::Processing, S::PendingPayment | S::Failed)
                | (S::PendingPayment, S::Paid | S::Cancelled | S::Closing)
                | (S::Closing, S::Paid | S::Cancelled)
                | (S::Paid, S::Shipped | S::Refunding)
                | (S::Shipped, S::Completed | S::Refunding)
                | (S::Completed, S::Refunding)
                | (S::Cancelled, S::Paid | S::Refunding)
                | (S::Refunding, S::Refunded | S::Paid | S::Shipped | S::Completed)
        )
    }
}

/// How the money is to come. The integers are part of the HTTP contract (`pay_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayChannel {
    /// Alipay.
    Alipay = 1,
    /// WeChat Pay.
    Wechat = 2,
    /// Bank card (sandbox).
    Card = 3,
    /// Simulated: captured at once, no money moves.
    Simulated = 9,
}

impl PayChannel {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Its name in figures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wechat => "wechat",
            Self::Alipay => "alipay",
            Self::Card => "card",
            Self::Simulated => "simulated",
        }
    }

    /// The channel with that number.
    #[must_use]
    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            1 => Some(Self::Alipay),
            2 => Some(Self::Wechat),
            3 => Some(Self::Card),
            9 => Some(Self::Simulated),
            _ => None,
        }
    }
}

/// One try to collect the money: its number is stored before the gateway hears of it (`{order_no}_{attempt}`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// 1, 2, … within the order.
    pub number: u16,
    /// Through which channel.
    pub channel: PayChannel,
    /// What the gateway is asked; `None` if there is none to ask (simulated), and in older journals.
    pub terms: Option<ChargeTerms>,
    /// The gateway is being asked to close it.
    pub is_closing: bool,
    /// What the gateway last said.
    pub state: AttemptState,
}

/// What is known of a payment attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptState {
    /// Money may still come.
    Open,
    /// The gateway said that it never will.
    Closed,
    /// Money came.
    Captured(Money),
}

/// One return of money: its number is stored before the gateway hears of it (`{order_no}_r{number}`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refund {
    /// 1, 2, … within the order.
    pub number: u16,
    /// The attempt whose money goes back.
    pub attempt: u16,
    /// How much.
    pub amount: Money,
    /// Whether it is the order's own money or a payment too many.
    pub purpose: RefundPurpose,
    /// What the gateway last said.
    pub state: RefundState,
    /// Identity of the person's request; empty if a rule asked.
    pub request: String,
    /// The gateway's own number, as soon as it has said it; empty before.
    pub gateway_no: String,
}

impl Refund {
    /// True if this very request asked for it.
    #[must_use]
    pub fn is_asked_by(&self, request: &str) -> bool {
        !request.is_empty() && self.request == request
    }

    /// True until the gateway has said how it ended.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        matches!(self.state, RefundState::Processing | RefundState::Abnormal)
    }
}

/// A lattice: a later report never moves a refund down (R47).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Asked for, or accepted by the gateway.
    Processing,
    /// The gateway needs help (account closed, …): an administrator is told.
    Abnormal,
    /// Ended without returning the money.
    Closed,
    /// The buyer has it.
    Succeeded,
}

/// Where the order's units are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnitsState {
    /// Set aside, unpaid.
    Held,
    /// Paid for.
    Sold,
    /// Back in the pool (or never taken).
    Returned,
}

/// Everything the rules need to know of one order; rebuilt from its journal by [`replay`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// Its number.
    pub order_no: OrderNo,
    /// Whose it is.
    pub buyer: BuyerId,
    /// What was bought.
    pub product: ProductId,
    /// From which pool.
    pub pool: Pool,
    /// How many units.
    pub quantity: Quantity,
    /// What it costs.
    pub total: Money,
    /// Where it stands.
    pub status: OrderStatus,
    /// Events applied so far; the next has this `seq` + 1.
    pub version: u32,
    /// Unpaid after this, it is cancelled or closing.
    pub pay_deadline_ms: i64,
    /// Payment attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Refunds, oldest first.
    pub refunds: Vec<Refund>,
    /// Where its units are.
    pub units: UnitsState,
    /// Why it is closing or was cancelled; kept when a late payment brings a cancelled order back.
    pub cancel_reason: Option<CancelReason>,
    /// Money that came after the cancellation and waits for units: the attempt's number.
    pub late_payment: Option<u16>,
    /// Where a partial or failed refund returns to. `Cancelled` for a late payment without units: such an order has
    /// no goods to return to and stays `Refunding` until all its money is back.
    pub before_refund: OrderStatus,
    /// When it was shipped.
    pub shipped_at_ms: Option<i64>,
    /// A human must look at it, and why.
    pub review: Option<ReviewReason>,
}

impl Order {
    /// The attempt through which money may still come.
    #[must_use]
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.state == AttemptState::Open)
    }

    /// The attempt that brought the order's own money, not a payment too many.
    #[must_use]
    pub fn paid_by(&self) -> Option<&Attempt> {
        let is_surplus = |attempt: &Attempt| {
            self.refunds.iter().any(|r| r.attempt == attempt.number && r.purpose == RefundPurpose::Surplus)
        };
        self.attempts.iter().find(|attempt| attempt.state == AttemptState::Captured(self.total) && !is_surplus(attempt))
    }

    /// All money that came in.
    #[must_use]
    pub fn captured(&self) -> Money {
        self.attempts
            .iter()
            .filter_map(|attempt| match attempt.state {
                AttemptState::Captured(amount) => Some(amount),
                AttemptState::Open | AttemptState::Closed => None,
            })
            .sum()
    }

    /// All money that went back.
    #[must_use]
    pub fn refunded(&self) -> Money {
        self.refunds_in(|refund| refund.state == RefundState::Succeeded)
    }

    /// The order's own money that went back or is on its way.
    #[must_use]
    pub fn refund_promised(&self) -> Money {
        self.refunds_in(|refund| refund.purpose == RefundPurpose::Order && refund.state != RefundState::Closed)
    }

    /// True in a state that only an administrator or a stray payment can leave.
    #[must_use]
    pub const fn is_at_rest(&self) -> bool {
        use OrderStatus as S;
        matches!(self.status, S::Paid | S::Shipped | S::Completed | S::Cancelled | S::Refunded | S::Failed)
            && self.late_payment.is_none()
    }

    /// True if it was cancelled once: units that it has now were taken again for a late payment.
    #[must_use]
    pub const fn was_cancelled(&self) -> bool {
        self.cancel_reason.is_some() && !matches!(self.status, OrderStatus::Closing)
    }

    /// True at rest with nothing under way at the gateway either: no attempt open, no refund running.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_at_rest() && self.open_attempt().is_none() && !self.refunds.iter().any(Refund::is_running)
    }

    fn refunds_in(&self, wanted: impl Fn(&Refund) -> bool) -> Money {
        self.refunds.iter().filter(|refund| wanted(refund)).map(|refund| refund.amount).sum()
    }
}
