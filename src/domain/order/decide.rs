//! The rules of the saga: what a command means for an order as it is now. Changes nothing.
//!
//! A fact that was recorded before is answered with no events, so every redelivery is harmless. A wish that cannot be
//! met is a [`Rejection`]. Facts (`Confirm…`, `Report…`) are never rejected for being late: money that moved is recorded.
//! The one exception, [`Command::ConfirmStockRetaken`], tells the caller to give back units that nobody waits for.
//!
//! No events and a rejection are answers about *this copy* of the order: a caller that decides on a cached copy must
//! compare its version with the store's before it believes them, as an append would have done (tests/model/).

use super::events::{CancelReason, CompletedBy, Event, RefundPurpose, ReviewReason};
use super::{Attempt, AttemptState, ChargeTerms, Order, OrderStatus, PayChannel, Refund, RefundState, UnitsState};
use crate::domain::money::Money;

/// Most payment attempts of one order.
pub const ATTEMPTS_MAX: usize = 20;
/// Most refunds of one order (WeChat Pay's own bound).
pub const REFUNDS_MAX: usize = 50;
/// WeChat Pay moves an earlier end of a charge to one minute after its start; ours lies a second behind that.
const CHARGE_LIFE_MIN_MS: i64 = 61_000;
/// The reason of [`Command::RetryRefund`].
const REFUND_AGAIN: &str = "asked again after the gateway closed a refund";

/// What somebody wants of, or knows about, an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Number a payment attempt before the gateway is asked.
    StartPayment {
        /// Through which channel.
        channel: PayChannel,
        /// What the gateway is to be asked, but for the end: that follows from the order's deadline. A retry keeps the
        /// terms of the first.
        terms: ChargeTerms,
    },
    /// Ask the gateway to close the open attempt, so that another channel can be used.
    StopPayment,
    /// Simulated payment: attempt and capture in one commit.
    PayAtOnce {
        /// The channel shown to the buyer.
        channel: PayChannel,
        /// Number of the simulated transaction.
        transaction_id: String,
    },
    /// The gateway has the buyer's money.
    ConfirmPayment {
        /// Through which attempt.
        attempt: u16,
        /// How much.
        amount: Money,
        /// The gateway's own number.
        transaction_id: String,
    },
    /// The gateway says that this attempt will never bring money.
    ConfirmAttemptClosed {
        /// Which.
        attempt: u16,
    },
    /// The time to pay is over (a timer's word: judged again by the clock).
    ExpirePayment,
    /// End the order unpaid.
    Cancel {
        /// Who wants it.
        reason: CancelReason,
    },
    /// Units were found for a late payment. Rejected if the order no longer waits for them (another node said
    /// "gone" first): whoever took them gives them back.
    ConfirmStockRetaken,
    /// No units, or the sale is over: the late payment goes back.
    ConfirmStockGone,
    /// Hand to a carrier.
    Ship {
        /// Name of the carrier.
        carrier: String,
        /// Its number for the parcel.
        tracking_no: String,
    },
    /// The buyer has the goods.
    ConfirmReceipt,
    /// The time for objections may be over (a timer's word).
    AutoComplete {
        /// Shipped orders count as received after this.
        after_ms: i64,
    },
    /// Return money.
    RequestRefund {
        /// Who asks.
        by: RefundAsker,
        /// How much; at most what is left.
        amount: Money,
        /// What the person said.
        reason: String,
        /// Identity of the request: the same one again asks for no second refund.
        request: String,
    },
    /// Ask again for the money of a refund that the gateway closed, under a new number.
    RetryRefund {
        /// The closed one.
        refund: u16,
    },
    /// The gateway reports on a refund.
    ReportRefund {
        /// Which.
        refund: u16,
        /// What it said.
        state: RefundState,
        /// The gateway's own number; empty if it said none.
        gateway_no: String,
    },
    /// Ask a human.
    RequestReview {
        /// Why.
        reason: ReviewReason,
    },
    /// A human has looked.
    ClearReview {
        /// What he found.
        note: String,
    },
}

