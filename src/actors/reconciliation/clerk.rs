//! The clerk: has a day's bill looked at, puts down what differs, and tells the orders.
//!
//! | step | safe to repeat because | a crash leaves |
//! |---|---|---|
//! | look at the bill | changes nothing | nothing but the lease |
//! | put the differences down | one row a kind and number | rows that are open |
//! | tell an order | the order knows what it has heard | a row that is open, told again |
//! | put down what the order said | a row that is not open stays | |
//!
//! **Invariant**: nothing is written to an order but by its saga. Whoever takes a run over begins anew with the bill; the
//! order decides what a command means (paid, late payment, payment too many) and makes nothing of one it has heard.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use tokio::sync::Notify;

use super::look::{Findings, LookError};
use super::report;
use crate::actors::kit::Directory;
use crate::actors::order_saga::{DriveOrder, OrderSagaActor, Party, SagaRejection};
use crate::clock::Clock;
use crate::config::PaymentSettings;
use crate::domain::OrderNo;
use crate::domain::order::{AttemptState, Command, Order, PayChannel, Rejection, ReviewReason};
use crate::domain::reconciliation::{BillDay, Remedy, TimeOfDay};
use crate::failpoint;
use crate::payment::setup::Gateways;
use crate::persistence::bill_differences::{self, DifferenceState, StoredDifference};
use crate::persistence::bill_runs::{self, BillRun, Ending};
use crate::persistence::{Db, Lease, StoreError};

/// Added to the longest download.
const LEASE_MARGIN_MS: i64 = 300_000;
/// A bill that is not there is asked for again after this.
const NO_BILL_PAUSE_MS: i64 = 1_800_000;
/// Pause before the second try after a failure, doubled up to the maximum.
const FAILED_PAUSE_FIRST_MS: i64 = 300_000;
const FAILED_PAUSE_MAX_MS: i64 = 6 * 3_600_000;
/// What an order has not heard is told again after this.
const OPEN_PAUSE_MS: i64 = 2 * 3_600_000;
const NEVER_MS: i64 = i64::MAX;
const DAY_MS: i64 = 24 * 3_600_000;
/// Open differences taken at once, and orders told at the same time.
const ROWS_MAX: u64 = 256;
const CONCURRENCY: usize = 16;
/// Longest wait for an order's actor.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// When and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClerkTerms {
    /// When the bill of the day before is looked at.
    pub at: TimeOfDay,
    /// How many days are caught up, and tried for.
    pub days_max: u64,
    /// Longest download of a bill.
    pub bill_timeout_ms: u64,
    /// `node.slot`, for leases.
    pub slot: u8,
}

impl ClerkTerms {
    /// What the settings say, for the node in `slot`.
    #[must_use]
    pub const fn new(settings: &PaymentSettings, slot: u8) -> Self {
        let (at, days_max) = (settings.reconcile_at, settings.reconcile_days_max);
        Self { at, days_max, bill_timeout_ms: settings.bill_timeout_ms, slot }
    }
}

/// The clerk; clones are the same.
#[derive(Clone, Debug)]
pub struct Clerk {
    pub(super) gateways: Gateways,
    pub(super) orders: Directory<OrderSagaActor>,
    pub(super) db: Db,
    pub(super) clock: Clock,
    pub(super) terms: ClerkTerms,
    pub(super) reports_dir: PathBuf,
    /// Rung when a run was asked for.
    pub(super) bell: Arc<Notify>,
}

impl Clerk {
    /// A clerk who writes reports into `reports_dir`.
    #[must_use]
    pub fn new(
        gateways: Gateways,
        orders: Directory<OrderSagaActor>,
        (db, clock): (Db, Clock),
        terms: ClerkTerms,
        reports_dir: PathBuf,
    ) -> Self {
        Self { gateways, orders, db, clock, terms, reports_dir, bell: Arc::default() }
    }

    /// The channels that are switched on and have bills.
    #[must_use]
    pub fn channels(&self) -> Vec<PayChannel> {
        let has_bills = |channel: &PayChannel| self.gateways.of(*channel).is_some();
        [PayChannel::Wechat, PayChannel::Alipay].into_iter().filter(has_bills).collect()
    }

    /// The latest day that is over.
    #[must_use]
    pub fn yesterday(&self) -> BillDay {
        BillDay::of(self.clock.now_ms()).previous()
    }

