//! Each command while buyers buy, pay, cancel and check out: the books reconcile, and nobody was promised what he did not get.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::Person;
use crate::support::load::{Crowd, Dice};
use crate::support::shop::TestShop;
use crate::support::verbs::{Product, SalePlan};

const BUYERS: usize = 80;
const HANDS: usize = 10;
/// How long an actor is held, and how long the shop then runs before the next command.
const HELD: Duration = Duration::from_millis(150);
/// A claim that waited longer is turned away.
const WAIT_MAX_MS: u64 = 3_000;
/// A command that is told "not now" is repeated so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// A command, and what ends it.
const COMMANDS: [(&str, Option<&str>); 5] = [
    ("pause", Some("resume")),
    ("restart", None),
    ("stop", Some("restart")),
    ("drain", Some("restart")),
    ("quarantine", Some("lift")),
];

async fn order(admin: &Person, kind: &str, key: &str, command: &str) -> u64 {
    let until = Instant::now() + PATIENCE;
    let mut answer = admin.command_actor(kind, key, command).await;
    while answer.is_open() && Instant::now() < until {
        tokio::time::sleep(HELD).await;
        answer = admin.command_actor(kind, key, command).await;
    }
    // An actor may have been put to sleep before the command came, or be in a state that it does not fit any more.
    if [404, 409].contains(&answer.status) {
        return 0;
    }
    answer.accepted()[0]["reached"].as_u64().expect("a count")
}

/// A shop whose actors give up soon, so that a short drill sees all of it.
pub async fn brisk_shop() -> TestShop {
    TestShop::with(|settings| {
        settings.actors.ask_timeout_ms = 1_000;
        settings.orders.ticket_orphan_after_ms = 300;
        settings.orders.prepared_expires_ms = 3_000;
    })
    .await
}

/// A product with 2,000 units, and the number of its sale of 900.
pub async fn on_sale(admin: &Person, name: &str) -> (Product, i64) {
    let product = admin.make_product(name, 9.9, 2_000).await;
    let sale = admin.plan_sale(&product, SalePlan::open_now(900).per_buyer(900)).await;
    (product, sale.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_in_a_sale_loses_no_message_and_no_unit() {
    let seed = Dice::seed();
    let shop = brisk_shop().await;
    let admin = shop.admin().await;
    let products = [on_sale(&admin, "hot").await.0, on_sale(&admin, "warm").await.0];
    let crowd = Crowd::of(admin.make_buyers(BUYERS, "drill-").await, &products);
    let stop = Arc::new(AtomicBool::new(false));
    let hands = crowd.rush(HANDS, seed, &stop);
    let hot = products[0].id.to_string();
    let mut reached = 0;
    for (kind, key) in [
        ("inventory", hot.as_str()),
        ("inventory", "*"),
        ("order_saga", "*"),
        ("session", "*"),
        ("order_writer", "0"),
        ("*", "*"),
    ] {
        for (command, end) in COMMANDS {
            tokio::time::sleep(HELD).await;
            let took = order(&admin, kind, key, command).await;
            assert!(took > 0 || key == "*", "{command} reached no {kind} {key}");
            reached += took;
            if let Some(end) = end {
                tokio::time::sleep(HELD).await;
                order(&admin, kind, key, end).await;
            }
        }
    }
    // Nobody stays down.
    order(&admin, "*", "*", "lift").await;
    order(&admin, "*", "*", "resume").await;
    order(&admin, "*", "*", "restart").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    for hand in hands {
        hand.await.expect("nobody was told nonsense");
    }
    // What the writer and the orders did not handle is handled now, as often as it takes; each is harmless if it was.
    for kind in ["order_writer", "order_saga"] {
        admin.command_actor(kind, "*", "replay").await.accepted();
    }
    shop.at_rest().await;
    crowd.assert_promises_kept(&shop.books).await;
    shop.books.assert_conserved().await;
    let accepted = crowd.tally.accepted.load(Ordering::Relaxed);
    eprintln!("{reached} actors took commands: {:?}", crowd.tally);
    assert!(accepted > 50, "there was load: {:?}", crowd.tally);
    let listed = admin.get("/api/admin/actors?page_size=100").await.accepted();
    for actor in listed["list"].as_array().expect("a list") {
        assert!(["running", "starting"].contains(&actor["state"].as_str().unwrap()), "{actor}");
    }
}

#[tokio::test]
async fn a_click_at_a_stopped_actor_is_refused_kept_and_can_be_replayed() {
    let shop = TestShop::with(|settings| settings.limits.queue_wait_max_ms = WAIT_MAX_MS).await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("stopped", 5).await;
    let ann = shop.register("ann").await;
    let key = product.id.to_string();
    admin.command_actor("inventory", &key, "stop").await.accepted();
    let refused = ann.buy(&product).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(ann.orders().await.len(), 0);
    let letters = admin.get(&format!("/api/admin/dead-letters?kind=inventory&key={key}")).await.accepted();
    assert_eq!(
        (letters["total"].as_i64(), letters["list"][0]["reason"].as_str()),
        (Some(1), Some("stopped")),
        "{letters}"
    );

    // longer than a claim may wait: whoever asks again has only begun to
    tokio::time::sleep(Duration::from_millis(2 * WAIT_MAX_MS)).await;

    // still down: not handled, and kept
    let failed = admin.command_actor("inventory", &key, "replay").await.accepted();
    assert_eq!((&failed[0]["reached"], &failed[0]["failed"]), (&json!(0), &json!(1)));
    admin.command_actor("inventory", &key, "restart").await.accepted();
    let replayed = admin.command_actor("inventory", &key, "replay").await.accepted();
    assert_eq!((&replayed[0]["reached"], &replayed[0]["failed"]), (&json!(1), &json!(0)), "{replayed}");
    shop.at_rest().await;
    assert_eq!(ann.orders().await.len(), 1, "the message was not lost");
    shop.assert_stock_conserved(product.id).await;
}
