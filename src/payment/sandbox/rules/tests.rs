//! The rules as tables, and one law over random refunds.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: i64 = 1_700_000_000_000;
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

fn order(wire: Wire, total_fen: i64) -> NewTrade {
    NewTrade {
        wire,
        merchant: "1900000001".to_owned(),
        appid: "wx1".to_owned(),
        out_trade_no: "ORDER0001".to_owned(),
        kind: TradeKind::Native,
        description: "a lamp".to_owned(),
        attach: String::new(),
        total_fen,
        expires_ms: Some(NOW + 30 * MINUTE),
        notify_url: "https://shop.example/notify".to_owned(),
        return_url: String::new(),
        payer: None,
        signed_by: "PUB_KEY_ID_1".to_owned(),
        parameters: json!({ "total": total_fen }),
    }
}

fn unpaid(wire: Wire) -> Trade {
    create(None, order(wire, 1_000), NOW, &Terms::default()).unwrap()
}

fn payment(at_ms: i64) -> Payment {
    Payment { paid_ms: at_ms, payer: "payer".to_owned(), coupon_fen: 0 }
}

fn paid(wire: Wire) -> Trade {
    pay(unpaid(wire), payment(NOW), "T1").unwrap()
}

fn asked(number: &str, refund_fen: i64) -> NewRefund {
    NewRefund {
        wire: Wire::V3,
        out_refund_no: number.to_owned(),
        refund_fen,
        total_fen: Some(1_000),
        reason: String::new(),
        notify_url: String::new(),
    }
}

fn refund_of(trade: Trade, earlier: &[Refund], wish: NewRefund, at_ms: i64) -> Result<Refunded, RefundRefusal> {
    let id = format!("R-{}", wish.out_refund_no);
    refund(Some(trade), earlier, wish, &id, (at_ms, &Terms::default()))
}

fn new_refund(trade: Trade, earlier: &[Refund], wish: NewRefund) -> (Trade, Refund) {
    match refund_of(trade, earlier, wish, NOW) {
        Ok(Refunded::Now(new)) => *new,
        other => panic!("not new: {other:?}"),
    }
}

#[test]
fn a_repetition_is_the_same_trade() {
    let first = unpaid(Wire::V3);
    let again = create(Some(first.clone()), order(Wire::V3, 1_000), NOW + MINUTE, &Terms::default());
    assert_eq!(again, Ok(first));
}

#[test]
fn another_trade_cannot_take_a_number() {
    let terms = Terms::default();
    let other_price = create(Some(unpaid(Wire::V3)), order(Wire::V3, 999), NOW, &terms);
    assert_eq!(other_price, Err(TradeRefusal::ParametersDiffer));
    let other_window = NewTrade { expires_ms: Some(NOW + 31 * MINUTE), ..order(Wire::V3, 1_000) };
    assert_eq!(create(Some(unpaid(Wire::V3)), other_window, NOW, &terms), Err(TradeRefusal::WindowDiffers));
    let other_wire = create(Some(unpaid(Wire::V3)), order(Wire::V2, 1_000), NOW, &terms);
    assert_eq!(other_wire, Err(TradeRefusal::ParametersDiffer));
    assert_eq!(create(Some(paid(Wire::V3)), order(Wire::V3, 1_000), NOW, &terms), Err(TradeRefusal::Paid));
    let closed = close(Some(unpaid(Wire::V3)), NOW).unwrap();
    assert_eq!(create(Some(closed), order(Wire::V3, 1_000), NOW, &terms), Err(TradeRefusal::Closed));
}

#[test]
fn the_pay_window_is_moved_into_its_bounds() {
    let terms = Terms::default();
    for (asked, expected) in [
        (None, NOW + 7 * DAY),
        (Some(NOW - DAY), NOW + MINUTE),
        (Some(NOW + 10), NOW + MINUTE),
        (Some(NOW + 30 * MINUTE), NOW + 30 * MINUTE),
        (Some(NOW + 91 * DAY), NOW + 90 * DAY),
    ] {
        assert_eq!(terms.window_end(asked, NOW), expected, "{asked:?}");
    }
}

#[test]
fn money_is_taken_once_and_only_in_the_window() {
    let trade = paid(Wire::V3);
    assert_eq!((trade.state, trade.transaction_id.as_deref()), (TradeState::Paid, Some("T1")));
    assert_eq!(pay(trade, payment(NOW), "T2"), Err(PayRefusal::Paid));
    let closed = close(Some(unpaid(Wire::V3)), NOW).unwrap();
    assert_eq!(pay(closed, payment(NOW), "T2"), Err(PayRefusal::Closed));
    assert_eq!(pay(unpaid(Wire::V3), payment(NOW + 30 * MINUTE + 1), "T2"), Err(PayRefusal::Expired));
    let coupon = Payment { coupon_fen: 1_001, ..payment(NOW) };
    assert_eq!(pay(unpaid(Wire::V3), coupon, "T2"), Err(PayRefusal::Coupon));
}

