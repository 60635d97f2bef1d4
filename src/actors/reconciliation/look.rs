//! Looks at the bill of a day and says what differs; changes nothing.
//!
//! The bill is read to its end first: a damaged one is no bill. What of ours is missing on it is looked for on the bills
//! of neighbouring days, because a payment at midnight is one day's here and another day's there.

use std::collections::{BTreeSet, HashSet};
use std::io;

use tokio::sync::mpsc;

use super::clerk::Clerk;
use super::spool::{PARTS, Record, Spool};
use crate::domain::order::{self, PayChannel};
use crate::domain::reconciliation::{
    BillDay, BillEntry, Difference, DifferenceKind, Ours, RefundEntry, compare, payment_of,
};
use crate::payment::{self, Action, BillLine, PaymentError};
use crate::persistence::bill_runs::BillRun;
use crate::persistence::billed::{self, Expected};
use crate::persistence::{StoreError, bill_runs};

/// Differences of one day; beyond it is the bill of another merchant, or the database of another shop.
const DIFFERENCES_MAX: usize = 100_000;
/// Numbers of others that are put down; the rest is counted.
const UNKNOWN_KEPT_MAX: u64 = 1_000;
/// Bills of other days that are looked at.
const OTHER_BILLS_MAX: usize = 4;
/// Lines on their way from the gateway.
const LINES_QUEUED_MAX: usize = 1_024;
/// A day that has no bill so long after its end had no payments.
const NO_BILL_IS_FINAL_AFTER_MS: i64 = 48 * 3_600_000;

/// What a look at a bill found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Lines of the bill.
    pub lines: u64,
    /// Payments and refunds that we expected on it.
    pub expected: u64,
    /// Lines with numbers that are none of this shop's; the first 1,000 are among the differences.
    pub unknown: u64,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// Why a bill was not compared. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The channel is not switched on, or has no bills.
    #[error("no gateway for this channel")]
    NoGateway,
    /// There is no bill so far.
    #[error("no bill so far: {0}")]
    NotYet(PaymentError),
    /// The gateway failed, or its bill is damaged.
    #[error("the bill cannot be had: {0}")]
    Gateway(PaymentError),
    /// The disk failed.
    #[error("the bill cannot be kept: {0}")]
    Spool(#[from] io::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else has the run by now.
    #[error("another node has the run")]
    Lost,
    /// More differences than one day can have.
    #[error("more than {DIFFERENCES_MAX} differences: the bill of another merchant, or the books of another shop?")]
    TooMany,
}

