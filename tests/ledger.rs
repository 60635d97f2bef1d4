//! The contract of a stock ledger, as functions over `&dyn StockLedger`: run against the SQL ledger, the Redis ledger on a
//! server and on a Redis Cluster, and against a plain reference in memory, which proves the suite itself. A new ledger
//! passes by joining `ledgers` in setup.rs.
//!
//! `settle` says that an order exists. Both ledgers remember a settled number by that order, so the suite has a hook
//! that makes the order first.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "ledger/faults.rs"]
mod faults;
#[path = "ledger/reference.rs"]
mod reference;
#[path = "ledger/server.rs"]
mod server;
#[path = "ledger/setup.rs"]
mod setup;

use std::collections::HashSet;

use reference::Reference;
use rushmall::domain::ids::OrderNoSequence;
use rushmall::domain::stock::{Claim, ClaimRejection, OrderDetails, Pool, Quantity, Ticket, TicketKind};
use rushmall::domain::{BuyerId, Money, OrderNo, ProductId, SaleId};
use rushmall::persistence::ledger::{BuyerState, LostAccount, PoolState, Rebuild, StockLedger, TicketRef, Withdraw};
use setup::{Bench, NOW_MS, PRODUCT, SALE, ledgers, terms};

/// Runs one test of the contract on every ledger.
macro_rules! contract {
    // One list of names instead of two lines for each; the functions stay ordinary functions.
    ($($name:ident),* $(,)?) => {
        mod contract {
            $(#[actix_rt::test]
            async fn $name() {
                for bench in super::ledgers().await {
                    eprintln!("{} on {}", stringify!($name), bench.name);
                    super::$name(&bench).await;
                }
            })*
        }
    };
}

contract![
    units_are_taken_until_none_is_left,
    a_sale_prices_and_counts_its_buyers,
    r1_a_repeat_is_answered_with_the_same_ticket,
    r10_two_claims_in_one_batch_are_both_counted,
    r12_a_number_that_was_never_taken_gives_nothing_back,
    r13_a_release_that_comes_first_wins,
    r14_the_last_unit_is_sold_once,
    r17_an_unknown_outcome_is_found_by_number,
    r18_a_release_frees_the_limit_exactly_once,
    r72_the_window_is_judged_with_the_units,
    a_settled_number_counts_as_taken_and_is_released_once,
    a_retake_is_the_undo_of_a_release,
    moves_happen_once_for_each_step,
    withdrawals_take_what_they_are_told,
    a_pool_without_terms_or_of_another_product_is_not_found,
    tickets_are_listed_by_buyer_and_by_age,
    a_rebuild_replaces_all_and_only_once,
    random_steps_agree_with_the_reference,
];

const SALE_POOL: Pool = Pool::Sale(SALE);

async fn one(bench: &Bench, claim: &Claim) -> Result<Ticket, ClaimRejection> {
    at(bench, claim, NOW_MS).await
}

async fn at(bench: &Bench, claim: &Claim, now_ms: i64) -> Result<Ticket, ClaimRejection> {
    bench.ledger.reserve(claim.product, std::slice::from_ref(claim), now_ms).await.unwrap().pop().unwrap()
}

async fn release(bench: &Bench, claim: &Claim) {
    bench.ledger.release(&[TicketRef::from(claim)]).await.unwrap();
}

async fn settle(bench: &Bench, ticket: &Ticket) {
    bench.place(ticket).await;
    bench.ledger.settle(&[TicketRef::from(ticket)]).await.unwrap();
}

async fn free(bench: &Bench, pool: Pool) -> i64 {
    bench.ledger.snapshot(PRODUCT).await.unwrap().free(pool)
}

/// A sale with so many units and so many for one buyer.
async fn sale(bench: &Bench, units: i64, units_per_buyer_max: i64) {
    bench.ledger.set_terms(PRODUCT, &terms(units_per_buyer_max)).await.unwrap();
    bench.ledger.deposit("sale", PRODUCT, SALE_POOL, units, NOW_MS).await.unwrap();
}

