//! Each kind of alert is raised by what causes it, tells its facts by the names that the console's wording fills in, and is
//! over when the cause is.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::client::Person;
use crate::support::gateway::Gateway;
use crate::support::shop::TestShop;

const TOLD_WITHIN: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What hangs has a lease until then.
const FAR_MS: i64 = 9_000_000_000_000;

async fn alert(admin: &Person, kind: &str) -> Option<Value> {
    let alerts = admin.get("/api/admin/alerts").await.accepted();
    alerts["open"].as_array().expect("a list").iter().find(|alert| alert["kind"] == kind).cloned()
}

/// The alert of this kind, once it is there; its facts have the names that either language fills in.
async fn raised(admin: &Person, kind: &str) -> Value {
    let until = Instant::now() + TOLD_WITHIN;
    loop {
        if let Some(alert) = alert(admin, kind).await {
            let facts: BTreeSet<&str> = alert["facts"].as_object().expect("facts").keys().map(String::as_str).collect();
            let missing: Vec<String> =
                blanks(kind).into_iter().filter(|blank| !facts.contains(blank.as_str())).collect();
            assert!(missing.is_empty(), "{kind}: the wording wants {missing:?}, and there are {facts:?}");
            return alert;
        }
        assert!(Instant::now() < until, "{kind} was never raised");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn over(admin: &Person, kind: &str) {
    let until = Instant::now() + TOLD_WITHIN;
    while let Some(alert) = alert(admin, kind).await {
        assert!(Instant::now() < until, "{kind} still stands: {alert}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What the console's wording of a kind fills in, in all languages together.
fn blanks(kind: &str) -> BTreeSet<String> {
    let mut blanks = BTreeSet::new();
    for language in ["zh", "en"] {
        let path = format!("{}/web/src/i18n/alerts.{language}.ts", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the wording");
        let begins = ["", "_one", "_other"].map(|form| format!("{kind}{form}: \""));
        let worded =
            text.lines().filter(|line| begins.iter().any(|begin| line.trim_start().starts_with(begin.as_str())));
        let worded: Vec<&str> = worded.collect();
        assert!(!worded.is_empty(), "{kind} has no words in {language}");
        for line in worded {
            blanks.extend(line.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).map(str::to_owned));
        }
    }
    blanks
}

async fn sql(shop: &TestShop, statement: &str) {
    shop.books.db().writer().execute_unprepared(statement).await.expect("the statement runs");
}

#[tokio::test]
async fn what_nobody_works_off_is_an_alert() {
    let shop = TestShop::with(|settings| settings.alerts.check_every_ms = 100).await;
    let admin = shop.admin().await;
    let now_ms = shop.clock.now_ms();
    let order_no = "01JD0000000000000000000001";
    for (kind, fact, cause, end) in [
        (
            "dead_tickets",
            ("count", 1..=1),
            format!(
                "INSERT INTO dead_tickets (order_no, product_id, buyer_id, ticket, reason, attempts, at_ms)
                 VALUES ('{order_no}', 1, 1, '{{}}', 'the test', 3, {now_ms})"
            ),
            "DELETE FROM dead_tickets".to_owned(),
        ),
        (
            // told to the nodes, and waits for other systems, which a shop without RabbitMQ does not have any more
            "outbox_lag",
            ("age_ms", 60_000..=600_000),
            format!("INSERT INTO outbox (payload, created_at_ms, told) VALUES ('{{\"events\":[]}}', {}, 1)", now_ms - 60_000),
            "DELETE FROM outbox WHERE told = 1".to_owned(),
        ),
        (
            // claimed by a node that hangs
            "effect_lag",
            ("count", 1..=1),
            format!(
                "INSERT INTO effects (order_no, seq, part, kind, payload, due_at_ms, attempts, lease_until_ms, last_error)
                 VALUES ('{order_no}', 1, 0, 'release_stock', '{{}}', {}, 1, {FAR_MS}, '')",
                now_ms - 120_000
            ),
            format!("DELETE FROM effects WHERE order_no = '{order_no}'"),
        ),
    ] {
        assert!(alert(&admin, kind).await.is_none(), "{kind} before its cause");
        sql(&shop, &cause).await;
        let raised = raised(&admin, kind).await;
        let (name, range) = fact;
        assert!(range.contains(&raised["facts"][name].as_i64().expect("a number")), "{raised}");
        sql(&shop, &end).await;
        over(&admin, kind).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_actors_that_are_held_is_an_alert() {
    let shop = TestShop::with(|settings| {
        settings.alerts.check_every_ms = 100;
        settings.alerts.queue_messages = 1;
        settings.amqp.prefetch_messages = 1; // what a consumer has in hand does not wait in the queue
        settings.alerts.deadline_lag_ms = 1_000;
        settings.alerts.dead_letters_per_minute = 1;
    })
    .await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("held up", 50).await;
    let buyers = admin.make_buyers(6, "held-up-").await;
    // the writer has the first tickets in hand, the others wait for it
    admin.command_actor("order_writer", "0", "pause").await.accepted();
    let mut order_nos = Vec::new();
    for buyer in &buyers[..4] {
        order_nos.push(buyer.buy(&product).await.order_no());
    }
    let waiting = raised(&admin, "queue_lag").await;
    assert!(waiting["facts"]["count"].as_u64() >= Some(1), "{waiting}");
    admin.command_actor("order_writer", "0", "resume").await.accepted();
    over(&admin, "queue_lag").await;
    shop.at_rest().await;

    let key = product.id.to_string();
    admin.command_actor("inventory", &key, "pause").await.accepted();
    let late = buyers[5].clone();
    let clicking = tokio::spawn(async move { late.buy(&product).await });
    let queued = async || admin.actor("inventory", &key).await.accepted()["vitals"]["queued"].as_u64();
    let until = Instant::now() + TOLD_WITHIN;
    while queued().await != Some(1) && !clicking.is_finished() {
        assert!(Instant::now() < until, "the click never came");
    }
    admin.command_actor("inventory", &key, "stop").await.accepted();
    assert!(!clicking.await.expect("answered").is_accepted(), "what waited was given up");
    let letters = raised(&admin, "dead_letters").await;
    assert_eq!(letters["facts"]["node"], "node-0", "{letters}");
    assert!(letters["facts"]["count"].as_u64() >= Some(1), "{letters}");
    admin.command_actor("inventory", &key, "restart").await.accepted();
    shop.travel(61_000); // they are counted by the minute
    over(&admin, "dead_letters").await;

    // an order whose actor does not answer outlives its deadline
    admin.command_actor("order_saga", &order_nos[0], "retry").await.accepted(); // it is in memory then
    admin.command_actor("order_saga", &order_nos[0], "pause").await.accepted();
    shop.travel(24 * 3_600_000);
    let overdue = raised(&admin, "deadline_lag").await;
    assert!(overdue["facts"]["count"].as_u64() >= Some(1), "{overdue}");
    admin.command_actor("order_saga", &order_nos[0], "resume").await.accepted();
    over(&admin, "deadline_lag").await;
}

#[tokio::test]
async fn a_gateway_that_is_left_alone_is_an_alert_until_a_call_succeeds() {
    let shop = TestShop::with(|settings| {
        settings.alerts.check_every_ms = 100;
        settings.payment.sandbox = Some(true);
        settings.payment.breaker_failures_max = 2;
        settings.payment.breaker_pause_ms = 300;
    })
    .await;
    let gateway = Gateway::of(&shop.address.base());
    let (admin, ann) = (shop.admin().await, shop.register("ann").await);
    let product = admin.make_product("paid for", 9.9, 50).await;
    let order_no = ann.place_order(&product, 1).await.order_no();
    gateway.breaks(json!({"kind": "server_error", "operation": "create"})).await;
    gateway.breaks(json!({"kind": "server_error", "operation": "query"})).await;
    let until = Instant::now() + TOLD_WITHIN;
    while alert(&admin, "circuit_open").await.is_none() {
        assert!(Instant::now() < until, "it never tripped");
        let _ = ann.open_charge("wechat", &order_no).await; // refused by the gateway, then by the breaker
    }
    let open = raised(&admin, "circuit_open").await;
    assert_eq!(open["facts"], json!({"gateway": "wechat_v3", "node": "node-0"}), "{open}");
    assert_eq!(open["subject"], "wechat_v3 on node-0");
    admin.sees_figure("rushmall_gateway_open{gateway=\"wechat_v3\"}", |open| open == 1.0).await;
    gateway.heals().await;
    let until = Instant::now() + TOLD_WITHIN;
    while !ann.open_charge("wechat", &order_no).await.is_accepted() {
        assert!(Instant::now() < until, "the breaker never lets a call through");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    over(&admin, "circuit_open").await;
    admin.sees_figure("rushmall_gateway_open{gateway=\"wechat_v3\"}", |open| open == 0.0).await;
}
