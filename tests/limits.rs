//! The contract of a rate limiter, run on memory, Redis and a Redis Cluster; then clicks that nodes share.

#![allow(dead_code, reason = "of what is shared this file uses a part")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/cut_wire.rs"]
mod cut_wire;
#[path = "support/services.rs"]
mod services;

use std::time::{Duration, Instant};

use cut_wire::CutWire;
use futures::future::join_all;
use rushmall::clock::Clock;
use rushmall::domain::BuyerId;
use rushmall::persistence::limits::{ClickLimit, Limit, LimitClass, SharedClicks, Subject};
use rushmall::persistence::{MemoryLimiter, RateLimiter, RedisLimiter};
use rushmall::redis_link::RedisLink;
use services::{REDIS, redis_links, redis_settings, url_of};

/// One limiter as each of two nodes has it.
struct Bench {
    name: &'static str,
    nodes: Vec<Box<dyn RateLimiter>>,
}

async fn limiters() -> Vec<Bench> {
    let mut benches = vec![Bench { name: "memory", nodes: vec![Box::new(MemoryLimiter::new(Clock::default()))] }];
    for (name, link) in redis_links().await {
        let node = || Box::new(RedisLimiter::new(link.clone(), Clock::default())) as Box<dyn RateLimiter>;
        benches.push(Bench { name, nodes: vec![node(), node()] });
    }
    benches
}

const fn signing_in(key: &str) -> Subject<'_> {
    Subject { class: LimitClass::SignIn, key }
}

#[actix_rt::test]
async fn t22_so_many_in_a_window_over_all_nodes_and_no_more() {
    for bench in limiters().await {
        let (limit, since) = (Limit::per_minute(5), Instant::now());
        let tries = (0..20).map(|place| bench.nodes[place % bench.nodes.len()].admit(signing_in("li"), limit));
        let answers = join_all(tries).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 5, "{}: {answers:?}", bench.name);
        let least_ms = 60_000_u128.saturating_sub(since.elapsed().as_millis() + 10);
        for refused in answers.into_iter().filter_map(Result::err) {
            let retry_after_ms = u128::from(refused.retry_after_ms);
            assert!((least_ms..=60_000).contains(&retry_after_ms), "{}: {refused:?}", bench.name);
        }
        bench.nodes[0].admit(signing_in("wu"), limit).await.expect("another account");
        let registering = Subject { class: LimitClass::Registration, key: "li" };
        bench.nodes[0].admit(registering, limit).await.expect("something else");
    }
}

#[actix_rt::test]
async fn the_window_slides_and_refusals_do_not_count() {
    for bench in limiters().await {
        let (limit, node) = (Limit { events_max: 2, window_ms: 600 }, &bench.nodes[0]);
        let since = Instant::now();
        node.admit(signing_in("li"), limit).await.unwrap();
        tokio::time::sleep(Duration::from_millis(350)).await;
        let since_second = Instant::now();
        node.admit(signing_in("li"), limit).await.unwrap();
        let mut refusals = 0;
        while let Err(refused) = node.admit(signing_in("li"), limit).await {
            refusals += 1;
            tokio::time::sleep(Duration::from_millis(refused.retry_after_ms)).await;
            assert!(refusals < 5, "{}: waiting as told does not help", bench.name);
        }
        let waited = since.elapsed();
        assert!(waited >= Duration::from_millis(595), "{}: let in after {waited:?}", bench.name);
        match node.admit(signing_in("li"), limit).await {
            Err(refused) => assert!(refused.retry_after_ms <= 600, "{}: {refused:?}", bench.name),
            Ok(()) => assert!(since_second.elapsed() >= Duration::from_millis(595), "{}: still in view", bench.name),
        }
    }
}

