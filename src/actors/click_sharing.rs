//! Tells the other nodes, through Redis, how often each user has clicked here, and closes the buckets of those who
//! click too often over all nodes. See [`SharedClicks`] for the bound. A crash loses the clicks of one round.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::background::Stop;
use super::kit::Directory;
use super::session::{CloseBucket, SessionActor};
use crate::clock;
use crate::config::LiveLimits;
use crate::persistence::StoreError;
use crate::persistence::limits::{ClickLimit, SharedClicks};

/// Pause between two rounds.
const SHARE_EVERY: Duration = Duration::from_millis(100);
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// Shares clicks until `stop`.
///
/// # Errors
/// None: without Redis the buckets hold on their own.
pub async fn run(
    clicks: Arc<SharedClicks>,
    sessions: Directory<SessionActor>,
    limits: LiveLimits,
    mut stop: Stop,
) -> Result<(), StoreError> {
    let mut turned_at: Instant = clock::monotonic();
    while !stop.is_set() {
        stop.sleep(SHARE_EVERY).await;
        let limits = limits.now();
        clicks.counts().hold(ClickLimit::of_bucket(limits.limits.seckill_per_second, limits.limits.seckill_burst));
        let window = Duration::from_millis(clicks.counts().limit().window_ms);
        if turned_at.elapsed() >= window {
            clicks.forget_old();
            turned_at = clock::monotonic();
        }
        for overdrawn in clicks.share().await {
            metrics::counter!("rushmall_buckets_closed_total").increment(1);
            // Who has no actor here any more cannot click here without a new, full bucket: he is told next time.
            if sessions.is_live(&overdrawn.buyer) {
                let closing = CloseBucket { for_ms: overdrawn.for_ms };
                if let Err(error) = sessions.ask(&overdrawn.buyer, closing, ASK_TIMEOUT).await {
                    tracing::debug!(buyer = %overdrawn.buyer, %error, "bucket not closed");
                }
            }
        }
    }
    Ok(())
}
