//! Checkouts of Redis carts: lines lie aside, and are forgotten or put back exactly once, whatever is cut off.

use std::time::{Duration, Instant};

use rushmall::domain::ProductId;
use rushmall::domain::stock::QUANTITY_MAX;
use rushmall::persistence::StoreError;
use rushmall::persistence::carts::{Ending, Taken};
use rushmall::persistence::ledger::TicketRef;
use rushmall::redis_link::RedisLink;

use crate::bench::{Bench, CUT_OFF_MS, LINES_MAX, NOW_MS, redis_stores};
use crate::cut_wire::CutWire;
use crate::services::{REDIS, hasty_redis_settings, url_of};

#[actix_rt::test]
async fn r1_lines_are_taken_once_and_a_repeat_finds_its_own() {
    for bench in redis_stores().await {
        let owner = bench.user("li").await;
        let [first, second, third] = bench.products().await;
        for product in [first, second, third] {
            bench.add(&owner, product, 2).await.unwrap();
        }
        let lines = bench.wanted(&[(first, 2), (second, 2)]);
        bench.take(&owner, &lines).await;
        assert_eq!(bench.content(&owner).await, [(third, 2)]);
        let second_click = bench.wanted(&[(first, 2), (second, 2)]);
        assert_eq!(bench.carts.take(&owner, &second_click, NOW_MS).await.unwrap(), Taken::Gone);
        let partly = bench.wanted(&[(second, 2), (third, 2)]);
        assert_eq!(bench.carts.take(&owner, &partly, NOW_MS).await.unwrap(), Taken::Gone, "all lines or none");
        assert_eq!(bench.content(&owner).await, [(third, 2)]);
        let kept = bench.carts.set_aside(&owner, lines[0].order_no).await.unwrap();
        assert_eq!(kept.as_deref(), Some(&lines[..]));
        let repeat = bench.take(&owner, &lines).await;
        let others: Vec<_> = bench.wanted(&[(third, 1)]).into_iter().map(|line| (lines[0].order_no, line)).collect();
        let other_lines = [rushmall::domain::stock::OrderLine { order_no: others[0].0, ..others[0].1 }];
        assert_eq!(bench.carts.take(&owner, &other_lines, NOW_MS).await.unwrap(), Taken::Gone);
        bench.conclude(&repeat, Ending::Placed).await;
        assert_eq!(bench.carts.set_aside(&owner, lines[0].order_no).await.unwrap(), None);
        assert_eq!(bench.content(&owner).await, [(third, 2)]);
    }
}

#[actix_rt::test]
async fn a_refused_checkout_puts_its_lines_back_beside_what_was_put_in_meanwhile() {
    for bench in redis_stores().await {
        let owner = bench.user("li").await;
        let [first, second, third, fourth]: [ProductId; 4] = bench.products().await;
        bench.add(&owner, first, 600).await.unwrap();
        bench.add_at(&owner, second, 2, NOW_MS + 1).await.unwrap();
        bench.add_at(&owner, third, 3, NOW_MS + 2).await.unwrap();
        let lines = bench.wanted(&[(first, 600), (second, 1), (third, 3)]);
        let taking = bench.take(&owner, &lines).await;
        assert!(bench.content(&owner).await.is_empty());
        bench.add(&owner, first, 500).await.unwrap();
        bench.add(&owner, fourth, 4).await.unwrap();
        bench.conclude(&taking, Ending::Refused).await;
        // units add up to 999; there is room for one line more: the one that was added last, with all of its units
        assert_eq!(bench.content(&owner).await, [(first, QUANTITY_MAX), (third, 3), (fourth, 4)], "{}", bench.name);
        bench.conclude(&taking, Ending::Refused).await;
        assert_eq!(bench.content(&owner).await.len(), LINES_MAX as usize);
    }
}

#[actix_rt::test]
async fn a_cart_that_was_emptied_meanwhile_stays_empty() {
    for bench in redis_stores().await {
        let owner = bench.user("li").await;
        let [product] = bench.products().await;
        bench.add(&owner, product, 2).await.unwrap();
        let taking = bench.take(&owner, &bench.wanted(&[(product, 2)])).await;
        bench.carts.clear(&owner).await.unwrap();
        bench.conclude(&taking, Ending::Refused).await;
        assert!(bench.content(&owner).await.is_empty());
    }
}

#[actix_rt::test]
async fn a_conclusion_of_an_earlier_attempt_that_comes_late_changes_nothing() {
    for bench in redis_stores().await {
        let owner = bench.user("li").await;
        let [product] = bench.products().await;
        bench.add(&owner, product, 2).await.unwrap();
        let lines = bench.wanted(&[(product, 2)]);
        let earlier = bench.take(&owner, &lines).await;
        let later = bench.take(&owner, &lines).await;
        bench.conclude(&earlier, Ending::Refused).await;
        assert!(bench.content(&owner).await.is_empty(), "the later attempt has the lines");
        bench.conclude(&later, Ending::Placed).await;
        bench.conclude(&earlier, Ending::Refused).await;
        assert!(bench.content(&owner).await.is_empty(), "they are ordered");
    }
}

