//! A gateway without a wire: every charge is paid the moment it is created, and no money moves.
//!
//! For development and rehearsals. What it was asked is remembered in memory, a bounded number of charges, so that
//! queries, refunds and repeated calls answer as a real gateway would; a restart forgets all of it, which the shop
//! survives because a captured charge is stored with its order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::NaiveDate;
use tokio::sync::mpsc;

use super::error::{Action, PaymentError};
use super::facts::{BillLine, RefundReport, RefundState, Trade, TradeState};
use super::fields::{check_charge, check_refund};
use super::gateway::{Charge, NewCharge, PaymentGateway, RefundOrder, Wire};
use super::notice::{Notice, NoticeAnswer, NoticeRejection, RawNotice};
use super::numbers::{PaymentNo, RefundNo};
use crate::clock::Clock;
use crate::domain::Money;

/// Charges that are remembered; the oldest is forgotten first.
const CHARGES_MAX: usize = 100_000;

/// Captures at once.
#[derive(Debug)]
pub struct Simulated {
    clock: Clock,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    charges: BTreeMap<PaymentNo, Paid>,
    by_age: VecDeque<PaymentNo>,
}

#[derive(Debug)]
struct Paid {
    trade: Trade,
    refunds: BTreeMap<RefundNo, RefundReport>,
}

impl Simulated {
    /// One with empty books.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, books: Mutex::default() }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PaymentGateway for Simulated {
    fn wire(&self) -> Wire {
        Wire::Simulated
    }

    async fn create(&self, charge: &NewCharge) -> Result<Charge, PaymentError> {
        check_charge(charge)?;
        let mut books = self.books();
        if let Some(paid) = books.charges.get(&charge.payment_no) {
            return if paid.trade.total == Some(charge.amount) {
                Ok(Charge::Captured(paid.trade.clone()))
            } else {
                Err(refused(Action::Ask, "OUT_TRADE_NO_USED"))
            };
        }
        let trade = Trade {
            payment_no: charge.payment_no.clone(),
            gateway_no: Some(format!("SIM{}", charge.payment_no)),
            state: TradeState::Paid,
            total: Some(charge.amount),
            payer_total: Some(charge.amount),
            paid_at_ms: Some(self.clock.now_ms()),
            payer: None,
            strange: None,
        };
        if books.by_age.len() >= CHARGES_MAX
            && let Some(oldest) = books.by_age.pop_front()
        {
            books.charges.remove(&oldest);
        }
        books.by_age.push_back(charge.payment_no.clone());
        books.charges.insert(charge.payment_no.clone(), Paid { trade: trade.clone(), refunds: BTreeMap::new() });
        Ok(Charge::Captured(trade))
    }

    async fn query(&self, payment_no: &PaymentNo) -> Result<Trade, PaymentError> {
        let books = self.books();
        let paid = books.charges.get(payment_no).ok_or_else(|| refused(Action::NotFound, "ORDER_NOT_EXIST"))?;
        let state = if paid.refunds.is_empty() { TradeState::Paid } else { TradeState::PaidThenRefunded };
        Ok(Trade { state, ..paid.trade.clone() })
    }

    async fn close(&self, payment_no: &PaymentNo) -> Result<(), PaymentError> {
        if self.books().charges.contains_key(payment_no) {
            return Err(refused(Action::AlreadyPaid, "ORDERPAID"));
        }
        Ok(())
    }

    async fn refund(&self, refund: &RefundOrder) -> Result<RefundReport, PaymentError> {
        check_refund(refund)?;
        let now_ms = self.clock.now_ms();
        let mut books = self.books();
        let Some(paid) = books.charges.get_mut(&refund.payment_no) else {
            return Err(refused(Action::NotFound, "ORDER_NOT_EXIST"));
        };
        if let Some(report) = paid.refunds.get(&refund.refund_no) {
            let is_same = report.amount == Some(refund.amount);
            return if is_same { Ok(report.clone()) } else { Err(refused(Action::Permanent, "PARAM_ERROR")) };
        }
        let given_back: Money = paid.refunds.values().filter_map(|report| report.amount).sum();
        if paid.trade.total.is_none_or(|total| given_back.plus(refund.amount) > total) {
            return Err(refused(Action::Permanent, "INVALID_REQUEST"));
        }
        let report = RefundReport {
            refund_no: refund.refund_no.clone(),
            payment_no: refund.payment_no.clone(),
            gateway_refund_no: Some(format!("SIM{}", refund.refund_no)),
            state: RefundState::Succeeded,
            amount: Some(refund.amount),
            refunded_at_ms: Some(now_ms),
            strange: None,
        };
        paid.refunds.insert(refund.refund_no.clone(), report.clone());
        Ok(report)
    }

    async fn query_refund(&self, payment_no: &PaymentNo, refund_no: &RefundNo) -> Result<RefundReport, PaymentError> {
        let books = self.books();
        let report = books.charges.get(payment_no).and_then(|paid| paid.refunds.get(refund_no));
        report.cloned().ok_or_else(|| refused(Action::NotFound, "RESOURCE_NOT_EXISTS"))
    }

    async fn read_notice(&self, _notice: &RawNotice) -> Result<Notice, NoticeRejection> {
        Err(NoticeRejection::Unexpected)
    }

    fn answer_notice(&self, _stored: bool) -> NoticeAnswer {
        NoticeAnswer { status: 404, content_type: None, body: "" }
    }

    /// Nothing moved, so there is no bill to compare with.
    async fn bill(&self, _day: NaiveDate, _lines: mpsc::Sender<BillLine>) -> Result<u64, PaymentError> {
        Err(refused(Action::NotFound, "NO_STATEMENT_EXIST"))
    }
}

fn refused(action: Action, code: &str) -> PaymentError {
    PaymentError::declined(action, code, "simulated")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::testing::{charge, outcome, refund};

    #[actix_rt::test]
    async fn a_charge_is_paid_at_once_and_once() {
        let gateway = Simulated::new(Clock::default());
        let Charge::Captured(first) = gateway.create(&charge()).await.unwrap() else { panic!("not captured") };
        assert_eq!(first.agrees_with(&charge().payment_no, charge().amount), Ok(()));
        assert_eq!(gateway.create(&charge()).await, Ok(Charge::Captured(first)));
        let other = NewCharge { amount: Money::from_fen(1), ..charge() };
        assert_eq!(outcome(&gateway.create(&other).await), "Ask");
        assert_eq!(outcome(&gateway.close(&charge().payment_no).await), "AlreadyPaid");
    }

    #[actix_rt::test]
    async fn refunds_are_idempotent_and_bounded_by_what_was_paid() {
        let gateway = Simulated::new(Clock::default());
        assert_eq!(outcome(&gateway.refund(&refund()).await), "NotFound");
        gateway.create(&charge()).await.unwrap();
        let first = gateway.refund(&refund()).await.unwrap();
        assert_eq!(gateway.refund(&refund()).await, Ok(first.clone()));
        assert_eq!(gateway.query_refund(&refund().payment_no, &refund().refund_no).await, Ok(first));
        assert_eq!(gateway.query(&charge().payment_no).await.unwrap().state, TradeState::PaidThenRefunded);
        let rest = RefundOrder { refund_no: "r2".parse().unwrap(), amount: Money::from_fen(7_880), ..refund() };
        let too_much = RefundOrder { amount: Money::from_fen(7_881), ..rest.clone() };
        assert_eq!(outcome(&gateway.refund(&too_much).await), "Permanent");
        assert_eq!(outcome(&gateway.refund(&rest).await), "ok");
    }
}
