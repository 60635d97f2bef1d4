//! Whatever commands come in whatever order, at whatever time: what must hold after each of them.

use proptest::prelude::*;

use super::fixture::{DEADLINE_MS, PLACED_AT_MS, Saga, TOTAL, closed, paid, placed_event, start};
use crate::domain::money::Money;
use crate::domain::order::{
    AttemptState, CancelReason, ChargeTerms, Command, Effect, Event, Order, OrderStatus as S, PayChannel, Refund,
    RefundAsker, RefundPurpose, RefundState, ReviewReason, UnitsState, apply, decide, owed_effects, replay,
};

/// The units of one product: where an order's units are decides which count they are in.
#[derive(Clone, Copy, Debug, Default)]
struct Units {
    free: i64,
    held: i64,
    sold: i64,
}

impl Units {
    fn count(&mut self, state: UnitsState) -> &mut i64 {
        match state {
            UnitsState::Held => &mut self.held,
            UnitsState::Sold => &mut self.sold,
            UnitsState::Returned => &mut self.free,
        }
    }
}

fn channel() -> impl Strategy<Value = PayChannel> {
    prop_oneof![Just(PayChannel::Alipay), Just(PayChannel::Wechat), Just(PayChannel::Simulated)]
}

fn amount() -> impl Strategy<Value = Money> {
    prop_oneof![12 => Just(TOTAL.fen()), 1 => -10..TOTAL.fen() * 2].prop_map(Money::from_fen)
}

fn refund_state() -> impl Strategy<Value = RefundState> {
    prop_oneof![
        1 => Just(RefundState::Processing),
        1 => Just(RefundState::Abnormal),
        1 => Just(RefundState::Closed),
        4 => Just(RefundState::Succeeded),
    ]
}

fn cancel_reason() -> impl Strategy<Value = CancelReason> {
    prop_oneof![Just(CancelReason::Buyer), Just(CancelReason::Administrator), Just(CancelReason::PayDeadline)]
}

fn command() -> impl Strategy<Value = Command> {
    let transaction_id = || "tx".to_owned();
    prop_oneof![
        6 => channel().prop_map(|channel| Command::StartPayment { channel, terms: ChargeTerms::default() }),
        1 => channel().prop_map(move |channel| Command::PayAtOnce { channel, transaction_id: transaction_id() }),
        6 => (1..4_u16, amount()).prop_map(move |(attempt, amount)| {
            Command::ConfirmPayment { attempt, amount, transaction_id: transaction_id() }
        }),
        6 => (1..4_u16).prop_map(|attempt| Command::ConfirmAttemptClosed { attempt }),
        3 => Just(Command::ExpirePayment),
        2 => cancel_reason().prop_map(|reason| Command::Cancel { reason }),
        3 => Just(Command::ConfirmStockRetaken),
        2 => Just(Command::ConfirmStockGone),
        2 => Just(Command::Ship { carrier: "SF".to_owned(), tracking_no: "1".to_owned() }),
        1 => Just(Command::ConfirmReceipt),
        1 => Just(Command::AutoComplete { after_ms: 1_000 }),
        4 => prop_oneof![Just(TOTAL.fen()), -1..TOTAL.fen()].prop_map(|fen| {
            Command::RequestRefund { by: RefundAsker::Administrator, amount: Money::from_fen(fen), reason: String::new(), request: String::new() }
        }),
        2 => (1..5_u16).prop_map(|refund| Command::RetryRefund { refund }),
        6 => (1..5_u16, refund_state()).prop_map(|(refund, state)| Command::ReportRefund { refund, state, gateway_no: String::new() }),
        1 => Just(Command::RequestReview { reason: ReviewReason::EffectExhausted }),
        1 => Just(Command::ClearReview { note: String::new() }),
    ]
}

/// The first steps towards a late payment whose units are gone: too long a way to be found by chance.
fn prelude() -> impl Strategy<Value = Vec<(i64, Command)>> {
    let way = [
        (0, start(PayChannel::Alipay)),
        (DEADLINE_MS - PLACED_AT_MS, Command::ExpirePayment),
        (0, closed(1)),
        (0, paid(1)),
        (0, Command::ConfirmStockGone),
    ];
    (0..=way.len()).prop_map(move |steps| way[..steps].to_vec())
}