#[actix_rt::test]
async fn a_cut_off_checkout_without_orders_gives_its_lines_back() {
    for bench in redis_stores().await {
        for is_swept in [false, true] {
            let owner = bench.user(&format!("li{is_swept}")).await;
            let [product] = bench.products().await;
            bench.add(&owner, product, 2).await.unwrap();
            bench.take(&owner, &bench.wanted(&[(product, 2)])).await;
            let (before_ms, after_ms) = (NOW_MS + CUT_OFF_MS - 1, NOW_MS + CUT_OFF_MS);
            bench.carts.tidy(before_ms).await.unwrap();
            assert!(bench.lines(&owner, before_ms).await.is_empty(), "it may still be at work");
            if is_swept {
                bench.carts.tidy(after_ms).await.unwrap();
                assert_eq!(bench.lines(&owner, NOW_MS).await, [(product, 2)]);
            }
            assert_eq!(bench.lines(&owner, after_ms).await, [(product, 2)]);
        }
    }
}

#[actix_rt::test]
async fn a_cut_off_checkout_with_orders_is_forgotten_at_the_next_look() {
    for bench in redis_stores().await {
        for is_swept in [false, true] {
            let owner = bench.user(&format!("li{is_swept}")).await;
            let [product] = bench.products().await;
            bench.add(&owner, product, 2).await.unwrap();
            let lines = bench.wanted(&[(product, 2)]);
            bench.take(&owner, &lines).await;
            bench.place(vec![bench.reserve(&owner, &lines[0]).await]).await;
            if is_swept {
                bench.carts.tidy(NOW_MS + CUT_OFF_MS).await.unwrap();
            } else {
                assert!(bench.lines(&owner, NOW_MS).await.is_empty());
            }
            assert_eq!(bench.carts.set_aside(&owner, lines[0].order_no).await.unwrap(), None);
            assert!(bench.lines(&owner, NOW_MS + CUT_OFF_MS).await.is_empty());
        }
    }
}

#[actix_rt::test]
async fn lines_come_back_after_their_units() {
    for bench in redis_stores().await {
        let owner = bench.user("li").await;
        let [product] = bench.products().await;
        bench.add(&owner, product, 2).await.unwrap();
        let lines = bench.wanted(&[(product, 2)]);
        bench.take(&owner, &lines).await;
        let ticket = bench.reserve(&owner, &lines[0]).await;
        bench.carts.tidy(NOW_MS + CUT_OFF_MS).await.unwrap();
        assert!(bench.lines(&owner, NOW_MS + CUT_OFF_MS).await.is_empty(), "its units are held for the order");
        bench.ledger.release(&[TicketRef::from(&ticket)]).await.unwrap();
        bench.carts.tidy(NOW_MS + 2 * CUT_OFF_MS).await.unwrap();
        assert_eq!(bench.lines(&owner, NOW_MS).await, [(product, 2)], "{}", bench.name);
    }
}

#[actix_rt::test]
async fn checkouts_that_are_open_are_bounded() {
    for bench in redis_stores().await {
        let owner = bench.user("li").await;
        let [product] = bench.products().await;
        for _ in 0..16 {
            bench.add(&owner, product, 1).await.unwrap();
            bench.take(&owner, &bench.wanted(&[(product, 1)])).await;
        }
        bench.add(&owner, product, 1).await.unwrap();
        let one_more = bench.carts.take(&owner, &bench.wanted(&[(product, 1)]), NOW_MS).await;
        assert!(matches!(one_more, Err(StoreError::Conflict { .. })), "{one_more:?}");
        assert_eq!(bench.content(&owner).await, [(product, 1)]);
    }
}

/// Longest that a store may take to say that Redis is away.
const TOLD_WITHIN: Duration = Duration::from_secs(8);

async fn assert_told(bench: &Bench, what: &str) {
    let owner = bench.user(&format!("wu {what}")).await;
    let since = Instant::now();
    let failure = bench.carts.load(&owner, NOW_MS).await.expect_err("redis is away");
    assert!(failure.is_transient() && matches!(failure, StoreError::Redis { .. }), "{what}: {failure:?}");
    assert!(since.elapsed() < TOLD_WITHIN, "{what}: told after {:?}", since.elapsed());
}

#[actix_rt::test]
async fn without_redis_a_change_fails_clearly_and_is_whole_afterwards() {
    let Some(url) = url_of(REDIS) else { return };
    let wire = CutWire::to(&url).await;
    let link = RedisLink::connect(&hasty_redis_settings(&wire.url)).await.unwrap();
    let bench = Bench::on_redis("redis over a wire", link).await;
    let owner = bench.user("li").await;
    let [first, second]: [ProductId; 2] = bench.products().await;
    bench.add(&owner, first, 2).await.unwrap();
    bench.add(&owner, second, 3).await.unwrap();

    wire.cut();
    assert_told(&bench, "cut").await;
    let lines = bench.wanted(&[(first, 2), (second, 3)]);
    assert!(bench.carts.take(&owner, &lines, NOW_MS).await.is_err());
    wire.mend();
    until_back(&bench).await;
    assert_eq!(bench.content(&owner).await, [(first, 2), (second, 3)]);

    wire.silence();
    assert_told(&bench, "silent").await;
    assert!(bench.carts.take(&owner, &lines, NOW_MS).await.is_err());
    wire.mend();
    until_back(&bench).await;
    // what was asked in the silence may have been done: then the lines lie aside, and come back
    bench.carts.tidy(NOW_MS + CUT_OFF_MS).await.unwrap();
    assert_eq!(bench.content(&owner).await, [(first, 2), (second, 3)]);
}

async fn until_back(bench: &Bench) {
    let until = Instant::now() + TOLD_WITHIN;
    let owner = crate::bench::guest("nobody");
    while let Err(error) = bench.carts.load(&owner, NOW_MS).await {
        assert!(Instant::now() < until, "redis does not come back: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
