//! What an event obliges the shop to do outside its own transaction. Each effect is idempotent by its own number.

use serde::{Deserialize, Serialize};

use super::events::Event;
use super::{AttemptState, Order, RefundState, UnitsState};

/// An action still owed; stored in the `effects` table in the event's own transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    /// Ask the gateway again and again whether this attempt was paid: notifications are not guaranteed.
    WatchPayment {
        /// Which attempt.
        attempt: u16,
    },
    /// Ask the gateway to close this attempt, then ask what became of it.
    ClosePayment {
        /// Which attempt.
        attempt: u16,
    },
    /// Ask the gateway to return money.
    SendRefund {
        /// Which refund.
        refund: u16,
    },
    /// Give the order's units back to the ledger (keyed by the order number, once).
    ReleaseStock,
    /// Look for units for a late payment. The order's ticket was given back; its number is taken anew, and the
    /// tombstone lifted.
    RetakeStock,
    /// Give back what [`Effect::RetakeStock`] took under the same number; an effect of its own, so that it comes
    /// after the retake.
    ReleaseRetakenStock,
}

/// Pause before a gateway is first asked about an attempt: nobody pays faster than that (races.md R35).
const WATCH_AFTER_MS: i64 = 5_000;

impl Effect {
    /// How long after the event it is due, ms.
    #[must_use]
    pub const fn rests_ms(&self) -> i64 {
        if matches!(self, Self::WatchPayment { .. }) { WATCH_AFTER_MS } else { 0 }
    }

    /// The `kind`s of those that a gateway is asked for; it may take its time, so nobody else's effect waits behind them.
    pub const OF_GATEWAYS: [&str; 3] = ["watch_payment", "close_payment", "send_refund"];

    /// True if a gateway is asked for it.
    #[must_use]
    pub const fn asks_gateway(&self) -> bool {
        matches!(self, Self::WatchPayment { .. } | Self::ClosePayment { .. } | Self::SendRefund { .. })
    }

    /// The `kind` in the table.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::WatchPayment { .. } => "watch_payment",
            Self::ClosePayment { .. } => "close_payment",
            Self::SendRefund { .. } => "send_refund",
            Self::ReleaseStock => "release_stock",
            Self::RetakeStock => "retake_stock",
            Self::ReleaseRetakenStock => "release_retaken_stock",
        }
    }
}

/// The effects that `event` creates; `before` and `after` are the order around it.
#[must_use]
pub fn owed_effects(before: &Order, event: &Event, after: &Order) -> Vec<Effect> {
    match event {
        Event::PaymentStarted { attempt, terms: Some(_), .. } => vec![Effect::WatchPayment { attempt: *attempt }],
        Event::PaymentClosingStarted { attempt } => vec![Effect::ClosePayment { attempt: *attempt }],
        Event::ClosingStarted { .. } | Event::PaymentCaptured { .. } => close_open_attempts(after),
        Event::OrderCancelled { .. } | Event::OrderFailed { .. } => vec![Effect::ReleaseStock],
        Event::LatePaymentRecorded { .. } => vec![Effect::RetakeStock],
        Event::RefundRequested { refund, .. } => vec![Effect::SendRefund { refund: *refund }],
        Event::RefundReported { state: RefundState::Succeeded, .. }
            if before.units == UnitsState::Sold && after.units == UnitsState::Returned =>
        {
            vec![if before.was_cancelled() { Effect::ReleaseRetakenStock } else { Effect::ReleaseStock }]
        }
        _ => Vec::new(),
    }
}

/// Whatever could still bring money that the order does not want.
fn close_open_attempts(order: &Order) -> Vec<Effect> {
    let open = order.attempts.iter().filter(|attempt| attempt.state == AttemptState::Open);
    open.map(|attempt| Effect::ClosePayment { attempt: attempt.number }).collect()
}