/// Who may want money back, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefundAsker {
    /// The owner: until the goods are on their way.
    Buyer,
    /// At any time.
    Administrator,
}

/// Why a wish cannot be met now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not possible in this state.
    #[error("not possible while {0:?}")]
    WrongState(OrderStatus),
    /// It has been paid.
    #[error("already paid")]
    AlreadyPaid,
    /// The time to pay is over.
    #[error("payment deadline has passed")]
    DeadlinePassed,
    /// An attempt through another channel is open.
    #[error("attempt {attempt} is in progress")]
    PaymentInProgress {
        /// The open attempt.
        attempt: u16,
    },
    /// More than [`ATTEMPTS_MAX`] attempts or [`REFUNDS_MAX`] refunds.
    #[error("too many attempts or refunds")]
    TooMany,
    /// Not positive, or more than is left to refund.
    #[error("at most {left} can be refunded")]
    RefundTooLarge {
        /// What is left.
        left: Money,
    },
    /// The order has no such attempt or refund.
    #[error("no such attempt or refund")]
    Unknown,
}

type Decision = Result<Vec<Event>, Rejection>;

/// The events that `command` causes at `now_ms`; none if it is already a fact.
///
/// # Errors
/// [`Rejection`] if the wish cannot be met in the order's state.
pub fn decide(order: &Order, command: &Command, now_ms: i64) -> Decision {
    match command {
        Command::StartPayment { channel, terms } => start_payment(order, *channel, terms, now_ms),
        Command::StopPayment => stop_payment(order),
        Command::PayAtOnce { channel, transaction_id } => pay_at_once(order, *channel, transaction_id, now_ms),
        Command::ConfirmPayment { attempt, amount, transaction_id } => {
            confirm_payment(order, *attempt, *amount, transaction_id)
        }
        Command::ConfirmAttemptClosed { attempt } => confirm_attempt_closed(order, *attempt),
        Command::ExpirePayment if now_ms < order.pay_deadline_ms => Ok(Vec::new()),
        Command::ExpirePayment => Ok(end_unpaid(order, CancelReason::PayDeadline).unwrap_or_default()),
        Command::Cancel { reason } => cancel(order, *reason),
        Command::ConfirmStockRetaken => confirm_stock_retaken(order),
        Command::ConfirmStockGone => {
            Ok(order.late_payment.map(|attempt| refund_late(order, attempt)).into_iter().collect())
        }
        Command::Ship { carrier, tracking_no } => ship(order, carrier, tracking_no),
        Command::ConfirmReceipt => complete(order, CompletedBy::Buyer),
        Command::AutoComplete { after_ms } => Ok(auto_complete(order, *after_ms, now_ms)),
        Command::RequestRefund { request, .. } if order.refunds.iter().any(|known| known.is_asked_by(request)) => {
            Ok(Vec::new())
        }
        Command::RequestRefund { by, amount, reason, request } => {
            may_refund(order, *by)?;
            request_refund(order, *amount, reason, request)
        }
        Command::RetryRefund { refund } => retry_refund(order, *refund),
        Command::ReportRefund { refund, state, gateway_no } => report_refund(order, *refund, *state, gateway_no),
        Command::RequestReview { reason } => Ok(review(order, *reason).into_iter().collect()),
        Command::ClearReview { note } => {
            Ok(order.review.map(|_| Event::ReviewCleared { note: note.clone() }).into_iter().collect())
        }
    }
}

fn start_payment(order: &Order, channel: PayChannel, terms: &ChargeTerms, now_ms: i64) -> Decision {
    if let Some(open) = order.open_attempt().filter(|_| order.status == OrderStatus::PendingPayment) {
        // The same channel again is a retry: its number, not a second one, goes to the gateway.
        let same = open.channel == channel && !open.is_closing;
        return if same { Ok(Vec::new()) } else { Err(Rejection::PaymentInProgress { attempt: open.number }) };
    }
    may_pay(order, now_ms)?;
    let expires_at_ms = order.pay_deadline_ms.max(now_ms.saturating_add(CHARGE_LIFE_MIN_MS));
    let terms = ChargeTerms { expires_at_ms, ..terms.clone() };
    Ok(vec![Event::PaymentStarted { attempt: next_attempt(order), channel, terms: Some(terms) }])
}

