//! The only code that changes an order: pure writes, no rule. Whatever is in the journal can be applied.

use super::events::{Event, RefundPurpose};
use super::{Attempt, AttemptState, Order, OrderStatus, Refund, RefundState, UnitsState};
use crate::domain::money::Money;

/// Rebuilds an order from its journal, oldest event first, each with its time; `None` unless the first event
/// is [`Event::OrderPlaced`].
#[must_use]
pub fn replay<'a>(journal: impl IntoIterator<Item = (&'a Event, i64)>) -> Option<Order> {
    let mut journal = journal.into_iter();
    let (first, _) = journal.next()?;
    let mut order = placed(first)?;
    for (event, at_ms) in journal {
        apply(&mut order, event, at_ms);
    }
    Some(order)
}

fn placed(event: &Event) -> Option<Order> {
    let Event::OrderPlaced { order_no, buyer, product, pool, quantity, total, pay_deadline_ms } = event else {
        return None;
    };
    Some(Order {
        order_no: *order_no,
        buyer: *buyer,
        product: *product,
        pool: *pool,
        quantity: *quantity,
        total: *total,
        status: OrderStatus::PendingPayment,
        version: 1,
        pay_deadline_ms: *pay_deadline_ms,
        attempts: Vec::new(),
        refunds: Vec::new(),
        units: UnitsState::Held,
        cancel_reason: None,
        late_payment: None,
        before_refund: OrderStatus::Paid,
        shipped_at_ms: None,
        review: None,
    })
}

/// Writes one event into the order.
pub fn apply(order: &mut Order, event: &Event, at_ms: i64) {
    order.version += 1;
    match event {
        Event::OrderPlaced { .. } => {}
        Event::OrderFailed { .. } => (order.status, order.units) = (OrderStatus::Failed, UnitsState::Returned),
        Event::PaymentStarted { attempt, channel, terms } => {
            let (number, channel, terms) = (*attempt, *channel, terms.clone());
            order.attempts.push(Attempt { number, channel, terms, is_closing: false, state: AttemptState::Open });
        }
        Event::PaymentClosingStarted { attempt } => {
            if let Some(attempt) = order.attempts.iter_mut().find(|known| known.number == *attempt) {
                attempt.is_closing = true;
            }
        }
        Event::PaymentAttemptClosed { attempt } => set_attempt(order, *attempt, AttemptState::Closed),
        Event::PaymentCaptured { attempt, amount, .. } => {
            set_attempt(order, *attempt, AttemptState::Captured(*amount));
            (order.status, order.units, order.cancel_reason) = (OrderStatus::Paid, UnitsState::Sold, None);
        }
        Event::SurplusPaymentCaptured { attempt, amount, .. } => {
            set_attempt(order, *attempt, AttemptState::Captured(*amount));
        }
        Event::LatePaymentRecorded { attempt, amount, .. } => {
            set_attempt(order, *attempt, AttemptState::Captured(*amount));
            order.late_payment = Some(*attempt);
        }
        Event::StockRetaken => {
            order.late_payment = None;
            (order.status, order.units) = (OrderStatus::Paid, UnitsState::Sold);
        }
        Event::ClosingStarted { reason } => {
            (order.status, order.cancel_reason) = (OrderStatus::Closing, Some(*reason));
        }
        Event::OrderCancelled { reason } => {
            (order.status, order.cancel_reason) = (OrderStatus::Cancelled, Some(*reason));
            order.units = UnitsState::Returned;
        }
        Event::OrderShipped { .. } => {
            (order.status, order.shipped_at_ms) = (OrderStatus::Shipped, Some(at_ms));
        }
        Event::OrderCompleted { .. } => order.status = OrderStatus::Completed,
        Event::RefundRequested { refund, attempt, amount, purpose, request, .. } => {
            let (number, attempt, amount, purpose) = (*refund, *attempt, *amount, *purpose);
            let (state, request, gateway_no) = (RefundState::Processing, request.clone(), String::new());
            request_refund(order, Refund { number, attempt, amount, purpose, state, request, gateway_no });
        }
        Event::RefundReported { refund, state, gateway_no } => report_refund(order, *refund, *state, gateway_no),
        Event::ReviewRequested { reason } => order.review = Some(*reason),
        Event::ReviewCleared { .. } => order.review = None,
    }
}

fn set_attempt(order: &mut Order, number: u16, state: AttemptState) {
    if let Some(attempt) = order.attempts.iter_mut().find(|attempt| attempt.number == number) {
        attempt.state = state;
    }
}

fn request_refund(order: &mut Order, refund: Refund) {
    let purpose = refund.purpose;
    order.refunds.push(refund);
    if purpose == RefundPurpose::Order {
        if order.status != OrderStatus::Refunding {
            order.before_refund = order.status;
        }
        (order.status, order.late_payment) = (OrderStatus::Refunding, None);
    }
}

fn report_refund(order: &mut Order, number: u16, state: RefundState, gateway_no: &str) {
    let Some(refund) = order.refunds.iter_mut().find(|refund| refund.number == number) else { return };
    refund.state = state;
    if !gateway_no.is_empty() {
        gateway_no.clone_into(&mut refund.gateway_no);
    }
    if refund.purpose == RefundPurpose::Surplus {
        return;
    }
    let own = || order.refunds.iter().filter(|refund| refund.purpose == RefundPurpose::Order);
    let back: Money = own().filter(|refund| refund.state == RefundState::Succeeded).map(|refund| refund.amount).sum();
    let running = own().any(Refund::is_running);
    if back >= order.total {
        order.status = OrderStatus::Refunded;
        if order.before_refund == OrderStatus::Paid {
            order.units = UnitsState::Returned; // never shipped: the units can be sold again
        }
    } else if !running && order.before_refund != OrderStatus::Cancelled {
        order.status = order.before_refund;
    }
}
