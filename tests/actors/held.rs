//! What holds while actors are held: a paused actor keeps its messages up to its bound, an inspection answers, and an
//! administrator is never locked out by his own order.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::Person;
use crate::support::shop::TestShop;

const BOUND: usize = 120;
const INSPECTED_WITHIN: Duration = Duration::from_millis(100);
/// How long those who wait may be held up: longer than the test takes.
const HELD_UP_MS: u64 = 60_000;
/// Far below that.
const AT_ONCE: Duration = Duration::from_secs(10);
const QUEUED_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_actor_holds_its_messages_up_to_the_bound_and_can_be_inspected() {
    let shop = TestShop::with(|settings| {
        settings.actors.inventory_in_flight_max = BOUND;
        settings.actors.ask_timeout_ms = HELD_UP_MS;
        settings.http.request_timeout_ms = HELD_UP_MS;
        settings.limits.queue_wait_max_ms = 0;
    })
    .await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("held", 200).await;
    let buyers = admin.make_buyers(BOUND + 1, "held-").await;
    let key = product.id.to_string();
    admin.command_actor("inventory", &key, "pause").await.accepted();
    let patient = Person::visitor_who_waits(&shop.address, Duration::from_millis(HELD_UP_MS));
    let mut waiting = Vec::new();
    for buyer in &buyers[..BOUND] {
        let buyer = patient.signed_in(buyer.user_id, &buyer.username, &buyer.token);
        waiting.push(tokio::spawn(async move { buyer.buy(&product).await }));
    }
    let until = Instant::now() + QUEUED_WITHIN;
    let queued = async || admin.actor("inventory", &key).await.accepted()["vitals"]["queued"].as_u64();
    while queued().await != Some(BOUND as u64) {
        assert!(Instant::now() < until, "{:?} wait", queued().await);
    }
    let asked = Instant::now();
    let refused = buyers[BOUND].buy(&product).await;
    assert_eq!(refused.status, 503, "one more is told at once: {refused:?}");
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    let (mut took, mut described) = (Vec::new(), 0);
    for _ in 0..9 {
        let asked = Instant::now();
        let seen = admin.actor("inventory", &key).await.accepted();
        took.push(asked.elapsed());
        assert_eq!(seen["vitals"]["state"], "paused", "{seen}");
        if seen["state_data"].is_null() {
            assert!(seen["note"].is_string(), "it says why it tells nothing of itself: {seen}");
        } else {
            assert_eq!(seen["state_data"]["name"], "held", "{seen}");
            described += 1;
        }
    }
    // others may have waited for the machine, none for the mailbox: that is held up
    assert!(took.iter().any(|took| *took < INSPECTED_WITHIN), "inspected within {took:?}");
    assert!(described > 0, "it never tells of itself");
    admin.command_actor("inventory", &key, "resume").await.accepted();
    for buying in waiting {
        buying.await.expect("answered").order_no();
    }
    let seen = admin.actor("inventory", &key).await.accepted();
    let recent = seen["recent"].as_array().expect("its last messages");
    assert_eq!((recent.len(), &seen["nodes"][0]["recent"]), (16, &seen["recent"]), "{seen}");
    let reserved = recent.iter().find(|one| one["message"] == "ReserveInSale").expect("what was held");
    assert!(reserved["outcome"] == "answered" && reserved["took_us"].is_u64(), "{reserved}");
    assert!(reserved["waited_us"].as_u64() > Some(10_000), "it was held back: {reserved}");
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn whoever_holds_all_sessions_up_can_let_them_go() {
    let shop = TestShop::open().await;
    let (admin, ann) = (shop.admin().await, shop.register("ann").await);
    ann.get("/api/user/profile").await.accepted();
    for (command, end, state) in [
        ("pause", "resume", "paused"),
        ("quarantine", "lift", "quarantined"),
        ("drain", "restart", "draining"),
        ("stop", "restart", "stopped"),
    ] {
        admin.command_actor("session", "*", command).await.accepted();
        let listed = admin.get("/api/admin/actors?kind=session").await.accepted();
        let states: Vec<&str> =
            listed["list"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
        assert!(
            states.len() >= 2 && states.iter().all(|one| *one == state || command == "drain" && *one == "stopped"),
            "after {command}: {states:?}"
        );
        let asked = Instant::now();
        admin.command_actor("session", "*", end).await.accepted();
        assert!(asked.elapsed() < Duration::from_secs(6), "nobody waits for a session: {:?}", asked.elapsed());
        ann.get("/api/user/profile").await.accepted();
        // held or not: no administrator is no administrator
        ann.command_actor("session", "*", "pause").await.with_status(403).rejected(10_010);
    }
}

#[tokio::test]
async fn all_of_a_node_drained_is_told_to_balancers_until_it_is_restarted() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("drained", 5).await;
    let ann = shop.register("ann").await;
    ann.buy(&product).await.order_no();
    let path = |command: &str| format!("/api/admin/actors/*/*/{command}?node=node-0");
    admin.post(&path("drain"), &json!({})).await.accepted();
    let ready = shop.visitor().get("/ready").await.with_status(503).rejected(503);
    assert_eq!(ready["reason"], "drained");
    assert_eq!(ann.buy(&product).await.status, 503);
    let writer = admin.actor("order_writer", "0").await.accepted();
    assert_eq!(writer["vitals"]["state"], "running", "what was accepted is written: {writer}");
    admin.post("/api/admin/actors/*/*/drain?node=nobody", &json!({})).await.with_status(404);
    admin.post(&path("restart"), &json!({})).await.accepted();
    shop.visitor().sees_ready(200).await;
    shop.register("bob").await.buy(&product).await.order_no();
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_selector_reaches_what_it_names() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mut keys = Vec::new();
    for name in ["one", "two", "three"] {
        let product = admin.make_product(name, 1.0, 5).await;
        keys.push(product.id.to_string());
        shop.register(name).await.place_order(&product, 1).await.accepted();
    }
    admin.command_actor("inventory", &keys[0], "pause").await.accepted();
    let resumed = admin.post("/api/admin/actors/inventory/*/resume", &json!({"state": "paused"})).await.accepted();
    assert_eq!(resumed[0]["reached"], 1, "{resumed}");
    let one = admin.get(&format!("/api/admin/actors?key={}&kind=inventory", keys[1])).await.accepted();
    assert_eq!((one["total"].as_i64(), one["list"][0]["key"].as_str()), (Some(1), Some(keys[1].as_str())));
    for (path, status) in [
        ("/api/admin/actors/inventory/999999/restart", 404),
        ("/api/admin/actors/nothing/1/restart", 404),
        ("/api/admin/actors/inventory/1/fly", 404),
        ("/api/admin/actors/inventory/x/restart", 404),
        ("/api/admin/actors/inventory/*/pause?state=asleep", 400),
    ] {
        admin.post(path, &json!({})).await.with_status(status);
    }
    let refused = admin.command_actor("inventory", &keys[0], "lift").await.with_status(409);
    assert_eq!((&*refused.message, &refused.data["state"]), ("Actor 当前的状态不能执行此命令", &json!("running")));
}
