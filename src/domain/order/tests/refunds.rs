//! The refund rows of races.md.

use super::fixture::{Saga, TOTAL, closed, paid, paid_amount, refund, refund_asked_by, reported, ship, start};
use crate::domain::money::Money;
use crate::domain::order::REFUNDS_MAX;
use crate::domain::order::{
    Command, Effect, OrderStatus as S, PayChannel, RefundPurpose, RefundState as R, Rejection, ReviewReason, UnitsState,
};

#[test]
fn a_whole_refund_before_shipping_frees_the_units() {
    let mut saga = Saga::paid();
    saga.does(refund(TOTAL.fen())).unwrap();
    saga.is(S::Refunding);
    assert_eq!(saga.order.units, UnitsState::Sold, "until the money is back");
    saga.does(reported(1, R::Succeeded)).unwrap();
    saga.is(S::Refunded);
    assert_eq!(saga.owed, [Effect::SendRefund { refund: 1 }, Effect::ReleaseStock]);
}

#[test]
fn one_request_refunds_once_whatever_happened_since() {
    let mut saga = Saga::paid();
    for _ in 0..2 {
        saga.does(refund_asked_by(1_000, "a")).unwrap();
    }
    saga.does(refund_asked_by(1_000, "b")).unwrap();
    saga.does(reported(1, R::Succeeded)).unwrap();
    saga.does(reported(2, R::Succeeded)).unwrap();
    saga.does(refund_asked_by(TOTAL.fen() - 2_000, "c")).unwrap();
    saga.does(reported(3, R::Succeeded)).unwrap();
    for request in ["a", "b", "c"] {
        saga.does(refund_asked_by(1_000, request)).unwrap();
    }
    saga.is(S::Refunded);
    assert_eq!((saga.order.refunds.len(), saga.order.refunded()), (3, TOTAL));
}

#[test]
fn a_partial_refund_returns_to_where_it_came_from() {
    for (mut saga, status) in [(Saga::paid(), S::Paid), (Saga::shipped(), S::Shipped)] {
        saga.does(refund(1_000)).unwrap();
        saga.does(reported(1, R::Succeeded)).unwrap();
        saga.is(status);
        assert_eq!((saga.order.refunded().fen(), saga.order.units), (1_000, UnitsState::Sold));
    }
}

#[test]
fn the_last_part_refunds_the_order() {
    let mut saga = Saga::paid();
    saga.does(refund(1_000)).unwrap();
    saga.does(refund(TOTAL.fen() - 1_000)).unwrap();
    saga.does(reported(2, R::Succeeded)).unwrap();
    saga.is(S::Refunding);
    saga.does(reported(1, R::Succeeded)).unwrap();
    saga.is(S::Refunded);
    assert_eq!(saga.times_owed(&Effect::ReleaseStock), 1);
}

#[test]
fn a_part_returned_before_shipping_does_not_hinder_it() {
    let mut saga = Saga::paid();
    saga.does(refund(1_000)).unwrap();
    assert_eq!(saga.does(ship()), Err(Rejection::WrongState(S::Refunding)));
    saga.does(reported(1, R::Succeeded)).unwrap();
    saga.does(ship()).unwrap();
    saga.does(refund(TOTAL.fen() - 1_000)).unwrap();
    saga.does(reported(2, R::Succeeded)).unwrap();
    saga.is(S::Refunded);
    assert_eq!((saga.order.units, saga.times_owed(&Effect::ReleaseStock)), (UnitsState::Sold, 0));
}

#[test]
fn r46_the_notification_may_overtake_the_answer() {
    let mut saga = Saga::paid();
    saga.does(refund(TOTAL.fen())).unwrap();
    saga.does(reported(1, R::Succeeded)).unwrap();
    saga.ignores(reported(1, R::Processing));
    saga.is(S::Refunded);
}

#[test]
fn r47_a_report_never_moves_a_refund_down() {
    const STATES: [R; 4] = [R::Processing, R::Abnormal, R::Closed, R::Succeeded];
    for (first, second, third) in
        STATES.iter().flat_map(|a| STATES.iter().flat_map(move |b| STATES.iter().map(move |c| (*a, *b, *c))))
    {
        let mut saga = Saga::paid();
        saga.does(refund(TOTAL.fen())).unwrap();
        let mut highest = R::Processing;
        for state in [first, second, third] {
            saga.does(reported(1, state)).unwrap();
            let ended = matches!(highest, R::Closed | R::Succeeded);
            highest = if ended { highest } else { highest.max(state) };
            assert_eq!(saga.order.refunds[0].state, highest, "{first:?} {second:?} {third:?}");
        }
        saga.ignores(reported(1, highest));
    }
}

#[test]
fn r47_success_after_abnormal_ends_the_refund() {
    let mut saga = Saga::paid();
    saga.does(refund(TOTAL.fen())).unwrap();
    saga.does(reported(1, R::Abnormal)).unwrap();
    assert_eq!(saga.order.review, Some(ReviewReason::RefundAbnormal));
    saga.is(S::Refunding);
    saga.does(reported(1, R::Succeeded)).unwrap();
    saga.is(S::Refunded);
}

#[test]
fn r47_success_after_closed_is_left_to_a_human() {
    let mut saga = Saga::paid();
    saga.does(refund(TOTAL.fen())).unwrap();
    saga.does(reported(1, R::Closed)).unwrap();
    saga.does(Command::ClearReview { note: "seen".to_owned() }).unwrap();
    saga.does(reported(1, R::Succeeded)).unwrap();
    assert_eq!((saga.order.review, saga.order.refunded()), (Some(ReviewReason::RefundClosed), Money::ZERO));
}