fn stop_payment(order: &Order) -> Decision {
    match order.status {
        // Nothing may come any more, or closing it is under way.
        OrderStatus::Closing | OrderStatus::Cancelled => Ok(Vec::new()),
        OrderStatus::PendingPayment => {
            let open =
                order.attempts.iter().filter(|attempt| attempt.state == AttemptState::Open && !attempt.is_closing);
            Ok(open.map(|attempt| Event::PaymentClosingStarted { attempt: attempt.number }).collect())
        }
        OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Completed => Err(Rejection::AlreadyPaid),
        other => Err(Rejection::WrongState(other)),
    }
}

fn pay_at_once(order: &Order, channel: PayChannel, transaction_id: &str, now_ms: i64) -> Decision {
    may_pay(order, now_ms)?;
    if let Some(open) = order.open_attempt() {
        return Err(Rejection::PaymentInProgress { attempt: open.number });
    }
    let attempt = next_attempt(order);
    let captured = Event::PaymentCaptured { attempt, amount: order.total, transaction_id: transaction_id.to_owned() };
    Ok(vec![Event::PaymentStarted { attempt, channel, terms: None }, captured])
}

fn may_pay(order: &Order, now_ms: i64) -> Result<(), Rejection> {
    use OrderStatus as S;
    match order.status {
        S::PendingPayment => {}
        S::Paid | S::Shipped | S::Completed => return Err(Rejection::AlreadyPaid),
        S::Closing => return Err(Rejection::DeadlinePassed),
        S::Processing | S::Cancelled | S::Refunding | S::Refunded | S::Failed => {
            return Err(Rejection::WrongState(order.status));
        }
    }
    if now_ms >= order.pay_deadline_ms {
        return Err(Rejection::DeadlinePassed);
    }
    if order.attempts.len() >= ATTEMPTS_MAX {
        return Err(Rejection::TooMany);
    }
    Ok(())
}

fn next_attempt(order: &Order) -> u16 {
    order.attempts.last().map_or(1, |attempt| attempt.number + 1)
}

fn next_refund(order: &Order) -> u16 {
    order.refunds.last().map_or(1, |refund| refund.number + 1)
}

fn confirm_payment(order: &Order, attempt: u16, amount: Money, transaction_id: &str) -> Decision {
    let known = order.attempts.iter().find(|a| a.number == attempt).ok_or(Rejection::Unknown)?;
    if known.state == AttemptState::Captured(amount) {
        return Ok(Vec::new());
    }
    let transaction_id = transaction_id.to_owned();
    if amount != order.total || matches!(known.state, AttemptState::Captured(_)) {
        return Ok(wrong_amount(order, known, amount, transaction_id));
    }
    Ok(match order.status {
        OrderStatus::PendingPayment | OrderStatus::Closing => {
            vec![Event::PaymentCaptured { attempt, amount, transaction_id }]
        }
        OrderStatus::Cancelled if order.late_payment.is_none() => {
            vec![Event::LatePaymentRecorded { attempt, amount, transaction_id }]
        }
        _ => surplus(order, attempt, amount, transaction_id, "the order was paid already"),
    })
}

/// Not the order's money: it goes back, and a human looks.
fn wrong_amount(order: &Order, known: &Attempt, amount: Money, transaction_id: String) -> Vec<Event> {
    let attempt = known.number;
    let is_new_money = amount.is_positive() && !matches!(known.state, AttemptState::Captured(_));
    let mut events = Vec::new();
    if is_new_money {
        events = surplus(order, attempt, amount, transaction_id, "amount differs from the order's total");
        let others_open = order.attempts.iter().any(|a| a.number != attempt && a.state == AttemptState::Open);
        if order.status == OrderStatus::Closing && !others_open {
            // The gateway has answered for the last attempt: nothing else would end the closing.
            events.push(closing_ended(order));
        }
    }
    events.extend(review(order, ReviewReason::AmountMismatch));
    events
}

