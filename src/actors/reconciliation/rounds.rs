//! When a day is compared: once, after its bill can be there; after a downtime the days that were missed, oldest first.
//!
//! Any node may do it; the lease of the run keeps two from doing the same at once, and ends when its node dies.

use std::time::Duration;

use super::clerk::Clerk;
use crate::actors::background::Stop;
use crate::domain::order::PayChannel;
use crate::domain::reconciliation::BillDay;
use crate::persistence::bill_differences::{self, DifferenceState};
use crate::persistence::bill_runs::{self, Ending};
use crate::persistence::{StoreError, bill_runs::BillRun};

/// How often is looked for what is due when nobody rings.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Clerk {
    /// Compares what is due until `stop`; returns at once in a shop without gateways.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be asked; the supervisor starts it again.
    pub async fn run(self, mut stop: Stop) -> Result<(), StoreError> {
        if self.channels().is_empty() {
            return Ok(());
        }
        let mut planned = None;
        while !stop.is_set() {
            let last = self.last_due();
            if planned != Some(last) {
                self.plan(last).await?;
                planned = Some(last);
            }
            bill_differences::clear_reviewed(&self.db, self.clock.now_ms()).await?;
            match bill_runs::claim_due(&self.db, self.clock.now_ms(), self.lease()).await? {
                Some(run) => self.attend_until(&run, &mut stop).await?,
                None => {
                    tokio::select! {
                        () = self.bell.notified() => {}
                        () = stop.sleep(LOOK_EVERY) => {}
                    }
                }
            }
            self.tell_figures().await?;
        }
        Ok(())
    }

    /// A run takes minutes; a node that stops leaves it to the others, or to its next start.
    async fn attend_until(&self, run: &BillRun, stop: &mut Stop) -> Result<(), StoreError> {
        tokio::select! {
            outcome = self.attend(run) => return outcome.map(|_| ()),
            () = stop.wait() => {}
        }
        let now_ms = self.clock.now_ms();
        let ending = Ending::Waiting { why: "the node stopped".to_owned(), due_at_ms: now_ms };
        bill_runs::conclude(&self.db, run, &ending, now_ms).await.map(|_| ())
    }

    /// The latest day whose bill can be there.
    fn last_due(&self) -> BillDay {
        let now_ms = self.clock.now_ms();
        let today = BillDay::of(now_ms);
        if self.terms.at.on(today) <= now_ms { today.previous() } else { today.earlier(2) }
    }

    /// Makes the runs up to that day: from the first that was ever compared, but no longer ago than is caught up.
    async fn plan(&self, last: BillDay) -> Result<(), StoreError> {
        let earliest = last.next().earlier(self.terms.days_max);
        for channel in self.channels() {
            let first = bill_runs::first_day(&self.db, channel).await?;
            let mut day = first.map_or(last, |first| first.max(earliest));
            while day <= last {
                self.plan_day(channel, day).await?;
                day = day.next();
            }
        }
        Ok(())
    }

    async fn plan_day(&self, channel: PayChannel, day: BillDay) -> Result<(), StoreError> {
        bill_runs::ensure(&self.db, channel, day, self.terms.at.on(day.next())).await
    }

    /// From the database, so that every node tells what any node did, also in an earlier life.
    async fn tell_figures(&self) -> Result<(), StoreError> {
        for channel in self.channels() {
            let last_ms = bill_runs::last_finished_ms(&self.db, channel).await?.unwrap_or(0);
            let channel = bill_runs::channel_name(channel);
            metrics::gauge!("rushmall_reconciliation_last_run_seconds", "channel" => channel)
                .set((last_ms / 1_000) as f64);
        }
        for state in [DifferenceState::Open, DifferenceState::InReview] {
            let count = bill_differences::open_total(&self.db, state).await?;
            metrics::gauge!("rushmall_reconciliation_open_differences", "state" => state.name()).set(count as f64);
        }
        Ok(())
    }
}
