//! Keeps the transparency log of payments and refunds: turns what commits owe it into leaves, and signs heads.
//!
//! Every node runs it, beside the purchase and never in its way: what is owed waits in the database. Two nodes at the same
//! leaf meet in its primary key, and one of them looks again. A log that was cut off or rewritten is not continued: that is
//! said in the server's log at every try, and `rushmall audit verify` tells what differs.

use std::time::Duration;

use super::background::Stop;
use crate::clock::Clock;
use crate::persistence::money_log::{self, Signed};
use crate::persistence::{Db, StoreError};
use crate::transparency::HeadSigner;

/// Leaves appended in one transaction.
const BATCH: u64 = 256;
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between two pages of payments that may lack a leaf: there is no hurry.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(20);

/// What the loops need.
#[derive(Clone, Debug)]
pub struct Notary {
    /// The journal and the log.
    pub db: Db,
    /// Time.
    pub clock: Clock,
    /// Signs heads.
    pub signer: HeadSigner,
    /// A head at most so often.
    pub head_every_ms: i64,
}

impl Notary {
    /// Appends leaves and signs heads until `stop`.
    ///
    /// # Errors
    /// [`StoreError`] if the log cannot be read or written, or must not be continued; the supervisor starts it again.
    pub async fn run(self, mut stop: Stop) -> Result<(), StoreError> {
        let mut is_told = false;
        while !stop.is_set() {
            let appended = money_log::append(&self.db, self.clock.now_ms(), BATCH).await?;
            match money_log::sign_head(&self.db, &self.signer, self.head_every_ms, self.clock.now_ms()).await? {
                Signed::New(head) => tracing::debug!(tree_size = head.tree_size, "head of the money log signed"),
                Signed::NotYet => {}
                Signed::OtherKey(error) if !is_told => {
                    is_told = true; // the log goes on; only this node signs nothing
                    tracing::error!(%error, "no heads are signed here: the latest one is by another key (audit.key_file, audit.origin)");
                }
                Signed::OtherKey(_) => {}
            }
            if (appended as u64) < BATCH {
                stop.sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Looks once through all payments for facts that no commit has owed to the log.
    ///
    /// # Errors
    /// [`StoreError`]; the supervisor starts it again.
    pub async fn catch_up(self, mut stop: Stop) -> Result<(), StoreError> {
        let mut after = String::new();
        while !stop.is_set() {
            let Some(last) = money_log::catch_up(&self.db, &after).await? else { return Ok(()) };
            after = last;
            stop.sleep(CATCH_UP_PAUSE).await;
        }
        Ok(())
    }
}
