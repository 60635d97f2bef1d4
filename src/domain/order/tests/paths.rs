//! The legal paths of design.md §4, and what is refused where.

use super::fixture::{
    DEADLINE_MS, PLACED_AT_MS, Saga, TOTAL, cancel, closed, paid, pay_at_once, refund, reported, ship, start,
};
use crate::domain::order::ATTEMPTS_MAX;
use crate::domain::order::{
    CancelReason, ChargeTerms, Command, CompletedBy, Effect, Event, FailReason, OrderStatus as S, PayChannel,
    RefundState, Rejection, ReviewReason, UnitsState, apply, owed_effects,
};

const DAY_MS: i64 = 86_400_000;

#[test]
fn an_order_is_paid_shipped_and_received() {
    let mut saga = Saga::shipped();
    saga.does(Command::ConfirmReceipt).unwrap();
    saga.is(S::Completed);
    assert_eq!((saga.order.units, saga.order.captured()), (UnitsState::Sold, TOTAL));
    assert!(saga.order.is_settled() && saga.owed.is_empty());
}

#[test]
fn a_simulated_payment_is_one_commit() {
    let mut saga = Saga::placed();
    assert_eq!(saga.does(pay_at_once()).unwrap().len(), 2);
    saga.is(S::Paid);
    assert_eq!(saga.does(pay_at_once()), Err(Rejection::AlreadyPaid));
}

#[test]
fn without_an_attempt_the_deadline_cancels_at_once() {
    let mut saga = Saga::placed();
    saga.expires();
    saga.is(S::Cancelled);
    assert_eq!((saga.order.units, saga.owed), (UnitsState::Returned, vec![Effect::ReleaseStock]));
}

#[test]
fn with_an_open_attempt_the_deadline_only_starts_the_closing() {
    let mut saga = Saga::closing();
    saga.is(S::Closing);
    assert_eq!((saga.order.units, &*saga.owed), (UnitsState::Held, &[Effect::ClosePayment { attempt: 1 }][..]));
    saga.does(closed(1)).unwrap();
    saga.is(S::Cancelled);
    assert_eq!(saga.order.units, UnitsState::Returned);
    assert_eq!(saga.order.cancel_reason, Some(CancelReason::PayDeadline));
    assert_eq!(saga.times_owed(&Effect::ReleaseStock), 1);
}

#[test]
fn a_timer_that_fires_early_or_late_changes_nothing() {
    let mut saga = Saga::placed();
    saga.now_ms = DEADLINE_MS - 1;
    saga.ignores(Command::ExpirePayment);
    let mut saga = Saga::paid();
    saga.now_ms = DEADLINE_MS;
    saga.ignores(Command::ExpirePayment);
}

#[test]
fn after_the_deadline_no_payment_is_started() {
    let mut saga = Saga::placed();
    saga.now_ms = DEADLINE_MS;
    assert_eq!(saga.does(start(PayChannel::Card)), Err(Rejection::DeadlinePassed));
    assert_eq!(saga.does(pay_at_once()), Err(Rejection::DeadlinePassed));
    assert_eq!(Saga::closing().does(start(PayChannel::Card)), Err(Rejection::DeadlinePassed));
}

#[test]
fn a_shipped_order_completes_by_itself_when_its_time_is_over() {
    let mut saga = Saga::shipped();
    saga.now_ms = PLACED_AT_MS + 7 * DAY_MS - 1;
    saga.ignores(Command::AutoComplete { after_ms: 7 * DAY_MS });
    saga.now_ms += 1;
    let events = saga.does(Command::AutoComplete { after_ms: 7 * DAY_MS });
    assert_eq!(events, Ok(vec![Event::OrderCompleted { by: CompletedBy::Timeout }]));
    saga.ignores(Command::AutoComplete { after_ms: 7 * DAY_MS });
    saga.ignores(Command::ConfirmReceipt);
}