async fn units_are_taken_until_none_is_left(bench: &Bench) {
    bench.ledger.deposit("free", PRODUCT, Pool::Free, 5, NOW_MS).await.unwrap();
    let ticket = one(bench, &bench.claim(Pool::Free, 1, 4)).await.unwrap();
    assert_eq!((ticket.claim.unit_price, ticket.accepted_at_ms), (Money::from_fen(1_999), NOW_MS));
    let short = one(bench, &bench.claim(Pool::Free, 2, 2)).await;
    assert_eq!(short, Err(ClaimRejection::StockShort { units_left: 1 }));
    one(bench, &bench.claim(Pool::Free, 2, 1)).await.unwrap();
    assert_eq!(one(bench, &bench.claim(Pool::Free, 2, 1)).await, Err(ClaimRejection::SoldOut));
    let snapshot = bench.ledger.snapshot(PRODUCT).await.unwrap();
    assert_eq!((snapshot.pools[0].free, snapshot.pools[0].unsettled), (0, 5));
}

async fn a_sale_prices_and_counts_its_buyers(bench: &Bench) {
    sale(bench, 10, 3).await;
    let first = one(bench, &bench.claim(SALE_POOL, 1, 2)).await.unwrap();
    assert_eq!(first.claim.unit_price, Money::from_fen(999));
    let over = one(bench, &bench.claim(SALE_POOL, 1, 2)).await;
    assert_eq!(over, Err(ClaimRejection::OverLimit { units_per_buyer_max: 3 }));
    let second = one(bench, &bench.claim(SALE_POOL, 1, 1)).await.unwrap();
    let full = one(bench, &bench.claim(SALE_POOL, 1, 1)).await;
    assert_eq!(full, Err(ClaimRejection::AlreadyBought { order_no: second.claim.order_no }));
    one(bench, &bench.claim(SALE_POOL, 2, 3)).await.unwrap();
    assert_eq!(free(bench, SALE_POOL).await, 4);
}

async fn r1_a_repeat_is_answered_with_the_same_ticket(bench: &Bench) {
    sale(bench, 1, 1).await;
    let claim = bench.claim(SALE_POOL, 1, 1);
    let ticket = one(bench, &claim).await.unwrap();
    assert_eq!(at(bench, &claim, NOW_MS + 5).await, Ok(ticket.clone()), "sold out by now");
    assert_eq!(at(bench, &claim, terms(1).window.closes_at_ms).await, Ok(ticket.clone()), "after the window");
    let twice = bench.ledger.reserve(PRODUCT, &[claim.clone(), claim], NOW_MS).await.unwrap();
    assert_eq!(twice, [Ok(ticket.clone()), Ok(ticket)]);
    assert_eq!(free(bench, SALE_POOL).await, 0);
}

async fn r10_two_claims_in_one_batch_are_both_counted(bench: &Bench) {
    sale(bench, 3, 2).await;
    let claims = [bench.claim(SALE_POOL, 1, 1), bench.claim(SALE_POOL, 1, 1), bench.claim(SALE_POOL, 1, 1)];
    let answers = bench.ledger.reserve(PRODUCT, &claims, NOW_MS).await.unwrap();
    assert!(answers[0].is_ok() && answers[1].is_ok());
    assert_eq!(answers[2], Err(ClaimRejection::AlreadyBought { order_no: claims[1].order_no }));
    let more = [bench.claim(SALE_POOL, 2, 1), bench.claim(SALE_POOL, 3, 1)];
    let twice = [more[0].clone(), more[0].clone(), more[1].clone()];
    let answers = bench.ledger.reserve(PRODUCT, &twice, NOW_MS).await.unwrap();
    assert_eq!((&answers[0], &answers[2]), (&answers[1], &Err(ClaimRejection::SoldOut)));
}

async fn r12_a_number_that_was_never_taken_gives_nothing_back(bench: &Bench) {
    sale(bench, 2, 1).await;
    let refused = bench.claim(SALE_POOL, 1, 2);
    assert!(one(bench, &refused).await.is_err());
    release(bench, &refused).await;
    release(bench, &bench.claim(SALE_POOL, 2, 1)).await;
    assert_eq!(free(bench, SALE_POOL).await, 2);
}

