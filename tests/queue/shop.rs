//! A whole shop on RabbitMQ: what buyers and administrators see.

use std::time::{Duration, Instant};

use futures::future::join_all;
use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use rushmall::config::AmqpSettings;
use rushmall::messaging::OrderQueue as _;
use serde_json::json;

use crate::bench::{PATIENCE, TO_BE_REMEMBERED, amqp_url, channel, clean, connect, settings};
use crate::broker::PrivateBroker;
use crate::events::expect_in_log;
use crate::outages::until_blocked;
use crate::support::books::Unfinished;
use crate::support::shop::TestShop;
use crate::traces::record_spans;

/// A shop of which every span is recorded.
pub async fn open(amqp: &AmqpSettings) -> TestShop {
    record_spans();
    let amqp = amqp.clone();
    TestShop::with(move |settings| settings.amqp = amqp).await
}

#[tokio::test]
async fn r5_tickets_that_are_delivered_again_and_again_make_one_order_each() {
    let Some(url) = amqp_url() else { return };
    let amqp = settings(&url);
    let shop = open(&amqp).await;
    let (product, _) = shop.admin().await.make_sale("again", 50).await;
    let buyers = shop.admin().await.make_buyers(60, "again").await;
    let answers = join_all(buyers.iter().map(|buyer| buyer.buy(&product))).await;
    let accepted: Vec<String> =
        answers.into_iter().filter(|answer| answer.is_accepted()).map(|answer| answer.order_no()).collect();
    assert_eq!(accepted.len(), 50);
    let mut owed = Vec::new();
    for buyer in 1..=500 {
        let all = shop.inside().ledger.tickets_of(rushmall::domain::BuyerId(buyer)).await.expect("tickets");
        owed.extend(all);
    }
    for _ in 0..3 {
        shop.inside().queue.publish(&owed).await.expect("published again");
    }
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(shop.books.orders(product.id).await.len(), 50);
    shop.close().await;
    clean(&amqp).await;
}

