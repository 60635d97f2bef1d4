//! `/ws/admin`: topics, commands, and its end with the right to be there.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Person;
use crate::support::shop::TestShop;
use crate::support::wire::{Heard, Wire};

const POLICY: u16 = 1_008;

async fn open(who: &Person) -> Wire {
    let mut wire = Wire::try_admin(who).await.expect("it opens");
    wire.frame("welcome").await;
    wire
}

async fn say(wire: &mut Wire, frame: Value) {
    wire.say(frame.to_string()).await;
}

#[tokio::test]
async fn only_an_administrator_gets_in_by_token_or_ticket() {
    let shop = TestShop::open().await;
    let (admin, ann) = (shop.admin().await, shop.register("ann").await);
    assert_eq!(Wire::try_admin(&ann).await.err(), Some(403));
    assert_eq!(Wire::try_admin(&shop.visitor()).await.err(), Some(401));
    open(&admin).await;
    let ticket = async |who: &Person| {
        let data = who.post("/api/ws/ticket", &json!({})).await.accepted();
        format!("/admin?ticket={}", data["ticket"].as_str().unwrap())
    };
    let (good, bad) = (ticket(&admin).await, ticket(&ann).await);
    assert!(Wire::try_path(&shop.address, &good).await.is_ok());
    assert_eq!(Wire::try_path(&shop.address, &good).await.err(), Some(401), "used twice");
    assert_eq!(Wire::try_path(&shop.address, &bad).await.err(), Some(403));
}

#[tokio::test]
async fn topics_are_told_once_a_second_until_they_are_unsubscribed() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("live", 1.0, 5).await;
    let mut wire = open(&admin).await;
    assert_eq!(wire.hear_within(Duration::from_millis(1_200)).await, Heard::Silence, "nobody asked");
    say(&mut wire, json!({"type": "subscribe", "topics": ["vitals", "events", "metrics"]})).await;
    assert_eq!(wire.frame("subscribed").await["topics"], json!(["vitals", "events", "metrics"]));
    admin.command_actor("inventory", &product.id.to_string(), "pause").await.accepted();
    let events = wire.frame("events").await;
    let event = events["events"].as_array().unwrap().iter().find(|event| event["what"] == "ordered");
    let event = event.unwrap_or_else(|| panic!("no order in {events}"));
    assert_eq!(event["detail"], "pause", "{events}");
    assert_eq!((event["node"].as_str(), &events["missed"]), (Some("node-0"), &json!(0)));
    let vitals = loop {
        let vitals = wire.frame("vitals").await;
        if vitals["nodes"][0]["kinds"]["inventory"]["states"]["paused"] == 1 {
            break vitals;
        }
    };
    assert_eq!(vitals["no_answer"], json!([]));
    let metrics = wire.frame("metrics").await;
    let figures = metrics["nodes"][0]["metrics"].as_object().expect("figures");
    assert!(figures.keys().any(|name| name.starts_with("rushmall_actor_live")), "{figures:?}");
    say(&mut wire, json!({"type": "unsubscribe", "topics": ["vitals", "events", "metrics"]})).await;
    assert_eq!(wire.frame("subscribed").await["topics"], json!([]));
    assert_eq!(wire.hear_within(Duration::from_millis(1_500)).await, Heard::Silence);
}

#[tokio::test]
async fn figures_are_looked_up_and_times_told_although_nobody_scrapes() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("watched", 1.0, 5).await;
    let ann = shop.register("ann").await;
    ann.place_order(&product, 1).await.accepted();
    let mut wire = open(&admin).await;
    say(&mut wire, json!({"type": "subscribe", "topics": ["metrics"]})).await;
    let looked_up = |node: &Value| {
        let figure = |name: &str| node["metrics"][name].as_f64();
        let (waiting, lag) =
            (figure("rushmall_orders{status=\"pending_payment\"}"), figure("rushmall_lag_seconds{of=\"outbox\"}"));
        waiting.is_some_and(|orders| orders >= 1.0) && lag.is_some()
    };
    let timed = |node: &Value| {
        let routes = node["latency"].as_array().cloned().unwrap_or_default();
        let order = routes.iter().find(|route| route["route"] == "/api/order" && route["method"] == "POST");
        order.is_some_and(|route| {
            let (bounds, counts) = (route["bounds_s"].as_array().unwrap(), route["counts"].as_array().unwrap());
            let answers: f64 = counts.iter().filter_map(Value::as_f64).sum();
            counts.len() == bounds.len() + 1 && answers >= 1.0
        })
    };
    let mut told = Value::Null;
    for _ in 0..20 {
        told = wire.frame("metrics").await["nodes"][0].clone();
        if looked_up(&told) && timed(&told) {
            return;
        }
    }
    panic!("neither lag nor times were told: {told}");
}

#[tokio::test]
async fn commands_go_the_same_way_as_over_http() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("commanded", 1.0, 5).await;
    let mut wire = open(&admin).await;
    let restock = json!({
        "type": "command", "id": "r1", "kind": "inventory", "key": product.id.to_string(), "command": "restock",
        "params": {"units": 3}, "idempotency_key": "ws-1",
    });
    for replayed in [false, true] {
        say(&mut wire, restock.clone()).await;
        let result = wire.frame("result").await;
        assert_eq!(
            (&result["id"], &result["status"], &result["replayed"]),
            (&json!("r1"), &json!(200), &json!(replayed))
        );
        assert_eq!(result["answer"]["data"]["pools"][0]["free"], 8, "{result}");
    }
    let pause = json!({"type": "command", "id": 2, "kind": "inventory", "key": "*", "command": "pause"});
    say(&mut wire, pause).await;
    assert_eq!(wire.frame("result").await["answer"]["data"][0]["reached"], 1);
    let fly = json!({"type": "command", "id": 3, "kind": "inventory", "key": "1", "command": "fly"});
    say(&mut wire, fly).await;
    let refused = wire.frame("result").await;
    assert_eq!((&refused["status"], &refused["answer"]["code"]), (&json!(404), &json!(404)), "{refused}");
    let acts = admin.get("/api/admin/audit-log").await.accepted();
    let words: Vec<&str> = acts["list"].as_array().unwrap().iter().map(|act| act["action"].as_str().unwrap()).collect();
    assert_eq!(words[..3], ["inventory.fly", "actor.pause", "inventory.restock"], "{acts}");
    for nonsense in ["", "{", "[]", r#"{"type":"subscribe","topics":["gossip"]}"#, r#"{"type":"command"}"#] {
        wire.say(nonsense).await;
        assert_eq!(wire.frame("error").await["code"], 400, "{nonsense}");
    }
    for _ in 0..6 {
        wire.say("x").await;
    }
    assert_eq!(wire.closing().await, Heard::Closed(POLICY));
}

#[tokio::test]
async fn the_socket_ends_with_the_sign_in_and_with_the_role() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let ann = shop.register("ann").await;
    let path = format!("/api/admin/users/{}", ann.user_id);
    admin.put(&path, &json!({"role": 2})).await.accepted();
    let second = shop.visitor().log_in("ann", "ann-2026").await;
    let mut wire = open(&second).await;
    second.post("/api/auth/logout", &json!({})).await.accepted();
    assert_eq!(wire.closing().await, Heard::Closed(4_401));

    let second = shop.visitor().log_in("ann", "ann-2026").await;
    let mut wire = open(&second).await;
    admin.put(&path, &json!({"role": 1})).await.accepted();
    let closed = wire.closing().await;
    assert!(matches!(closed, Heard::Closed(4_401 | 4_403)), "{closed:?}");
    assert!(Wire::try_admin(&second).await.is_err());
}
