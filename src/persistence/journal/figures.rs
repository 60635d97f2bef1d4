//! Counts what commits did: the money's side of each step, for people who watch payments.
//!
//! Counted after the commit was answered; a commit whose answer was lost may be missed, so these are figures to watch,
//! and the books are the truth.

use super::Step;
use crate::domain::order::{Event, Order, RefundState};

/// Counts the steps of one commit.
pub(super) fn count(steps: &[Step<'_>]) {
    for Step { event, after, .. } in steps {
        match event {
            Event::PaymentStarted { channel, .. } => payment(channel.name(), "started"),
            Event::PaymentAttemptClosed { attempt } => payment(channel(after, *attempt), "closed"),
            Event::PaymentCaptured { attempt, amount, .. } => paid(after, *attempt, "captured", amount.fen()),
            Event::SurplusPaymentCaptured { attempt, amount, .. } => paid(after, *attempt, "surplus", amount.fen()),
            Event::LatePaymentRecorded { attempt, amount, .. } => paid(after, *attempt, "late", amount.fen()),
            Event::RefundRequested { amount, .. } => {
                refund("requested");
                metrics::counter!("rushmall_refund_requested_fen_total").increment(amount.fen().unsigned_abs());
            }
            Event::RefundReported { state: RefundState::Succeeded, .. } => refund("succeeded"),
            Event::RefundReported { state: RefundState::Closed, .. } => refund("closed"),
            Event::RefundReported { state: RefundState::Abnormal, .. } => refund("abnormal"),
            _ => {}
        }
    }
}

fn channel(order: &Order, attempt: u16) -> &'static str {
    order.attempts.iter().find(|known| known.number == attempt).map_or("unknown", |known| known.channel.name())
}

fn payment(channel: &'static str, outcome: &'static str) {
    metrics::counter!("rushmall_payments_total", "channel" => channel, "outcome" => outcome).increment(1);
}

fn paid(order: &Order, attempt: u16, outcome: &'static str, fen: i64) {
    let channel = channel(order, attempt);
    payment(channel, outcome);
    metrics::counter!("rushmall_paid_fen_total", "channel" => channel).increment(fen.unsigned_abs());
}

fn refund(outcome: &'static str) {
    metrics::counter!("rushmall_refunds_total", "outcome" => outcome).increment(1);
}
