//! What only a ledger outside the database goes through: two nodes on one Redis, lost data, restarts, lost scripts, answers
//! that do not come.

use std::time::{Duration, Instant};

use futures::future::join_all;
use nix::sys::signal::Signal;
use rushmall::domain::order::FailReason;
use rushmall::domain::stock::BuyerUnits;
use rushmall::persistence::placing::{self, PlaceTerms};
use rushmall::persistence::{Db, RedisLedger, StoreError, dead_tickets};

use super::server::RedisServer;
use super::setup::{database, open_accounts, prefix, redis_ledger, service, write_account};
use super::*;

const PREFIX: &str = "shop";
/// For a test that waits for it.
const TIMEOUT_MS: u64 = 2_000;

/// A ledger on a server of its own.
async fn alone() -> Option<(RedisServer, Bench, Db)> {
    alone_within(20_000).await
}

/// The same with so long for an answer.
async fn alone_within(timeout_ms: u64) -> Option<(RedisServer, Bench, Db)> {
    let server = RedisServer::start().await?;
    let (db, dir) = database().await;
    let ledger = redis_ledger(&server.url(), PREFIX, &db, timeout_ms).await;
    open_accounts(&ledger).await;
    Some((server, Bench::new("Redis", Box::new(ledger), Some((db.clone(), dir))), db))
}

/// Two nodes on each Redis that the environment names.
async fn pairs_of_nodes() -> Vec<(Bench, RedisLedger)> {
    let mut pairs = Vec::new();
    for variable in ["RUSHMALL_TEST_REDIS_URL", "RUSHMALL_TEST_REDIS_CLUSTER_URL"] {
        let Some(url) = service(variable) else { continue };
        let (db, dir) = database().await;
        let prefix = prefix();
        let first = redis_ledger(&url, &prefix, &db, 10_000).await;
        let second = redis_ledger(&url, &prefix, &db, 10_000).await;
        open_accounts(&first).await;
        pairs.push((Bench::new(variable, Box::new(first), Some((db, dir))), second));
    }
    pairs
}

fn is_lost<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::LedgerLost { product: PRODUCT })), "{outcome:?}");
}

async fn assert_all_is_lost(bench: &Bench, claim: &Claim) {
    let (ledger, number) = (&bench.ledger, TicketRef::from(claim));
    is_lost(ledger.reserve(PRODUCT, std::slice::from_ref(claim), NOW_MS).await);
    is_lost(ledger.release(&[number]).await);
    is_lost(ledger.settle(&[number]).await);
    is_lost(ledger.retake(&number, NOW_MS).await);
    is_lost(ledger.find(claim.order_no, Some(PRODUCT)).await);
    is_lost(ledger.deposit("late", PRODUCT, SALE_POOL, 5, NOW_MS).await);
    is_lost(ledger.withdraw("later", PRODUCT, SALE_POOL, Withdraw::All, NOW_MS).await);
    is_lost(ledger.set_terms(PRODUCT, &terms(1)).await);
    is_lost(ledger.snapshot(PRODUCT).await);
    assert!(ledger.find(bench.next_no(), None).await.is_err(), "it cannot be said that a number is unknown");
    assert!(ledger.orphans(i64::MAX, 9).await.unwrap().is_empty(), "left to the rebuild");
    assert!(ledger.tickets_of(BuyerId(1)).await.unwrap().is_empty());
}

fn account(epoch: i64, free: i64, held_by: &[&Claim]) -> Rebuild {
    let pools = vec![PoolState { pool: SALE_POOL, free, terms: Some(terms(1)) }];
    let of = |claim: &&Claim| BuyerState {
        pool: SALE_POOL,
        buyer: claim.buyer,
        units: BuyerUnits { units: claim.quantity.units(), latest: claim.order_no },
    };
    Rebuild { epoch, pools, buyers: held_by.iter().map(of).collect(), now_ms: NOW_MS + 60_000, ..Rebuild::default() }
}

