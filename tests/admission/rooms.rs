//! The waiting room of one node, in a process of its own: who comes first enters first, a ticket is its owner's, and neither
//! a kill nor a lost ticket costs anybody his turn.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;

use crate::support::client::{Answer, Person};
use crate::support::process::ShopProcess;
use crate::support::verbs::Product;

pub const WAITING: i64 = 60_012;
const PARAMETER: i64 = 60_006;
const BUSY: i64 = 60_011;

/// A shop whose sales take so many buyers a second.
pub async fn shop_that_admits(per_second: u32) -> ShopProcess {
    let mut shop = ShopProcess::prepare();
    shop.set("RUSHMALL__WAITING_ROOM__ADMISSIONS_PER_SECOND", &per_second.to_string());
    shop.start().await;
    shop
}

/// A place, as the answer 60012 tells it.
#[derive(Clone, Debug)]
pub struct Place {
    pub ticket: String,
    pub position: i64,
    pub eta_ms: i64,
}

#[track_caller]
pub fn place(answer: Answer) -> Place {
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    let data = answer.rejected(WAITING);
    let ticket = data["queue_ticket"].as_str().expect("a ticket").to_owned();
    let whole = |name: &str| data[name].as_i64().unwrap_or_else(|| panic!("{name} of {data}"));
    assert_eq!(whole("ahead") + 1, whole("position"));
    assert!(whole("poll_after_ms") > 0);
    Place { ticket, position: whole("position"), eta_ms: whole("eta_ms") }
}

pub async fn buy_with(who: &Person, product: &Product, ticket: &str) -> Answer {
    who.post("/api/seckill", &json!({ "product_id": product.id, "queue_ticket": ticket })).await
}

pub async fn look(who: &Person, product: &Product, ticket: &str) -> Value {
    who.get(&format!("/api/seckill/queue/{}?ticket={ticket}", product.id)).await.accepted()
}

/// Waits as it is told to, then buys. His turn came between the two moments: at the first he asked and had to wait, at
/// the second he had been told that it is there.
async fn wait_and_buy(who: &Person, product: &Product, ticket: &str) -> (Instant, Instant) {
    let since = Instant::now();
    let mut waited_at = since;
    loop {
        let asked_at = Instant::now();
        let seen = look(who, product, ticket).await;
        if seen["state"] != "waiting" {
            let admitted_at = Instant::now();
            assert_eq!(seen["state"], "admitted", "{seen}");
            buy_with(who, product, ticket).await.order_no();
            return (waited_at, admitted_at);
        }
        waited_at = asked_at;
        let pause = seen["poll_after_ms"].as_u64().expect("a pause").min(100);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        assert!(since.elapsed() < Duration::from_secs(60), "never admitted: {seen}");
    }
}

/// Takes the turns that are free at once.
pub async fn crowd_in(buyers: &[Person], product: &Product) -> usize {
    let mut entered = 0;
    for buyer in buyers {
        let answer = buyer.buy(product).await;
        if answer.code == WAITING {
            break;
        }
        answer.order_no();
        entered += 1;
    }
    entered
}