fn surplus(order: &Order, attempt: u16, amount: Money, transaction_id: String, reason: &str) -> Vec<Event> {
    let refund = Event::RefundRequested {
        refund: next_refund(order),
        attempt,
        amount,
        purpose: RefundPurpose::Surplus,
        reason: reason.to_owned(),
        request: String::new(),
    };
    vec![Event::SurplusPaymentCaptured { attempt, amount, transaction_id }, refund]
}

fn confirm_attempt_closed(order: &Order, attempt: u16) -> Decision {
    let known = order.attempts.iter().find(|a| a.number == attempt).ok_or(Rejection::Unknown)?;
    if known.state != AttemptState::Open {
        return Ok(Vec::new());
    }
    let closed = Event::PaymentAttemptClosed { attempt };
    let last_open = order.attempts.iter().filter(|a| a.state == AttemptState::Open).count() == 1;
    if order.status == OrderStatus::Closing && last_open {
        return Ok(vec![closed, closing_ended(order)]);
    }
    Ok(vec![closed])
}

fn closing_ended(order: &Order) -> Event {
    Event::OrderCancelled { reason: order.cancel_reason.unwrap_or(CancelReason::PayDeadline) }
}

/// `None` if the order does not wait for money.
fn end_unpaid(order: &Order, reason: CancelReason) -> Option<Vec<Event>> {
    match order.status {
        OrderStatus::PendingPayment if order.open_attempt().is_some() => Some(vec![Event::ClosingStarted { reason }]),
        OrderStatus::PendingPayment => Some(vec![Event::OrderCancelled { reason }]),
        OrderStatus::Closing | OrderStatus::Cancelled => Some(Vec::new()),
        _ => None,
    }
}

fn cancel(order: &Order, reason: CancelReason) -> Decision {
    end_unpaid(order, reason).ok_or(match order.status {
        OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Completed => Rejection::AlreadyPaid,
        other => Rejection::WrongState(other),
    })
}

fn confirm_stock_retaken(order: &Order) -> Decision {
    match (order.late_payment, order.units) {
        (Some(_), _) => Ok(vec![Event::StockRetaken]),
        (None, UnitsState::Held | UnitsState::Sold) => Ok(Vec::new()),
        (None, UnitsState::Returned) => Err(Rejection::WrongState(order.status)),
    }
}

fn refund_late(order: &Order, attempt: u16) -> Event {
    Event::RefundRequested {
        refund: next_refund(order),
        attempt,
        amount: order.total,
        purpose: RefundPurpose::Order,
        reason: "paid after the order was cancelled and its units were sold".to_owned(),
        request: String::new(),
    }
}

fn ship(order: &Order, carrier: &str, tracking_no: &str) -> Decision {
    if order.status != OrderStatus::Paid {
        return Err(Rejection::WrongState(order.status));
    }
    Ok(vec![Event::OrderShipped { carrier: carrier.to_owned(), tracking_no: tracking_no.to_owned() }])
}

fn complete(order: &Order, by: CompletedBy) -> Decision {
    match order.status {
        OrderStatus::Shipped => Ok(vec![Event::OrderCompleted { by }]),
        OrderStatus::Completed => Ok(Vec::new()),
        other => Err(Rejection::WrongState(other)),
    }
}

fn auto_complete(order: &Order, after_ms: i64, now_ms: i64) -> Vec<Event> {
    let is_due = order.shipped_at_ms.is_some_and(|shipped_at_ms| now_ms >= shipped_at_ms.saturating_add(after_ms));
    if order.status == OrderStatus::Shipped && is_due {
        vec![Event::OrderCompleted { by: CompletedBy::Timeout }]
    } else {
        Vec::new()
    }
}

