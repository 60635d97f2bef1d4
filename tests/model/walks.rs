//! Random runs through everything at once: more attempts, wishes and moods of the gateway than the checker can hold in one
//! graph. Each run is then drained: what is owed is done, what was said is heard, time passes, in any order.

use proptest::prelude::*;

use crate::world::{Purchase, World};
use crate::{Model, Rule, Shop, Step};

/// Steps of a run; then it is drained.
const STEPS_MAX: usize = 160;
/// Everything grows, so draining ends; this is far beyond.
const DRAIN_MAX: usize = 4_000;

const EVERYTHING: Shop = Shop {
    rule: Rule::Sound,
    attempts_max: 4,
    has_rival: true,
    buyer_cancels: true,
    buyer_wants_refund: true,
    refunds_are_parts: true,
    buyer_changes_channel: true,
    shop_ships: true,
    codes_are_lazy: true,
    amounts_differ: true,
    refunds_fail: true,
};

/// The step that `choice` means among those that change something.
fn step(shop: Shop, world: &World, steps: Vec<Step>, choice: u16) -> Option<World> {
    let mut next: Vec<World> = steps.into_iter().filter_map(|step| shop.next_state(world, step)).collect();
    if next.is_empty() { None } else { Some(next.swap_remove(usize::from(choice) % next.len())) }
}

fn check(shop: Shop, world: &World) -> Result<(), TestCaseError> {
    for property in shop.properties() {
        let holds = (property.condition)(&shop, world);
        prop_assert!(holds || property.expectation != stateright::Expectation::Always, "{}: {world:?}", property.name);
    }
    Ok(())
}

/// Runs and drains; the world at the end.
fn run(shop: Shop, choices: &[u16], draining: &[u16]) -> Result<World, TestCaseError> {
    let mut world = shop.init_states().remove(0);
    for choice in choices {
        let mut steps = Vec::new();
        shop.actions(&world, &mut steps);
        let Some(next) = step(shop, &world, steps, *choice) else { break };
        world = next;
        check(shop, &world)?;
    }
    for choice in draining.iter().cycle().take(DRAIN_MAX) {
        let mut steps = Vec::new();
        shop.obligations(&world, &mut steps);
        let Some(next) = step(shop, &world, steps, *choice) else {
            prop_assert!(world.purchases.iter().all(Purchase::has_ended), "drained, and not at its end: {world:?}");
            return Ok(world);
        };
        world = next;
        check(shop, &world)?;
    }
    Err(TestCaseError::fail(format!("never at rest: {world:?}")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn every_run_that_is_drained_ends(
        choices in prop::collection::vec(any::<u16>(), 0..STEPS_MAX),
        draining in prop::collection::vec(any::<u16>(), 1..40),
    ) {
        run(EVERYTHING, &choices, &draining)?;
    }
}

/// The runs come far: among a thousand are paid twice, refunded in part, stopped, late.
#[test]
fn the_runs_reach_what_they_are_for() {
    let mut seen = [0; 4];
    for seed in 0_u32..1_000 {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let mut dice = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 8) as u16
        };
        let choices: Vec<u16> = (0..STEPS_MAX).map(|_| dice()).collect();
        let world = run(EVERYTHING, &choices, &[7, 3, 11, 2, 5]).expect("a sound run");
        let order = &world.purchases[0].stored;
        seen[0] += usize::from(order.captured() > crate::world::TOTAL);
        seen[1] += usize::from(order.refunds.iter().any(|refund| refund.amount == crate::world::PART));
        seen[2] += usize::from(order.attempts.iter().any(|attempt| attempt.is_closing));
        seen[3] += usize::from(order.was_cancelled() && order.captured().is_positive());
    }
    println!(
        "model: of 1000 runs paid twice {}, refunded in part {}, stopped {}, paid late {}",
        seen[0], seen[1], seen[2], seen[3]
    );
    assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
}