#[actix_rt::test]
async fn t2_two_nodes_sell_what_there_is_and_no_unit_more() {
    for (bench, second) in pairs_of_nodes().await {
        sale(&bench, 73, 1).await;
        let buyers: Vec<Claim> = (1..=200).map(|buyer| bench.claim(SALE_POOL, buyer, 1)).collect();
        let tasks = buyers.chunks(4).enumerate().map(|(task, claims)| {
            let ledger: &dyn StockLedger = if task % 2 == 0 { &*bench.ledger } else { &second };
            async move { ledger.reserve(PRODUCT, claims, NOW_MS).await.unwrap() }
        });
        let watching = async {
            for _ in 0..20 {
                let snapshot = second.snapshot(PRODUCT).await.unwrap();
                let pool = snapshot.pool(SALE_POOL).unwrap();
                assert_eq!((pool.free + pool.unsettled, pool.free >= 0), (73, true));
            }
        };
        let (answers, ()) = futures::join!(join_all(tasks), watching);
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        let taken = answers.iter().flatten().count();
        assert_eq!((answers.len(), taken), (200, 73), "on {}", bench.name);
        assert!(answers.iter().filter_map(|a| a.as_ref().err()).all(|e| *e == ClaimRejection::SoldOut));
        // What one node took the other gives back; each number once, however often it is said on both.
        let refs: Vec<TicketRef> = answers.iter().flatten().map(TicketRef::from).collect();
        let releases = (0..6).map(|i| if i % 2 == 0 { second.release(&refs) } else { bench.ledger.release(&refs) });
        assert!(join_all(releases).await.into_iter().all(|outcome| outcome.is_ok()));
        assert_eq!(free(&bench, SALE_POOL).await, 73);
    }
}

#[actix_rt::test]
async fn t1_one_buyer_on_two_nodes_gets_one_unit() {
    for (bench, second) in pairs_of_nodes().await {
        sale(&bench, 10, 1).await;
        let clicks: Vec<Claim> = (0..200).map(|_| bench.claim(SALE_POOL, 7, 1)).collect();
        let asked = clicks.iter().enumerate().map(|(i, click)| {
            let ledger: &dyn StockLedger = if i % 2 == 0 { &*bench.ledger } else { &second };
            ledger.reserve(PRODUCT, std::slice::from_ref(click), NOW_MS)
        });
        let answers: Vec<_> = join_all(asked).await.into_iter().flat_map(Result::unwrap).collect();
        let won: Vec<&Ticket> = answers.iter().flatten().collect();
        let order_no = won[0].claim.order_no;
        assert_eq!((won.len(), free(&bench, SALE_POOL).await), (1, 9));
        let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
        assert!(refused.into_iter().all(|e| *e == ClaimRejection::AlreadyBought { order_no }));
        let found = second.find(order_no, None).await.unwrap().unwrap();
        assert_eq!(&found.ticket, won[0], "found by either node, wherever it was taken");
    }
}

#[actix_rt::test]
async fn r16_a_flushed_ledger_sells_nothing_and_creates_nothing() {
    let Some((server, bench, _)) = alone().await else { return };
    sale(&bench, 5, 1).await;
    let claim = bench.claim(SALE_POOL, 1, 1);
    one(&bench, &claim).await.unwrap();
    let () = server.run(&["FLUSHALL"]);
    assert_all_is_lost(&bench, &bench.claim(SALE_POOL, 2, 1)).await;
    assert_eq!(server.run::<i64>(&["DBSIZE"]), 0, "nothing was created");
    assert!(bench.ledger.unsettled(PRODUCT).await.unwrap().is_empty());
    assert!(write_account(&*bench.ledger, PRODUCT, account(1, 4, &[&claim])).await);
    assert_eq!(one(&bench, &claim).await, Err(ClaimRejection::Withdrawn), "never sold twice");
    assert_eq!(free(&bench, SALE_POOL).await, 4);
}

