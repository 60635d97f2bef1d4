//! The heartbeat of one directory: finds actors that are stuck, idle or done, on a thread no actor can block.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::actor::KitActor;
use super::directory::Shared;
use super::events::ActorEventKind;
use super::gate::Phase;
use super::slot::Slot;
use super::supervision::Cause;
use super::vitals::{ActorState, uptime_us};

/// Between two looks at the directory, at the most and at the least.
const TICK_MAX: Duration = Duration::from_millis(250);
const TICK_MIN: Duration = Duration::from_millis(5);

/// Looks after a directory until it is dropped.
pub(super) async fn watch<A: KitActor>(directory: Weak<Shared<A>>) {
    while let Some(shared) = directory.upgrade() {
        let limits = &shared.limits;
        let soonest = limits.idle_after.min(limits.heartbeat_report_after).min(limits.heartbeat_replace_after);
        let tick = (soonest / 4).clamp(TICK_MIN, TICK_MAX);
        look_around(&shared);
        drop(shared);
        tokio::time::sleep(tick).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge of at most some hundred thousand")]
fn look_around<A: KitActor>(shared: &Shared<A>) {
    let now_us = uptime_us();
    let idle_after_us = micros(shared.limits.idle_after);
    let (mut live, mut quarantined) = (0_usize, 0_usize);
    let (mut by_state, mut held) = ([0_u32; ActorState::ALL.len()], 0_u32);
    let mut to_check = Vec::new();
    for slot in &shared.slots {
        let state = slot.vitals.state();
        let (queued, in_flight) = slot.vitals.load();
        held += queued + in_flight;
        if let Some(count) = by_state.get_mut(state as usize) {
            *count += 1;
        }
        match state {
            ActorState::Quarantined => quarantined += 1,
            ActorState::Stopped => {}
            _ => live += 1,
        }
        let is_idle = now_us.saturating_sub(slot.vitals.last_used_us()) > idle_after_us;
        let is_calm = matches!(state, ActorState::Running | ActorState::Paused) && slot.vitals.load() == (0, 0);
        if !is_calm || (is_idle && state == ActorState::Running) {
            to_check.push(Arc::clone(&slot));
        }
    }
    metrics::gauge!("rushmall_actor_live", "kind" => A::KIND).set(live as f64);
    metrics::gauge!("rushmall_actor_quarantined", "kind" => A::KIND).set(quarantined as f64);
    metrics::gauge!("rushmall_actor_messages_held", "kind" => A::KIND).set(held);
    for (state, count) in ActorState::ALL.into_iter().zip(by_state) {
        metrics::gauge!("rushmall_actors", "kind" => A::KIND, "state" => state.word()).set(count);
    }
    for slot in to_check {
        check(shared, &slot, now_us);
    }
}

fn check<A: KitActor>(shared: &Shared<A>, slot: &Arc<Slot<A>>, now_us: u64) {
    let (stuck_us, incarnation, is_to_report, is_draining, is_idle, blame) = {
        let mut gate = slot.gate();
        slot.sweep(&mut gate, now_us);
        let stuck_us = gate.stuck_us(now_us);
        let is_to_report = stuck_us > micros(shared.limits.heartbeat_report_after) && !gate.reported;
        gate.reported |= is_to_report;
        // Not on a message and not loading: it would go on if its arbiter let it.
        let is_to_blame = gate.phase == Phase::Starting || gate.handling.is_some();
        let is_idle =
            gate.is_idle() && now_us.saturating_sub(slot.vitals.last_used_us()) > micros(shared.limits.idle_after);
        (stuck_us, gate.incarnation, is_to_report, gate.draining, is_idle, is_to_blame)
    };
    let (kind, key, busy_ms) = (A::KIND, &slot.key, stuck_us / 1_000);
    if is_to_report {
        metrics::counter!("rushmall_actor_busy_total", "kind" => kind).increment(1);
        tracing::warn!(kind, %key, incarnation, busy_ms, "actor is busy for too long");
        shared.host.tell(kind, key.to_string(), ActorEventKind::Busy, format!("busy for {busy_ms} ms"));
    }
    if stuck_us > micros(shared.limits.heartbeat_replace_after) {
        let time = Duration::from_micros(stuck_us);
        let cause = if blame { Cause::Stuck(time) } else { Cause::ArbiterBlocked(time) };
        if let Some(rebirth) = slot.mourn(incarnation, cause) {
            rebirth.schedule();
        }
    } else if is_draining {
        slot.is_drained();
    } else if is_idle {
        slot.request_leave();
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
