//! A table for every way in which a bill and the books may differ, and properties of the comparison as a whole.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::Money;
use crate::domain::order::{Command, RefundState, ReviewReason};

const ORDER: &str = "01JD0000000000000000000001";

fn payment_no(order: u32, attempt: u32) -> String {
    format!("01JD00000000000000000{order:05}_{attempt}")
}

fn line(payment_no: &str, fen: i64) -> BillEntry {
    let total = Some(Money::from_fen(fen));
    BillEntry { payment_no: payment_no.to_owned(), gateway_no: format!("42{payment_no}"), total, refund: None }
}

fn refund_line(payment_no: &str, refund_no: &str, fen: i64, state: RefundState) -> BillEntry {
    let (refund_no, gateway_no) = (refund_no.to_owned(), format!("50{refund_no}"));
    let refund = RefundEntry { refund_no, gateway_no, amount: Money::from_fen(fen), state };
    BillEntry { refund: Some(refund), total: None, ..line(payment_no, 0) }
}

fn ours(payment_no: &str, fen: i64, is_captured: bool, is_expected: bool) -> OurPayment {
    let (payment_no, amount) = (payment_no.to_owned(), Money::from_fen(fen));
    OurPayment { payment_no, amount, is_captured, asked_at_ms: 1_795_000_000_000, is_expected }
}

fn our_refund(payment_no: &str, refund_no: &str, fen: i64, state: RefundState, is_expected: bool) -> OurRefund {
    OurRefund {
        refund_no: refund_no.to_owned(),
        payment_no: payment_no.to_owned(),
        amount: Money::from_fen(fen),
        state,
        asked_at_ms: 1_795_000_000_000,
        is_expected,
    }
}

fn kinds(bill: &[BillEntry], payments: &[OurPayment], refunds: &[OurRefund]) -> Vec<DifferenceKind> {
    let ours = Ours { payments: payments.to_vec(), refunds: refunds.to_vec() };
    compare(bill, &ours).into_iter().map(|difference| difference.kind).collect()
}

#[test]
fn payments_differ_in_the_documented_ways() {
    use DifferenceKind as K;
    let no = &*format!("{ORDER}_1");
    for (name, bill, books, expected) in [
        ("both agree", vec![line(no, 990)], vec![ours(no, 990, true, true)], vec![]),
        ("heard of on another day", vec![line(no, 990)], vec![ours(no, 990, true, false)], vec![]),
        ("read twice from the books", vec![line(no, 990)], vec![ours(no, 990, true, true); 2], vec![]),
        ("unpaid here", vec![line(no, 990)], vec![ours(no, 990, false, false)], vec![K::PaidThereUnpaidHere]),
        ("unheard of here", vec![line(no, 990)], vec![], vec![K::PaidThereUnpaidHere]),
        ("missing there", vec![], vec![ours(no, 990, true, true)], vec![K::PaidHereMissingThere]),
        ("not of this day", vec![], vec![ours(no, 990, true, false)], vec![]),
        ("another amount", vec![line(no, 991)], vec![ours(no, 990, true, true)], vec![K::AmountDiffers]),
        ("twice there", vec![line(no, 990); 2], vec![ours(no, 990, true, true)], vec![K::Duplicate]),
        ("another shop's", vec![line("SHOP2-0001", 5)], vec![], vec![K::UnknownNumber]),
        ("another shop's, twice", vec![line("SHOP2-0001", 5); 2], vec![], vec![K::UnknownNumber]),
        ("nearly one of ours", vec![line(&format!("{ORDER}_01"), 5)], vec![], vec![K::UnknownNumber]),
        ("no attempt's", vec![line(ORDER, 5)], vec![], vec![K::UnknownNumber]),
    ] {
        assert_eq!(kinds(&bill, &books, &[]), expected, "{name}");
    }
}

