//! The conversation on `/ws`: how it is opened, what may be said, what is told, and how it ends.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::shop::TestShop;
use crate::support::wire::{Heard, Wire};

const TOO_LARGE: u16 = 1_009;
const POLICY: u16 = 1_008;
const TRY_AGAIN: u16 = 1_013;
const AWAY: u16 = 1_001;

fn subscribe(orders: Value) -> String {
    json!({ "type": "subscribe", "orders": orders }).to_string()
}

#[tokio::test]
async fn a_ticket_opens_one_socket_within_its_time_and_no_token_stands_in_a_url() {
    let shop = TestShop::open().await;
    let ann = shop.register("ann").await;
    let issue = async || {
        let data = ann.post("/api/ws/ticket", &json!({})).await.accepted();
        assert_eq!(data["expires_in"], 30);
        data["ticket"].as_str().expect("a ticket").to_owned()
    };
    let ticket = issue().await;
    let mut wire = Wire::try_ticket(&shop.address, &ticket).await.expect("it opens");
    assert_eq!(wire.frame("welcome").await["user_id"], ann.user_id);
    assert_eq!(Wire::try_ticket(&shop.address, &ticket).await.err(), Some(401), "used twice");
    let late = issue().await;
    shop.travel(30_000);
    assert_eq!(Wire::try_ticket(&shop.address, &late).await.err(), Some(401), "used late");
    for bad in ["", "x", ann.token.as_str()] {
        let refused = Wire::try_ticket(&shop.address, bad).await.err();
        assert!(matches!(refused, Some(400 | 401)), "{bad}: {refused:?}");
    }
    assert_eq!(Wire::try_open(&shop.visitor()).await.err(), Some(401));
    shop.visitor().post("/api/ws/ticket", &json!({})).await.with_status(401).rejected(10_008);
    // no handshake at all
    ann.get("/ws").await.with_status(400).rejected(400);
}

#[tokio::test]
async fn one_ticket_used_by_many_at_once_opens_one_socket() {
    let shop = TestShop::open().await;
    let ann = shop.register("ann").await;
    let data = ann.post("/api/ws/ticket", &json!({})).await.accepted();
    let ticket = data["ticket"].as_str().expect("a ticket");
    let opened = futures::future::join_all((0..10).map(|_| Wire::try_ticket(&shop.address, ticket))).await;
    assert_eq!(opened.iter().filter(|wire| wire.is_ok()).count(), 1);
}

