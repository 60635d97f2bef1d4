//! Other systems are told by HTTP: signed, at least once, each by itself, an order's events in their order; however long a
//! system is away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rushmall::config::{Secret, Settings, WebhookTarget};
use rushmall::payment::crypto::hmac_sha256_hex_lower;
use serde_json::{Value, json};

use crate::stage::{CANCELLED, DAY_MS, HOUR_MS, PAID, PRICE_FEN, REFUNDED, shop_with};
use crate::support::receiver::{Arrival, Receiver};
use crate::support::shop::TestShop;

const SECRET: &str = "a secret of the warehouse";

fn target(settings: &mut Settings, name: &str, receiver: &Receiver, events: &[&str]) {
    settings.webhooks.targets.push(WebhookTarget {
        name: name.to_owned(),
        url: format!("{}/rushmall/{name}", receiver.url),
        secret: Secret(SECRET.to_owned()),
        secret_file: String::new(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
    });
}

/// As a target is told to check it.
fn checked(arrival: &Arrival) -> Value {
    let signed = format!("{}.{}", arrival.header("rushmall-timestamp"), arrival.body);
    let signature = format!("v1={}", hmac_sha256_hex_lower(SECRET.as_bytes(), signed.as_bytes()));
    assert_eq!(arrival.header("rushmall-signature"), signature);
    let message: Value = serde_json::from_str(&arrival.body).expect("JSON");
    assert_eq!((&message["version"], message["events"].as_array().map(Vec::len)), (&json!(1), Some(1)));
    assert_eq!(message["kind"], arrival.header("rushmall-event"));
    assert_eq!(message["events"][0]["id"], arrival.header("rushmall-delivery"));
    message
}

/// What somebody has learned who drops what he knows: the ids, and that each order's versions ascended.
fn learned(arrivals: &[Arrival]) -> BTreeSet<String> {
    let (mut ids, mut versions) = (BTreeSet::new(), BTreeMap::<String, i64>::new());
    for arrival in arrivals {
        let event = checked(arrival)["events"][0].clone();
        if !ids.insert(event["id"].as_str().expect("an id").to_owned()) {
            continue;
        }
        let Some(order_no) = event["order_no"].as_str() else { continue };
        let version = event["order_version"].as_i64().expect("a version");
        let before = versions.insert(order_no.to_owned(), version).unwrap_or(0);
        assert!(version >= before, "{order_no}: {version} after {before}");
    }
    ids
}

async fn standing(shop: &TestShop, name: &str) -> Value {
    let targets = shop.admin().await.get("/api/admin/webhooks").await.accepted();
    let found = targets.as_array().expect("a list").iter().find(|target| target["target"] == name);
    found.expect("the target").clone()
}

/// Time goes by in steps until nothing waits for a target. A step while it is being told may tell it twice.
async fn is_told(shop: &TestShop, name: &str, by_ms: i64) {
    for _ in 0..60 {
        if standing(shop, name).await["waiting"] == 0 {
            return;
        }
        shop.travel(by_ms);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("{}", standing(shop, name).await);
}

/// Until nobody tries any more in this hour, however slow the machine is.
async fn tried_out(receiver: &Receiver) {
    let mut tried = receiver.arrivals(false).len();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let now = receiver.arrivals(false).len();
        if now == tried {
            return;
        }
        tried = now;
    }
}

/// How a target is shown that has not taken anything for a day, the server having been started anew in between.
fn assert_told_apart(target: &Receiver, shown: &Value) {
    assert!(shown["failed"].as_i64() >= Some(6) && shown["last_ok_at"].is_null(), "the first of each order: {shown}");
    assert_eq!((&shown["last_error"], &shown["events"]), (&json!("HTTP 503"), &json!(["*"])), "{shown}");
    assert!(shown["last_error_at"].is_string(), "known after the restart: {shown}");
    let host = target.url.strip_prefix("http://").expect("a URL");
    assert_eq!(shown["host"], host, "and not the path: {shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r66_a_target_that_is_down_for_a_day_is_told_everything_in_order_and_holds_up_nobody() {
    let (warehouse, mail) = (Receiver::open(503), Receiver::open(204));
    let (mut shop, gateway) = shop_with(|settings| {
        target(settings, "warehouse", &warehouse, &["*"]);
        target(settings, "mail", &mail, &["*"]);
        settings.orders.low_stock_units = 3;
    })
    .await;
    let (product, _) = shop.admin().await.make_sale("told", 6).await;
    let mut numbers = Vec::new();
    for place in 0..6 {
        let buyer = shop.register(&format!("buyer-{place}")).await;
        let order_no = buyer.buy(&product).await.order_no();
        buyer.open_charge("wechat", &order_no).await.accepted();
        if place % 2 == 0 {
            gateway.pay(&format!("{order_no}_1")).await;
            buyer.sees(&order_no, PAID).await;
        } else {
            buyer.cancel(&order_no).await.accepted();
            buyer.sees(&order_no, CANCELLED).await;
        }
        if place == 0 {
            buyer.ask_refund("wechat", &order_no, PRICE_FEN).await.accepted();
            for _ in 0..40 {
                is_told(&shop, "mail", 0).await;
                shop.travel(2_000);
                tokio::time::sleep(Duration::from_millis(50)).await;
                if buyer.order_status(&order_no).await == REFUNDED {
                    break;
                }
            }
        }
        numbers.push(order_no);
    }
    shop.at_rest().await;
    is_told(&shop, "mail", 0).await;
    let all = learned(&mail.arrivals(true));
    for order_no in &numbers {
        assert!(all.contains(&format!("order.created:{order_no}:1")), "{all:?}");
    }
    assert!(
        all.iter().any(|id| id.starts_with("order.refunded:")) && all.iter().any(|id| id.starts_with("stock.low:"))
    );
    assert_eq!(standing(&shop, "warehouse").await["waiting"], all.len() as i64);

    // a day goes by, and the server is started anew in it
    for half in 0..2 {
        for _ in 0..12 {
            shop.travel(HOUR_MS);
            tried_out(&warehouse).await;
        }
        if half == 0 {
            shop.restart().await;
        }
    }
    let tried = warehouse.arrivals(false).len();
    assert!(tried > all.len(), "tried again and again: {tried}");
    assert!(tried < 40 * all.len(), "and not all the time: {tried}");
    let waits = standing(&shop, "warehouse").await;
    assert_eq!((waits["waiting"].as_i64(), waits["dead"].as_i64()), (Some(all.len() as i64), Some(0)), "{waits}");
    assert!(waits["waiting_since"].is_string());
    assert_told_apart(&warehouse, &waits);
    let told = standing(&shop, "mail").await;
    assert!(told["last_ok_at"].is_string() && told["last_error"].is_null() && told["failed"] == 0, "{told}");
    assert_eq!(learned(&mail.arrivals(true)), all, "the other has heard all of it and nothing twice");
    assert_eq!(mail.arrivals(true).len(), all.len());

    warehouse.answers(200);
    is_told(&shop, "warehouse", HOUR_MS / 4).await;
    assert_eq!(learned(&warehouse.arrivals(true)), all);
    let told = standing(&shop, "warehouse").await;
    assert!(told["last_ok_at"].is_string() && told["failed"] == 0 && told["last_error"] == "HTTP 503", "{told}");
    assert!(!format!("{told}").contains(SECRET) && !format!("{told}").contains("/rushmall/"), "{told}");
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r66_what_is_not_taken_for_three_days_is_dead_listed_and_told_again_by_an_administrator() {
    let (warehouse, nobody) = (Receiver::open(500), Receiver::open(200));
    let (shop, _gateway) = shop_with(|settings| {
        target(settings, "warehouse", &warehouse, &["order.*"]);
        target(settings, "nobody", &nobody, &["payment.late"]);
    })
    .await;
    let (product, _) = shop.admin().await.make_sale("dead", 3).await;
    for place in 0..3 {
        let buyer = shop.register(&format!("buyer-{place}")).await;
        let order_no = buyer.buy(&product).await.order_no();
        buyer.cancel(&order_no).await.accepted();
    }
    shop.at_rest().await;
    for _ in 0..60 {
        if standing(&shop, "warehouse").await["waiting"] == 0 {
            break;
        }
        shop.travel(DAY_MS / 4);
        tokio::time::sleep(Duration::from_millis(1_100)).await; // it looks once a second
    }
    let admin = shop.admin().await;
    let dead = admin.get("/api/admin/webhooks/dead?page_size=100").await.accepted();
    let list = dead["list"].as_array().expect("a list").clone();
    assert_eq!((list.len(), standing(&shop, "warehouse").await["dead"].as_i64()), (6, Some(6)), "{dead}");
    assert!(list.iter().all(|one| one["last_error"] == "HTTP 500" && one["attempts"].as_i64() >= Some(1)), "{dead}");
    let first = list.iter().filter(|one| one["kind"] == "order.created");
    assert!(first.clone().count() == 3 && first.clone().all(|one| one["attempts"].as_i64() > Some(3)), "{dead}");

    warehouse.answers(204);
    shop.travel(DAY_MS);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(warehouse.arrivals(true).is_empty(), "what is dead is not tried by itself");
    let id = list[0]["id"].as_str().expect("an id");
    for _ in 0..2 {
        let path = format!("/api/admin/webhooks/dead/{id}/replay");
        assert_eq!(admin.post_once(&path, &json!({}), "tell-one").await.accepted()["replayed"], 1);
    }
    for _ in 0..750 {
        if warehouse.arrivals(true).len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(warehouse.arrivals(true).len(), 1);
    admin.post(&format!("/api/admin/webhooks/dead/{id}/replay"), &json!({})).await.with_status(404);
    admin.post("/api/admin/webhooks/elsewhere/replay", &json!({})).await.with_status(404);
    for _ in 0..2 {
        let rest = admin.post_once("/api/admin/webhooks/warehouse/replay", &json!({}), "tell-all").await.accepted();
        assert_eq!(rest["replayed"], 5, "a repeat under one key is answered as the first was");
    }
    let acts = admin.get("/api/admin/audit-log?action=webhook.*").await.accepted();
    let told: Vec<(&str, &str)> = acts["list"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|act| (act["action"].as_str().expect("one"), &act["result"].as_str().expect("one")[..2]))
        .collect();
    let (one, all) = ("webhook.replay", "webhook.replay_all");
    assert_eq!(told, [(all, "ok"), (all, "40"), (one, "40"), (one, "ok")], "once each, refused ones too: {acts}");
    is_told(&shop, "warehouse", HOUR_MS / 4).await;
    assert_eq!(learned(&warehouse.arrivals(true)).len(), 6);
    assert!(nobody.arrivals(false).is_empty(), "told of what it asked for only");
    // nobody but an administrator
    let ann = shop.register("ann").await;
    ann.get("/api/admin/webhooks").await.with_status(403);
    ann.get("/api/admin/webhooks/dead").await.with_status(403);
    ann.post("/api/admin/webhooks/warehouse/replay", &json!({})).await.with_status(403);
    shop.assert_stock_conserved(product.id).await;
}