    /// Has a day compared as soon as a node is free, also one that was; how its run stands.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ask(&self, channel: PayChannel, day: BillDay) -> Result<BillRun, StoreError> {
        let run = bill_runs::ask(&self.db, channel, day, self.clock.now_ms()).await?;
        self.bell.notify_one();
        Ok(run)
    }

    /// Compares a day now, under the lease of its run; `None` if somebody else is at it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn compare_now(
        &self,
        channel: PayChannel,
        day: BillDay,
    ) -> Result<Option<(BillRun, Ending)>, StoreError> {
        let now_ms = self.clock.now_ms();
        // a node takes it up only if this process dies
        bill_runs::ensure(&self.db, channel, day, now_ms.saturating_add(self.lease_ms())).await?;
        let claimed = bill_runs::claim(&self.db, &bill_runs::id(channel, day), now_ms, self.lease()).await?;
        match claimed {
            Some(run) => {
                let ending = self.attend(&run).await?;
                Ok(Some((run, ending)))
            }
            None => Ok(None),
        }
    }

    pub(super) const fn lease_ms(&self) -> i64 {
        (self.terms.bill_timeout_ms as i64).saturating_add(LEASE_MARGIN_MS)
    }

    pub(super) const fn lease(&self) -> Lease {
        Lease { slot: self.terms.slot, ms: self.lease_ms() }
    }

    /// Does a run that the caller has the lease of, and gives the lease back.
    pub(super) async fn attend(&self, run: &BillRun) -> Result<Ending, StoreError> {
        let channel = bill_runs::channel_name(run.channel);
        let outcome = match self.look(run.channel, run.day, Some(run)).await {
            Ok(findings) => self.act_on(run, &findings).await,
            Err(error) => Err(error),
        };
        let ending = match outcome {
            Ok(ending) => ending,
            Err(LookError::NotYet(why)) => {
                tracing::info!(run = run.id, %why, "no bill so far, asked for again later");
                let due_at_ms = self.again_at_ms(run, NO_BILL_PAUSE_MS);
                Ending::Waiting { why: why.to_string(), due_at_ms }
            }
            Err(error) => {
                tracing::error!(run = run.id, %error, attempts = run.attempts, "bill not compared, tried again later");
                metrics::counter!("rushmall_reconciliation_failures_total", "channel" => channel).increment(1);
                let pause_ms = FAILED_PAUSE_FIRST_MS << (run.attempts.saturating_sub(1)).min(10);
                let due_at_ms = self.again_at_ms(run, pause_ms.min(FAILED_PAUSE_MAX_MS));
                Ending::Failed { why: error.to_string(), due_at_ms }
            }
        };
        let now_ms = self.clock.now_ms();
        if !bill_runs::conclude(&self.db, run, &ending, now_ms).await? {
            tracing::warn!(run = run.id, "another node has taken the run over");
        } else if matches!(ending, Ending::Done { .. }) {
            self.report(run).await;
        }
        Ok(ending)
    }

    /// Never, for a day that is too old to be tried by itself: then only when somebody asks.
    fn again_at_ms(&self, run: &BillRun, pause_ms: i64) -> i64 {
        let now_ms = self.clock.now_ms();
        let days_max = i64::try_from(self.terms.days_max).unwrap_or(i64::MAX);
        let last_ms = run.day.ends_ms().saturating_add(days_max.saturating_add(1).saturating_mul(DAY_MS));
        let again_at_ms = now_ms.saturating_add(pause_ms);
        if again_at_ms > last_ms { NEVER_MS } else { again_at_ms }
    }

    async fn act_on(&self, run: &BillRun, findings: &Findings) -> Result<Ending, LookError> {
        failpoint::reach("reconcile.found.before");
        let now_ms = self.clock.now_ms();
        for difference in &findings.differences {
            metrics::counter!("rushmall_reconciliation_differences_total", "kind" => difference.kind.name())
                .increment(1);
        }
        bill_differences::found(&self.db, (&run.id, run.attempts), &findings.differences, now_ms).await?;
        let settled = bill_differences::settle_unseen(&self.db, &run.id, run.attempts, now_ms).await?;
        failpoint::reach("reconcile.found.after");
        self.tell_orders(run).await?;
        let left = bill_differences::open_of(&self.db, &run.id, None, 1).await?;
        let again_at_ms = left.first().map(|_| self.again_at_ms(run, OPEN_PAUSE_MS));
        let Findings { lines, unknown, expected, differences } = findings;
        let differences = differences.len();
        tracing::info!(run = run.id, lines, expected, unknown, differences, settled, "bill compared");
        Ok(Ending::Done { lines: *lines, unknown: *unknown, again_at_ms })
    }

    /// Tells orders what differs, differences of earlier attempts included.
    async fn tell_orders(&self, run: &BillRun) -> Result<(), LookError> {
        let mut after = None;
        loop {
            let open = bill_differences::open_of(&self.db, &run.id, after.as_ref(), ROWS_MAX).await?;
            let Some(last) = open.last() else { return Ok(()) };
            after = Some(last.difference.clone());
            self.hold(Some(run)).await?;
            let told: Vec<Result<(), StoreError>> =
                stream::iter(&open).map(|stored| self.tell(stored)).buffer_unordered(CONCURRENCY).collect().await;
            told.into_iter().collect::<Result<(), StoreError>>()?;
        }
    }

    async fn tell(&self, stored: &StoredDifference) -> Result<(), StoreError> {
        failpoint::reach("reconcile.tell.before");
        let (state, note) = match stored.difference.remedy() {
            Remedy::Note => (DifferenceState::Noted, String::new()),
            Remedy::Tell(order_no, command) => match self.drive(order_no, command.clone()).await {
                Ok(order) if has_recorded(&order, &command) => (after(&order), String::new()),
                Ok(_) | Err(NotTold::Unknown) => self.review(order_no).await,
                Err(NotTold::Later(why)) => (DifferenceState::Open, why),
            },
        };
        failpoint::reach("reconcile.tell.after");
        let difference = &stored.difference;
        tracing::warn!(
            run = stored.run_id,
            kind = difference.kind.name(),
            number = difference.number,
            state = state.name(),
            note,
            "bill and books differ"
        );
        bill_differences::became(&self.db, stored, state, &note, self.clock.now_ms()).await
    }

    async fn review(&self, order_no: OrderNo) -> (DifferenceState, String) {
        let command = Command::RequestReview { reason: ReviewReason::BillDiffers };
        match self.drive(order_no, command).await {
            Ok(_) => (DifferenceState::InReview, String::new()),
            Err(NotTold::Unknown) => (DifferenceState::Open, "the order does not take it".to_owned()),
            Err(NotTold::Later(why)) => (DifferenceState::Open, why),
        }
    }

    async fn drive(&self, order_no: OrderNo, command: Command) -> Result<Order, NotTold> {
        let drive = DriveOrder { party: Party::Shop, command };
        match self.orders.ask(&order_no, drive, ASK_TIMEOUT).await {
            Ok(Ok(order)) => Ok(order),
            Ok(Err(SagaRejection::Rule(Rejection::Unknown))) => Err(NotTold::Unknown),
            Ok(Err(error)) => Err(NotTold::Later(error.to_string())),
            Err(error) => Err(NotTold::Later(error.to_string())),
        }
    }

    /// A report that cannot be written is no reason to compare again: the rows are in the database.
    async fn report(&self, run: &BillRun) {
        if let Err(error) = report::write_all(&self.db, &self.reports_dir, &run.id).await {
            tracing::error!(run = run.id, %error, "report of a reconciliation not written");
        }
    }
}

/// Why an order has not heard of a difference.
enum NotTold {
    /// It has no such payment or refund.
    Unknown,
    /// It does not exist, or cannot be reached.
    Later(String),
}

/// True if the order's books say now what the command said.
fn has_recorded(order: &Order, command: &Command) -> bool {
    match command {
        Command::ConfirmPayment { attempt, amount, .. } => order
            .attempts
            .iter()
            .any(|known| known.number == *attempt && known.state == AttemptState::Captured(*amount)),
        Command::ReportRefund { refund, state, .. } => {
            order.refunds.iter().any(|known| known.number == *refund && known.state == *state)
        }
        Command::RequestReview { .. } => order.review.is_some(),
        _ => false,
    }
}

/// A payment of another amount is recorded, sent back, and looked at by a human.
const fn after(order: &Order) -> DifferenceState {
    if order.review.is_some() { DifferenceState::InReview } else { DifferenceState::Repaired }
}
