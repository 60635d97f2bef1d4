//! What an order owes to a gateway: watch an open attempt, close one, return money. Run by the sweep under a lease, on
//! whichever node claims it.
//!
//! | effect | idempotent by | over when |
//! |---|---|---|
//! | watch an attempt | it only asks | the attempt is not open any more |
//! | close an attempt | payment number | the gateway says paid or closed, or stays unpaid long after the end |
//! | return money | refund number | the gateway says returned or closed |
//!
//! A gateway that cannot be asked is a failure: it is tried again with growing pauses, and after many tries a human is asked
//! as well; trying goes on (R40, R68). "Not yet" is no failure: the effect is due again by `schedule`.

use super::desk::{PayRefusal, PaymentDesk, payment_no};
use super::schedule;
use crate::domain::order::{
    Attempt, AttemptState, ChargeTerms, Command, Effect, Order, OrderStatus, Refund, RefundState, ReviewReason,
};
use crate::failpoint;
use crate::payment::{
    self, Action, PaymentError, PaymentGateway, RefundNo, RefundOrder, RefundReport, Trade, TradeState,
};
use crate::persistence::effects::OwedEffect;
use crate::persistence::payments;

/// Pause after a gateway refused a refund for good, or has no money for it: a person is on it.
const REFUSED_PAUSE_MS: i64 = 600_000;

/// How far an effect came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is over.
    Done,
    /// Not yet: to be run again then.
    Again {
        /// Unix ms.
        due_ms: i64,
    },
}

impl PaymentDesk {
    /// Runs one effect on the order as it is now.
    ///
    /// # Errors
    /// [`PayRefusal`]: nothing is known; run it again.
    pub async fn run_effect(&self, order: &Order, owed: &OwedEffect) -> Result<Progress, PayRefusal> {
        let attempt = |number: u16| order.attempts.iter().find(|attempt| attempt.number == number);
        let progress = match owed.effect {
            Effect::WatchPayment { attempt: number } => match attempt(number) {
                Some(attempt) => self.watch(order, attempt).await?,
                None => Progress::Done,
            },
            Effect::ClosePayment { attempt: number } => match attempt(number) {
                Some(attempt) => self.close(order, attempt).await?,
                None => Progress::Done,
            },
            Effect::SendRefund { refund: number } => {
                match order.refunds.iter().find(|refund| refund.number == number) {
                    Some(refund) => self.send_refund(order, refund).await?,
                    None => Progress::Done,
                }
            }
            Effect::ReleaseStock | Effect::RetakeStock | Effect::ReleaseRetakenStock => Progress::Done, // the saga's own
        };
        Ok(progress)
    }

    async fn watch(&self, order: &Order, attempt: &Attempt) -> Result<Progress, PayRefusal> {
        // An order that is closing asks by itself.
        let is_waiting = order.status == OrderStatus::PendingPayment && !attempt.is_closing;
        if !is_waiting || attempt.state != AttemptState::Open {
            return Ok(Progress::Done);
        }
        let is_over = match self.consult(order, attempt).await {
            Ok((_, order)) => !is_open(&order, attempt.number),
            Err(PayRefusal::Gateway(error)) if error.action() == Action::NotFound => false,
            Err(refusal) => return Err(refusal),
        };
        let now_ms = self.clock.now_ms();
        let since_ms = self.started_at(order, attempt).await?.unwrap_or(now_ms);
        Ok(if is_over { Progress::Done } else { Progress::Again { due_ms: schedule::watch(since_ms, now_ms) } })
    }

    async fn started_at(&self, order: &Order, attempt: &Attempt) -> Result<Option<i64>, PayRefusal> {
        let number = payments::payment_no(order.order_no, attempt.number);
        Ok(payments::find(&self.db, &number).await?.map(|payment| payment.created_at_ms))
    }