fn request_refund(order: &Order, amount: Money, reason: &str, request: &str) -> Decision {
    let left = order.total.minus(order.refund_promised());
    if !amount.is_positive() || amount > left {
        return Err(Rejection::RefundTooLarge { left });
    }
    Ok(vec![Event::RefundRequested {
        refund: next_refund(order),
        attempt: order.paid_by().ok_or(Rejection::Unknown)?.number,
        amount,
        purpose: RefundPurpose::Order,
        reason: reason.to_owned(),
        request: request.to_owned(),
    }])
}

fn may_refund(order: &Order, by: RefundAsker) -> Result<(), Rejection> {
    use OrderStatus as S;
    let has_money = matches!(order.status, S::Paid | S::Shipped | S::Completed | S::Refunding);
    let is_here = order.shipped_at_ms.is_none();
    if !has_money || (by == RefundAsker::Buyer && !is_here) {
        return Err(Rejection::WrongState(order.status));
    }
    if order.refunds.len() >= REFUNDS_MAX {
        return Err(Rejection::TooMany);
    }
    Ok(())
}

fn retry_refund(order: &Order, refund: u16) -> Decision {
    let closed = order.refunds.iter().find(|r| r.number == refund).ok_or(Rejection::Unknown)?;
    let replaced = |r: &Refund| r.number > refund && r.attempt == closed.attempt && r.state != RefundState::Closed;
    if closed.state != RefundState::Closed || order.refunds.iter().any(replaced) {
        return Ok(Vec::new());
    }
    match closed.purpose {
        RefundPurpose::Order => {
            may_refund(order, RefundAsker::Administrator)?;
            request_refund(order, closed.amount, REFUND_AGAIN, "")
        }
        RefundPurpose::Surplus if order.refunds.len() >= REFUNDS_MAX => Err(Rejection::TooMany),
        RefundPurpose::Surplus => Ok(vec![Event::RefundRequested {
            refund: next_refund(order),
            attempt: closed.attempt,
            amount: closed.amount,
            purpose: RefundPurpose::Surplus,
            reason: REFUND_AGAIN.to_owned(),
            request: String::new(),
        }]),
    }
}

fn report_refund(order: &Order, refund: u16, state: RefundState, gateway_no: &str) -> Decision {
    let known = order.refunds.iter().find(|r| r.number == refund).ok_or(Rejection::Unknown)?;
    if known.state == RefundState::Closed && state == RefundState::Succeeded {
        // Two final answers: the money may have moved twice if it was asked for again, which no rule can undo.
        return Ok(review(order, ReviewReason::RefundClosed).into_iter().collect());
    }
    let has_ended = matches!(known.state, RefundState::Closed | RefundState::Succeeded);
    let gateway_no = gateway_no.to_owned();
    if has_ended || state <= known.state {
        // Whatever comes first with the gateway's number brings it (R71); it moves nothing.
        let is_new = known.gateway_no.is_empty() && !gateway_no.is_empty();
        let numbered = Event::RefundReported { refund, state: known.state, gateway_no };
        return Ok(is_new.then_some(numbered).into_iter().collect());
    }
    let mut events = vec![Event::RefundReported { refund, state, gateway_no }];
    match state {
        RefundState::Abnormal => events.extend(review(order, ReviewReason::RefundAbnormal)),
        RefundState::Closed => events.extend(review(order, ReviewReason::RefundClosed)),
        RefundState::Succeeded if strands_late_money(order, known) => {
            events.extend(review(order, ReviewReason::RefundClosed));
        }
        RefundState::Processing | RefundState::Succeeded => {}
    }
    Ok(events)
}

/// True if `last` returns only a part of a late payment and nothing else is on its way: the buyer has neither
/// goods nor the rest of his money.
fn strands_late_money(order: &Order, last: &Refund) -> bool {
    let came_late = order.status == OrderStatus::Refunding && order.before_refund == OrderStatus::Cancelled;
    let others_run = order.refunds.iter().any(|r| r.number != last.number && r.is_running());
    let owed = order.total.minus(order.refund_promised());
    came_late && last.purpose == RefundPurpose::Order && !others_run && owed.is_positive()
}

fn review(order: &Order, reason: ReviewReason) -> Option<Event> {
    (order.review != Some(reason)).then_some(Event::ReviewRequested { reason })
}
