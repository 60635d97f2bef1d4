//! The bound on how many actors of a kind are in memory: the longest idle ones make room for new ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::actor::{AskError, KitActor};
use super::directory::Shared;
use super::slot::Slot;
use super::vitals::{ActorState, uptime_us};

/// How often an ask looks for room before it gives up.
const ATTEMPTS_MAX: u32 = 3;
/// How long an actor that was asked to leave may take.
const LEAVING_MAX: Duration = Duration::from_millis(50);
/// After a search in vain nobody searches for this long: a search walks the whole directory.
const NO_ROOM_FOR_US: u64 = 20_000;
/// One search frees this part of `live_max` (at least 8), so that a full directory is not walked for each newcomer.
const PART_FREED: usize = 64;

impl<A: KitActor> Shared<A> {
    /// Takes one of the `live_max` places.
    pub async fn reserve_room(&self) -> Result<(), AskError> {
        const FULL: AskError = AskError::Busy { retry_after_ms: 100 };
        for _ in 0..ATTEMPTS_MAX {
            if self.try_reserve() {
                return Ok(());
            }
            let _one_searches = self.making_room.lock().await;
            if self.try_reserve() {
                return Ok(());
            }
            if uptime_us() < self.full_until_us.load(Ordering::Relaxed) {
                return Err(FULL);
            }
            let someone_left = self.left.notified();
            let mut someone_left = std::pin::pin!(someone_left);
            someone_left.as_mut().enable();
            let idle = self.longest_idle();
            if idle.is_empty() {
                self.full_until_us.store(uptime_us() + NO_ROOM_FOR_US, Ordering::Relaxed);
                return Err(FULL);
            }
            for slot in idle {
                slot.request_leave();
            }
            // Whether in time or not, the next attempt tells.
            let _ = tokio::time::timeout(LEAVING_MAX, someone_left).await;
        }
        Err(FULL)
    }

    fn try_reserve(&self) -> bool {
        let live_max = self.limits.live_max;
        self.live
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |live| (live < live_max).then_some(live + 1))
            .is_ok()
    }

    fn longest_idle(&self) -> Vec<Arc<Slot<A>>> {
        let mut idle: Vec<(u64, Arc<Slot<A>>)> = self
            .slots
            .iter()
            .filter(|slot| slot.vitals.state() == ActorState::Running && slot.vitals.load() == (0, 0))
            .map(|slot| (slot.vitals.last_used_us(), Arc::clone(&slot)))
            .collect();
        let freed = (self.limits.live_max / PART_FREED).clamp(1, 1_024);
        idle.sort_unstable_by_key(|(last_used_us, _)| *last_used_us);
        idle.truncate(freed);
        idle.into_iter().map(|(_, slot)| slot).collect()
    }
}