#[test]
fn a_failed_order_gives_its_ticket_back() {
    let before = Saga::placed().order;
    let event = Event::OrderFailed { reason: FailReason::SoldOut };
    let mut after = before.clone();
    apply(&mut after, &event, PLACED_AT_MS);
    assert_eq!((after.status, after.units), (S::Failed, UnitsState::Returned));
    assert_eq!(owed_effects(&before, &event, &after), [Effect::ReleaseStock]);
}

#[test]
fn r21_a_payment_started_again_keeps_its_number() {
    let mut saga = Saga::paying();
    saga.ignores(start(PayChannel::Alipay));
    assert_eq!(saga.order.attempts.len(), 1);
}

#[test]
fn t26_a_second_attempt_waits_for_the_end_of_the_first() {
    let mut saga = Saga::paying();
    assert_eq!(saga.does(start(PayChannel::Wechat)), Err(Rejection::PaymentInProgress { attempt: 1 }));
    assert_eq!(saga.does(pay_at_once()), Err(Rejection::PaymentInProgress { attempt: 1 }));
    saga.does(closed(1)).unwrap();
    saga.does(start(PayChannel::Wechat)).unwrap();
    saga.does(paid(2)).unwrap();
    saga.is(S::Paid);
    assert_eq!(saga.order.paid_by().map(|attempt| attempt.number), Some(2));
}

#[test]
fn attempts_are_bounded() {
    let mut saga = Saga::placed();
    for _ in 0..ATTEMPTS_MAX {
        saga.does(start(PayChannel::Card)).unwrap();
        let latest = saga.order.attempts.last().unwrap().number;
        saga.does(closed(latest)).unwrap();
    }
    assert_eq!(saga.does(start(PayChannel::Card)), Err(Rejection::TooMany));
}

#[test]
fn wishes_are_refused_in_the_wrong_state() {
    let wrong = |status| Err(Rejection::WrongState(status));
    let delivered = || {
        let mut saga = Saga::shipped();
        saga.does(Command::ConfirmReceipt).unwrap();
        saga
    };
    let refunded = || {
        let mut saga = Saga::paid();
        saga.does(refund(TOTAL.fen())).unwrap();
        saga.does(reported(1, RefundState::Succeeded)).unwrap();
        saga
    };
    let buyer_cancels = || cancel(CancelReason::Buyer);
    for (mut saga, command, answer) in [
        (Saga::placed(), ship(), wrong(S::PendingPayment)),
        (Saga::placed(), Command::ConfirmReceipt, wrong(S::PendingPayment)),
        (Saga::placed(), refund(1), wrong(S::PendingPayment)),
        (Saga::closing(), ship(), wrong(S::Closing)),
        (Saga::closing(), refund(1), wrong(S::Closing)),
        (Saga::paid(), start(PayChannel::Card), Err(Rejection::AlreadyPaid)),
        (Saga::paid(), buyer_cancels(), Err(Rejection::AlreadyPaid)),
        (Saga::paid(), Command::ConfirmReceipt, wrong(S::Paid)),
        (Saga::shipped(), ship(), wrong(S::Shipped)),
        (Saga::shipped(), buyer_cancels(), Err(Rejection::AlreadyPaid)),
        (delivered(), ship(), wrong(S::Completed)),
        (delivered(), buyer_cancels(), Err(Rejection::AlreadyPaid)),
        (Saga::cancelled(), start(PayChannel::Card), wrong(S::Cancelled)),
        (Saga::cancelled(), refund(1), wrong(S::Cancelled)),
        (Saga::cancelled(), ship(), wrong(S::Cancelled)),
        (Saga::refunding_late(), ship(), wrong(S::Refunding)),
        (Saga::refunding_late(), buyer_cancels(), wrong(S::Refunding)),
        (refunded(), refund(1), wrong(S::Refunded)),
        (refunded(), start(PayChannel::Card), wrong(S::Refunded)),
        (Saga::placed(), paid(1), Err(Rejection::Unknown)),
        (Saga::paying(), closed(2), Err(Rejection::Unknown)),
        (Saga::paid(), reported(1, RefundState::Succeeded), Err(Rejection::Unknown)),
        (Saga::paid(), Command::RetryRefund { refund: 1 }, Err(Rejection::Unknown)),
    ] {
        let before = saga.order.clone();
        assert_eq!(saga.does(command.clone()), answer, "{command:?} while {:?}", before.status);
        assert_eq!(saga.order, before);
    }
}

