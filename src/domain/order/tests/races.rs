//! The payment and cancel rows of races.md, as far as the pure machine decides them.

use super::fixture::{Saga, TOTAL, cancel, closed, paid, paid_amount, refund, reported, start};
use crate::domain::money::Money;
use crate::domain::order::{
    CancelReason, Command, Effect, Event, OrderStatus as S, PayChannel, RefundPurpose, RefundState, Rejection,
    ReviewReason, UnitsState,
};

const TOO_LITTLE: Money = Money::from_fen(1);

#[test]
fn r23_a_notification_before_the_prepay_answer_pays_the_order() {
    let mut saga = Saga::paying();
    saga.does(paid(1)).unwrap();
    saga.is(S::Paid);
}

#[test]
fn r24_money_arrives_while_closing() {
    let mut saga = Saga::closing();
    saga.does(paid(1)).unwrap();
    saga.is(S::Paid);
    assert_eq!((saga.order.units, saga.order.cancel_reason), (UnitsState::Sold, None));
    assert_eq!(saga.times_owed(&Effect::ReleaseStock), 0);
    saga.ignores(closed(1));
}

#[test]
fn r25_money_arrives_after_the_cancel_and_units_are_free() {
    let mut saga = Saga::paid_late();
    saga.is(S::Cancelled);
    assert!(!saga.order.is_at_rest(), "the money still looks for units");
    assert_eq!(saga.times_owed(&Effect::RetakeStock), 1);
    saga.does(Command::ConfirmStockRetaken).unwrap();
    saga.is(S::Paid);
    assert_eq!((saga.order.units, saga.order.captured()), (UnitsState::Sold, TOTAL));
    saga.ignores(Command::ConfirmStockRetaken);
    saga.ignores(Command::ConfirmStockGone);
}

#[test]
fn r25_money_arrives_after_the_cancel_and_the_units_are_sold() {
    let mut saga = Saga::refunding_late();
    saga.is(S::Refunding);
    assert_eq!(saga.times_owed(&Effect::SendRefund { refund: 1 }), 1);
    saga.ignores(Command::ConfirmStockGone);
    saga.does(reported(1, RefundState::Succeeded)).unwrap();
    saga.is(S::Refunded);
    assert_eq!(saga.times_owed(&Effect::ReleaseStock), 1, "they went back when it was cancelled");
}

#[test]
fn r25_units_that_nobody_waits_for_any_more_are_refused() {
    let mut saga = Saga::refunding_late();
    assert_eq!(saga.does(Command::ConfirmStockRetaken), Err(Rejection::WrongState(S::Refunding)));
}

#[test]
fn r25_a_late_payment_whose_refund_is_closed_never_becomes_a_sale() {
    // It went back to Paid, without a unit, and could be shipped.
    let mut saga = Saga::refunding_late();
    saga.does(reported(1, RefundState::Closed)).unwrap();
    saga.is(S::Refunding);
    assert_eq!(saga.order.review, Some(ReviewReason::RefundClosed));
    saga.does(Command::RetryRefund { refund: 1 }).unwrap();
    saga.does(reported(2, RefundState::Succeeded)).unwrap();
    saga.is(S::Refunded);
    assert_eq!(saga.times_owed(&Effect::ReleaseStock), 1);
}

#[test]
fn r25_a_late_payment_that_is_returned_in_part_asks_for_a_human() {
    let mut saga = Saga::refunding_late();
    saga.does(reported(1, RefundState::Closed)).unwrap();
    saga.does(Command::ClearReview { note: "asked the bank".to_owned() }).unwrap();
    saga.does(refund(1)).unwrap();
    saga.does(reported(2, RefundState::Succeeded)).unwrap();
    saga.is(S::Refunding);
    assert!(saga.order.review.is_some());
}

#[test]
fn r25_units_taken_again_are_given_back_under_their_own_ticket() {
    // Under the first ticket the give-back was a repeat and the units were lost.
    let mut saga = Saga::paid_late();
    saga.does(Command::ConfirmStockRetaken).unwrap();
    saga.does(refund(TOTAL.fen())).unwrap();
    saga.does(reported(1, RefundState::Succeeded)).unwrap();
    assert_eq!(saga.order.units, UnitsState::Returned);
    assert_eq!((saga.times_owed(&Effect::ReleaseStock), saga.times_owed(&Effect::ReleaseRetakenStock)), (1, 1));
}

