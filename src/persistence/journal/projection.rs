//! What the events of a commit change in the order's row: all that lists and sweeps need without a replay.

use sea_orm::sea_query::{Expr, ExprTrait, Query, UpdateStatement};

use super::Step;
use crate::domain::Money;
use crate::domain::order::{Event, Order, PayChannel, RefundPurpose, RefundState};
use crate::persistence::orders::{EndReason, name};

/// The row's update from `before` through `steps`; changes nothing unless the row still has the version of `before`.
pub(super) fn update(before: &Order, steps: &[Step<'_>], now_ms: i64) -> UpdateStatement {
    let after = steps.last().map_or(before, |step| &step.after);
    let mut update = Query::update();
    update
        .table("orders")
        .and_where(Expr::col("order_no").eq(before.order_no.to_string()))
        .and_where(Expr::col("version").eq(i64::from(before.version)))
        .value("version", i64::from(after.version))
        .value("status", after.status.code())
        .value("review", name(after.review.as_ref()))
        .value("updated_at_ms", now_ms);
    for step in steps {
        project(&mut update, step, now_ms);
    }
    update
}

fn project(update: &mut UpdateStatement, step: &Step<'_>, now_ms: i64) {
    match step.event {
        Event::PaymentStarted { channel, .. } => {
            update.value("pay_type", channel.code());
        }
        Event::PaymentCaptured { attempt, .. } | Event::LatePaymentRecorded { attempt, .. } => {
            if let Some(channel) = channel_of(&step.after, *attempt) {
                update.value("pay_type", channel.code());
            }
            update.value("paid_at_ms", now_ms);
        }
        Event::OrderFailed { reason } => {
            update.value("cancel_reason", name(Some(&EndReason::from(*reason))));
        }
        Event::ClosingStarted { reason } | Event::OrderCancelled { reason } => {
            update.value("cancel_reason", name(Some(&EndReason::from(*reason))));
        }
        Event::OrderShipped { carrier, tracking_no } => {
            update
                .value("carrier", carrier.as_str())
                .value("tracking_no", tracking_no.as_str())
                .value("shipped_at_ms", now_ms);
        }
        Event::OrderCompleted { .. } => {
            update.value("completed_at_ms", now_ms);
        }
        Event::RefundReported { .. } => {
            update.value("refunded_fen", own_refunded(&step.after).fen());
        }
        _ => {}
    }
}

fn channel_of(order: &Order, attempt: u16) -> Option<PayChannel> {
    order.attempts.iter().find(|known| known.number == attempt).map(|known| known.channel)
}

/// What went back of the order's own money.
pub(crate) fn own_refunded(order: &Order) -> Money {
    let own = order.refunds.iter().filter(|refund| refund.purpose == RefundPurpose::Order);
    own.filter(|refund| refund.state == RefundState::Succeeded).map(|refund| refund.amount).sum()
}