#[test]
fn a_review_is_asked_for_once_and_a_new_reason_replaces_the_old() {
    let mut saga = Saga::paid();
    let ask = |reason| Command::RequestReview { reason };
    saga.does(ask(ReviewReason::EffectExhausted)).unwrap();
    saga.ignores(ask(ReviewReason::EffectExhausted));
    saga.does(ask(ReviewReason::AmountMismatch)).unwrap();
    assert_eq!(saga.order.review, Some(ReviewReason::AmountMismatch));
    saga.does(Command::ClearReview { note: "looked".to_owned() }).unwrap();
    saga.ignores(Command::ClearReview { note: "looked".to_owned() });
    assert_eq!(saga.order.review, None);
}

#[test]
fn the_codes_and_the_edges_of_the_contract_hold() {
    for status in S::ALL {
        assert_eq!(S::from_code(status.code()), Some(status));
        assert!(!status.may_become(status));
    }
    assert_eq!(S::from_code(10), None);
    assert!(!S::Paid.may_become(S::Cancelled) && !S::PendingPayment.may_become(S::Refunding));
    assert!(S::ALL.iter().all(|next| !S::Refunded.may_become(*next) && !S::Failed.may_become(*next)));
}

#[test]
fn the_terms_of_the_first_start_are_kept() {
    let mut saga = Saga::placed();
    let terms = |description: &str| ChargeTerms { description: description.to_owned(), ..ChargeTerms::default() };
    let start = |description| Command::StartPayment { channel: PayChannel::Wechat, terms: terms(description) };
    saga.does(start("tea")).unwrap();
    saga.ignores(start("coffee"));
    let kept = saga.order.attempts[0].terms.clone().unwrap();
    assert_eq!((&*kept.description, kept.expires_at_ms), ("tea", DEADLINE_MS));
    assert_eq!(saga.watched, [Effect::WatchPayment { attempt: 1 }]);
}

#[test]
fn a_charge_begun_in_the_last_minute_ends_behind_the_deadline() {
    let mut saga = Saga::placed();
    saga.now_ms = DEADLINE_MS - 1_000;
    saga.does(start(PayChannel::Wechat)).unwrap();
    let kept = saga.order.attempts[0].terms.clone().unwrap();
    assert_eq!(kept.expires_at_ms, DEADLINE_MS - 1_000 + 61_000, "WeChat Pay takes no end within a minute");
}

#[test]
fn t26_another_channel_is_open_only_after_the_first_attempt_has_ended() {
    let mut saga = Saga::paying();
    let (first, other) = (saga.order.attempts[0].channel, PayChannel::Wechat);
    assert_ne!(first, other);
    assert_eq!(saga.does(start(other)), Err(Rejection::PaymentInProgress { attempt: 1 }));
    saga.does(Command::StopPayment).unwrap();
    saga.ignores(Command::StopPayment);
    assert_eq!(saga.owed, [Effect::ClosePayment { attempt: 1 }]);
    for channel in [first, other] {
        assert_eq!(saga.does(start(channel)), Err(Rejection::PaymentInProgress { attempt: 1 }), "not closed so far");
    }
    saga.does(closed(1)).unwrap();
    saga.is(S::PendingPayment);
    saga.does(start(other)).unwrap();
    saga.does(paid(2)).unwrap();
    saga.is(S::Paid);
}

#[test]
fn money_that_comes_while_an_attempt_is_being_stopped_pays() {
    let mut saga = Saga::paying();
    saga.does(Command::StopPayment).unwrap();
    saga.does(paid(1)).unwrap();
    saga.is(S::Paid);
    assert_eq!(saga.does(Command::StopPayment), Err(Rejection::AlreadyPaid));
}
