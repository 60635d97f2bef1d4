//! The comparison itself: lines of a bill on one side, payments and refunds of ours on the other.
//!
//! Payments meet by payment number, refunds by refund number, and nothing else is looked at: so a large day may be cut
//! into parts by a hash of these numbers, and the parts differ exactly as the whole does. Lines and rows may come in any
//! order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::difference::{Difference, DifferenceKind, payment_of};
use crate::domain::money::Money;
use crate::domain::order::RefundState;

/// A line of a bill: money that came, or with `refund` money that went back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillEntry {
    /// The shop's payment number, as it stands there.
    pub payment_no: String,
    /// The gateway's payment number.
    pub gateway_no: String,
    /// The payment's total; a refund's line may have none.
    pub total: Option<Money>,
    /// The refund, if it is one.
    pub refund: Option<RefundEntry>,
}

/// The refund on a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundEntry {
    /// The shop's refund number, as it stands there.
    pub refund_no: String,
    /// The gateway's.
    pub gateway_no: String,
    /// How much.
    pub amount: Money,
    /// What had become of it when the bill was made.
    pub state: RefundState,
}

impl BillEntry {
    /// What it meets its counterpart by.
    #[must_use]
    pub fn key(&self) -> &str {
        self.refund.as_ref().map_or(&self.payment_no, |refund| &refund.refund_no)
    }
}

/// A payment attempt in our books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OurPayment {
    /// `{order_no}_{attempt}`.
    pub payment_no: String,
    /// Asked for, or captured.
    pub amount: Money,
    /// Money came.
    pub is_captured: bool,
    /// When it was numbered, unix ms.
    pub asked_at_ms: i64,
    /// The bill must have it.
    pub is_expected: bool,
}

/// A refund in our books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OurRefund {
    /// `{order_no}_r{number}`.
    pub refund_no: String,
    /// Whose money went back.
    pub payment_no: String,
    /// How much.
    pub amount: Money,
    /// What we know of it.
    pub state: RefundState,
    /// When it was asked for, unix ms.
    pub asked_at_ms: i64,
    /// The bill must have it.
    pub is_expected: bool,
}

/// Our side: whatever stands on the bill as far as we know it, and whatever the bill must have. A row may come twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ours {
    /// Payment attempts.
    pub payments: Vec<OurPayment>,
    /// Refunds.
    pub refunds: Vec<OurRefund>,
}

/// Everything in which they differ, by kind and number; each pair once.
#[must_use]
pub fn compare(bill: &[BillEntry], ours: &Ours) -> Vec<Difference> {
    let mut found = BTreeMap::new();
    compare_payments(bill, &ours.payments, &mut found);
    compare_refunds(bill, &ours.refunds, &mut found);
    found.into_values().collect()
}

type Found = BTreeMap<(DifferenceKind, String), Difference>;

fn add(found: &mut Found, difference: Difference) {
    found.entry((difference.kind, difference.number.clone())).or_insert(difference);
}

fn compare_payments(bill: &[BillEntry], ours: &[OurPayment], found: &mut Found) {
    let mut known: BTreeMap<&str, (&OurPayment, bool)> = BTreeMap::new();
    for payment in ours {
        let (_, is_expected) = known.entry(&payment.payment_no).or_insert((payment, false));
        *is_expected |= payment.is_expected;
    }
    let mut seen: BTreeMap<&str, &BillEntry> = BTreeMap::new();
    for entry in sorted(bill.iter().filter(|entry| entry.refund.is_none())) {
        if seen.insert(&entry.payment_no, entry).is_some() {
            let ours = known.get(entry.payment_no.as_str()).map(|(ours, _)| *ours);
            if payment_of(&entry.payment_no).is_some() {
                add(found, Difference::of_payment(DifferenceKind::Duplicate, entry, ours));
            }
            continue;
        }
        let ours = known.get(entry.payment_no.as_str()).map(|(ours, _)| *ours);
        if let Some(kind) = payment_differs(entry, ours) {
            add(found, Difference::of_payment(kind, entry, ours));
        }
    }
    for (number, (payment, is_expected)) in known {
        if is_expected && !seen.contains_key(number) {
            let kind = DifferenceKind::PaidHereMissingThere;
            add(found, Difference { theirs: None, ..Difference::of_payment(kind, &stand_in(number), Some(payment)) });
        }
    }
}

