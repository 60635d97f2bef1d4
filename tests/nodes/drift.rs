//! A ledger in Redis that the database contradicts is an alert, until they agree again.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::{Cluster, Shared, services};
use crate::support::client::Person;

const TOLD_WITHIN: Duration = Duration::from_secs(20);

async fn drift(admin: &Person, is_there: bool) -> Option<Value> {
    let until = Instant::now() + TOLD_WITHIN;
    loop {
        let alerts = admin.get("/api/admin/alerts").await.accepted();
        let found = alerts["open"].as_array().expect("a list").iter().find(|alert| alert["kind"] == "drift").cloned();
        if found.is_some() == is_there {
            return found;
        }
        assert!(Instant::now() < until, "{alerts}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_unit_that_redis_lost_is_an_alert_until_it_is_back() {
    let Some(services) = services() else { return eprintln!("not run: no services") };
    let shared = Shared::new(&services, services.databases.first().expect("a database")).await;
    let cluster = Cluster::with(shared, 1, |settings| {
        settings.alerts.check_every_ms = 100;
        settings.alerts.drift_every_ms = 100;
    });
    let admin = cluster.admin().await;
    let product = admin.make_product("drifting", 1.0, 7).await;
    let ann = cluster.nodes[0].visitor().register("drifted").await;
    ann.place_order(&product, 1).await.order_no(); // whose actor is at work is compared
    let link = cluster.shared.link().await;
    let pools = link.key(&format!("{{p{}}}:pools", product.id));
    let add = async |units: i64| {
        let mut change = redis::cmd("HINCRBY");
        link.query::<i64>(change.arg(&pools).arg("f0").arg(units)).await.expect("the ledger is tampered with")
    };
    assert_eq!(add(-1).await, 5, "one of six is gone");
    let told = drift(&admin, true).await.expect("raised");
    assert_eq!((&told["facts"]["product_id"], &told["severity"]), (&product.id.into(), &"critical".into()), "{told}");
    let differences = told["facts"]["differences"].as_str().expect("a text");
    assert!(differences.contains("5 free in the ledger, 6 by the database"), "{told}");
    add(1).await;
    drift(&admin, false).await;
}
