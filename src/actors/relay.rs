//! Carries committed events from the outbox to the feed, in commit order, at least once.
//!
//! A commit rings the bell; the relay reads what is there, hands it on, then removes it. A crash between the two hands
//! it on again: receivers drop what is not newer than what they have (order number and version).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::announcer::Announcer;
use super::background::Stop;
use super::feed::Feed;
use crate::persistence::{Db, StoreError, outbox};

/// Rows read at once; a row holds the events of one commit.
const ROWS_MAX: u64 = 64;
/// Looks without a ring, for rows that another process or an earlier life left.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Tells the relay that something was committed; clones ring the same bell.
#[derive(Clone, Debug, Default)]
pub struct RelayBell(Arc<Notify>);

impl RelayBell {
    /// Something was committed.
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

/// Carries rows until `stop`; what is left then is carried at the next start.
///
/// # Errors
/// [`StoreError`] if the outbox cannot be read; the supervisor starts it again.
pub async fn run(
    db: Db,
    bell: RelayBell,
    feed: Feed,
    announcer: Option<Announcer>,
    mut stop: Stop,
) -> Result<(), StoreError> {
    while !stop.is_set() {
        if !carry(&db, &feed, announcer.as_ref()).await? {
            tokio::select! {
                () = bell.0.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.wait() => {}
            }
        }
    }
    while carry(&db, &feed, announcer.as_ref()).await? {} // what the last requests committed
    Ok(())
}

/// False if nothing was there, or other systems could not be told: then the rows stay and are carried again.
async fn carry(db: &Db, feed: &Feed, announcer: Option<&Announcer>) -> Result<bool, StoreError> {
    let rows = outbox::oldest(db, ROWS_MAX).await?;
    if rows.is_empty() {
        return Ok(false);
    }
    for row in &rows {
        feed.publish(row).await;
    }
    if let Some(announcer) = announcer
        && let Err(error) = announcer.announce(&rows).await
    {
        tracing::warn!(commits = rows.len(), %error, "other systems not told, trying again");
        return Ok(false);
    }
    let carried: Vec<i64> = rows.iter().map(|row| row.commit_no).collect();
    outbox::remove(db, &carried).await?;
    Ok(true)
}