#[test]
fn refunds_differ_in_the_documented_ways() {
    use DifferenceKind as K;
    use RefundState::{Abnormal, Closed, Processing, Succeeded};
    let (no, refund) = (&*format!("{ORDER}_1"), &*format!("{ORDER}_r1"));
    let one = |there, here| (vec![refund_line(no, refund, 100, there)], vec![our_refund(no, refund, 100, here, false)]);
    for (there, here, expected) in [
        (Succeeded, Succeeded, None),
        (Closed, Closed, None),
        // the bill is older than the books
        (Processing, Processing, None),
        (Processing, Succeeded, None),
        (Processing, Closed, None),
        (Abnormal, Abnormal, None),
        (Abnormal, Succeeded, None),
        (Abnormal, Closed, None),
        (Abnormal, Processing, Some(K::RefundStateDiffers)),
        (Succeeded, Processing, Some(K::RefundStateDiffers)),
        (Succeeded, Abnormal, Some(K::RefundStateDiffers)),
        (Succeeded, Closed, Some(K::RefundStateDiffers)),
        (Closed, Processing, Some(K::RefundStateDiffers)),
        (Closed, Abnormal, Some(K::RefundStateDiffers)),
        (Closed, Succeeded, Some(K::RefundStateDiffers)),
    ] {
        let (bill, books) = one(there, here);
        assert_eq!(
            kinds(&bill, &[], &books),
            expected.into_iter().collect::<Vec<_>>(),
            "{there:?} there, {here:?} here"
        );
    }
    let by_hand = [refund_line(no, "CONSOLE1", 100, Succeeded)];
    assert_eq!(kinds(&by_hand, &[], &[]), [K::RefundThereMissingHere]);
    let more = [refund_line(no, refund, 101, Succeeded)];
    assert_eq!(kinds(&more, &[], &[our_refund(no, refund, 100, Succeeded, true)]), [K::RefundAmountDiffers]);
    let missing = [our_refund(no, refund, 100, Succeeded, true)];
    assert_eq!(kinds(&[], &[], &missing), [K::RefundHereMissingThere]);
    let twice = [refund_line(no, refund, 100, Succeeded), refund_line(no, refund, 100, Succeeded)];
    assert_eq!(kinds(&twice, &[], &missing), [K::Duplicate]);
    let others = [refund_line("SHOP2-0001", "SHOP2-R1", 100, Succeeded)];
    assert_eq!(kinds(&others, &[], &[]), [K::UnknownNumber]);
    let other_payments = [our_refund(&payment_no(7, 1), refund, 100, Succeeded, false)];
    assert_eq!(kinds(&by_hand_as(no, refund), &[], &other_payments), [K::RefundThereMissingHere]);
}

fn by_hand_as(payment_no: &str, refund_no: &str) -> Vec<BillEntry> {
    vec![refund_line(payment_no, refund_no, 100, RefundState::Succeeded)]
}

#[test]
fn r67_what_the_gateway_has_is_told_and_what_only_we_have_is_for_a_human() {
    let (no, refund) = (&*format!("{ORDER}_3"), &*format!("{ORDER}_r2"));
    let order_no = ORDER.parse().unwrap();
    let only = |bill: &[BillEntry], ours: Ours| compare(bill, &ours).pop().unwrap();
    let review = Remedy::Tell(order_no, Command::RequestReview { reason: ReviewReason::BillDiffers });

    let unpaid = Ours { payments: vec![ours(no, 990, false, false)], refunds: vec![] };
    let (amount, transaction_id) = (Money::from_fen(990), format!("42{no}"));
    let confirm = Command::ConfirmPayment { attempt: 3, amount, transaction_id };
    assert_eq!(only(&[line(no, 990)], unpaid).remedy(), Remedy::Tell(order_no, confirm));
    let missing = Ours { payments: vec![ours(no, 990, true, true)], refunds: vec![] };
    assert_eq!(only(&[], missing).remedy(), review);
    let other = Ours { payments: vec![ours(no, 990, true, true)], refunds: vec![] };
    assert_eq!(only(&[line(no, 991)], other.clone()).remedy(), review);
    assert_eq!(only(&[line(no, 990), line(no, 990)], other).remedy(), review);
    assert_eq!(only(&[line("SHOP2-0001", 1)], Ours::default()).remedy(), Remedy::Note);

    let refunds = |state| Ours { payments: vec![], refunds: vec![our_refund(no, refund, 100, state, true)] };
    let there = |state| [refund_line(no, refund, 100, state)];
    let (state, gateway_no) = (RefundState::Succeeded, format!("50{refund}"));
    let report = Command::ReportRefund { refund: 2, state, gateway_no };
    let running = only(&there(RefundState::Succeeded), refunds(RefundState::Processing));
    assert_eq!(running.remedy(), Remedy::Tell(order_no, report));
    // two final answers: no rule can say which is right
    let ended = only(&there(RefundState::Succeeded), refunds(RefundState::Closed));
    assert_eq!(ended.remedy(), review);
    assert_eq!(only(&[], refunds(RefundState::Succeeded)).remedy(), review);
    let by_hand = only(&[refund_line(no, "CONSOLE1", 100, RefundState::Succeeded)], Ours::default());
    assert_eq!((by_hand.remedy(), by_hand.number.as_str()), (review, "CONSOLE1"));
}

