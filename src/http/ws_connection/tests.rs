//! What a socket that comes back is told again.

use super::*;
use crate::domain::order::OrderStatus;
use crate::domain::stock::Quantity;
use crate::domain::{BuyerId, Money, ProductId};

const A: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAA";
const B: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAB";

fn past(commit_no: i64, order_no: &str, version: u32) -> PastEvent {
    let event = FeedEvent {
        order_no: order_no.parse().unwrap(),
        buyer: BuyerId(1),
        version,
        status: OrderStatus::Paid,
        event: "payment_captured".to_owned(),
        at_ms: 0,
        product: ProductId(1),
        quantity: Quantity::ONE,
        total: Money::from_fen(1),
        pay_deadline_ms: 0,
    };
    PastEvent { commit_no, event }
}

fn told(known: &[(&str, u32)]) -> Vec<(String, u32)> {
    let mut missed = vec![past(8, A, 1), past(9, B, 1), past(10, B, 2), past(10, B, 3), past(11, B, 4)];
    let known = known.iter().map(|(order_no, version)| (order_no.parse().unwrap(), *version)).collect();
    skip_told(&mut missed, Some(10), &known);
    missed.iter().map(|past| (past.event.order_no.to_string(), past.event.version)).collect()
}

#[test]
fn a_client_without_versions_is_told_the_last_step_again_and_what_is_later() {
    assert_eq!(told(&[]), [(A.to_owned(), 1), (B.to_owned(), 3), (B.to_owned(), 4)]);
}

#[test]
fn a_client_that_says_what_it_knows_is_told_exactly_the_rest() {
    assert_eq!(told(&[(A, 1), (B, 4)]), []);
    assert_eq!(
        told(&[(A, 0), (B, 1)]),
        [A, B, B, B].map(str::to_owned).into_iter().zip([1, 2, 3, 4]).collect::<Vec<_>>()
    );
}
