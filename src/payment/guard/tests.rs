//! The breaker trips, pauses and tries again; refunds keep the gateways' limit under any interleaving.

use proptest::prelude::*;

use super::*;

const TERMS: Terms = Terms { gateway: "test", failures_max: 3, pause_ms: 10_000, in_flight_max: 8 };

fn guard() -> (Clock, Guard) {
    let clock = Clock::default();
    (clock.clone(), Guard::new(clock, TERMS))
}

fn fail(guard: &Guard) {
    guard.admit(Call::Other).unwrap().end(Verdict::Failed);
}

fn wait_ms(guard: &Guard, call: Call) -> u64 {
    match guard.admit(call) {
        Err(PaymentError::HeldBack { retry_after_ms }) => retry_after_ms,
        other => panic!("{other:?}"),
    }
}

#[test]
fn failures_in_a_row_trip_it_and_one_success_between_them_does_not() {
    let (_, guard) = guard();
    fail(&guard);
    fail(&guard);
    guard.admit(Call::Other).unwrap().end(Verdict::Declined);
    fail(&guard);
    fail(&guard);
    assert!(!guard.is_tripped());
    fail(&guard);
    assert!(guard.is_tripped());
    assert!((9_000..=10_000).contains(&wait_ms(&guard, Call::Other)));
}

#[test]
fn after_the_pause_one_call_tries_for_all() {
    let (clock, guard) = guard();
    (0..3).for_each(|_| fail(&guard));
    clock.travel(10_001);
    let trial = guard.admit(Call::Other).unwrap();
    assert!(guard.admit(Call::Other).is_err(), "only one tries");
    trial.end(Verdict::Failed);
    assert!(wait_ms(&guard, Call::Other) > 9_000, "a failed trial pauses again");
    clock.travel(10_001);
    drop(guard.admit(Call::Other).unwrap());
    let trial = guard.admit(Call::Other).expect("a trial that was given up leaves its place");
    trial.end(Verdict::Answered);
    assert!(!guard.is_tripped());
    assert!(guard.admit(Call::Other).is_ok());
}

#[test]
fn wrong_settings_trip_it_at_once() {
    let (_, guard) = guard();
    guard.admit(Call::Other).unwrap().end(Verdict::Misconfigured);
    assert!(guard.is_tripped());
}

#[test]
fn an_answer_from_before_the_trip_does_not_open_it() {
    let (_, guard) = guard();
    let early = guard.admit(Call::Other).unwrap();
    (0..3).for_each(|_| fail(&guard));
    early.end(Verdict::Answered);
    assert!(guard.is_tripped());
}

#[test]
fn a_clock_that_is_set_back_does_not_lengthen_the_pause() {
    let (clock, guard) = guard();
    (0..3).for_each(|_| fail(&guard));
    clock.travel(-3_600_000);
    guard.admit(Call::Other).unwrap().end(Verdict::Answered);
    assert!(!guard.is_tripped());
}

#[test]
fn calls_in_flight_are_bounded_and_dropped_ones_leave_their_place() {
    let (_, guard) = guard();
    let permits: Vec<_> = (0..8).map(|_| guard.admit(Call::Other).unwrap()).collect();
    assert!(guard.admit(Call::Other).is_err());
    drop(permits);
    assert!(guard.admit(Call::Other).is_ok());
}

#[test]
fn the_seventh_failing_refund_of_a_second_waits_and_successes_do_not_count() {
    let (clock, guard) = guard();
    for _ in 0..20 {
        guard.admit(Call::Refund).unwrap().end(Verdict::Answered);
    }
    for _ in 0..6 {
        guard.admit(Call::Refund).unwrap().end(Verdict::Declined);
    }
    assert!((1..=1_000).contains(&wait_ms(&guard, Call::Refund)));
    assert!(guard.admit(Call::Other).is_ok(), "other calls go on");
    clock.travel(1_001);
    for _ in 0..6 {
        drop(guard.admit(Call::Refund).unwrap());
    }
    assert!(guard.admit(Call::Refund).is_err(), "those that were given up may have failed");
}

proptest! {
    /// Steps: begin a refund, end the oldest (well or badly), let time pass.
    #[test]
    fn no_second_ever_sees_seven_failing_refunds(steps in proptest::collection::vec((0..4_u8, 0..400_i64), 0..200)) {
        let clock = Clock::default();
        let guard = Guard::new(clock.clone(), Terms { gateway: "test", failures_max: u32::MAX, pause_ms: 1, in_flight_max: 100 });
        let mut open = VecDeque::new();
        let mut failed_ms: Vec<(i64, i64)> = Vec::new(); // the clock runs: no sooner than, no later than
        for (step, ms) in steps {
            match step {
                0 => open.extend(guard.admit(Call::Refund).ok()),
                1 => if let Some(permit) = open.pop_front() { permit.end(Verdict::Answered) },
                2 => if let Some(permit) = open.pop_front() {
                    let before_ms = clock.now_ms();
                    permit.end(Verdict::Declined);
                    failed_ms.push((before_ms, clock.now_ms()));
                },
                _ => clock.travel(ms),
            }
        }
        for window in failed_ms.windows(FAILING_REFUNDS_PER_SECOND + 1) {
            prop_assert!(window[FAILING_REFUNDS_PER_SECOND].1 - window[0].0 >= SECOND_MS, "{window:?}");
        }
    }
}