#[actix_rt::test]
async fn r16_a_restarted_ledger_waits_for_its_rebuild_and_goes_on() {
    let Some((mut server, bench, _)) = alone().await else { return };
    sale(&bench, 5, 1).await;
    let claims: Vec<Claim> = (1..=3).map(|buyer| bench.claim(SALE_POOL, buyer, 1)).collect();
    let mut tickets = Vec::new();
    for claim in &claims {
        tickets.push(one(&bench, claim).await.unwrap());
    }
    settle(&bench, &tickets[0]).await;
    release(&bench, &claims[2]).await;
    server.kill_and_restart().await;
    bench.ledger.unsettled(PRODUCT).await.ok(); // notices that the connection is gone, and makes it again
    assert_all_is_lost(&bench, &bench.claim(SALE_POOL, 9, 1)).await;
    let lost = bench.ledger.begin_rebuild(PRODUCT).await.unwrap().unwrap();
    assert_eq!(lost.epoch, 0);
    assert_eq!(bench.ledger.unsettled(PRODUCT).await.unwrap(), [tickets[1].clone()], "what the log had is there");
    let in_this_turn = |account: Rebuild| Rebuild { turn: lost.turn.clone(), ..account };
    let first = in_this_turn(account(1, 3, &[&claims[0], &claims[1]]));
    assert!(bench.ledger.rebuild(PRODUCT, &first).await.unwrap());
    for epoch in 1..=2 {
        let second = in_this_turn(account(epoch, 5, &[]));
        assert!(!bench.ledger.rebuild(PRODUCT, &second).await.unwrap(), "the second node comes too late");
    }
    assert_eq!(bench.ledger.begin_rebuild(PRODUCT).await.unwrap(), None, "and sees so");
    assert_eq!(one(&bench, &claims[0]).await, Ok(tickets[0].clone()), "settled");
    assert_eq!(one(&bench, &claims[1]).await, Ok(Ticket { epoch: 1, ..tickets[1].clone() }), "unsettled");
    assert_eq!(one(&bench, &claims[2]).await, Err(ClaimRejection::Withdrawn), "returned");
    let snapshot = bench.ledger.snapshot(PRODUCT).await.unwrap();
    let pool = snapshot.pool(SALE_POOL).unwrap();
    assert_eq!((pool.free, pool.unsettled, pool.epoch), (3, 1, 1));
    assert_eq!(bench.ledger.tickets_of(BuyerId(2)).await.unwrap(), [tickets[1].clone()]);
    settle(&bench, &tickets[1]).await;
    for buyer in 4..=6 {
        let new = setup::claim(bench.number_at(NOW_MS + 60_000), SALE_POOL, buyer, 1);
        one(&bench, &new).await.unwrap();
    }
    assert_eq!(free(&bench, SALE_POOL).await, 0, "the sale went on");
}

#[actix_rt::test]
async fn a_number_from_before_the_rebuild_is_given_back_once_if_it_has_an_order() {
    let Some((server, bench, _)) = alone().await else { return };
    sale(&bench, 5, 1).await;
    let (ordered, never) = (bench.claim(SALE_POOL, 1, 1), bench.claim(SALE_POOL, 2, 1));
    let ticket = one(&bench, &ordered).await.unwrap();
    settle(&bench, &ticket).await;
    let () = server.run(&["FLUSHALL"]);
    assert!(write_account(&*bench.ledger, PRODUCT, account(1, 4, &[&ordered])).await);
    for claim in [&ordered, &never] {
        assert_eq!(one(&bench, claim).await, Err(ClaimRejection::Withdrawn));
        assert_eq!(bench.ledger.find(claim.order_no, Some(PRODUCT)).await.unwrap(), None);
    }
    let unordered = bench.ledger.retake(&TicketRef::from(&never), NOW_MS).await.unwrap();
    assert_eq!(unordered, Err(ClaimRejection::Withdrawn));
    for _ in 0..2 {
        bench.ledger.release(&[TicketRef::from(&never), TicketRef::from(&ordered)]).await.unwrap();
        assert_eq!(free(&bench, SALE_POOL).await, 5, "one unit for the order, none for what was never ordered");
    }
    let found = bench.ledger.find(ordered.order_no, Some(PRODUCT)).await.unwrap().unwrap();
    assert_eq!((found.ticket, found.returned), (ticket, true));
    for _ in 0..2 {
        assert_eq!(bench.ledger.retake(&TicketRef::from(&ordered), NOW_MS).await.unwrap(), Ok(()));
        assert_eq!(free(&bench, SALE_POOL).await, 4);
    }
}

