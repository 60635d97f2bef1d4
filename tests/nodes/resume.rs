//! Resuming by sequence where commits become visible in another order than their numbers'.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, number, on_each_database, sql};
use crate::support::client::Person;
use crate::support::wire::{Heard, Wire};

/// What a client is told after it subscribed, at least `count` times: versions by frame of one order, from the snapshot
/// or step by step.
async fn told(who: &Person, subscribe: &Value, order_no: &str, count: usize) -> Vec<(&'static str, i64)> {
    let mut wire = Wire::open(who).await;
    wire.frame("welcome").await;
    wire.say(subscribe.to_string()).await;
    let snapshot = wire.frame("snapshot").await;
    let mut told = Vec::new();
    for order in snapshot["orders"].as_array().expect("orders") {
        if order["order_no"] == order_no {
            told.push(("snapshot", order["version"].as_i64().expect("a version")));
        }
    }
    loop {
        let patience = Duration::from_millis(if told.len() < count { 10_000 } else { 300 });
        let Heard::Frame(frame) = wire.hear_within(patience).await else { return told };
        if frame["type"] == "order" && frame["order_no"] == order_no {
            told.push(("step", frame["version"].as_i64().expect("a version")));
        }
    }
}

#[tokio::test]
async fn a_commit_that_became_visible_late_is_told_to_whoever_resumes_after_it() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::open(&services, &database, 1).await;
        let admin = cluster.admin().await;
        let product = admin.make_product("late", 9.9, 10).await;
        let ann = cluster.nodes[0].visitor().register("ann").await;
        let (late, told_of) =
            (ann.place_order(&product, 1).await.order_no(), ann.place_order(&product, 1).await.order_no());
        let db = cluster.shared.schema.db().await;
        cluster.until(&db, "SELECT COUNT(*) AS n FROM orders", 2).await;
        ann.pay(&told_of).await.accepted();
        let since = number(&db, "SELECT MAX(commit_no) AS n FROM order_events").await;
        // its number was given before that commit, and it became visible after it
        ann.pay(&late).await.accepted();
        sql(&db, &format!("UPDATE order_events SET commit_no = {} WHERE order_no = '{late}' AND seq > 1", since - 1))
            .await;

        let knows_versions = json!({
            "type": "subscribe", "orders": "all", "since": since, "known": {(&late): 1, (&told_of): 3},
        });
        assert_eq!(told(&ann, &knows_versions, &late, 2).await, [("step", 2), ("step", 3)], "exactly what it missed");
        assert_eq!(told(&ann, &knows_versions, &told_of, 1).await, [("snapshot", 3)], "and nothing twice");
        let knows_nothing = json!({ "type": "subscribe", "orders": "all", "since": since });
        assert_eq!(told(&ann, &knows_nothing, &late, 1).await, [("step", 3)], "as it is, and never back");
        assert_eq!(told(&ann, &knows_nothing, &told_of, 1).await, [("step", 3)]);
        db.close().await;
    })
    .await;
}