#[test]
fn a_payment_may_cross_a_close_and_brings_the_money_once() {
    let closed = close(Some(unpaid(Wire::V3)), NOW).unwrap();
    let crossed = pay(before_close(closed), payment(NOW), "T1").unwrap();
    assert_eq!((crossed.state, crossed.closed_ms), (TradeState::Paid, None));
    assert_eq!(pay(before_close(crossed), payment(NOW), "T2"), Err(PayRefusal::Paid));
    assert_eq!(before_close(unpaid(Wire::V3)), unpaid(Wire::V3));
}

#[test]
fn a_coupon_lowers_what_the_buyer_pays_and_not_the_price() {
    let trade = pay(unpaid(Wire::V3), Payment { coupon_fen: 300, ..payment(NOW) }, "T1").unwrap();
    assert_eq!((trade.order.total_fen, trade.payer_fen()), (1_000, 700));
}

#[test]
fn a_failed_payment_may_be_tried_again() {
    let failed = fail(unpaid(Wire::V3), NOW).unwrap();
    assert_eq!(failed.state, TradeState::Failed);
    assert_eq!(pay(failed, payment(NOW), "T1").unwrap().state, TradeState::Paid);
    assert_eq!(fail(paid(Wire::V3), NOW), Err(PayRefusal::Paid));
    assert_eq!(fail(unpaid(Wire::V3), NOW + DAY), Err(PayRefusal::Expired));
}

#[test]
fn only_an_unpaid_trade_is_closed() {
    assert_eq!(close(Some(unpaid(Wire::V3)), NOW).unwrap().state, TradeState::Closed);
    assert_eq!(close(Some(paid(Wire::V3)), NOW), Err(TradeRefusal::Paid));
    assert_eq!(close(close(Some(unpaid(Wire::V3)), NOW).ok(), NOW), Err(TradeRefusal::Closed));
    assert_eq!(close(None, NOW), Err(TradeRefusal::NotFound));
}

#[test]
fn alipay_knows_no_trade_that_nobody_scanned_but_takes_its_money() {
    let trade = unpaid(Wire::Alipay);
    assert_eq!(close(Some(trade.clone()), NOW), Err(TradeRefusal::NotFound));
    let scanned = scan(trade.clone(), "T9", NOW);
    assert_eq!(close(Some(scanned.clone()), NOW).unwrap().state, TradeState::Closed);
    assert_eq!(scan(scanned, "T10", NOW).transaction_id.as_deref(), Some("T9"));
    assert_eq!(pay(trade, payment(NOW), "T1").unwrap().state, TradeState::Paid);
}

#[test]
fn the_end_of_the_window_closes_on_alipay_only() {
    let late = NOW + 31 * MINUTE;
    assert_eq!(unpaid(Wire::V3).state_at(late), TradeState::NotPaid);
    assert_eq!(unpaid(Wire::Alipay).state_at(late), TradeState::Closed);
    assert_eq!(paid(Wire::Alipay).state_at(late), TradeState::Paid);
    let again = create(Some(unpaid(Wire::Alipay)), order(Wire::Alipay, 1_000), late, &Terms::default());
    assert_eq!(again, Err(TradeRefusal::Closed));
}

#[test]
fn a_refund_asked_for_twice_is_one_refund() {
    let (trade, first) = new_refund(paid(Wire::V3), &[], asked("R1", 400));
    assert_eq!(trade.refunded_fen, 400);
    let earlier = [first.clone()];
    let again = refund_of(trade.clone(), &earlier, asked("R1", 400), NOW + DAY);
    assert_eq!(again, Ok(Refunded::Before(Box::new(first))));
    assert_eq!(refund_of(trade, &earlier, asked("R1", 401), NOW), Err(RefundRefusal::ParametersDiffer));
}

#[test]
fn a_refund_beyond_the_limits_is_refused() {
    assert_eq!(refund_of(unpaid(Wire::V3), &[], asked("R1", 1), NOW), Err(RefundRefusal::NotPaid));
    assert_eq!(refund_of(paid(Wire::V3), &[], asked("R1", 0), NOW), Err(RefundRefusal::AmountInvalid));
    assert_eq!(refund_of(paid(Wire::V3), &[], asked("R1", 1_001), NOW), Err(RefundRefusal::TooMuch));
    let late = NOW + 365 * DAY + 1;
    assert_eq!(refund_of(paid(Wire::V3), &[], asked("R1", 1), late), Err(RefundRefusal::TooLate));
    let other_total = NewRefund { total_fen: Some(999), ..asked("R1", 1) };
    assert_eq!(refund_of(paid(Wire::V3), &[], other_total, NOW), Err(RefundRefusal::TotalDiffers));
    let terms = Terms { refunds_are_funded: false, ..Terms::default() };
    let poor = refund(Some(paid(Wire::V3)), &[], asked("R1", 1), "I", (NOW, &terms));
    assert_eq!(poor, Err(RefundRefusal::NotEnough));
    let unseen = refund(Some(unpaid(Wire::Alipay)), &[], asked("R1", 1), "I", (NOW, &Terms::default()));
    assert_eq!(unseen, Err(RefundRefusal::NotFound));
}