/// A node that was stopped after it had read the database must not write what it read when it goes on.
#[actix_rt::test]
async fn r16_what_was_read_before_the_ledger_was_lost_once_more_is_not_written() {
    let Some((server, bench, _)) = alone().await else { return };
    let () = server.run(&["FLUSHALL"]);
    let stopped = bench.ledger.begin_rebuild(PRODUCT).await.unwrap().unwrap();
    assert!(write_account(&*bench.ledger, PRODUCT, account(1, 5, &[])).await);
    let new = setup::claim(bench.number_at(NOW_MS + 60_000), SALE_POOL, 1, 1);
    assert_eq!(one(&bench, &new).await.unwrap().epoch, 1, "a ticket tells the account that accepted it");
    let () = server.run(&["FLUSHALL"]);
    let old = Rebuild { turn: stopped.turn, ..account(1, 5, &[]) };
    assert!(!bench.ledger.rebuild(PRODUCT, &old).await.unwrap(), "it would promise the unit again");
    is_lost(bench.ledger.snapshot(PRODUCT).await);
    assert!(write_account(&*bench.ledger, PRODUCT, account(2, 4, &[&new])).await);
    assert_eq!(bench.ledger.orphans(i64::MAX, 9).await.unwrap(), []);
    let next = setup::claim(bench.number_at(NOW_MS + 60_000), SALE_POOL, 2, 1);
    let ticket = one(&bench, &next).await.unwrap();
    assert_eq!((ticket.epoch, bench.ledger.orphans(i64::MAX, 9).await.unwrap()), (2, vec![ticket]));
}

#[actix_rt::test]
async fn r16_a_late_order_that_failed_gives_no_unit_back_to_an_account_that_never_took_it() {
    let Some((server, bench, db)) = alone().await else { return };
    sale(&bench, 5, 1).await;
    let late = one(&bench, &bench.claim(SALE_POOL, 1, 1)).await.unwrap();
    let () = server.run(&["FLUSHALL"]);
    assert!(write_account(&*bench.ledger, PRODUCT, account(1, 5, &[])).await);
    let terms = PlaceTerms { pay_deadline_ms: 1 };
    placing::place_failed(&db, std::slice::from_ref(&late), FailReason::OverLimit, terms, NOW_MS).await.unwrap();
    for _ in 0..2 {
        bench.ledger.release(&[TicketRef::from(&late)]).await.unwrap();
        assert_eq!(free(&bench, SALE_POOL).await, 5);
    }
}

/// Found by chaos: a ticket waited in the order queue while its account was rebuilt without it; its unit was then sold
/// in the database and free in the ledger, for ever.
#[actix_rt::test]
async fn r16_an_order_that_was_on_its_way_during_the_rebuild_makes_it_be_done_again() {
    let Some((server, bench, _)) = alone().await else { return };
    sale(&bench, 5, 1).await;
    let (counted, late) = (bench.claim(SALE_POOL, 1, 1), bench.claim(SALE_POOL, 2, 1));
    let mut tickets = Vec::new();
    for claim in [&counted, &late] {
        tickets.push(one(&bench, claim).await.unwrap());
    }
    settle(&bench, &tickets[0]).await;
    let () = server.run(&["FLUSHALL"]);
    assert!(write_account(&*bench.ledger, PRODUCT, account(1, 4, &[&counted])).await);
    assert_eq!(free(&bench, SALE_POOL).await, 4, "one too many: the second order is not written yet");
    settle(&bench, &tickets[1]).await;
    assert_all_is_lost(&bench, &bench.claim(SALE_POOL, 9, 1)).await;
    assert!(write_account(&*bench.ledger, PRODUCT, account(2, 3, &[&counted, &late])).await);
    settle(&bench, &tickets[1]).await;
    assert_eq!(free(&bench, SALE_POOL).await, 3, "known by now");
}

#[actix_rt::test]
async fn a_mark_that_is_forgotten_is_presumed() {
    let Some((server, bench, _)) = alone().await else { return };
    sale(&bench, 5, 1).await;
    let claims: Vec<Claim> = (1..=2).map(|buyer| bench.claim(SALE_POOL, buyer, 1)).collect();
    settle(&bench, &one(&bench, &claims[0]).await.unwrap()).await;
    let (marks, order_no) = (format!("{PREFIX}:{{p1}}:marks"), claims[0].order_no.to_string());
    assert_eq!(server.run::<i64>(&["ZCARD", &marks]), 1);
    let () = server.run(&["ZADD", &marks, "1", &order_no]); // settled in 1970
    settle(&bench, &one(&bench, &claims[1]).await.unwrap()).await;
    assert_eq!(server.run::<Option<String>>(&["ZSCORE", &marks, &order_no]), None, "forgotten");
    assert_eq!(one(&bench, &claims[0]).await, Err(ClaimRejection::Withdrawn), "but not sold again");
    assert!(one(&bench, &claims[1]).await.is_ok(), "a mark goes before the presumption");
    for _ in 0..2 {
        release(&bench, &claims[0]).await;
        assert_eq!(free(&bench, SALE_POOL).await, 4);
    }
}

