//! What the events of a commit change in the order's row: all that lists and sweeps need without a replay.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, ExprTrait, Query, UpdateStatement};

use super::Step;
use crate::domain::Money;
use crate::domain::order::{Event, Order, PayChannel, RefundPurpose, RefundState};
use crate::persistence::orders::{EndReason, name};

/// The row's update from `before` through `steps`; changes nothing unless the row still has the version of `before`.
pub(super) fn update(before: &Order, steps: &[Step<'_>], now_ms: i64) -> UpdateStatement {
    let after = steps.last().map_or(before, |step| &step.after);
    let mut row = BTreeMap::from([
        ("version", Expr::val(i64::from(after.version))),
        ("status", Expr::val(after.status.code())),
        ("review", Expr::val(name(after.review.as_ref()))),
        ("updated_at_ms", Expr::val(now_ms)),
    ]);
    for step in steps {
        project(&mut row, step, now_ms);
    }
    Query::update()
        .table("orders")
        .values(row)
        .and_where(Expr::col("order_no").eq(before.order_no.to_string()))
        .and_where(Expr::col("version").eq(i64::from(before.version)))
        .to_owned()
}

/// What the step changes; a later step overwrites, since a column can be set only once in a statement.
fn project(row: &mut BTreeMap<&'static str, Expr>, step: &Step<'_>, now_ms: i64) {
    let ended = |reason: EndReason| Expr::val(name(Some(&reason)));
    match step.event {
        Event::PaymentStarted { channel, .. } => {
            row.insert("pay_type", Expr::val(channel.code()));
        }
        Event::PaymentCaptured { attempt, .. } | Event::LatePaymentRecorded { attempt, .. } => {
            if let Some(channel) = channel_of(&step.after, *attempt) {
                row.insert("pay_type", Expr::val(channel.code()));
            }
            row.insert("paid_at_ms", Expr::val(now_ms));
        }
        Event::OrderFailed { reason } => {
            row.insert("cancel_reason", ended(EndReason::from(*reason)));
        }
        Event::ClosingStarted { reason } | Event::OrderCancelled { reason } => {
            row.insert("cancel_reason", ended(EndReason::from(*reason)));
        }
        Event::OrderShipped { carrier, tracking_no } => {
            row.insert("carrier", Expr::val(carrier.as_str()));
            row.insert("tracking_no", Expr::val(tracking_no.as_str()));
            row.insert("shipped_at_ms", Expr::val(now_ms));
        }
        Event::OrderCompleted { .. } => {
            row.insert("completed_at_ms", Expr::val(now_ms));
        }
        Event::RefundReported { .. } => {
            row.insert("refunded_fen", Expr::val(own_refunded(&step.after).fen()));
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