#[test]
fn a_trade_has_fifty_refunds_and_a_pause_between_them() {
    let (mut trade, mut earlier) = (paid(Wire::V3), Vec::new());
    for number in 0..50 {
        let (counted, refund) = new_refund(trade, &earlier, asked(&format!("R{number}"), 1));
        trade = counted;
        earlier.push(refund);
    }
    assert_eq!(refund_of(trade, &earlier, asked("R50", 1), NOW), Err(RefundRefusal::TooMany));

    let terms = Terms { refund_pause_ms: MINUTE, ..Terms::default() };
    let (trade, first) = new_refund(paid(Wire::V3), &[], asked("R1", 1));
    let at = |at_ms| refund(Some(trade.clone()), std::slice::from_ref(&first), asked("R2", 1), "I", (at_ms, &terms));
    assert_eq!(at(NOW + MINUTE - 1), Err(RefundRefusal::TooSoon));
    assert!(matches!(at(NOW + MINUTE), Ok(Refunded::Now(_))));
}

#[test]
fn a_refund_climbs_and_never_falls() {
    use RefundStatus::{Abnormal, Closed, Processing, Success};
    for (from, to, moves) in [
        (Processing, Abnormal, true),
        (Processing, Success, true),
        (Processing, Closed, true),
        (Processing, Processing, false),
        (Abnormal, Success, true),
        (Abnormal, Closed, true),
        (Abnormal, Processing, false),
        (Abnormal, Abnormal, false),
        (Success, Closed, false),
        (Success, Abnormal, false),
        (Closed, Success, false),
    ] {
        let (trade, mut refund) = new_refund(paid(Wire::V3), &[], asked("R1", 400));
        refund.status = from;
        assert_eq!(settle(trade, refund, to, NOW).is_some(), moves, "{from:?} -> {to:?}");
    }
}

#[test]
fn the_money_of_a_closed_refund_can_be_refunded_again() {
    let (trade, refund) = new_refund(paid(Wire::V3), &[], asked("R1", 1_000));
    assert!(trade.is_fully_refunded());
    let (trade, refund) = settle(trade, refund, RefundStatus::Closed, NOW).unwrap();
    assert_eq!(trade.refunded_fen, 0);
    assert!(planned(refund.clone(), RefundStatus::Success).is_none());
    assert_eq!(new_refund(trade, &[refund], asked("R2", 1_000)).0.refunded_fen, 1_000);
}

#[test]
fn an_abnormal_refund_is_sent_again() {
    let (trade, refund) = new_refund(paid(Wire::V3), &[], asked("R1", 10));
    assert!(retry_abnormal(refund.clone(), NOW, &Terms::default()).is_none());
    let (_, abnormal) = settle(trade, refund, RefundStatus::Abnormal, NOW).unwrap();
    let again = retry_abnormal(abnormal, NOW, &Terms::default()).unwrap();
    assert_eq!((again.settles_ms, again.outcome), (Some(NOW + 3_000), RefundStatus::Success));
}

#[test]
fn alipay_moves_money_at_once() {
    let trade = paid(Wire::Alipay);
    let wish = NewRefund { wire: Wire::Alipay, total_fen: None, ..asked("R1", 1_000) };
    let Ok(Refunded::Now(new)) = refund_of(trade, &[], wish, NOW) else { panic!("not new") };
    assert_eq!((new.1.status, new.1.settles_ms), (RefundStatus::Success, None));
}

proptest! {
    #[test]
    fn refunds_never_exceed_the_payment(wishes in prop::collection::vec((0_u8..8, -5_i64..700, any::<bool>()), 1..40)) {
        let (mut trade, mut refunds) = (paid(Wire::V3), Vec::<Refund>::new());
        for (number, fen, closes) in wishes {
            if let Ok(Refunded::Now(new)) = refund_of(trade.clone(), &refunds, asked(&format!("R{number}"), fen), NOW) {
                let (counted, refund) = *new;
                trade = counted;
                refunds.push(refund);
            }
            if closes && let Some(last) = refunds.pop() {
                match settle(trade.clone(), last.clone(), RefundStatus::Closed, NOW) {
                    Some((less, closed)) => { trade = less; refunds.push(closed); }
                    None => refunds.push(last),
                }
            }
            let standing: i64 = refunds.iter().filter(|r| r.status != RefundStatus::Closed).map(|r| r.asked.refund_fen).sum();
            prop_assert_eq!(trade.refunded_fen, standing);
            prop_assert!(standing <= trade.order.total_fen);
        }
    }
}