async fn r13_a_release_that_comes_first_wins(bench: &Bench) {
    sale(bench, 2, 1).await;
    let claim = bench.claim(SALE_POOL, 1, 1);
    release(bench, &claim).await;
    assert_eq!(one(bench, &claim).await, Err(ClaimRejection::Withdrawn));
    release(bench, &claim).await;
    assert_eq!(free(bench, SALE_POOL).await, 2);
    assert!(bench.ledger.find(claim.order_no, Some(PRODUCT)).await.unwrap().unwrap().returned);
    one(bench, &bench.claim(SALE_POOL, 1, 1)).await.unwrap();
}

async fn r14_the_last_unit_is_sold_once(bench: &Bench) {
    sale(bench, 1, 1).await;
    let claims: Vec<Claim> = (1..=40).map(|buyer| bench.claim(SALE_POOL, buyer, 1)).collect();
    let answers = futures::future::join_all(claims.iter().map(|claim| one(bench, claim))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.iter().flat_map(|answer| answer.as_ref().err()).all(|e| *e == ClaimRejection::SoldOut));
    assert_eq!(free(bench, SALE_POOL).await, 0);
}

async fn r17_an_unknown_outcome_is_found_by_number(bench: &Bench) {
    sale(bench, 2, 2).await;
    let (taken, never) = (bench.claim(SALE_POOL, 1, 1), bench.claim(SALE_POOL, 1, 1));
    let ticket = one(bench, &taken).await.unwrap();
    let found = bench.ledger.find(taken.order_no, Some(PRODUCT)).await.unwrap().unwrap();
    assert_eq!((found.ticket, found.returned), (ticket, false));
    assert_eq!(bench.ledger.find(never.order_no, None).await.unwrap(), None);
    release(bench, &taken).await;
    assert!(bench.ledger.find(taken.order_no, None).await.unwrap().unwrap().returned);
}

async fn r18_a_release_frees_the_limit_exactly_once(bench: &Bench) {
    sale(bench, 4, 2).await;
    let (first, second) = (bench.claim(SALE_POOL, 1, 1), bench.claim(SALE_POOL, 1, 1));
    one(bench, &first).await.unwrap();
    one(bench, &second).await.unwrap();
    let twice = [TicketRef::from(&first), TicketRef::from(&first)];
    bench.ledger.release(&twice).await.unwrap();
    bench.ledger.release(&twice).await.unwrap();
    assert_eq!(free(bench, SALE_POOL).await, 3);
    assert_eq!(one(bench, &first).await, Err(ClaimRejection::Withdrawn));
    one(bench, &bench.claim(SALE_POOL, 1, 1)).await.unwrap();
    assert!(one(bench, &bench.claim(SALE_POOL, 1, 1)).await.is_err(), "the limit was freed once, not twice");
}

async fn r72_the_window_is_judged_with_the_units(bench: &Bench) {
    sale(bench, 9, 1).await;
    let window = terms(1).window;
    let claim = bench.claim(SALE_POOL, 1, 1);
    let early = at(bench, &claim, window.opens_at_ms - 1).await;
    assert_eq!(early, Err(ClaimRejection::NotStarted { opens_at_ms: window.opens_at_ms }));
    assert_eq!(at(bench, &claim, window.closes_at_ms).await, Err(ClaimRejection::Ended));
    at(bench, &claim, window.opens_at_ms).await.unwrap();
    at(bench, &bench.claim(SALE_POOL, 2, 1), window.closes_at_ms - 1).await.unwrap();
    let closed = rushmall::domain::sale::SaleTerms { closed: true, ..terms(1) };
    bench.ledger.set_terms(PRODUCT, &closed).await.unwrap();
    assert_eq!(one(bench, &bench.claim(SALE_POOL, 3, 1)).await, Err(ClaimRejection::Ended));
    assert_eq!(free(bench, SALE_POOL).await, 7);
}

