//! What may differ, and what the order is told about it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::BillDay;
use super::compare::{BillEntry, OurPayment, OurRefund};
use crate::domain::ids::OrderNo;
use crate::domain::money::Money;
use crate::domain::order::{Command, RefundState, ReviewReason};

/// In which way a bill and our books differ. The words are part of the HTTP contract and of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// Money came there, and we know nothing of it.
    PaidThereUnpaidHere,
    /// We took a payment as paid that no bill has.
    PaidHereMissingThere,
    /// Both have the payment, with other totals.
    AmountDiffers,
    /// A refund of our payment that we did not ask for.
    RefundThereMissingHere,
    /// A refund that we took as returned and no bill has.
    RefundHereMissingThere,
    /// Both have the refund, with other amounts.
    RefundAmountDiffers,
    /// Both have the refund, and it did not end alike.
    RefundStateDiffers,
    /// A number that is none of this shop's; the merchant may have other shops.
    UnknownNumber,
    /// One number stands more than once on a bill.
    Duplicate,
}

impl DifferenceKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::PaidThereUnpaidHere,
        Self::PaidHereMissingThere,
        Self::AmountDiffers,
        Self::RefundThereMissingHere,
        Self::RefundHereMissingThere,
        Self::RefundAmountDiffers,
        Self::RefundStateDiffers,
        Self::UnknownNumber,
        Self::Duplicate,
    ];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PaidThereUnpaidHere => "paid_there_unpaid_here",
            Self::PaidHereMissingThere => "paid_here_missing_there",
            Self::AmountDiffers => "amount_differs",
            Self::RefundThereMissingHere => "refund_there_missing_here",
            Self::RefundHereMissingThere => "refund_here_missing_there",
            Self::RefundAmountDiffers => "refund_amount_differs",
            Self::RefundStateDiffers => "refund_state_differs",
            Self::UnknownNumber => "unknown_number",
            Self::Duplicate => "duplicate",
        }
    }

    /// The kind of that word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// True if something of ours was looked for on the bill in vain: it may stand on the bill of another day.
    #[must_use]
    pub const fn is_missing_there(self) -> bool {
        matches!(self, Self::PaidHereMissingThere | Self::RefundHereMissingThere)
    }
}

/// One difference. Kind and number say which: a second look at the same bill finds the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In which way.
    pub kind: DifferenceKind,
    /// The payment's or refund's number at the shop.
    pub number: String,
    /// The payment's number.
    pub payment_no: String,
    /// The gateway's number of the payment or refund; empty if it has none.
    pub gateway_no: String,
    /// The amount in our books.
    pub ours: Option<Money>,
    /// The amount on the bill.
    pub theirs: Option<Money>,
    /// The refund's state in our books.
    pub our_state: Option<RefundState>,
    /// The refund's state on the bill.
    pub their_state: Option<RefundState>,
    /// When we asked for the payment or refund, unix ms; `None` if we never did.
    pub asked_at_ms: Option<i64>,
}

/// What is done about a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The order hears of it.
    Tell(OrderNo, Command),
    /// It is only put down.
    Note,
}

impl Difference {
    pub(super) fn of_payment(kind: DifferenceKind, entry: &BillEntry, ours: Option<&OurPayment>) -> Self {
        Self {
            kind,
            number: entry.payment_no.clone(),
            payment_no: entry.payment_no.clone(),
            gateway_no: entry.gateway_no.clone(),
            ours: ours.map(|ours| ours.amount),
            theirs: entry.total,
            our_state: None,
            their_state: None,
            asked_at_ms: ours.map(|ours| ours.asked_at_ms),
        }
    }

    pub(super) fn of_refund(kind: DifferenceKind, entry: &BillEntry, ours: Option<&OurRefund>) -> Self {
        let theirs = entry.refund.as_ref();
        let number = theirs.map_or("", |refund| refund.refund_no.as_str());
        Self {
            kind,
            // a refund by hand may have no number of the shop's; the difference must have one
            number: if number.is_empty() { entry.payment_no.clone() } else { number.to_owned() },
            payment_no: entry.payment_no.clone(),
            gateway_no: theirs.map_or_else(String::new, |refund| refund.gateway_no.clone()),
            ours: ours.map(|ours| ours.amount),
            theirs: theirs.map(|refund| refund.amount),
            our_state: ours.map(|ours| ours.state),
            their_state: theirs.map(|refund| refund.state),
            asked_at_ms: ours.map(|ours| ours.asked_at_ms),
        }
    }

    /// The other days on whose bills it may stand, if it is missing on that of `day`: our books have a payment when we
    /// heard of it, the gateway when it was made. It was made on the day on which it was asked for or on the next, and
    /// what happened shortly before midnight may have reached us after it.
    #[must_use]
    pub fn other_days(&self, day: BillDay) -> BTreeSet<BillDay> {
        let asked = self.asked_at_ms.map(BillDay::of);
        let days = [Some(day.previous()), asked, asked.map(BillDay::next)];
        days.into_iter().flatten().filter(|other| *other < day).collect()
    }

    /// The order concerned, if the number is one of ours.
    #[must_use]
    pub fn order_no(&self) -> Option<OrderNo> {
        payment_of(&self.payment_no).map(|(order_no, _)| order_no)
    }

    /// What the order is told.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        let Some((order_no, attempt)) = payment_of(&self.payment_no) else { return Remedy::Note };
        let command = match self.kind {
            DifferenceKind::UnknownNumber => return Remedy::Note,
            DifferenceKind::PaidThereUnpaidHere => self.theirs.map(|amount| Command::ConfirmPayment {
                attempt,
                amount,
                transaction_id: self.gateway_no.clone(),
            }),
            DifferenceKind::RefundStateDiffers => self.reported(),
            _ => None,
        };
        Remedy::Tell(order_no, command.unwrap_or(Command::RequestReview { reason: ReviewReason::BillDiffers }))
    }

    /// The report of a refund that still runs here; none if both say that it has ended.
    fn reported(&self) -> Option<Command> {
        let (ours, theirs) = (self.our_state?, self.their_state?);
        let runs = matches!(ours, RefundState::Processing | RefundState::Abnormal);
        let refund = refund_of(&self.number)?.1;
        let report = Command::ReportRefund { refund, state: theirs, gateway_no: self.gateway_no.clone() };
        (runs && theirs > ours).then_some(report)
    }
}

/// The order and attempt of one of our payment numbers, as we write it: `{order_no}_{attempt}`.
#[must_use]
pub fn payment_of(text: &str) -> Option<(OrderNo, u16)> {
    numbered(text, "_")
}

/// The order and number of one of our refunds: `{order_no}_r{number}`.
fn refund_of(text: &str) -> Option<(OrderNo, u16)> {
    numbered(text, "_r")
}

fn numbered(text: &str, separator: &str) -> Option<(OrderNo, u16)> {
    let (order_no, number) = text.split_once(separator)?;
    let (order_no, number): (OrderNo, u16) = (order_no.parse().ok()?, number.parse().ok()?);
    // what we would have written otherwise ("o" for 0, "+1", "01") is not ours
    (format!("{order_no}{separator}{number}") == text).then_some((order_no, number))
}