#[test]
fn r26_a_late_paid_notification_is_ignored_for_the_state() {
    let mut saga = Saga::paid();
    saga.does(refund(TOTAL.fen())).unwrap();
    saga.does(reported(1, RefundState::Succeeded)).unwrap();
    saga.ignores(paid(1));
    saga.is(S::Refunded);
    let mut saga = Saga::paid_late();
    saga.ignores(paid(1));
    assert_eq!(saga.times_owed(&Effect::RetakeStock), 1);
}

#[test]
fn r28_the_close_is_answered_with_paid() {
    let mut saga = Saga::closing();
    saga.does(paid(1)).unwrap();
    saga.ignores(closed(1));
    saga.is(S::Paid);
}

#[test]
fn r30_a_code_scanned_after_its_trade_did_not_exist_is_a_late_payment() {
    let mut saga = Saga::closing();
    saga.does(closed(1)).unwrap();
    saga.is(S::Cancelled);
    let events = saga.does(paid(1)).unwrap();
    assert!(matches!(events[..], [Event::LatePaymentRecorded { attempt: 1, .. }]));
}

#[test]
fn r30_a_code_scanned_while_another_attempt_is_open_pays_and_closes_the_other() {
    // The second attempt stayed payable for ever.
    let mut saga = Saga::paying();
    saga.does(closed(1)).unwrap();
    saga.does(start(PayChannel::Wechat)).unwrap();
    saga.does(paid(1)).unwrap();
    saga.is(S::Paid);
    assert_eq!(saga.owed, [Effect::ClosePayment { attempt: 2 }]);
    assert!(!saga.order.is_settled());
    saga.does(closed(2)).unwrap();
    saga.is(S::Paid);
    assert!(saga.order.is_settled());
}

#[test]
fn r31_a_wrong_amount_goes_back_and_a_human_looks() {
    let mut saga = Saga::paying();
    saga.does(paid_amount(1, TOO_LITTLE)).unwrap();
    saga.is(S::PendingPayment);
    assert_eq!(saga.order.review, Some(ReviewReason::AmountMismatch));
    assert_eq!(saga.owed, [Effect::SendRefund { refund: 1 }]);
    assert_eq!(saga.order.refunds[0].amount, TOO_LITTLE);
    saga.does(start(PayChannel::Wechat)).unwrap();
    saga.does(paid(2)).unwrap();
    saga.is(S::Paid);
}

#[test]
fn r31_a_wrong_amount_by_the_last_open_attempt_ends_the_closing() {
    // No answer was left that could have ended it.
    let mut saga = Saga::closing();
    saga.does(paid_amount(1, TOO_LITTLE)).unwrap();
    saga.is(S::Cancelled);
    assert_eq!(saga.order.review, Some(ReviewReason::AmountMismatch));
    assert_eq!((saga.times_owed(&Effect::ReleaseStock), saga.times_owed(&Effect::RetakeStock)), (1, 0));
}

#[test]
fn r31_two_amounts_for_one_attempt_are_seen_by_a_human() {
    let mut saga = Saga::paid();
    let events = saga.does(paid_amount(1, TOO_LITTLE));
    assert_eq!(events, Ok(vec![Event::ReviewRequested { reason: ReviewReason::AmountMismatch }]));
    saga.ignores(paid_amount(1, TOO_LITTLE));
    assert_eq!(saga.order.captured(), TOTAL);
}

#[test]
fn r31_no_money_or_less_is_no_payment() {
    for fen in [0, -5_997] {
        let mut saga = Saga::paying();
        saga.does(paid_amount(1, Money::from_fen(fen))).unwrap();
        saga.is(S::PendingPayment);
        assert_eq!((saga.order.captured(), saga.order.refunds.len()), (Money::ZERO, 0));
        assert_eq!(saga.order.review, Some(ReviewReason::AmountMismatch));
    }
}

#[test]
fn r36_not_paid_is_never_final() {
    let mut saga = Saga::paying();
    saga.does(closed(1)).unwrap();
    saga.does(paid(1)).unwrap();
    saga.is(S::Paid);
}