/// A step of time before each command, so that the deadline falls anywhere.
fn script() -> impl Strategy<Value = Vec<(i64, Command)>> {
    let rest = prop::collection::vec(((0..(DEADLINE_MS - PLACED_AT_MS) / 8), command()), 1..40);
    (prelude(), rest).prop_map(|(prelude, rest)| [prelude, rest].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_commands_keep_the_order_sound(script in script()) {
        let mut order = replay([(&placed_event(), PLACED_AT_MS)]).unwrap();
        let mut journal = vec![(placed_event(), PLACED_AT_MS)];
        let mut owed = Vec::new();
        let mut units = Units { held: order.quantity.units(), ..Units::default() };
        let mut now_ms = PLACED_AT_MS;
        for (step_ms, command) in script {
            now_ms += step_ms;
            for event in decide(&order, &command, now_ms).unwrap_or_default() {
                let before = order.clone();
                apply(&mut order, &event, now_ms);
                check_step(&before, &event, &order)?;
                *units.count(before.units) -= order.quantity.units();
                *units.count(order.units) += order.quantity.units();
                owed.extend(owed_effects(&before, &event, &order).into_iter().map(|effect| (event.clone(), effect)));
                journal.push((event, now_ms));
            }
            check_money(&order)?;
            let again = decide(&order, &command, now_ms).unwrap_or_default();
            prop_assert!(again.is_empty() || is_wish(&command), "{command:?} twice: {again:?}");
        }
        prop_assert_eq!(replay(journal.iter().map(|(event, at_ms)| (event, *at_ms))), Some(order.clone()));
        prop_assert_eq!(order.version as usize, journal.len());
        prop_assert!(units.free >= 0 && units.held >= 0 && units.sold >= 0);
        prop_assert_eq!(units.free + units.held + units.sold, order.quantity.units());
        check_effects(&order, &journal, &owed)?;
    }

    #[test]
    fn nobody_waits_for_ever(script in script()) {
        // Whatever happened before: the deadline, then the gateway's answers, bring the order to its end.
        let mut saga = Saga::placed();
        for (step_ms, command) in script {
            saga.now_ms += step_ms;
            let _refused = saga.does(command);
        }
        saga.expires();
        for attempt in saga.order.attempts.clone() {
            saga.does(Command::ConfirmAttemptClosed { attempt: attempt.number }).unwrap();
        }
        saga.does(Command::ConfirmStockGone).unwrap();
        for refund in saga.order.refunds.clone() {
            saga.does(Command::ReportRefund { refund: refund.number, state: RefundState::Succeeded, gateway_no: String::new() }).unwrap();
        }
        let stuck = saga.order.status == S::Refunding;
        let seen = saga.journal.iter().any(|(event, _)| matches!(event, Event::ReviewRequested { .. }));
        prop_assert!(saga.order.is_settled() || (stuck && seen), "{:?}", saga.order);
    }
}

/// A refund may be asked for twice; everything else is a fact or a state, and a repeat of it changes nothing.
fn is_wish(command: &Command) -> bool {
    matches!(command, Command::RequestRefund { .. })
}

fn check_step(before: &Order, event: &Event, after: &Order) -> Result<(), TestCaseError> {
    prop_assert_eq!(after.version, before.version + 1);
    let kept = before.status == after.status;
    prop_assert!(kept || before.status.may_become(after.status), "{event:?}: {before:?}");
    if after.status == S::Cancelled && !kept {
        prop_assert!(after.open_attempt().is_none(), "cancelled while money may come");
        prop_assert_eq!(after.units, UnitsState::Returned);
    }
    let has_units = matches!(after.status, S::Paid | S::Shipped | S::Completed);
    prop_assert!(!has_units || after.units == UnitsState::Sold, "{event:?}: {after:?}");
    let waits = matches!(after.status, S::PendingPayment | S::Closing);
    prop_assert!(!waits || after.units == UnitsState::Held);
    for (was, is) in before.refunds.iter().zip(&after.refunds) {
        prop_assert!(is.state >= was.state);
    }
    Ok(())
}

fn check_money(order: &Order) -> Result<(), TestCaseError> {
    let left = order.captured().minus(order.refunded());
    prop_assert!(left >= Money::ZERO);
    for attempt in &order.attempts {
        let AttemptState::Captured(amount) = attempt.state else { continue };
        let promised = sum(order, |refund| refund.attempt == attempt.number && refund.state != RefundState::Closed);
        prop_assert!(promised <= amount, "attempt {} returns {promised} of {amount}", attempt.number);
    }
    let own_back = sum(order, |r| r.purpose == RefundPurpose::Order && r.state == RefundState::Succeeded);
    if matches!(order.status, S::Paid | S::Shipped | S::Completed) {
        prop_assert!(order.paid_by().is_some() && own_back < order.total);
        prop_assert!(!order.refunds.iter().any(|r| r.purpose == RefundPurpose::Order && r.is_running()));
    }
    if order.status == S::Refunded {
        prop_assert_eq!(own_back, order.total);
    }
    Ok(())
}

fn sum(order: &Order, wanted: impl Fn(&Refund) -> bool) -> Money {
    order.refunds.iter().filter(|refund| wanted(refund)).map(|refund| refund.amount).sum()
}

fn check_effects(order: &Order, journal: &[(Event, i64)], owed: &[(Event, Effect)]) -> Result<(), TestCaseError> {
    let times = |effect: &Effect| owed.iter().filter(|(_, owed)| owed == effect).count();
    let happened = |wanted: fn(&Event) -> bool| journal.iter().filter(|(event, _)| wanted(event)).count();
    for (event, _) in journal.iter().filter(|(event, _)| matches!(event, Event::ClosingStarted { .. })) {
        let closes =
            |(cause, effect): &(Event, Effect)| cause == event && matches!(effect, Effect::ClosePayment { .. });
        prop_assert!(owed.iter().any(closes));
    }
    for refund in &order.refunds {
        prop_assert_eq!(times(&Effect::SendRefund { refund: refund.number }), 1);
    }
    // Each ticket is given back at most once, and exactly once if the units are back.
    let (first, second) = (times(&Effect::ReleaseStock), times(&Effect::ReleaseRetakenStock));
    let retaken = happened(|event| matches!(event, Event::StockRetaken));
    let cancelled = happened(|event| matches!(event, Event::OrderCancelled { .. }));
    prop_assert!(first <= 1 && second <= retaken && retaken <= 1 && cancelled <= first);
    prop_assert_eq!(first + second == 1 + retaken, order.units == UnitsState::Returned);
    prop_assert_eq!(times(&Effect::RetakeStock), happened(|event| matches!(event, Event::LatePaymentRecorded { .. })));
    Ok(())
}