async fn a_settled_number_counts_as_taken_and_is_released_once(bench: &Bench) {
    sale(bench, 3, 1).await;
    let claim = bench.claim(SALE_POOL, 1, 1);
    let ticket = one(bench, &claim).await.unwrap();
    settle(bench, &ticket).await;
    settle(bench, &ticket).await;
    assert_eq!(bench.ledger.snapshot(PRODUCT).await.unwrap().pool(SALE_POOL).unwrap().unsettled, 0);
    assert_eq!(one(bench, &claim).await, Ok(ticket.clone()));
    assert_eq!(bench.ledger.find(claim.order_no, None).await.unwrap(), None);
    assert_eq!(free(bench, SALE_POOL).await, 2);
    release(bench, &claim).await;
    release(bench, &claim).await;
    assert_eq!(free(bench, SALE_POOL).await, 3);
    settle(bench, &ticket).await;
    assert_eq!(one(bench, &claim).await, Err(ClaimRejection::Withdrawn), "settling lifts no tombstone");
    one(bench, &bench.claim(SALE_POOL, 1, 1)).await.unwrap();
}

async fn a_retake_is_the_undo_of_a_release(bench: &Bench) {
    sale(bench, 1, 1).await;
    let claim = bench.claim(SALE_POOL, 1, 1);
    let ticket = one(bench, &claim).await.unwrap();
    settle(bench, &ticket).await;
    let number = TicketRef::from(&claim);
    assert_eq!(bench.ledger.retake(&number, NOW_MS).await.unwrap(), Ok(()), "was never given back");
    release(bench, &claim).await;
    let closes_at_ms = terms(1).window.closes_at_ms;
    assert_eq!(bench.ledger.retake(&number, closes_at_ms).await.unwrap(), Err(ClaimRejection::Ended));
    for _ in 0..2 {
        assert_eq!(bench.ledger.retake(&number, NOW_MS).await.unwrap(), Ok(()));
        assert_eq!(free(bench, SALE_POOL).await, 0);
    }
    assert!(one(bench, &bench.claim(SALE_POOL, 1, 1)).await.is_err(), "the limit is used again");
    release(bench, &claim).await;
    assert_eq!(free(bench, SALE_POOL).await, 1);
    one(bench, &bench.claim(SALE_POOL, 2, 1)).await.unwrap();
    assert_eq!(bench.ledger.retake(&number, NOW_MS).await.unwrap(), Err(ClaimRejection::SoldOut));
    let unknown = TicketRef::from(&bench.claim(SALE_POOL, 3, 1));
    assert_eq!(bench.ledger.retake(&unknown, NOW_MS).await.unwrap(), Err(ClaimRejection::Withdrawn));
}

async fn moves_happen_once_for_each_step(bench: &Bench) {
    for _ in 0..3 {
        bench.ledger.deposit("a", PRODUCT, Pool::Free, 5, NOW_MS).await.unwrap();
        let taken = bench.ledger.withdraw("b", PRODUCT, Pool::Free, Withdraw::UpTo(3), NOW_MS).await.unwrap();
        assert_eq!((taken, free(bench, Pool::Free).await), (Ok(3), 2));
    }
    let all = bench.ledger.withdraw("c", PRODUCT, Pool::Free, Withdraw::All, NOW_MS).await.unwrap();
    bench.ledger.deposit("d", PRODUCT, Pool::Free, 7, NOW_MS).await.unwrap();
    let again = bench.ledger.withdraw("c", PRODUCT, Pool::Free, Withdraw::All, NOW_MS).await.unwrap();
    assert_eq!((all, again, free(bench, Pool::Free).await), (Ok(2), Ok(2), 7));
}

async fn withdrawals_take_what_they_are_told(bench: &Bench) {
    let exactly = Withdraw::Exactly(5);
    let missing = bench.ledger.withdraw("a", PRODUCT, Pool::Free, exactly, NOW_MS).await.unwrap();
    assert_eq!(missing, Err(ClaimRejection::PoolNotFound));
    assert_eq!(bench.ledger.withdraw("b", PRODUCT, Pool::Free, Withdraw::All, NOW_MS).await.unwrap(), Ok(0));
    bench.ledger.deposit("c", PRODUCT, Pool::Free, 4, NOW_MS).await.unwrap();
    let short = bench.ledger.withdraw("a", PRODUCT, Pool::Free, exactly, NOW_MS).await.unwrap();
    assert_eq!(short, Err(ClaimRejection::StockShort { units_left: 4 }));
    bench.ledger.deposit("d", PRODUCT, Pool::Free, 1, NOW_MS).await.unwrap();
    let enough = bench.ledger.withdraw("a", PRODUCT, Pool::Free, exactly, NOW_MS).await.unwrap();
    assert_eq!(enough, Ok(5), "a refusal is not remembered");
    let none = bench.ledger.withdraw("e", PRODUCT, Pool::Free, exactly, NOW_MS).await.unwrap();
    assert_eq!(none, Err(ClaimRejection::SoldOut));
}