#[actix_rt::test]
async fn without_redis_each_node_counts_for_itself() {
    let Some(url) = url_of(REDIS) else { return };
    let wire = CutWire::to(&url).await;
    let link = RedisLink::connect(&redis_settings(&wire.url)).await.unwrap();
    let limiter = RedisLimiter::new(link, Clock::default());
    let limit = Limit::per_minute(2);
    limiter.admit(signing_in("li"), limit).await.unwrap();
    wire.cut();
    for _ in 0..2 {
        limiter.admit(signing_in("li"), limit).await.expect("nobody is failed");
    }
    limiter.admit(signing_in("li"), limit).await.expect_err("this node has let in two");
    wire.mend();
    let until = Instant::now() + Duration::from_secs(10);
    // Redis remembers one: there is room for one more
    while limiter.admit(signing_in("li"), limit).await.is_err() {
        assert!(Instant::now() < until, "redis does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    limiter.admit(signing_in("li"), limit).await.expect_err("two over all nodes");
}

const BUYER: BuyerId = BuyerId(7);

fn click(node: &SharedClicks, buyer: BuyerId, clicks: u32) {
    for _ in 0..clicks {
        node.note(buyer);
    }
}

#[test]
fn the_limit_is_what_one_bucket_allows() {
    assert_eq!(ClickLimit::of_bucket(5, 10), ClickLimit { clicks_max: 20, window_ms: 2_000 });
    assert_eq!(ClickLimit::of_bucket(100, 10), ClickLimit { clicks_max: 110, window_ms: 1_000 });
    assert_eq!(ClickLimit::of_bucket(0, 0), ClickLimit { clicks_max: 2, window_ms: 1_000 });
}

#[actix_rt::test]
async fn clicks_of_all_nodes_are_added_up_and_who_is_over_is_named() {
    for (name, link) in redis_links().await {
        let limit = ClickLimit { clicks_max: 20, window_ms: 10_000 };
        let nodes: Vec<SharedClicks> = (0..3).map(|_| SharedClicks::new(link.clone(), limit)).collect();
        click(&nodes[0], BUYER, 10);
        click(&nodes[1], BUYER, 10);
        click(&nodes[2], BuyerId(8), 20);
        for node in &nodes {
            assert_eq!(node.share().await, [], "{name}: within the limit");
        }
        click(&nodes[1], BUYER, 9);
        let over = nodes[1].share().await;
        assert_eq!(over.iter().map(|over| over.buyer).collect::<Vec<_>>(), [BUYER], "{name}");
        assert!((1..=10_000).contains(&over[0].for_ms), "{name}: {over:?}");
        assert_eq!(nodes[1].share().await, [], "{name}: told once, nothing new was noted");
        click(&nodes[0], BUYER, 2);
        assert_eq!(nodes[0].share().await.len(), 1, "{name}: every node is told when he clicks there");
        let node = SharedClicks::new(link, ClickLimit { window_ms: 2_000, ..limit });
        click(&node, BUYER, 25);
        assert_eq!(node.share().await.len(), 1, "{name}");
        tokio::time::sleep(Duration::from_millis(4_100)).await;
        click(&node, BUYER, 2);
        assert_eq!(node.share().await, [], "{name}: forgotten after two windows");
    }
}

#[actix_rt::test]
async fn many_users_take_few_commands_and_who_clicks_once_none() {
    for (name, link) in redis_links().await {
        let node = SharedClicks::new(link, ClickLimit { clicks_max: 20, window_ms: 60_000 });
        for buyer in 0..3_000 {
            click(&node, BuyerId(buyer), 25);
        }
        let mut over: Vec<i64> = node.share().await.iter().map(|over| over.buyer.0).collect();
        over.sort_unstable();
        assert_eq!(over, (0..3_000).collect::<Vec<_>>(), "{name}");
    }
    let Some(url) = url_of(REDIS) else { return };
    let wire = CutWire::to(&url).await;
    let link = RedisLink::connect(&redis_settings(&wire.url)).await.unwrap();
    let node = SharedClicks::new(link, ClickLimit { clicks_max: 2, window_ms: 2_000 });
    wire.silence(); // a command would wait for its time limit
    let since = Instant::now();
    for buyer in 0..5_000 {
        click(&node, BuyerId(buyer), 1);
    }
    assert_eq!(node.share().await, []);
    node.forget_old();
    assert_eq!(node.share().await, []);
    assert!(since.elapsed() < Duration::from_secs(2), "something was sent: {:?}", since.elapsed());
    click(&node, BuyerId(1), 1);
    assert_eq!(node.share().await, [], "nobody can be asked");
    assert!(since.elapsed() >= Duration::from_millis(4_500), "the second click is sent");
    wire.mend();
    click(&node, BuyerId(1), 3);
    let until = Instant::now() + Duration::from_secs(10);
    while node.share().await.is_empty() {
        assert!(Instant::now() < until, "redis does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
        click(&node, BuyerId(1), 3);
    }
}