#[test]
fn what_is_missing_is_looked_for_on_the_days_on_which_it_may_have_happened() {
    let day: BillDay = "2026-11-20".parse().unwrap();
    let missing = |asked: &str| {
        let asked_at_ms = asked.parse::<BillDay>().unwrap().begins_ms() + 1;
        let no = format!("{ORDER}_1");
        let payment = OurPayment { asked_at_ms, ..ours(&no, 990, true, true) };
        let found = compare(&[], &Ours { payments: vec![payment], refunds: vec![] }).pop().unwrap();
        found.other_days(day).into_iter().map(|day| day.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(missing("2026-11-20"), ["2026-11-19"]);
    assert_eq!(missing("2026-11-19"), ["2026-11-19"]);
    assert_eq!(missing("2026-11-11"), ["2026-11-11", "2026-11-12", "2026-11-19"]);
    // what we heard of in the last minutes of a day is looked for on the next day's bill, and then on this one
    let (from_ms, until_ms) = day.heard_within();
    assert!(from_ms < day.begins_ms() && until_ms < day.ends_ms());
    assert_eq!(until_ms, day.next().heard_within().0, "no moment is left out");
}

/// What really happened to one payment: the gateway's truth, and what we know of it.
#[derive(Clone, Copy, Debug)]
enum Story {
    Agreed,
    OnlyThere { is_known: bool },
    OnlyHere,
    OtherAmount,
    Unpaid,
    Foreign,
}

fn story() -> impl Strategy<Value = Story> {
    prop_oneof![
        6 => Just(Story::Agreed),
        1 => any::<bool>().prop_map(|is_known| Story::OnlyThere { is_known }),
        1 => Just(Story::OnlyHere),
        1 => Just(Story::OtherAmount),
        1 => Just(Story::Unpaid),
        1 => Just(Story::Foreign),
    ]
}

fn told(stories: &[Story]) -> (Vec<BillEntry>, Ours, BTreeSet<(DifferenceKind, String)>) {
    let (mut bill, mut books, mut expected) = (Vec::new(), Ours::default(), BTreeSet::new());
    for (order, story) in stories.iter().enumerate() {
        let no = payment_no(u32::try_from(order).unwrap(), 1);
        let mut differs = |kind| expected.insert((kind, no.clone()));
        match story {
            Story::Agreed => {
                bill.push(line(&no, 990));
                books.payments.push(ours(&no, 990, true, order % 2 == 0));
            }
            Story::OnlyThere { is_known } => {
                bill.push(line(&no, 990));
                books.payments.extend(is_known.then(|| ours(&no, 990, false, false)));
                differs(DifferenceKind::PaidThereUnpaidHere);
            }
            Story::OnlyHere => {
                books.payments.push(ours(&no, 990, true, true));
                differs(DifferenceKind::PaidHereMissingThere);
            }
            Story::OtherAmount => {
                bill.push(line(&no, 100));
                books.payments.push(ours(&no, 990, true, true));
                differs(DifferenceKind::AmountDiffers);
            }
            Story::Unpaid => books.payments.push(ours(&no, 990, false, false)),
            Story::Foreign => {
                bill.push(line(&format!("X{no}"), 1));
                expected.insert((DifferenceKind::UnknownNumber, format!("X{no}")));
            }
        }
    }
    (bill, books, expected)
}

fn names(differences: &[Difference]) -> BTreeSet<(DifferenceKind, String)> {
    differences.iter().map(|difference| (difference.kind, difference.number.clone())).collect()
}

proptest! {
    #[test]
    fn every_difference_is_found_once_and_nothing_else(stories in prop::collection::vec(story(), 0..60)) {
        let (bill, books, expected) = told(&stories);
        let found = compare(&bill, &books);
        prop_assert_eq!(names(&found), expected);
        prop_assert_eq!(names(&found).len(), found.len());
    }

    #[test]
    fn neither_order_nor_cutting_into_parts_changes_the_outcome(
        (stories, parts, again) in (prop::collection::vec(story(), 0..60), 1_usize..9, any::<prop::sample::Index>()),
    ) {
        let (mut bill, books, _) = told(&stories);
        if !bill.is_empty() {
            let twice = bill[again.index(bill.len())].clone();
            bill.push(BillEntry { gateway_no: "another".to_owned(), ..twice });
        }
        let whole = compare(&bill, &books);
        bill.reverse();
        let mut cut = Vec::new();
        let part_of = |key: &str| key.bytes().map(usize::from).sum::<usize>() % parts;
        for part in 0..parts {
            let lines: Vec<BillEntry> = bill.iter().filter(|entry| part_of(entry.key()) == part).cloned().collect();
            let payments = books.payments.iter().filter(|ours| part_of(&ours.payment_no) == part).cloned().collect();
            cut.extend(compare(&lines, &Ours { payments, refunds: Vec::new() }));
        }
        cut.sort_by(|a, b| (a.kind, &a.number).cmp(&(b.kind, &b.number)));
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn what_the_orders_were_told_does_not_differ_any_more(stories in prop::collection::vec(story(), 0..60)) {
        let (bill, mut books, _) = told(&stories);
        for difference in compare(&bill, &books) {
            if let Remedy::Tell(_, Command::ConfirmPayment { amount, .. }) = difference.remedy() {
                books.payments.retain(|ours| ours.payment_no != difference.number);
                books.payments.push(ours(&difference.number, amount.fen(), true, false));
            }
        }
        let left = compare(&bill, &books);
        prop_assert!(left.iter().all(|difference| difference.kind != DifferenceKind::PaidThereUnpaidHere));
    }
}