#[test]
fn r48_t18_no_more_goes_back_than_came_in() {
    for fen in [0, -1, TOTAL.fen() + 1, i64::MAX, i64::MIN] {
        assert_eq!(Saga::paid().does(refund(fen)), Err(Rejection::RefundTooLarge { left: TOTAL }), "{fen}");
    }
    let mut saga = Saga::paid();
    saga.does(refund(5_000)).unwrap();
    let left = Money::from_fen(997);
    assert_eq!(saga.does(refund(998)), Err(Rejection::RefundTooLarge { left }));
    saga.does(reported(1, R::Succeeded)).unwrap();
    assert_eq!(saga.does(refund(998)), Err(Rejection::RefundTooLarge { left }));
    saga.does(refund(997)).unwrap();
    assert_eq!(saga.does(refund(1)), Err(Rejection::RefundTooLarge { left: Money::ZERO }));
}

#[test]
fn t18_a_second_whole_refund_is_refused() {
    let mut saga = Saga::paid();
    saga.does(refund(TOTAL.fen())).unwrap();
    assert_eq!(saga.does(refund(TOTAL.fen())), Err(Rejection::RefundTooLarge { left: Money::ZERO }));
}

#[test]
fn r50_goods_that_left_are_not_sold_again() {
    let delivered = {
        let mut saga = Saga::shipped();
        saga.does(Command::ConfirmReceipt).unwrap();
        saga
    };
    for mut saga in [Saga::shipped(), delivered] {
        saga.does(refund(TOTAL.fen())).unwrap();
        saga.does(reported(1, R::Succeeded)).unwrap();
        saga.is(S::Refunded);
        assert_eq!((saga.order.units, saga.times_owed(&Effect::ReleaseStock)), (UnitsState::Sold, 0));
    }
}

#[test]
fn r51_response_and_notification_return_the_units_once() {
    let mut saga = Saga::paid();
    saga.does(refund(TOTAL.fen())).unwrap();
    saga.does(reported(1, R::Succeeded)).unwrap();
    saga.ignores(reported(1, R::Succeeded));
    assert_eq!(saga.times_owed(&Effect::ReleaseStock), 1);
}

#[test]
fn r53_refunds_are_bounded() {
    let mut saga = Saga::paid();
    for _ in 0..REFUNDS_MAX {
        saga.does(refund(1)).unwrap();
    }
    assert_eq!(saga.does(refund(1)), Err(Rejection::TooMany));
}

#[test]
fn a_refund_that_the_gateway_closed_is_asked_for_again_once() {
    let mut saga = Saga::paid();
    saga.does(refund(TOTAL.fen())).unwrap();
    saga.ignores(Command::RetryRefund { refund: 1 });
    saga.does(reported(1, R::Closed)).unwrap();
    saga.is(S::Paid);
    assert_eq!(saga.order.review, Some(ReviewReason::RefundClosed));
    saga.does(Command::RetryRefund { refund: 1 }).unwrap();
    saga.ignores(Command::RetryRefund { refund: 1 });
    saga.does(reported(2, R::Succeeded)).unwrap();
    saga.is(S::Refunded);
    saga.ignores(Command::RetryRefund { refund: 1 });
}

#[test]
fn a_surplus_whose_refund_was_closed_is_asked_for_again() {
    // There was no way to send it: the money of a cancelled order stayed with the shop.
    let mut saga = Saga::closing();
    saga.does(paid_amount(1, Money::from_fen(1))).unwrap();
    saga.does(reported(1, R::Closed)).unwrap();
    saga.is(S::Cancelled);
    assert_eq!(saga.order.review, Some(ReviewReason::RefundClosed), "over the wrong amount");
    saga.does(Command::RetryRefund { refund: 1 }).unwrap();
    assert_eq!(saga.order.refunds[1].purpose, RefundPurpose::Surplus);
    assert!(!saga.order.is_settled());
    saga.does(reported(2, R::Succeeded)).unwrap();
    assert_eq!(saga.order.captured(), saga.order.refunded());
    assert!(saga.order.is_settled());
}

#[test]
fn a_second_payment_during_a_refund_goes_back_beside_it() {
    let mut saga = Saga::paying();
    saga.does(closed(1)).unwrap();
    saga.does(start(PayChannel::Wechat)).unwrap();
    saga.does(paid(2)).unwrap();
    saga.does(refund(TOTAL.fen())).unwrap();
    saga.does(paid(1)).unwrap();
    saga.is(S::Refunding);
    saga.does(reported(2, R::Succeeded)).unwrap();
    saga.is(S::Refunding);
    saga.does(reported(1, R::Succeeded)).unwrap();
    saga.is(S::Refunded);
    assert_eq!(saga.order.captured(), saga.order.refunded());
}

#[test]
fn r71_whatever_comes_first_with_the_gateways_number_brings_it() {
    let mut saga = Saga::paid();
    saga.does(refund(TOTAL.fen())).unwrap();
    let says = |state, number: &str| Command::ReportRefund { refund: 1, state, gateway_no: number.to_owned() };
    saga.ignores(says(R::Processing, ""));
    saga.does(says(R::Processing, "5030001")).unwrap();
    assert_eq!((saga.order.refunds[0].state, &*saga.order.refunds[0].gateway_no), (R::Processing, "5030001"));
    saga.ignores(says(R::Processing, "5030001"));
    saga.does(says(R::Succeeded, "")).unwrap();
    saga.is(S::Refunded);
    assert_eq!(saga.order.refunds[0].gateway_no, "5030001");
}
