//! What gateways tell us: verified, stored, answered, and only then told to the order (races.md rule 8, R22, R23, R33, R41).
//!
//! A crash before the store is answered with nothing, and the gateway repeats; a crash after it leaves the row, which any
//! node works off. What the order knows already changes nothing, so copies and disorder are harmless.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::stream;
use futures::{FutureExt as _, StreamExt as _};

use super::desk::{PayRefusal, PaymentDesk};
use super::effects::state;
use crate::actors::background::Stop;
use crate::actors::order_saga::SagaRejection;
use crate::domain::OrderNo;
use crate::domain::order::{Command, GatewayFact, Rejection, ReviewReason};
use crate::failpoint;
use crate::payment::{Notice, NoticeAnswer, NoticeEvent, RawNotice, Wire};
use crate::persistence::notices::{self, Kept, OpenNotice, StoredNotice};
use crate::persistence::{Lease, StoreError, orders};

/// A notification is another node's after this.
const LEASE_MS: i64 = 30_000;
const ROWS_MAX: u64 = 200;
const CONCURRENCY: usize = 32;
/// How often rows that nobody rang for are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause before the second try, doubled up to the maximum.
const PAUSE_FIRST_MS: i64 = 500;
const PAUSE_MAX_MS: i64 = 300_000;
/// After so many tries an administrator is told.
const TRIES_BEFORE_ALARM: u32 = 10;

impl PaymentDesk {
    /// Takes in a notification and says what to answer: success only after it is stored, anything else makes the gateway
    /// repeat it.
    ///
    /// # Errors
    /// [`PayRefusal::NoGateway`].
    pub async fn receive(&self, wire: Wire, raw: &RawNotice) -> Result<NoticeAnswer, PayRefusal> {
        let gateway = self.gateways.on(wire).ok_or(PayRefusal::NoGateway)?;
        let notice = match gateway.read_notice(raw).await {
            Ok(notice) => notice,
            Err(rejection) => {
                tracing::warn!(%wire, %rejection, "notification refused");
                metrics::counter!("rushmall_notifications_refused_total", "wire" => wire.name(), "why" => rejection.label())
                    .increment(1);
                return Ok(gateway.answer_notice(false));
            }
        };
        metrics::counter!("rushmall_notifications_total", "wire" => wire.name()).increment(1);
        let is_safe = match fact(&notice) {
            Some((order_no, fact)) => {
                let id = format!("{}:{}", wire.name(), notice.id);
                let kept = self.keep(StoredNotice { id, order_no, fact }).await;
                kept.unwrap_or_else(|error| {
                    tracing::error!(%wire, %order_no, %error, "notification not stored, it comes again");
                    false
                })
            }
            None => {
                tracing::warn!(%wire, id = notice.id, "notification about nothing that the shop knows");
                is_of_no_consequence(&notice)
            }
        };
        Ok(gateway.answer_notice(is_safe))
    }

    /// True if the gateway may forget it.
    async fn keep(&self, notice: StoredNotice) -> Result<bool, PayRefusal> {
        let kept = notices::keep(&self.db, &notice, self.clock.now_ms()).await?;
        if kept == Kept::Done {
            return Ok(true);
        }
        self.bell.notify_one();
        // An order that does not exist may be on its way: the row waits for it, and so does the gateway (R33).
        Ok(!orders::existing(&self.db, &[notice.order_no]).await?.is_empty())
    }

    /// Tells orders what the inbox holds, until `stop`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read; the supervisor starts it again.
    pub async fn work_off(self, mut stop: Stop) -> Result<(), StoreError> {
        while !stop.is_set() {
            let lease = Lease { slot: self.slot, ms: LEASE_MS };
            let due = notices::claim_due(&self.db, self.clock.now_ms(), lease, ROWS_MAX).await?;
            let told: Vec<Result<(), StoreError>> =
                stream::iter(&due).map(|open| self.work_one(open)).buffer_unordered(CONCURRENCY).collect().await;
            told.into_iter().collect::<Result<(), StoreError>>()?;
            if due.is_empty() {
                tokio::select! {
                    () = self.bell.notified() => {}
                    () = stop.sleep(LOOK_EVERY) => {}
                }
            }
        }
        Ok(())
    }