    /// Asks, closes, and asks again: a close is no proof (R24, R27 to R30).
    async fn close(&self, order: &Order, attempt: &Attempt) -> Result<Progress, PayRefusal> {
        if attempt.state != AttemptState::Open {
            return Ok(Progress::Done);
        }
        let Some(terms) = &attempt.terms else {
            return self.confirm_closed(order, attempt).await; // no gateway ever heard of it
        };
        let known = self.ask_if_over(order, attempt).await?;
        if let Some((_, order)) = &known
            && !is_open(order, attempt.number)
        {
            return Ok(Progress::Done);
        }
        if is_paying(known.as_ref()) {
            return self.wait_for_payer(order, terms).await;
        }
        let gateway = self.gateways.of(attempt.channel).ok_or(PayRefusal::NoGateway)?;
        failpoint::reach("payment.close.before");
        match gateway.close(&payment_no(order.order_no, attempt.number)?).await {
            Ok(()) => {}
            Err(error) if matches!(error.action(), Action::AlreadyPaid | Action::Closed | Action::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        failpoint::reach("payment.close.after");
        let known = self.ask_if_over(order, attempt).await?;
        if known.as_ref().is_some_and(|(_, order)| !is_open(order, attempt.number)) {
            return Ok(Progress::Done);
        }
        if is_paying(known.as_ref()) {
            return self.wait_for_payer(order, terms).await;
        }
        let now_ms = self.clock.now_ms();
        // The answer was definite both times; what else could come, came before this.
        let patience_ms =
            if known.is_some() { schedule::UNPAID_IS_FINAL_AFTER_MS } else { schedule::UNKNOWN_IS_FINAL_AFTER_MS };
        if now_ms >= terms.expires_at_ms.saturating_add(patience_ms) {
            return self.confirm_closed(order, attempt).await;
        }
        Ok(Progress::Again { due_ms: schedule::closing(terms.expires_at_ms, now_ms) })
    }

    /// The buyer is at it: money may come at any moment, so the charge is not closed under his hands (R37). That has no end of
    /// its own; when it takes too long a human is asked as well (R40).
    async fn wait_for_payer(&self, order: &Order, terms: &ChargeTerms) -> Result<Progress, PayRefusal> {
        let now_ms = self.clock.now_ms();
        if now_ms >= terms.expires_at_ms.saturating_add(schedule::PAYER_IS_SLOW_AFTER_MS) {
            self.tell_undecided(order).await?;
        }
        Ok(Progress::Again { due_ms: schedule::closing(terms.expires_at_ms, now_ms) })
    }

    /// The gateway's answer and the order after it; `None` if the gateway does not know the charge.
    async fn ask_if_over(&self, order: &Order, attempt: &Attempt) -> Result<Option<(Trade, Order)>, PayRefusal> {
        match self.consult(order, attempt).await {
            Ok(known) => Ok(Some(known)),
            Err(PayRefusal::Gateway(error)) if error.action() == Action::NotFound => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn confirm_closed(&self, order: &Order, attempt: &Attempt) -> Result<Progress, PayRefusal> {
        self.drive(order.order_no, Command::ConfirmAttemptClosed { attempt: attempt.number }).await?;
        Ok(Progress::Done)
    }

    /// Asks for the refund until the gateway has accepted it, then what became of it; always under the same number (R45).
    async fn send_refund(&self, order: &Order, refund: &Refund) -> Result<Progress, PayRefusal> {
        if !refund.is_running() {
            return Ok(Progress::Done);
        }
        let attempt = order.attempts.iter().find(|attempt| attempt.number == refund.attempt);
        let Some((attempt, terms)) = attempt.and_then(|attempt| Some((attempt, attempt.terms.as_ref()?))) else {
            return self.report(order, refund, (RefundState::Succeeded, String::new())).await; // simulated
        };
        let gateway = self.gateways.of(attempt.channel).ok_or(PayRefusal::NoGateway)?;
        let wanted = Self::refund_order(order, refund, attempt, &terms.notify_url)?;
        match Self::ask_for(refund, &*gateway, &wanted).await {
            Ok(report) => self.adopt_report(order, refund, &wanted, &report).await,
            Err(error) => self.refund_refused(order, refund, error).await,
        }
    }

    /// Asks for the refund, or, once the gateway has given it a number, what became of it. Alipay gives none, and answers a
    /// repetition without saying whether the money moved: then its query tells (R45, R52).
    async fn ask_for(
        refund: &Refund,
        gateway: &dyn PaymentGateway,
        wanted: &RefundOrder,
    ) -> Result<RefundReport, PaymentError> {
        if !refund.gateway_no.is_empty()
            && let Some(answer) = Self::ask_after(gateway, wanted).await
        {
            return answer;
        }
        failpoint::reach("payment.refund.before");
        let report = gateway.refund(wanted).await?;
        failpoint::reach("payment.refund.after");
        if report.state == payment::RefundState::Processing && report.gateway_refund_no.is_none() {
            return Self::ask_after(gateway, wanted).await.unwrap_or(Ok(report));
        }
        Ok(report)
    }

    /// What became of a refund; `None` if the gateway does not know it.
    async fn ask_after(
        gateway: &dyn PaymentGateway,
        wanted: &RefundOrder,
    ) -> Option<Result<RefundReport, PaymentError>> {
        failpoint::reach("payment.refund_query.before");
        let answer = gateway.query_refund(&wanted.payment_no, &wanted.refund_no).await;
        failpoint::reach("payment.refund_query.after");
        Some(answer).filter(|answer| !matches!(answer, Err(error) if error.action() == Action::NotFound))
    }

    fn refund_order(
        order: &Order,
        refund: &Refund,
        attempt: &Attempt,
        notify_url: &str,
    ) -> Result<RefundOrder, PaymentError> {
        let refund_no: RefundNo = payments::refund_no(order.order_no, refund.number)
            .parse()
            .map_err(|_| PaymentError::Unacceptable("the refund's number"))?;
        let AttemptState::Captured(total) = attempt.state else {
            return Err(PaymentError::Unacceptable("a refund of money that never came"));
        };
        let payment_no = payment_no(order.order_no, attempt.number)?;
        // Of the order's own number only: a reason in words could differ in a repetition.
        let reason = format!("order {}", order.order_no);
        Ok(RefundOrder {
            payment_no,
            refund_no,
            amount: refund.amount,
            total,
            reason,
            notify_url: notify_url.to_owned(),
        })
    }

    async fn adopt_report(
        &self,
        order: &Order,
        refund: &Refund,
        wanted: &RefundOrder,
        report: &RefundReport,
    ) -> Result<Progress, PayRefusal> {
        let differs =
            report.amount.is_some_and(|amount| amount != wanted.amount) || report.refund_no != wanted.refund_no;
        if report.strange.is_some() || differs {
            tracing::error!(order_no = %order.order_no, refund_no = %wanted.refund_no, "refund does not agree with the order");
            self.ask_human(order, ReviewReason::AmountMismatch).await?;
            return Ok(Progress::Again { due_ms: self.clock.now_ms() + REFUSED_PAUSE_MS });
        }
        let number = report.gateway_refund_no.clone().unwrap_or_default();
        self.report(order, refund, (state(report.state), number)).await
    }

    async fn report(
        &self,
        order: &Order,
        refund: &Refund,
        (state, gateway_no): (RefundState, String),
    ) -> Result<Progress, PayRefusal> {
        let command = Command::ReportRefund { refund: refund.number, state, gateway_no };
        let order = self.drive(order.order_no, command).await?;
        failpoint::reach("payment.refund.told");
        let runs = order.refunds.iter().any(|known| known.number == refund.number && known.is_running());
        if !runs {
            return Ok(Progress::Done);
        }
        let now_ms = self.clock.now_ms();
        let number = payments::refund_no(order.order_no, refund.number);
        let since_ms = payments::refund(&self.db, &number).await?.map_or(now_ms, |row| row.created_at_ms);
        if now_ms >= since_ms.saturating_add(schedule::REFUND_IS_SLOW_AFTER_MS) {
            self.tell_undecided(&order).await?;
        }
        Ok(Progress::Again { due_ms: schedule::refund(since_ms, now_ms) })
    }

    /// A refusal that a person must mend does not end the refund: it is asked for again, slowly (R49, R53).
    async fn refund_refused(
        &self,
        order: &Order,
        refund: &Refund,
        error: PaymentError,
    ) -> Result<Progress, PayRefusal> {
        match error.action() {
            Action::Ask | Action::BackOff => Err(error.into()),
            _ => {
                let refund_no = payments::refund_no(order.order_no, refund.number);
                tracing::error!(order_no = %order.order_no, refund_no, %error, "refund refused");
                metrics::counter!("rushmall_refunds_refused_total").increment(1);
                self.ask_human(order, ReviewReason::RefundRefused).await?;
                Ok(Progress::Again { due_ms: self.clock.now_ms() + REFUSED_PAUSE_MS })
            }
        }
    }

    /// Asking goes on; what somebody must look at for another reason is looked at anyway.
    async fn tell_undecided(&self, order: &Order) -> Result<(), PayRefusal> {
        if order.review.is_some() {
            return Ok(());
        }
        tracing::error!(order_no = %order.order_no, "the gateway does not say how it ends");
        self.ask_human(order, ReviewReason::GatewayUndecided).await
    }

    async fn ask_human(&self, order: &Order, reason: ReviewReason) -> Result<(), PayRefusal> {
        self.drive(order.order_no, Command::RequestReview { reason }).await.map(|_| ())
    }
}

fn is_paying(known: Option<&(Trade, Order)>) -> bool {
    known.is_some_and(|(trade, _)| trade.state == TradeState::Paying)
}

fn is_open(order: &Order, attempt: u16) -> bool {
    order.attempts.iter().any(|known| known.number == attempt && known.state == AttemptState::Open)
}

/// A gateway's word for a refund's state in ours.
pub(super) const fn state(state: payment::RefundState) -> RefundState {
    match state {
        payment::RefundState::Processing => RefundState::Processing,
        payment::RefundState::Abnormal => RefundState::Abnormal,
        payment::RefundState::Succeeded => RefundState::Succeeded,
        payment::RefundState::Closed => RefundState::Closed,
    }
}