#[actix_rt::test]
async fn scripts_that_were_flushed_are_loaded_again() {
    let Some((server, bench, _)) = alone().await else { return };
    sale(&bench, 40, 1).await;
    for buyer in 1..=40 {
        if buyer % 4 == 0 {
            let () = server.run(&["SCRIPT", "FLUSH"]);
        }
        one(&bench, &bench.claim(SALE_POOL, buyer, 1)).await.unwrap();
    }
    assert_eq!(free(&bench, SALE_POOL).await, 0);
}

#[actix_rt::test]
async fn r17_an_answer_that_does_not_come_is_an_error_in_time_and_the_number_tells_later() {
    let Some((server, bench, _)) = alone_within(TIMEOUT_MS).await else { return };
    sale(&bench, 5, 1).await;
    let claim = bench.claim(SALE_POOL, 1, 1);
    server.signal(Signal::SIGSTOP);
    let begun = Instant::now();
    let outcome = bench.ledger.reserve(PRODUCT, std::slice::from_ref(&claim), NOW_MS).await;
    let took = begun.elapsed();
    server.signal(Signal::SIGCONT);
    assert!(matches!(outcome, Err(StoreError::TimedOut { timeout_ms: TIMEOUT_MS, .. })), "{outcome:?}");
    assert!(took < Duration::from_millis(TIMEOUT_MS * 5), "{took:?}");
    actix_rt::time::sleep(Duration::from_millis(300)).await;
    let found = loop {
        match bench.ledger.find(claim.order_no, Some(PRODUCT)).await {
            Ok(found) => break found,
            Err(error) => assert!(error.is_transient(), "{error:?}"), // the connection is made again
        }
    };
    assert_eq!(5 - free(&bench, SALE_POOL).await, i64::from(found.is_some()), "found if and only if taken");
    let ticket = one(&bench, &claim).await.unwrap();
    assert!(found.is_none_or(|found| found.ticket == ticket && !found.returned));
    assert_eq!(free(&bench, SALE_POOL).await, 4, "taken once");
}

#[actix_rt::test]
async fn a_ticket_that_cannot_be_read_is_buried_and_its_units_come_back() {
    let Some((server, bench, db)) = alone().await else { return };
    sale(&bench, 9, 3).await;
    let (bad, rubbish) = (bench.claim(SALE_POOL, 1, 3), bench.claim(SALE_POOL, 2, 1));
    for claim in [&bad, &rubbish] {
        one(&bench, claim).await.unwrap();
    }
    let good = at(&bench, &bench.claim(SALE_POOL, 3, 1), NOW_MS + 1).await.unwrap();
    let tickets = format!("{PREFIX}:{{p1}}:tickets");
    let broken = format!("1:1 3 o 999 {NOW_MS} ?");
    let () = server.run(&["HSET", &tickets, &bad.order_no.to_string(), &broken]);
    let () = server.run(&["HSET", &tickets, &rubbish.order_no.to_string(), "?"]);
    let unsettled = bench.ledger.unsettled(PRODUCT).await.unwrap();
    let units: i64 = unsettled.iter().map(|ticket| ticket.claim.quantity.units()).sum();
    assert_eq!(units, 4, "a broken ticket still holds its units");
    for _ in 0..2 {
        assert_eq!(
            bench.ledger.orphans(NOW_MS + 9, 1).await.unwrap(),
            std::slice::from_ref(&good),
            "they stall nobody"
        );
    }
    assert_eq!(free(&bench, SALE_POOL).await, 7, "nobody can tell how many the second one held");
    let (dead, total) = dead_tickets::list(&db, 0, 10).await.unwrap();
    let of_buyer = dead.iter().find(|dead| dead.ticket.claim.order_no == bad.order_no).unwrap();
    assert_eq!((total, of_buyer.ticket.claim.buyer, of_buyer.ticket.claim.quantity.units()), (2, BuyerId(1), 3));
    for claim in [&bad, &rubbish] {
        assert!(bench.ledger.find(claim.order_no, None).await.unwrap().unwrap().returned, "a tombstone stays");
    }
    one(&bench, &bench.claim(SALE_POOL, 1, 3)).await.unwrap(); // the limit is free again
}