async fn a_pool_without_terms_or_of_another_product_is_not_found(bench: &Bench) {
    let nowhere = bench.claim(Pool::Free, 1, 1);
    assert_eq!(one(bench, &nowhere).await, Err(ClaimRejection::PoolNotFound));
    bench.ledger.deposit("a", PRODUCT, SALE_POOL, 5, NOW_MS).await.unwrap();
    assert_eq!(one(bench, &bench.claim(SALE_POOL, 1, 1)).await, Err(ClaimRejection::PoolNotFound), "no terms");
    bench.ledger.deposit("b", PRODUCT, Pool::Free, 5, NOW_MS).await.unwrap();
    let other = Claim { product: ProductId(2), ..bench.claim(Pool::Free, 1, 1) };
    let answers = bench.ledger.reserve(PRODUCT, &[other], NOW_MS).await.unwrap();
    assert_eq!(answers, [Err(ClaimRejection::PoolNotFound)]);
    assert!(bench.ledger.snapshot(ProductId(2)).await.unwrap().pools.is_empty());
    assert!(bench.ledger.reserve(PRODUCT, &[], NOW_MS).await.unwrap().is_empty());
}

async fn tickets_are_listed_by_buyer_and_by_age(bench: &Bench) {
    bench.ledger.deposit("a", PRODUCT, Pool::Free, 9, NOW_MS).await.unwrap();
    let mut tickets = Vec::new();
    for minute in 0..4 {
        let kind = if minute == 1 { TicketKind::Prepared } else { TicketKind::Owed };
        let claim = Claim { kind, ..bench.claim(Pool::Free, 1, 1) };
        tickets.push(at(bench, &claim, NOW_MS + minute).await.unwrap());
    }
    release(bench, &tickets[3].claim).await;
    one(bench, &bench.claim(Pool::Free, 2, 1)).await.unwrap();
    let of_buyer = bench.ledger.tickets_of(BuyerId(1)).await.unwrap();
    assert_eq!(of_buyer, [tickets[2].clone(), tickets[0].clone()], "owed ones, newest first");
    let orphans = bench.ledger.orphans(NOW_MS + 2, 10).await.unwrap();
    let numbers: HashSet<OrderNo> = orphans.iter().map(|ticket| ticket.claim.order_no).collect();
    assert_eq!(orphans.len(), 3);
    assert!(numbers.contains(&tickets[0].claim.order_no) && numbers.contains(&tickets[1].claim.order_no));
    assert_eq!(bench.ledger.orphans(NOW_MS + 9, 2).await.unwrap().len(), 2);
    assert!(bench.ledger.orphans(NOW_MS, 10).await.unwrap().is_empty());
    settle(bench, &tickets[0]).await;
    assert_eq!(bench.ledger.tickets_of(BuyerId(1)).await.unwrap(), [tickets[2].clone()]);
}