#[tokio::test]
async fn an_order_is_pushed_from_placed_to_completed_with_rising_versions() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("told", 5).await;
    let ann = shop.register("ann").await;
    let mut wire = Wire::open(&ann).await;
    wire.say(subscribe(json!("all"))).await;
    assert_eq!(wire.frame("snapshot").await["orders"], json!([]));
    let order_no = ann.buy(&product).await.order_no();
    let placed = wire.frame("order").await;
    assert_eq!(placed["total_price"], 9.9);
    ann.pay(&order_no).await.accepted();
    let mut seen = vec![placed];
    seen.push(wire.frame("order").await);
    seen.push(wire.frame("order").await);
    admin.ship(&order_no).await.accepted();
    seen.push(wire.frame("order").await);
    ann.confirm(&order_no).await.accepted();
    seen.push(wire.frame("order").await);
    let field = |name: &str| seen.iter().map(|frame| frame[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("version"), [1, 2, 3, 4, 5].map(|version| json!(version)), "{seen:?}");
    assert_eq!(field("status").last(), Some(&json!(4)));
    assert!(field("order_no").iter().all(|number| *number == order_no.as_str()));
    let sequences: Vec<i64> = field("seq").iter().filter_map(Value::as_i64).collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_subscription_to_some_orders_hears_of_these_only() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("some", 2.0, 9).await;
    let ann = shop.register("ann").await;
    let (one, other) = (ann.place_order(&product, 1).await.order_no(), ann.place_order(&product, 1).await.order_no());
    shop.at_rest().await;
    let mut wire = Wire::open(&ann).await;
    wire.say(subscribe(json!([one]))).await;
    let snapshot = wire.frame("snapshot").await;
    assert_eq!(snapshot["orders"].as_array().map(Vec::len), Some(1), "{snapshot}");
    ann.cancel(&other).await.accepted();
    ann.cancel(&one).await.accepted();
    let told = wire.frame("order").await;
    assert_eq!((told["order_no"].as_str(), told["status"].as_i64()), (Some(one.as_str()), Some(5)));
    assert_eq!(wire.hear_within(Duration::from_millis(200)).await, Heard::Silence);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn pings_are_answered_in_both_ways_and_nonsense_is_borne_ten_times() {
    let shop = TestShop::open().await;
    let ann = shop.register("ann").await;
    let mut wire = Wire::open(&ann).await;
    let welcome = wire.frame("welcome").await;
    assert!(welcome["server_time"].is_string() && welcome["idle_timeout_ms"].is_number(), "{welcome}");
    wire.say(r#"{"type":"ping"}"#).await;
    assert!(wire.frame("pong").await["server_time"].is_string());
    wire.send(Message::Ping(vec![1, 2, 3].into())).await;
    assert_eq!(wire.hear().await, Heard::Pong);
    let many = json!({ "type": "subscribe", "orders": vec!["01ARZ3NDEKTSV4RRFFQ69G5FAV"; 101] }).to_string();
    let nonsense = [
        "",
        "x",
        "{",
        "[]",
        "null",
        "42",
        r#"{"type":"buy"}"#,
        r#"{"type":"subscribe","orders":"none"}"#,
        r#"{"type":"subscribe","orders":["x"]}"#,
        many.as_str(),
    ];
    assert_eq!(nonsense.len(), 10);
    for text in nonsense {
        wire.say(text).await;
        let error = wire.frame("error").await;
        assert_eq!(error["code"], 400, "{text}: {error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    }
    wire.say(r#"{"type":"ping"}"#).await;
    wire.frame("pong").await;
    wire.send(Message::Binary(vec![0; 10].into())).await;
    assert_eq!(wire.closing().await, Heard::Closed(POLICY));
}

#[tokio::test]
async fn a_frame_that_is_too_large_closes_the_socket() {
    let shop = TestShop::with(|settings| settings.feed.frame_bytes_max = 4_096).await;
    let ann = shop.register("ann").await;
    for size in [4_097, 200_000] {
        let mut wire = Wire::open(&ann).await;
        wire.frame("welcome").await;
        wire.say("x".repeat(size)).await;
        let end = wire.closing().await;
        assert!(matches!(end, Heard::Closed(TOO_LARGE) | Heard::Gone), "{size}: {end:?}");
    }
    // the buyer is not locked out by it
    Wire::open(&ann).await.frame("welcome").await;
}

#[tokio::test]
async fn a_user_has_so_many_sockets_and_a_closed_one_makes_room() {
    let shop = TestShop::with(|settings| settings.feed.sockets_per_user_max = 3).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let mut wires = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::open(&ann).await;
        wire.frame("welcome").await;
        wires.push(wire);
    }
    assert_eq!(Wire::try_open(&ann).await.err(), Some(429));
    Wire::open(&bob).await.frame("welcome").await;
    drop(wires.pop());
    let until = Instant::now() + Duration::from_secs(30);
    while Wire::try_open(&ann).await.is_err() {
        assert!(Instant::now() < until, "a closed socket never makes room");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_does_not_answer_pings_is_closed_and_who_does_stays() {
    let shop = TestShop::with(|settings| settings.feed.idle_timeout_ms = 3_000).await;
    let ann = shop.register("ann").await;
    let mut lively = Wire::open(&ann).await;
    let deaf = silent_socket(&shop, &ann).await;
    lively.frame("welcome").await;
    // reading answers the server's pings
    assert_eq!(lively.hear_within(Duration::from_secs(7)).await, Heard::Silence);
    assert!(deaf.await.expect("it was watched") < Duration::from_secs(30));
    lively.say(r#"{"type":"ping"}"#).await;
    lively.frame("pong").await;
}

/// A socket that reads bytes and never answers; how long until the shop hung up.
async fn silent_socket(shop: &TestShop, who: &crate::support::client::Person) -> tokio::task::JoinHandle<Duration> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let host = shop.address.base().trim_start_matches("http://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(&host).await.expect("the shop listens");
    let handshake = format!(
        "GET /ws HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        who.token
    );
    stream.write_all(handshake.as_bytes()).await.expect("the handshake is sent");
    tokio::spawn(async move {
        let since = Instant::now();
        let mut bytes = [0_u8; 1_024];
        while let Ok(Ok(1..)) = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut bytes)).await {}
        since.elapsed()
    })
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_does_not_slow_anybody_else() {
    let shop = TestShop::with(|settings| settings.feed.frames_queued_max = 2).await;
    let admin = shop.admin().await;
    let product = admin.make_product("many", 2.0, 500).await;
    admin.plan_sale(&product, crate::support::verbs::SalePlan::open_now(200).per_buyer(200)).await;
    let ann = shop.register("ann").await;
    let mut slow = Wire::open(&ann).await;
    slow.say(subscribe(json!("all"))).await;
    slow.frame("snapshot").await;
    // one commit with more events than may wait for a socket
    admin.command_actor("order_writer", "0", "pause").await;
    let clicks = futures::future::join_all((0..40).map(|_| ann.buy(&product))).await;
    let bought = clicks.iter().filter(|answer| answer.is_accepted()).count();
    admin.command_actor("order_writer", "0", "resume").await;
    shop.at_rest().await;
    let mut told = 0;
    let end = loop {
        if told >= bought {
            break Heard::Silence;
        }
        match slow.hear().await {
            Heard::Frame(_) | Heard::Pong => told += 1,
            end => break end,
        }
    };
    // it kept up, or it was closed with the advice to come back; nothing in between is lost silently
    match end {
        Heard::Silence => assert!(told >= bought, "{told} of {bought}"),
        end => assert!(matches!(end, Heard::Closed(TRY_AGAIN)), "{end:?}"),
    }
    let mut again = Wire::open(&ann).await;
    again.say(json!({ "type": "subscribe", "orders": "all", "since": 0 }).to_string()).await;
    let snapshot = again.frame("snapshot").await;
    let mut known = snapshot["orders"].as_array().map_or(0, Vec::len);
    while known < bought {
        let Heard::Frame(_) = again.hear().await else { break };
        known += 1;
    }
    assert!(known >= bought, "{known} of {bought} after coming back");
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_shop_that_closes_says_so_to_its_listeners() {
    let mut shop = TestShop::open().await;
    let ann = shop.register("ann").await;
    let mut wire = Wire::open(&ann).await;
    wire.frame("welcome").await;
    shop.restart().await;
    assert_eq!(wire.closing().await, Heard::Closed(AWAY));
    Wire::open(&ann).await.frame("welcome").await;
}
