//! Two nodes on Redis: one room, one order of arrival, tickets that are good at both, and limits that hold over both.

use std::time::{Duration, Instant};

use futures::future::join_all;
use rushmall::actors::rate_limits::{DoorClass, RateLimits};
use rushmall::clock::Clock;
use rushmall::config::{LiveLimits, Settings};
use rushmall::domain::{BuyerId, ProductId, SaleId};
use rushmall::persistence::waiting_rooms::{
    Arrival, Fill, LocalRooms, NoTurn, RedisRooms, RoomId, RoomTerms, WaitingRooms,
};
use rushmall::redis_link::RedisLink;

use crate::rooms::{WAITING, buy_with, look, place};
use crate::support::ground::{Ground, aside};
use crate::support::process::ShopProcess;
use crate::support::services::{AMQP, MYSQL, REDIS, redis_links, redis_settings, url_of};

const TERMS: RoomTerms = RoomTerms { interval_us: 500_000, past_us: 0, lasts_us: 2_500_000, waiting_max: 10 };

const ROOM: RoomId = RoomId { product: ProductId(3), sale: SaleId(4), closings: 0 };

fn arrival(buyer: i64) -> Arrival {
    Arrival { room: ROOM, buyer: BuyerId(buyer), after_us: 0 }
}

/// A room as each of two nodes has it, on every store.
async fn rooms(note: &std::path::Path) -> Vec<(&'static str, Vec<Box<dyn WaitingRooms>>)> {
    let local = Box::new(LocalRooms::open(note.join("rooms.json"), Clock::default()));
    let mut all: Vec<(&'static str, Vec<Box<dyn WaitingRooms>>)> = vec![("local", vec![local])];
    for (name, link) in redis_links().await {
        let node = || Box::new(RedisRooms::new(link.clone())) as Box<dyn WaitingRooms>;
        all.push((name, vec![node(), node()]));
    }
    all
}

#[tokio::test]
async fn turns_follow_each_other_and_who_has_one_keeps_it() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, nodes) in rooms(dir.path()).await {
        let node = |n: usize| &nodes[n % nodes.len()];
        let mut turns = Vec::new();
        for buyer in 1..=10 {
            turns.push(node(buyer).join(arrival(i64::try_from(buyer).expect("small")), TERMS).await.expect("a turn"));
        }
        assert!(turns.windows(2).all(|pair| pair[1].at_us - pair[0].at_us >= TERMS.interval_us), "{name}: {turns:?}");
        assert!(turns[9].at_us - turns[0].at_us < 11 * TERMS.interval_us + 5_000_000, "{name}: {turns:?}");
        let again = node(1).join(arrival(5), TERMS).await.expect("he has one");
        assert_eq!(again.at_us, turns[4].at_us, "{name}");
        // whatever the room knows, nobody gets a turn before one that was seen elsewhere
        let seen_us = turns[9].at_us + 5 * TERMS.interval_us;
        let wide = RoomTerms { waiting_max: 100, ..TERMS };
        let behind = node(0).join(Arrival { after_us: seen_us, ..arrival(11) }, wide).await.expect("a turn");
        assert!(behind.at_us > seen_us, "{name}");
        let full = node(0).join(arrival(12), TERMS).await.expect_err("ten wait");
        assert!(matches!(full, NoTurn::Full), "{name}: {full}");
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        let late = node(0).join(arrival(1), wide).await.expect("a new turn");
        assert!(late.at_us > behind.at_us, "{name}: his turn was over, he queues again");
    }
}

