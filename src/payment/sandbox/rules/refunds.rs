//! Refunds of a trade: one per number however often it is asked for, never more than was paid.
//!
//! Status is a lattice: `Processing < Abnormal < Success, Closed`. A step down is a repetition, not an error. Money of a
//! closed refund may be refunded again.

use serde::{Deserialize, Serialize};

use super::Terms;
use super::trades::{Provider, Trade, TradeState, Wire};

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RefundStatus {
    /// Accepted; the money is on its way.
    Processing,
    /// The buyer's account cannot take it; somebody must see to it.
    Abnormal,
    /// The buyer has it.
    Success,
    /// Given up; the money stays with the merchant.
    Closed,
}

/// A refund as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// What the merchant asked for, as first given.
    pub asked: NewRefund,
    /// Of which trade.
    pub out_trade_no: String,
    /// The provider's number of that trade.
    pub transaction_id: String,
    /// The provider's number.
    pub refund_id: String,
    /// Where it stands.
    pub status: RefundStatus,
    /// When it was accepted, unix ms.
    pub created_ms: i64,
    /// When it will have been processed, unix ms; `None` once it has.
    pub settles_ms: Option<i64>,
    /// What the processing will end in.
    pub outcome: RefundStatus,
    /// When it ended, unix ms.
    pub ended_ms: Option<i64>,
}

/// What a merchant asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRefund {
    /// Which interface.
    pub wire: Wire,
    /// The merchant's number; the same number is the same refund.
    pub out_refund_no: String,
    /// How much, fen.
    pub refund_fen: i64,
    /// The price of the trade as the merchant believes, fen; `None` if the wire does not ask.
    pub total_fen: Option<i64>,
    /// Why; may be empty.
    pub reason: String,
    /// Where notifications go; empty: nowhere.
    pub notify_url: String,
}

/// A refund that was accepted.
#[derive(Clone, Debug, PartialEq)]
pub enum Refunded {
    /// It is new: the trade with the refund counted, and the refund.
    Now(Box<(Trade, Refund)>),
    /// It was asked for before; nothing changes.
    Before(Box<Refund>),
}

/// Why a refund is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundRefusal {
    /// There is no such trade.
    NotFound,
    /// The trade is not paid.
    NotPaid,
    /// The number is taken by a refund with other parameters.
    ParametersDiffer,
    /// The price is not the trade's.
    TotalDiffers,
    /// Nothing or less is asked for.
    AmountInvalid,
    /// More than what is left of the payment.
    TooMuch,
    /// The trade has as many refunds as it may have.
    TooMany,
    /// The last refund of the trade was just now.
    TooSoon,
    /// The payment is too long ago.
    TooLate,
    /// The merchant's balance does not cover it.
    NotEnough,
}

/// Accepts a refund of `trade`, which has `earlier` ones. `refund_id` is the number it gets if it is new.
///
/// # Errors
/// [`RefundRefusal`], the first reason.
pub fn refund(
    trade: Option<Trade>,
    earlier: &[Refund],
    asked: NewRefund,
    refund_id: &str,
    (now_ms, terms): (i64, &Terms),
) -> Result<Refunded, RefundRefusal> {
    let mut trade = trade.filter(Trade::is_known).ok_or(RefundRefusal::NotFound)?;
    if let Some(known) = earlier.iter().find(|known| known.asked.out_refund_no == asked.out_refund_no) {
        let is_same =
            known.asked.refund_fen == asked.refund_fen && known.asked.wire.provider() == asked.wire.provider();
        return if is_same {
            Ok(Refunded::Before(Box::new(known.clone())))
        } else {
            Err(RefundRefusal::ParametersDiffer)
        };
    }
    let transaction_id = check(&trade, earlier, &asked, (now_ms, terms))?;
    trade.refunded_fen += asked.refund_fen;
    let is_instant = asked.wire.provider() == Provider::Alipay;
    let refund = Refund {
        out_trade_no: trade.order.out_trade_no.clone(),
        transaction_id,
        refund_id: refund_id.to_owned(),
        status: if is_instant { RefundStatus::Success } else { RefundStatus::Processing },
        created_ms: now_ms,
        settles_ms: (!is_instant).then(|| now_ms.saturating_add(terms.refund_takes_ms)),
        outcome: terms.refund_outcome,
        ended_ms: is_instant.then_some(now_ms),
        asked,
    };
    Ok(Refunded::Now(Box::new((trade, refund))))
}

/// The limits on a new refund; the number of the transaction if it is within them.
fn check(
    trade: &Trade,
    earlier: &[Refund],
    asked: &NewRefund,
    (now_ms, terms): (i64, &Terms),
) -> Result<String, RefundRefusal> {
    let (TradeState::Paid, Some(payment), Some(number)) = (trade.state, &trade.payment, &trade.transaction_id) else {
        return Err(RefundRefusal::NotPaid);
    };
    if asked.total_fen.is_some_and(|total_fen| total_fen != trade.order.total_fen) {
        return Err(RefundRefusal::TotalDiffers);
    }
    if asked.refund_fen <= 0 {
        return Err(RefundRefusal::AmountInvalid);
    }
    if now_ms.saturating_sub(payment.paid_ms) > terms.refund_within_ms {
        return Err(RefundRefusal::TooLate);
    }
    if asked.refund_fen > trade.order.total_fen - trade.refunded_fen {
        return Err(RefundRefusal::TooMuch);
    }
    if earlier.len() >= terms.refunds_max {
        return Err(RefundRefusal::TooMany);
    }
    let last_ms = earlier.iter().map(|refund| refund.created_ms).max();
    if last_ms.is_some_and(|last_ms| now_ms.saturating_sub(last_ms) < terms.refund_pause_ms) {
        return Err(RefundRefusal::TooSoon);
    }
    if !terms.refunds_are_funded {
        return Err(RefundRefusal::NotEnough);
    }
    Ok(number.clone())
}

/// Moves a refund to `status` and gives its amount back to the trade if it was closed; `None` if it stands there or
/// beyond already.
#[must_use]
pub fn settle(mut trade: Trade, mut refund: Refund, status: RefundStatus, now_ms: i64) -> Option<(Trade, Refund)> {
    let is_up = match (refund.status, status) {
        (RefundStatus::Processing, next) => next != RefundStatus::Processing,
        (RefundStatus::Abnormal, next) => matches!(next, RefundStatus::Success | RefundStatus::Closed),
        (RefundStatus::Success | RefundStatus::Closed, _) => false,
    };
    if !is_up {
        return None;
    }
    if status == RefundStatus::Closed {
        trade.refunded_fen -= refund.asked.refund_fen;
    }
    refund.status = status;
    refund.settles_ms = None;
    refund.ended_ms = Some(now_ms);
    Some((trade, refund))
}

/// The merchant sends an abnormal refund on its way again; `None` if it is not abnormal.
#[must_use]
pub fn retry_abnormal(mut refund: Refund, now_ms: i64, terms: &Terms) -> Option<Refund> {
    if refund.status != RefundStatus::Abnormal {
        return None;
    }
    refund.settles_ms = Some(now_ms.saturating_add(terms.refund_takes_ms));
    refund.outcome = RefundStatus::Success;
    Some(refund)
}

/// Decides what a refund that is still on its way will end in; `None` if it has ended.
#[must_use]
pub fn planned(mut refund: Refund, outcome: RefundStatus) -> Option<Refund> {
    refund.settles_ms?;
    refund.outcome = outcome;
    Some(refund)
}