impl Clerk {
    /// Compares the bill of a day with our books. `held` is the run that the caller has the lease of, if it has one; the
    /// lease is prolonged on the way.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn look(&self, channel: PayChannel, day: BillDay, held: Option<&BillRun>) -> Result<Findings, LookError> {
        let name = held.map_or_else(|| format!("look-{}", std::process::id()), |run| run.id.clone());
        let spool = Spool::make(&self.reports_dir, &name)?;
        let writer = spool.writer();
        let lines = match self.download(channel, day, &writer.records).await {
            Err(LookError::NotYet(_)) if self.clock.now_ms() >= day.ends_ms() + NO_BILL_IS_FINAL_AFTER_MS => 0,
            lines => lines?,
        };
        self.hold(held).await?;
        let expected = self.expect(channel, day, &writer.records).await?;
        writer.finish().await?;
        let mut findings = Findings { lines, expected, ..Findings::default() };
        for part in 0..PARTS {
            let records = spool.part(part).await?;
            self.compare_part(channel, records, &mut findings).await?;
            self.hold(held).await?;
        }
        self.look_elsewhere(channel, day, held, &mut findings).await?;
        findings.differences.sort_by(|a, b| (a.kind, &a.number).cmp(&(b.kind, &b.number)));
        Ok(findings)
    }

    /// Prolongs the lease.
    pub(super) async fn hold(&self, held: Option<&BillRun>) -> Result<(), LookError> {
        let Some(run) = held else { return Ok(()) };
        let until_ms = self.clock.now_ms().saturating_add(self.lease_ms());
        if bill_runs::renew(&self.db, run, until_ms).await? { Ok(()) } else { Err(LookError::Lost) }
    }

    /// Hands on every line of a bill; how many there were, once the whole is known to be sound.
    async fn download(
        &self,
        channel: PayChannel,
        day: BillDay,
        records: &mpsc::Sender<Record>,
    ) -> Result<u64, LookError> {
        let gateway = self.gateways.of(channel).ok_or(LookError::NoGateway)?;
        let (sender, mut lines) = mpsc::channel(LINES_QUEUED_MAX);
        let hand_on = async {
            while let Some(line) = lines.recv().await {
                if records.send(Record::Line(entry(line))).await.is_err() {
                    return; // the disk failed; whoever finishes the spool is told why
                }
            }
        };
        let (outcome, ()) = futures::join!(gateway.bill(day.date(), sender), hand_on);
        outcome.map_err(|error| match error.action() {
            Action::NotFound => LookError::NotYet(error),
            Action::BackOff if matches!(error, PaymentError::Declined { .. }) => LookError::NotYet(error),
            _ => LookError::Gateway(error),
        })
    }

    /// Hands on what of ours the bill must have.
    async fn expect(
        &self,
        channel: PayChannel,
        day: BillDay,
        records: &mpsc::Sender<Record>,
    ) -> Result<u64, LookError> {
        let (from_ms, until_ms) = day.heard_within();
        let wanted = Expected { channel, from_ms, until_ms };
        let gone = |_| LookError::Spool(io::ErrorKind::BrokenPipe.into());
        let (mut count, mut after) = (0, None);
        loop {
            let (page, next) = billed::payments_expected(&self.db, wanted, after).await?;
            count += page.len() as u64;
            for payment in page {
                records.send(Record::Payment(payment)).await.map_err(gone)?;
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let (page, next) = billed::refunds_expected(&self.db, wanted, after).await?;
            count += page.len() as u64;
            for refund in page {
                records.send(Record::Refund(refund)).await.map_err(gone)?;
            }
            after = next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    async fn compare_part(
        &self,
        channel: PayChannel,
        records: Vec<Record>,
        findings: &mut Findings,
    ) -> Result<(), LookError> {
        let (mut bill, mut ours) = (Vec::new(), Ours::default());
        for record in records {
            match record {
                Record::Line(entry) => bill.push(entry),
                Record::Payment(payment) => ours.payments.push(payment),
                Record::Refund(refund) => ours.refunds.push(refund),
            }
        }
        let (refunds, payments): (Vec<&BillEntry>, Vec<&BillEntry>) =
            bill.iter().filter(|entry| payment_of(&entry.payment_no).is_some()).partition(|e| e.refund.is_some());
        let numbers = |entries: Vec<&BillEntry>| entries.into_iter().map(|e| e.key().to_owned()).collect::<Vec<_>>();
        ours.payments.extend(billed::payments_numbered(&self.db, channel, &numbers(payments)).await?);
        ours.refunds.extend(billed::refunds_numbered(&self.db, channel, &numbers(refunds)).await?);
        for difference in compare(&bill, &ours) {
            if difference.kind == DifferenceKind::UnknownNumber {
                findings.unknown += 1;
                if findings.unknown > UNKNOWN_KEPT_MAX {
                    continue;
                }
            }
            findings.differences.push(difference);
        }
        if findings.differences.len() > DIFFERENCES_MAX { Err(LookError::TooMany) } else { Ok(()) }
    }

    /// What is missing on this day's bill may stand on another.
    async fn look_elsewhere(
        &self,
        channel: PayChannel,
        day: BillDay,
        held: Option<&BillRun>,
        findings: &mut Findings,
    ) -> Result<(), LookError> {
        let missing = || findings.differences.iter().filter(|difference| difference.kind.is_missing_there());
        let mut wanted: HashSet<String> = missing().map(|difference| difference.number.clone()).collect();
        let days: BTreeSet<BillDay> = missing().flat_map(|difference| difference.other_days(day)).collect();
        let mut elsewhere = HashSet::new();
        for other in days.into_iter().rev().take(OTHER_BILLS_MAX) {
            if wanted.is_empty() {
                break;
            }
            let found = self.numbers_on(channel, other, &wanted).await?;
            self.hold(held).await?;
            wanted.retain(|number| !found.contains(number));
            elsewhere.extend(found);
        }
        findings
            .differences
            .retain(|difference| !difference.kind.is_missing_there() || !elsewhere.contains(&difference.number));
        Ok(())
    }

    /// Which of these numbers stand on the bill of that day.
    async fn numbers_on(
        &self,
        channel: PayChannel,
        day: BillDay,
        wanted: &HashSet<String>,
    ) -> Result<HashSet<String>, LookError> {
        let (sender, mut records) = mpsc::channel(LINES_QUEUED_MAX);
        let pick = async {
            let mut found = HashSet::new();
            while let Some(record) = records.recv().await {
                if let Record::Line(entry) = record
                    && wanted.contains(entry.key())
                {
                    found.insert(entry.key().to_owned());
                }
            }
            found
        };
        let download = async {
            let outcome = self.download(channel, day, &sender).await;
            drop(sender);
            outcome
        };
        match futures::join!(download, pick) {
            (Ok(_), found) => Ok(found),
            (Err(LookError::NotYet(_)), _) => Ok(HashSet::new()), // a day without payments
            (Err(error), _) => Err(error),
        }
    }
}

fn entry(line: BillLine) -> BillEntry {
    let refund = line.refund.map(|refund| RefundEntry {
        refund_no: refund.refund_no,
        gateway_no: refund.gateway_refund_no,
        amount: refund.amount,
        state: match refund.state {
            payment::RefundState::Processing => order::RefundState::Processing,
            payment::RefundState::Abnormal => order::RefundState::Abnormal,
            payment::RefundState::Succeeded => order::RefundState::Succeeded,
            payment::RefundState::Closed => order::RefundState::Closed,
        },
    });
    BillEntry { payment_no: line.payment_no, gateway_no: line.gateway_no, total: line.total, refund }
}