#[tokio::test]
async fn t7_a_sale_goes_on_while_the_broker_is_killed_and_comes_back() {
    if amqp_url().is_none() {
        return;
    }
    let server = PrivateBroker::start().await;
    let mut amqp = settings(&server.url);
    amqp.confirm_timeout_ms = 2_000;
    let shop = open(&amqp).await;
    tokio::time::sleep(TO_BE_REMEMBERED).await;
    let (product, _) = shop.admin().await.make_sale("outage", 120).await;
    let buyers = shop.admin().await.make_buyers(120, "outage").await;
    let sale = async {
        let mut accepted = 0;
        for some in buyers.chunks(6) {
            let answers = join_all(some.iter().map(|buyer| buyer.buy(&product))).await;
            accepted += answers.iter().filter(|answer| answer.is_accepted()).count();
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        accepted
    };
    let outage = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.kill().await;
        server.restart().await;
    };
    let (accepted, ()) = tokio::join!(sale, outage);
    assert!(accepted > 60, "only {accepted} of 120 were accepted");
    let started = Instant::now();
    while shop.books.orders(product.id).await.len() < accepted {
        assert!(started.elapsed() < PATIENCE, "orders are missing");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    shop.assert_stock_conserved(product.id).await;
    shop.close().await;
}

#[tokio::test]
async fn t7_orders_go_on_and_events_wait_while_their_stream_cannot_be_used() {
    let Some(url) = amqp_url() else { return };
    let amqp = settings(&url);
    let (_connection, channel) = channel(&url).await;
    let log = format!("{}.events.log", amqp.prefix);
    let plain = QueueDeclareOptions::durable(); // not a stream: the broker refuses to declare one of that name
    channel.queue_declare(log.as_str().into(), plain, FieldTable::default()).await.expect("in the way");
    let shop = open(&amqp).await;
    let (product, _) = shop.admin().await.make_sale("no-log", 10).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    ann.pay(&order_no).await.accepted();
    assert_eq!(ann.order_status(&order_no).await, 2);

    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let in_the_way = channel.queue_declare(log.as_str().into(), passive, FieldTable::default()).await.expect("there");
    assert_eq!(in_the_way.message_count(), 0, "told to what is not the log");
    channel.queue_delete(log.as_str().into(), QueueDeleteOptions::default()).await.expect("out of the way");
    shop.close().await; // and the events that waited are told
    expect_in_log(&channel, &amqp, &["order.created", "payment.started", "payment.captured", "order.paid"]).await;
    clean(&amqp).await;
}

#[tokio::test]
async fn r62_a_stop_waits_until_other_systems_heard_what_the_nodes_were_told_last() {
    let Some(url) = amqp_url() else { return };
    let amqp = settings(&url);
    record_spans();
    let said = amqp.clone();
    let mut shop = TestShop::slow_to_tell(Duration::from_millis(700), move |settings| settings.amqp = said).await;
    let (product, _) = shop.admin().await.make_sale("last-word", 10).await;
    let ann = shop.register("ann").await;
    ann.buy(&product).await.order_no();
    shop.stop(); // the nodes are being told
    assert_eq!(shop.books.unfinished().await, Unfinished::default());
    let (_connection, channel) = channel(&url).await;
    expect_in_log(&channel, &amqp, &["order.created"]).await;
    clean(&amqp).await;
}

#[tokio::test]
async fn r61_orders_are_written_though_the_broker_takes_no_messages() {
    if amqp_url().is_none() {
        return;
    }
    let server = PrivateBroker::start().await;
    let shop = open(&settings(&server.url)).await;
    let (product, _) = shop.admin().await.make_sale("alarm", 10).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let beside = connect(&settings(&server.url), "beside").await;
    server.alarm(true).await;
    until_blocked(&beside).await;
    let first = ann.buy(&product).await.order_no();
    let order_no = bob.buy(&product).await.order_no();
    assert_eq!(shop.books.orders(product.id).await.len(), 2, "written before the answer");
    for (who, order_no) in [(&ann, &first), (&bob, &order_no)] {
        assert_eq!(who.order_status(order_no).await, 1);
    }
    server.alarm(false).await;
    beside.queue.close().await;
    shop.close().await; // and the events that waited are told
}

#[tokio::test]
async fn r7_an_administrator_sees_a_dead_message_and_replays_it() {
    let Some(url) = amqp_url() else { return };
    let amqp = settings(&url);
    let shop = open(&amqp).await;
    let admin = shop.admin().await;
    let (_connection, channel) = channel(&url).await;
    let (queue, options) = (format!("{}.orders", amqp.prefix), BasicPublishOptions::default());
    let properties = BasicProperties::default().with_message_id("from-elsewhere".into());
    channel
        .basic_publish("".into(), queue.into(), options, b"{}", properties)
        .await
        .expect("sent")
        .await
        .expect("taken");
    let list = async || admin.get("/api/admin/dead-messages").await.accepted();
    let started = Instant::now();
    while list().await["total"] != 1 {
        assert!(started.elapsed() < PATIENCE, "{}", list().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let dead = list().await;
    let shown = dead.pointer("/items/0").or(dead.pointer("/list/0")).expect("the message");
    assert_eq!(
        (&shown["id"], &shown["tickets"], &shown["content"]),
        (&json!("from-elsewhere"), &json!(null), &json!("{}"))
    );
    admin.post("/api/admin/dead-messages/nobody/replay", &json!({})).await.with_status(404);
    let path = "/api/admin/dead-messages/from-elsewhere/replay";
    admin.post_once(path, &json!({}), "deliver-again").await.accepted();
    let started = Instant::now();
    while list().await["total"] != 1 {
        assert!(started.elapsed() < PATIENCE, "unreadable still, so it is dead again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let died_at = list().await["list"][0]["at"].clone();
    let again = admin.post_once(path, &json!({}), "deliver-again").await;
    assert!(again.headers.get("idempotent-replayed").is_some(), "{again:?}");
    again.accepted();
    assert_eq!(list().await["list"][0]["at"], died_at, "delivered once under one key");
    let acts = admin.get("/api/admin/audit-log?action=dead_message.replay").await.accepted();
    let told: Vec<(&str, &str)> = acts["list"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|act| (act["target"].as_str().expect("one"), &act["result"].as_str().expect("one")[..2]))
        .collect();
    assert_eq!(told, [("message from-elsewhere", "ok"), ("message nobody", "40")], "also what was refused: {acts}");
    shop.register("carl").await.get("/api/admin/dead-messages").await.with_status(403);
    shop.close().await;
    clean(&amqp).await;
}