fn payment_differs(entry: &BillEntry, ours: Option<&OurPayment>) -> Option<DifferenceKind> {
    if payment_of(&entry.payment_no).is_none() {
        return Some(DifferenceKind::UnknownNumber);
    }
    match ours {
        Some(ours) if ours.is_captured => {
            let is_other = entry.total.is_some_and(|total| total != ours.amount);
            is_other.then_some(DifferenceKind::AmountDiffers)
        }
        Some(_) | None => Some(DifferenceKind::PaidThereUnpaidHere),
    }
}

fn compare_refunds(bill: &[BillEntry], ours: &[OurRefund], found: &mut Found) {
    let mut known: BTreeMap<&str, (&OurRefund, bool)> = BTreeMap::new();
    for refund in ours {
        let (_, is_expected) = known.entry(&refund.refund_no).or_insert((refund, false));
        *is_expected |= refund.is_expected;
    }
    let mut seen: BTreeMap<&str, &BillEntry> = BTreeMap::new();
    for entry in sorted(bill.iter().filter(|entry| entry.refund.is_some())) {
        // the number of a refund that we never asked for may belong to any payment
        let ours = known.get(entry.key()).map(|(ours, _)| *ours).filter(|ours| ours.payment_no == entry.payment_no);
        if seen.insert(entry.key(), entry).is_some() && ours.is_some() {
            add(found, Difference::of_refund(DifferenceKind::Duplicate, entry, ours));
            continue;
        }
        if let Some(kind) = refund_differs(entry, ours) {
            add(found, Difference::of_refund(kind, entry, ours));
        }
    }
    for (number, (refund, is_expected)) in known {
        if is_expected && !seen.contains_key(number) {
            let entry = stand_in(&refund.payment_no);
            let missing = Difference::of_refund(DifferenceKind::RefundHereMissingThere, &entry, Some(refund));
            add(found, Difference { number: number.to_owned(), ..missing });
        }
    }
}

fn refund_differs(entry: &BillEntry, ours: Option<&OurRefund>) -> Option<DifferenceKind> {
    let theirs = entry.refund.as_ref()?;
    if payment_of(&entry.payment_no).is_none() {
        return Some(DifferenceKind::UnknownNumber);
    }
    let Some(ours) = ours else { return Some(DifferenceKind::RefundThereMissingHere) };
    if theirs.amount != ours.amount {
        return Some(DifferenceKind::RefundAmountDiffers);
    }
    has_ended_otherwise(theirs.state, ours.state).then_some(DifferenceKind::RefundStateDiffers)
}

/// A bill is older than our books: that a refund was still under way there says nothing against its end here.
const fn has_ended_otherwise(theirs: RefundState, ours: RefundState) -> bool {
    use RefundState::{Abnormal, Closed, Processing, Succeeded};
    match theirs {
        Processing => false,
        Abnormal => matches!(ours, Processing),
        Closed => !matches!(ours, Closed),
        Succeeded => !matches!(ours, Succeeded),
    }
}

/// Which of several lines with one number is the first must not depend on how the bill was cut or sent.
fn sorted<'a>(entries: impl Iterator<Item = &'a BillEntry>) -> Vec<&'a BillEntry> {
    let mut entries: Vec<&BillEntry> = entries.collect();
    entries.sort_by(|a, b| {
        let of = |entry: &BillEntry| entry.refund.as_ref().map(|refund| (refund.state, refund.amount));
        (a.key(), &a.payment_no, &a.gateway_no, a.total, of(a)).cmp(&(
            b.key(),
            &b.payment_no,
            &b.gateway_no,
            b.total,
            of(b),
        ))
    });
    entries
}

fn stand_in(payment_no: &str) -> BillEntry {
    BillEntry { payment_no: payment_no.to_owned(), gateway_no: String::new(), total: None, refund: None }
}