#[tokio::test]
async fn who_comes_first_enters_first_at_the_rate_of_the_room() {
    let shop = shop_that_admits(1).await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("wanted", 60).await;
    let buyers = admin.make_buyers(30, "queue-").await;
    let (first, later) = buyers.split_at(20);
    let began = Instant::now();
    let entered = crowd_in(first, &product).await;
    let at_once = 2 + began.elapsed().as_secs() as usize;
    assert!((2..=at_once + 1).contains(&entered), "{entered} entered at once");
    let (mut places, mut turns) = (Vec::new(), Vec::new());
    for buyer in &later[..8] {
        let asked_at = Instant::now();
        let place = place(buyer.buy(&product).await);
        let eta = Duration::from_millis(u64::try_from(place.eta_ms).expect("an eta"));
        turns.push((asked_at + eta, Instant::now() + eta)); // his turn comes between these
        places.push(place);
    }
    let positions: Vec<i64> = places.iter().map(|place| place.position).collect();
    assert!(turns.windows(2).all(|pair| pair[0].0 < pair[1].1), "{places:?}");
    assert!(positions.iter().all(|position| (1..=12).contains(position)), "{positions:?}");
    // asked again, with the ticket and without, the turn is the same and nearer
    let last = &later[7];
    let again = place(last.buy(&product).await);
    assert!(again.eta_ms <= places[7].eta_ms && again.position <= places[7].position, "{again:?} {:?}", places[7]);
    let mut looked_at = Instant::now();
    let shown = place(buy_with(last, &product, &places[7].ticket).await);
    assert!(shown.eta_ms <= again.eta_ms);
    let mut eta_ms = shown.eta_ms;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let asked_at = Instant::now();
        let seen = look(last, &product, &again.ticket).await;
        if seen["state"] != "waiting" {
            break;
        }
        let left_ms = seen["eta_ms"].as_i64().expect("an eta");
        assert!(left_ms < eta_ms, "{seen} after {eta_ms}");
        (eta_ms, looked_at) = (left_ms, asked_at);
    }
    let waits = later[..8].iter().zip(&places).map(|(buyer, place)| wait_and_buy(buyer, &product, &place.ticket));
    let turns = futures::future::join_all(waits).await;
    assert!(turns.windows(2).all(|pair| pair[0].0 <= pair[1].1), "{turns:?} {places:?}");
    let eta_at_last_look = Duration::from_millis(u64::try_from(eta_ms).unwrap_or(0));
    let waited = looked_at.elapsed() + Duration::from_millis(5); // the shop's clock tells whole milliseconds
    assert!(waited >= eta_at_last_look, "{waited:?} of {eta_at_last_look:?}");
    // the room is empty again after a while, and nobody has to wait
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    later[9].buy(&product).await.order_no();
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_ticket_is_its_owners_for_one_sale_and_cannot_be_made() {
    let shop = shop_that_admits(1).await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("wanted", 60).await;
    let (other, _) = admin.make_sale("other", 60).await;
    let buyers = admin.make_buyers(6, "forge-").await;
    crowd_in(&buyers[..4], &product).await;
    let mine = place(buyers[4].buy(&product).await);
    let thief = &buyers[5];
    let (head, signature) = mine.ticket.rsplit_once('.').expect("a signature");
    let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{head}.{flipped}{}", &signature[1..]);
    for (who, of, ticket) in [
        (thief, &product, mine.ticket.as_str()),
        (&buyers[4], &other, &mine.ticket),
        (&buyers[4], &product, &forged),
        (&buyers[4], &product, &buyers[4].token),
        (&buyers[4], &product, "x"),
    ] {
        let refused = buy_with(who, of, ticket).await.with_status(400);
        assert_eq!(refused.rejected(PARAMETER)["errors"][0]["field"], "queue_ticket");
        let looked = who.get(&format!("/api/seckill/queue/{}?ticket={ticket}", of.id)).await.with_status(400);
        looked.rejected(PARAMETER);
    }
    // and a ticket is no access token
    assert_eq!(thief.signed_in(1, "x", &mine.ticket).get("/api/order").await.status, 401);
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_killed_node_keeps_every_turn_and_whoever_comes_later_is_behind() {
    let mut shop = shop_that_admits(1).await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("wanted", 60).await;
    let buyers = admin.make_buyers(32, "kill-").await;
    let entered = crowd_in(&buyers[..6], &product).await;
    let mut places = Vec::new();
    for buyer in &buyers[6..30] {
        places.push(place(buyer.buy(&product).await));
    }
    shop.kill_and_restart().await;
    let (last, place_of_last) = (shop.meets(&buyers[29]), &places[23]);
    let seen = look(&last, &product, &place_of_last.ticket).await;
    let waits_ms = seen["eta_ms"].as_i64().expect("an eta");
    assert!(0 < waits_ms && waits_ms <= place_of_last.eta_ms, "{seen} after {place_of_last:?}");
    let newcomer = place(shop.meets(&buyers[31]).buy(&product).await);
    assert!(newcomer.eta_ms > waits_ms, "{newcomer:?} before {seen}");
    let since = Instant::now();
    wait_and_buy(&last, &product, &place_of_last.ticket).await;
    let lasts = since.elapsed();
    assert!(lasts < Duration::from_millis(u64::try_from(waits_ms).unwrap_or(0) + 10_000), "{lasts:?} {waits_ms}");
    assert!(entered > 0);
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_client_that_knows_no_tickets_gets_in_and_a_sale_that_is_sold_out_ends_the_waiting() {
    let shop = shop_that_admits(1).await;
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale("wanted", 50).await;
    let buyers = admin.make_buyers(12, "old-").await;
    crowd_in(&buyers[..8], &product).await;
    let old_client = &buyers[8];
    place(old_client.buy(&product).await);
    let patient = place(buyers[9].buy(&product).await);
    let since = Instant::now();
    loop {
        let answer = old_client.buy(&product).await;
        if answer.code != WAITING {
            answer.order_no();
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "he waits for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    admin.close_sale(&sale).await.accepted();
    let until = Instant::now() + Duration::from_secs(10);
    while look(&buyers[9], &product, &patient.ticket).await["state"] != "over" {
        assert!(Instant::now() < until, "the sale is over and nobody says so");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_ne!(buyers[10].buy(&product).await.code, WAITING, "nobody waits for nothing");
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_full_room_is_busy_and_a_shop_without_rooms_lets_everybody_in() {
    let mut shop = ShopProcess::prepare();
    shop.set("RUSHMALL__WAITING_ROOM__ADMISSIONS_PER_SECOND", "1");
    shop.set("RUSHMALL__WAITING_ROOM__WAITING_MAX", "3");
    shop.start().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("wanted", 60).await;
    let buyers = admin.make_buyers(24, "full-").await;
    let mut codes = Vec::new();
    for buyer in &buyers[..16] {
        codes.push(buyer.buy(&product).await.code);
    }
    let waiting = codes.iter().filter(|code| **code == WAITING).count();
    assert!(codes.contains(&BUSY) && (2..=8).contains(&waiting), "{codes:?}");
    shop.kill();
    shop.set("RUSHMALL__WAITING_ROOM__ADMISSIONS_PER_SECOND", "0");
    shop.start().await;
    for buyer in &buyers[16..] {
        shop.meets(buyer).buy(&product).await.order_no();
    }
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_socket_tells_how_far_the_place_is_until_it_is_his_turn() {
    let shop = shop_that_admits(1).await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("wanted", 60).await;
    let buyers = admin.make_buyers(10, "socket-").await;
    crowd_in(&buyers[..8], &product).await;
    let waiting = &buyers[9];
    let place = place(waiting.buy(&product).await);
    let url = format!("{}/ws", waiting.address.base().replacen("http", "ws", 1));
    let mut request = url.into_client_request().expect("a WebSocket URL");
    let token = format!("Bearer {}", waiting.token).parse().expect("a header value");
    request.headers_mut().insert(AUTHORIZATION, token);
    let (mut socket, _) = connect_async(request).await.expect("the socket opens");
    let forged = json!({ "type": "queue", "ticket": "x" }).to_string();
    let asked = json!({ "type": "queue", "ticket": place.ticket }).to_string();
    for frame in [forged, asked] {
        socket.send(Message::text(frame)).await.expect("sent");
    }
    let (mut told, mut refused) = (Vec::new(), 0);
    while told.last().is_none_or(|(state, _): &(String, i64)| state == "waiting") {
        let next = tokio::time::timeout(Duration::from_secs(10), socket.next()).await.expect("in time");
        let Ok(Message::Text(text)) = next.expect("the socket is open") else { continue };
        let frame: Value = serde_json::from_str(&text).expect("JSON");
        match frame["type"].as_str() {
            Some("queue") => {
                let state = frame["state"].as_str().expect("a state").to_owned();
                told.push((state, frame["eta_ms"].as_i64().expect("an eta")));
            }
            Some("error") => refused += i32::from(frame["code"] == PARAMETER),
            _ => {}
        }
    }
    assert_eq!(refused, 1, "the forged one");
    assert!(told.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{told:?}");
    assert_eq!(told.last().map(|(state, _)| state.as_str()), Some("admitted"), "{told:?}");
    buy_with(waiting, &product, &place.ticket).await.order_no();
    shop.assert_clean().await;
}