async fn a_rebuild_replaces_all_and_only_once(bench: &Bench) {
    sale(bench, 5, 1).await;
    let claim = bench.claim(SALE_POOL, 1, 1);
    let ticket = one(bench, &claim).await.unwrap();
    let returned = bench.claim(SALE_POOL, 4, 1);
    settle(bench, &one(bench, &returned).await.unwrap()).await;
    let pools = vec![
        PoolState { pool: Pool::Free, free: 7, terms: None },
        PoolState { pool: SALE_POOL, free: 2, terms: Some(terms(1)) },
    ];
    let latest = claim.order_no;
    let units = rushmall::domain::stock::BuyerUnits { units: 1, latest };
    let buyers = vec![BuyerState { pool: SALE_POOL, buyer: BuyerId(2), units }];
    let (returned_nos, open_steps) = (vec![returned.order_no], vec!["sale".to_owned()]);
    bench.ledger.suspend(PRODUCT).await.unwrap();
    let lost = bench.ledger.begin_rebuild(PRODUCT).await.unwrap().unwrap();
    assert_eq!(bench.ledger.begin_rebuild(PRODUCT).await.unwrap(), Some(lost.clone()), "another node does the same");
    let LostAccount { epoch, turn } = lost;
    assert_eq!(epoch, 0);
    let rebuild = Rebuild { epoch: 1, turn, pools, buyers, returned: returned_nos, open_steps, now_ms: NOW_MS };
    for is_first in [true, false] {
        assert_eq!(bench.ledger.rebuild(PRODUCT, &rebuild).await.unwrap(), is_first);
        let snapshot = bench.ledger.snapshot(PRODUCT).await.unwrap();
        assert!(snapshot.pools.iter().all(|pool| pool.epoch == 1));
        assert_eq!(snapshot.pool(SALE_POOL).unwrap().unsettled, 1, "tickets stay");
        assert_eq!(bench.ledger.unsettled(PRODUCT).await.unwrap(), std::slice::from_ref(&ticket));
    }
    assert_eq!((free(bench, Pool::Free).await, free(bench, SALE_POOL).await), (7, 2));
    release(bench, &returned).await;
    assert_eq!(free(bench, SALE_POOL).await, 2, "the database had these units back already");
    bench.ledger.deposit("sale", PRODUCT, SALE_POOL, 3, NOW_MS).await.unwrap();
    assert_eq!(free(bench, SALE_POOL).await, 5, "an open step is run again");
    bench.ledger.withdraw("back", PRODUCT, SALE_POOL, Withdraw::Exactly(3), NOW_MS).await.unwrap().unwrap();
    assert_eq!(one(bench, &claim).await.map(|ticket| ticket.claim), Ok(ticket.claim));
    let had = one(bench, &bench.claim(SALE_POOL, 2, 1)).await;
    assert_eq!(had, Err(ClaimRejection::AlreadyBought { order_no: latest }));
    one(bench, &bench.claim(SALE_POOL, 3, 1)).await.unwrap();
    assert!(!bench.ledger.rebuild(PRODUCT, &rebuild).await.unwrap());
    let higher = Rebuild { epoch: 9, ..rebuild };
    assert!(!bench.ledger.rebuild(PRODUCT, &higher).await.unwrap());
    assert_eq!(free(bench, SALE_POOL).await, 1, "what was read before the last account changes nothing");
    release(bench, &claim).await;
    assert_eq!(free(bench, SALE_POOL).await, 2, "a ticket that stayed is given back once");
}

/// 10,000 seeded steps of several buyers on three pools; every answer and the state compared with the reference.
async fn random_steps_agree_with_the_reference(bench: &Bench) {
    let reference = Reference::default();
    let mut steps = setup::Steps::new(20_261_121);
    for ledger in [&*bench.ledger, &reference as &dyn StockLedger] {
        for sale in 1..=2 {
            let terms = rushmall::domain::sale::SaleTerms { sale: SaleId(sale), ..terms(3) };
            ledger.set_terms(PRODUCT, &terms).await.unwrap();
        }
    }
    for number in 0..10_000 {
        let step = steps.next(number);
        let (got, expected) = (step.run(bench, &*bench.ledger).await, step.run(bench, &reference).await);
        assert_eq!(got, expected, "step {number}: {step:?}");
        steps.learn(&step);
        if number % 50 == 0 {
            let snapshots = (bench.ledger.snapshot(PRODUCT).await.unwrap(), reference.snapshot(PRODUCT).await.unwrap());
            assert_eq!(snapshots.0, snapshots.1, "after step {number}");
        }
    }
    for buyer in 1..=5 {
        let buyer = BuyerId(buyer);
        assert_eq!(bench.ledger.tickets_of(buyer).await.unwrap(), reference.tickets_of(buyer).await.unwrap());
    }
    assert_eq!(
        bench.ledger.orphans(i64::MAX, 10_000).await.unwrap(),
        reference.orphans(i64::MAX, 10_000).await.unwrap()
    );
}

impl Bench {
    fn claim(&self, pool: Pool, buyer: i64, units: i64) -> Claim {
        setup::claim(self.next_no(), pool, buyer, units)
    }
}