#[tokio::test]
async fn each_sale_has_a_room_of_its_own_and_another_one_after_it_was_closed() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, nodes) in rooms(dir.path()).await {
        let node = |n: usize| &nodes[n % nodes.len()];
        let nobody = Fill { waiting: Some(0), last_at_us: None };
        assert_eq!(node(0).fill(ROOM).await.expect("told"), nobody, "{name}");
        let mut last = node(0).join(arrival(1), TERMS).await.expect("a turn");
        for buyer in 2..=6 {
            last = node(1).join(arrival(buyer), TERMS).await.expect("a turn");
        }
        let full = node(0).fill(ROOM).await.expect("told");
        assert_eq!(full.last_at_us, Some(last.at_us), "{name}");
        assert!(full.waiting.is_some_and(|waiting| (1..=5).contains(&waiting)), "{name}: {full:?}");
        for other in [RoomId { sale: SaleId(5), ..ROOM }, RoomId { closings: 1, ..ROOM }] {
            assert_eq!(node(0).fill(other).await.expect("told"), nobody, "{name} {other:?}");
            let first = node(1).join(Arrival { room: other, ..arrival(9) }, TERMS).await.expect("a turn");
            assert!(first.at_us < last.at_us && first.at_us <= first.now_us, "{name}: {first:?} waits for nobody");
        }
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        assert_eq!(node(1).fill(ROOM).await.expect("told"), nobody, "{name}: all have come");
    }
}

#[tokio::test]
async fn a_room_that_was_opened_again_goes_on_behind_what_it_gave() {
    let dir = tempfile::tempdir().expect("a directory");
    let (note, clock) = (dir.path().join("rooms.json"), Clock::default());
    let mut last_us = 0;
    for life in 0..3 {
        let rooms = LocalRooms::open(note.clone(), clock.clone());
        let before = rooms.fill(ROOM).await.expect("told");
        assert_eq!(before.waiting, (life == 0).then_some(0), "who waited was forgotten");
        assert!(before.last_at_us.unwrap_or(0) >= last_us, "{before:?}");
        for buyer in 0..5 {
            let wide = RoomTerms { waiting_max: 1_000, ..TERMS };
            let turn = rooms.join(arrival(life * 10 + buyer), wide).await.expect("a turn");
            assert!(turn.at_us > last_us, "life {life}: {turn:?} after {last_us}");
            last_us = turn.at_us;
        }
    }
    std::fs::write(&note, "{").expect("written");
    LocalRooms::open(note, clock).join(arrival(1), TERMS).await.expect("half a note is none");
}

/// Where windows of a minute end.
async fn not_at_the_end_of_a_minute() {
    let left_ms = 60_000 - Clock::default().now_ms().rem_euclid(60_000);
    if left_ms < 6_000 {
        tokio::time::sleep(Duration::from_millis(u64::try_from(left_ms).expect("positive") + 50)).await;
    }
}

#[tokio::test]
async fn t22_an_address_that_asks_at_two_nodes_is_held_up_at_both() {
    for (name, link) in redis_links().await {
        not_at_the_end_of_a_minute().await;
        let mut settings = Settings::default();
        (settings.limits.login_per_second, settings.limits.login_burst) = (1, 60);
        let live = LiveLimits::of(&settings);
        let nodes: Vec<_> = (0..3).map(|_| RateLimits::new(Clock::default(), live.clone(), Some(&link))).collect();
        // the second address has no IPv4 number, and more bits than a float holds
        for address in ["203.0.113.9", "2001:db8:ffff:fff1::1"] {
            let address = address.parse().expect("an address");
            let let_in =
                |node: &RateLimits| (0..60).filter(|_| node.of_address(DoorClass::Login, address).is_let_in).count();
            let total: usize = nodes.iter().map(let_in).sum();
            assert!((180..190).contains(&total), "{name}: each by its own bucket, {total}");
            for node in &nodes {
                node.share_once().await;
            }
            let closed = nodes.last().expect("three nodes").of_address(DoorClass::Login, address);
            // by its own bucket there would be a token within a second
            assert!(!closed.is_let_in && closed.reset_ms > 1_000, "{name}: {closed:?}");
            let other =
                nodes.last().expect("three nodes").of_address(DoorClass::Login, "198.51.100.1".parse().expect("one"));
            assert!(other.is_let_in, "{name}: nobody else pays");
        }
    }
}

