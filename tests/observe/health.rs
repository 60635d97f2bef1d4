//! Readiness pings the actors: a kind that is silent takes the node out of service, one at work or held back does not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::process::ShopProcess;

fn kinds(answer: &Value) -> Vec<(&str, &str)> {
    let all = answer["actors"].as_array().expect("kinds").iter();
    all.map(|one| (one["kind"].as_str().expect("a kind"), one["status"].as_str().expect("a status"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_actors_are_silent_is_not_ready_until_they_answer() {
    // one thread for all actors: one that blocks it silences the others
    let mut shop = ShopProcess::prepare();
    shop.set("RUSHMALL__ACTORS__ARBITERS", "1");
    shop.start().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("blocked", 5).await;
    let ann = shop.register("ann").await;
    let first = ann.buy(&product).await.order_no();
    ann.sees(&first, 1).await;
    let visitor = shop.visitor();
    let all = [("inventory", "up"), ("order_saga", "up"), ("order_writer", "up"), ("session", "up")];
    for path in ["/health", "/ready"] {
        assert_eq!(kinds(&visitor.get(path).await.with_status(200).accepted()), all, "{path}");
    }
    // held back by a human: not silent
    admin.command_actor("inventory", &product.id.to_string(), "pause").await.accepted();
    visitor.get("/ready").await.with_status(200).accepted();
    admin.command_actor("inventory", &product.id.to_string(), "resume").await.accepted();

    let bob = shop.register("bob").await;
    admin.arm("inventory.claim=delay(3000)").await.accepted();
    let clicking = tokio::spawn(async move { bob.buy(&product).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let refusal = visitor.get("/ready").await.with_status(503).rejected(503);
    assert_eq!(refusal["reason"], "actors", "{refusal}");
    assert!(kinds(&refusal).contains(&("session", "down")), "{refusal}");
    let health = visitor.get("/health").await.with_status(200).accepted();
    assert_eq!(health["status"], json!("degraded"), "{health}");
    clicking.await.expect("the click ends").order_no();
    let until = Instant::now() + Duration::from_secs(10);
    while visitor.get("/ready").await.status != 200 {
        assert!(Instant::now() < until, "the actors answer, and the node is not ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    shop.assert_clean().await;
}