#[test]
fn r38_the_second_of_two_payments_goes_back() {
    let mut saga = Saga::paying();
    saga.does(closed(1)).unwrap();
    saga.does(start(PayChannel::Wechat)).unwrap();
    saga.does(paid(2)).unwrap();
    saga.does(paid(1)).unwrap();
    saga.is(S::Paid);
    let surplus = &saga.order.refunds[0];
    assert_eq!((surplus.attempt, surplus.amount, surplus.purpose), (1, TOTAL, RefundPurpose::Surplus));
    saga.does(reported(1, RefundState::Succeeded)).unwrap();
    saga.is(S::Paid);
    assert_eq!(saga.order.captured().minus(saga.order.refunded()), TOTAL);
}

#[test]
fn r38_a_refund_takes_the_money_of_the_payment_that_was_kept() {
    // The first attempt with the order's total was taken, though its money had gone back already.
    let mut saga = Saga::paying();
    saga.does(closed(1)).unwrap();
    saga.does(start(PayChannel::Wechat)).unwrap();
    saga.does(paid(2)).unwrap();
    saga.does(paid(1)).unwrap();
    saga.does(refund(TOTAL.fen())).unwrap();
    assert_eq!(saga.order.refunds[1].attempt, 2);
}

#[test]
fn r38_a_second_late_payment_goes_back_while_the_first_waits() {
    let mut saga = Saga::paying();
    saga.does(closed(1)).unwrap();
    saga.does(start(PayChannel::Wechat)).unwrap();
    saga.expires();
    saga.does(closed(2)).unwrap();
    saga.does(paid(1)).unwrap();
    saga.does(paid(2)).unwrap();
    saga.is(S::Cancelled);
    assert_eq!((saga.order.late_payment, saga.order.refunds[0].attempt), (Some(1), 2));
    saga.does(Command::ConfirmStockGone).unwrap();
    assert_eq!(saga.order.refunds[1].attempt, 1);
    for number in [1, 2] {
        saga.does(reported(number, RefundState::Succeeded)).unwrap();
    }
    saga.is(S::Refunded);
    assert_eq!(saga.order.captured(), saga.order.refunded());
}

#[test]
fn r43_cancel_and_notification_have_one_winner() {
    let mut paid_first = Saga::paid();
    assert_eq!(paid_first.does(cancel(CancelReason::Buyer)), Err(Rejection::AlreadyPaid));
    paid_first.does(refund(TOTAL.fen())).unwrap();
    paid_first.is(S::Refunding);
    let mut cancelled_first = Saga::paying();
    cancelled_first.does(cancel(CancelReason::Buyer)).unwrap();
    cancelled_first.is(S::Closing);
    cancelled_first.does(paid(1)).unwrap();
    cancelled_first.is(S::Paid);
}

#[test]
fn r44_two_cancels_and_the_deadline_return_the_stock_once() {
    let mut saga = Saga::placed();
    saga.does(cancel(CancelReason::Administrator)).unwrap();
    saga.ignores(cancel(CancelReason::Buyer));
    saga.expires();
    saga.is(S::Cancelled);
    assert_eq!(saga.order.cancel_reason, Some(CancelReason::Administrator));
    assert_eq!(saga.owed, [Effect::ReleaseStock]);
    let mut closing = Saga::closing();
    closing.ignores(cancel(CancelReason::Buyer));
    assert_eq!(closing.order.cancel_reason, Some(CancelReason::PayDeadline));
    assert_eq!(closing.owed, [Effect::ClosePayment { attempt: 1 }]);
}

#[test]
fn t12_a_late_payment_is_never_kept_in_silence() {
    let saga = Saga::paid_late();
    assert!(matches!(saga.journal.last(), Some((Event::LatePaymentRecorded { .. }, _))));
    assert!(saga.times_owed(&Effect::RetakeStock) == 1 && !saga.order.is_settled());
}

#[test]
fn t13_a_notification_repeated_ten_times_has_one_effect() {
    let mut saga = Saga::paying();
    saga.does(paid(1)).unwrap();
    let once = saga.order.clone();
    for _ in 0..9 {
        saga.ignores(paid(1));
        saga.ignores(closed(1));
    }
    assert_eq!(saga.order, once);
}