pub async fn two_nodes(per_second: u32) -> Option<(ShopProcess, ShopProcess)> {
    let (Some(database), Some(redis), Some(amqp)) = (url_of(MYSQL), url_of(REDIS), url_of(AMQP)) else {
        eprintln!("not run: no services");
        return None;
    };
    let ground = aside(async move || Ground::on(&database, &redis, &amqp).await);
    let mut one = ShopProcess::prepare_on(ground);
    let mut two = one.beside(1);
    for node in [&mut one, &mut two] {
        node.set("RUSHMALL__WAITING_ROOM__ADMISSIONS_PER_SECOND", &per_second.to_string());
        node.start().await;
    }
    Some((one, two))
}

#[tokio::test]
async fn two_nodes_have_one_room_and_a_ticket_outlives_the_node_that_gave_it() {
    let Some((mut one, two)) = two_nodes(1).await else { return };
    let admin = one.admin().await;
    let (product, _) = admin.make_sale("wanted", 60).await;
    let buyers = admin.make_buyers(20, "two-").await;
    for buyer in &buyers[..6] {
        buyer.buy(&product).await;
    }
    let mut turns = Vec::new();
    for (n, buyer) in buyers[8..16].iter().enumerate() {
        let at = if n % 2 == 0 { one.meets(buyer) } else { two.meets(buyer) };
        let asked = Instant::now();
        let place = place(at.buy(&product).await);
        turns.push((asked + Duration::from_millis(u64::try_from(place.eta_ms).unwrap_or(0)), place));
    }
    assert!(turns.windows(2).all(|pair| pair[0].0 < pair[1].0 + Duration::from_millis(300)), "{turns:?}");
    // without a ticket the other node tells the same turn
    let again = place(two.meets(&buyers[14]).buy(&product).await);
    assert!(again.eta_ms <= turns[6].1.eta_ms, "{again:?} {:?}", turns[6]);
    one.kill();
    let (last, ticket) = (two.meets(&buyers[15]), &turns[7].1.ticket);
    let since = Instant::now();
    let seen = loop {
        let seen = look(&last, &product, ticket).await;
        if seen["state"] != "waiting" {
            break seen;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "{seen}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(seen["state"], "admitted", "{seen}");
    buy_with(&last, &product, ticket).await.order_no();
    one.start().await;
    let states = join_all(
        buyers[8..15]
            .iter()
            .zip(&turns)
            .map(async |(buyer, (_, place))| buy_with(&one.meets(buyer), &product, &place.ticket).await.code),
    );
    assert!(states.await.iter().all(|code| *code == 0), "everybody's turn has come");
    assert_ne!(two.meets(&buyers[19]).buy(&product).await.code, 60_006);
    two.assert_clean().await;
    drop(one);
}

#[tokio::test]
async fn a_redis_that_forgot_the_room_takes_nobodys_turn_away() {
    let Some((one, _two)) = two_nodes(1).await else { return };
    let admin = one.admin().await;
    let (product, sale) = admin.make_sale("wanted", 60).await;
    let buyers = admin.make_buyers(12, "flush-").await;
    let mut waiting = Vec::new();
    for buyer in &buyers[..8] {
        let answer = buyer.buy(&product).await;
        if answer.code == WAITING {
            waiting.push((buyer, place(answer)));
        }
    }
    let (last, shown) = waiting.last().expect("some wait");
    let prefix = one.redis_prefix();
    let link = RedisLink::connect(&redis_settings(&url_of(REDIS).expect("it is there"))).await.expect("redis");
    for part in ["turns", "next"] {
        let mut forget = redis::cmd("DEL");
        let key = format!("{prefix}:room:{{{}}}:{}.0:{part}", product.id, sale.id);
        let forgotten: i64 = link.query(forget.arg(key)).await.expect("deleted");
        assert_eq!(forgotten, 1, "{part}");
    }
    let seen = look(last, &product, &shown.ticket).await;
    assert_eq!(seen["state"], "waiting", "{seen}");
    let newcomer = place(buyers[9].buy(&product).await);
    assert!(newcomer.eta_ms > seen["eta_ms"].as_i64().expect("an eta"), "{newcomer:?} before {seen}");
    one.assert_clean().await;
}