    async fn work_one(&self, open: &OpenNotice) -> Result<(), StoreError> {
        let StoredNotice { id, order_no, .. } = &open.notice;
        // One loop serves all orders: a fact that brings out a bug must be postponed alone, not hold up the rest (R57).
        let telling = AssertUnwindSafe(self.tell_and_mark(open)).catch_unwind().await;
        let error = match telling.unwrap_or(Err(StoreError::Panicked { operation: "telling an order" }.into())) {
            Ok(()) => return Ok(()),
            Err(error) => error.to_string(),
        };
        if open.attempts == TRIES_BEFORE_ALARM {
            tracing::error!(%order_no, id, error, "notification has not reached its order");
            metrics::counter!("rushmall_notifications_stuck_total").increment(1);
        }
        let pause_ms = PAUSE_FIRST_MS.saturating_mul(1 << open.attempts.min(20)).min(PAUSE_MAX_MS);
        notices::postponed(&self.db, id, &error, self.clock.now_ms() + pause_ms).await
    }

    async fn tell_and_mark(&self, open: &OpenNotice) -> Result<(), PayRefusal> {
        failpoint::reach("notices.tell.before");
        self.tell_fact(open.notice.order_no, &open.notice.fact).await?;
        Ok(notices::done(&self.db, &open.notice.id).await?)
    }

    async fn tell_fact(&self, order_no: OrderNo, fact: &GatewayFact) -> Result<(), PayRefusal> {
        let review = |reason| Command::RequestReview { reason };
        let command = match fact.clone() {
            GatewayFact::Paid { attempt, amount, transaction_id } => {
                Command::ConfirmPayment { attempt, amount, transaction_id }
            }
            GatewayFact::PaidStrangely { .. } => review(ReviewReason::AmountMismatch),
            GatewayFact::Refund { refund, state, gateway_no } => Command::ReportRefund { refund, state, gateway_no },
        };
        match self.drive(order_no, command).await {
            // Money for an attempt or a refund that the order never had: no rule can say whose it is.
            Err(PayRefusal::Saga(SagaRejection::Rule(Rejection::Unknown))) => {
                tracing::error!(%order_no, ?fact, "gateway speaks of a payment that the order never had");
                self.drive(order_no, review(ReviewReason::BillDiffers)).await.map(|_| ())
            }
            outcome => outcome.map(|_| ()),
        }
    }
}

/// What a notification says of which order; `None` if nothing that an order must hear.
fn fact(notice: &Notice) -> Option<(OrderNo, GatewayFact)> {
    match &notice.event {
        NoticeEvent::Trade(trade) if trade.is_paid() => {
            let (order_no, attempt) = numbered(trade.payment_no.as_str(), "_")?;
            let transaction_id = trade.gateway_no.clone().unwrap_or_default();
            let fact = match (trade.strange, trade.total) {
                (None, Some(amount)) => GatewayFact::Paid { attempt, amount, transaction_id },
                (Some(strange), _) => GatewayFact::PaidStrangely { attempt, what: strange.to_string() },
                (None, None) => GatewayFact::PaidStrangely { attempt, what: "no amount".to_owned() },
            };
            Some((order_no, fact))
        }
        NoticeEvent::Refund(report) if report.strange.is_none() => {
            let (order_no, refund) = numbered(report.refund_no.as_str(), "_r")?;
            let gateway_no = report.gateway_refund_no.clone().unwrap_or_default();
            Some((order_no, GatewayFact::Refund { refund, state: state(report.state), gateway_no }))
        }
        NoticeEvent::Trade(_) | NoticeEvent::Refund(_) | NoticeEvent::Other(_) => None,
    }
}

/// Nothing has to be kept of it: a repetition would say no more.
fn is_of_no_consequence(notice: &Notice) -> bool {
    match &notice.event {
        NoticeEvent::Trade(trade) => !trade.is_paid(),
        NoticeEvent::Refund(_) => false,
        NoticeEvent::Other(_) => true,
    }
}

/// The order and the number within it (`{order_no}_{attempt}`, `{order_no}_r{refund}`).
fn numbered(text: &str, separator: &str) -> Option<(OrderNo, u16)> {
    let (order_no, number) = text.split_once(separator)?;
    Some((order_no.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_numbers_are_read_back() {
        let order_no = "01JD0000000000000000000001";
        let parsed: OrderNo = order_no.parse().unwrap();
        assert_eq!(numbered(&format!("{order_no}_3"), "_"), Some((parsed, 3)));
        assert_eq!(numbered(&format!("{order_no}_r12"), "_r"), Some((parsed, 12)));
        for strange in
            ["", "x_1", order_no, &format!("{order_no}_"), &format!("{order_no}_r1"), &format!("{order_no}_-1")]
        {
            assert_eq!(numbered(strange, "_"), None, "{strange}");
        }
    }
}
