//! Readiness pings the actors: a kind that is silent takes the node out of service, one at work or held back does not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::Person;
use crate::support::process::ShopProcess;

const ANSWER_WITHIN: Duration = Duration::from_secs(30);

fn kinds(answer: &Value) -> Vec<(&str, &str)> {
    let all = answer["actors"].as_array().expect("kinds").iter();
    all.map(|one| (one["kind"].as_str().expect("a kind"), one["status"].as_str().expect("a status"))).collect()
}

/// Every kind answers, sooner or later: each is waited for a second at most.
async fn sees_all_up(visitor: &Person, path: &str) {
    let all = [("inventory", "up"), ("order_saga", "up"), ("order_writer", "up"), ("session", "up")];
    let until = Instant::now() + ANSWER_WITHIN;
    loop {
        let answer = visitor.get(path).await;
        if answer.status == 200 && kinds(&answer.data) == all {
            return;
        }
        assert!(Instant::now() < until, "{path}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_actors_are_silent_is_not_ready_until_they_answer() {
    // one thread for all actors: one that blocks it silences the others
    let mut shop = ShopProcess::prepare();
    shop.set("RUSHMALL__ACTORS__ARBITERS", "1");
    // the click outlasts the silence
    shop.set("RUSHMALL__ACTORS__ASK_TIMEOUT_MS", "13000");
    shop.set("RUSHMALL__HTTP__REQUEST_TIMEOUT_MS", "14000");
    shop.start().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("blocked", 5).await;
    let ann = shop.register("ann").await;
    let first = ann.buy(&product).await.order_no();
    ann.sees(&first, 1).await;
    let visitor = shop.visitor();
    for path in ["/health", "/ready"] {
        sees_all_up(&visitor, path).await;
    }
    // held back by a human: not silent
    admin.command_actor("inventory", &product.id.to_string(), "pause").await.accepted();
    visitor.sees_ready(200).await;
    admin.command_actor("inventory", &product.id.to_string(), "resume").await.accepted();

    let bob = shop.register("bob").await;
    admin.arm("inventory.claim=delay(7000)").await.accepted();
    let clicking = tokio::spawn(async move { bob.buy(&product).await });
    visitor.sees_ready(503).await; // some may have answered before the click
    let refusal = visitor.get("/ready").await.with_status(503).rejected(503);
    assert_eq!(refusal["reason"], "actors", "{refusal}");
    assert!(kinds(&refusal).contains(&("session", "down")), "{refusal}");
    let health = visitor.get("/health").await.with_status(200).accepted();
    assert_eq!(health["status"], json!("degraded"), "{health}");
    clicking.await.expect("the click ends").order_no();
    visitor.sees_ready(200).await;
    shop.assert_clean().await;
}
