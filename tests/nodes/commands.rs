//! Commands to actors reach every node; one that does not answer is named.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{Cluster, on_each_database};

fn nodes_of(list: &Value) -> Vec<&str> {
    let mut nodes: Vec<&str> =
        list.as_array().expect("a list").iter().filter_map(|entry| entry["node"].as_str()).collect();
    nodes.sort_unstable();
    nodes
}

#[tokio::test]
async fn a_command_at_one_node_holds_on_all() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::open(&services, &database, 3).await;
        let admin = cluster.admin().await;
        let product = admin.make_product("held", 1.0, 100).await;
        let key = product.id.to_string();
        let ann = cluster.nodes[0].visitor().register("ann").await;
        for node in &cluster.nodes {
            node.meets(&ann).place_order(&product, 1).await.accepted();
        }
        let listed = admin.get("/api/admin/actors?kind=inventory").await.accepted();
        assert_eq!(nodes_of(&listed["list"]), ["node-0", "node-1", "node-2"], "{listed}");
        assert_eq!((listed["total"].as_i64(), &listed["no_answer"]), (Some(3), &json!([])));
        let one = admin.get("/api/admin/actors?kind=inventory&node=node-2").await.accepted();
        assert_eq!(nodes_of(&one["list"]), ["node-2"]);
        let seen = admin.actor("inventory", &key).await.accepted();
        assert_eq!((seen["node"].as_str(), nodes_of(&seen["nodes"]).len()), (Some("node-0"), 3), "{seen}");
        assert_eq!((seen["vitals"]["state"].as_str(), &seen["state_data"]["name"]), (Some("running"), &json!("held")));

        let paused = admin.command_actor("inventory", &key, "pause").await.accepted();
        assert_eq!(nodes_of(&paused), ["node-0", "node-1", "node-2"], "{paused}");
        assert!(paused.as_array().expect("a list").iter().all(|node| node["reached"] == 1), "{paused}");
        for node in &cluster.nodes {
            let state = node.meets(&admin).actor("inventory", &key).await.accepted();
            let states: Vec<&Value> =
                state["nodes"].as_array().expect("nodes").iter().map(|n| &n["vitals"]["state"]).collect();
            assert_eq!(states, [&json!("paused"), &json!("paused"), &json!("paused")]);
        }
        // held at another node until it is resumed from a third
        let (buyer, resumer) = (cluster.nodes[1].meets(&ann), cluster.nodes[2].meets(&admin));
        let (bought, _) = futures::join!(buyer.place_order(&product, 1), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            resumer.command_actor("inventory", &key, "resume").await.accepted();
        });
        bought.accepted();

        // where it is not in memory it is not live, and that is no failure of the others
        let other = admin.make_product("only here", 1.0, 1).await;
        let restarted = admin.command_actor("inventory", &other.id.to_string(), "restart").await.accepted();
        let errors: Vec<Option<&str>> =
            restarted.as_array().expect("a list").iter().map(|n| n["error"].as_str()).collect();
        assert_eq!(errors, [None, Some("not_live"), Some("not_live")], "{restarted}");
        admin.command_actor("inventory", "999999", "restart").await.with_status(404);
        admin.command_actor("inventory", &key, "lift").await.with_status(409);
        admin.command_actor("no_such_kind", "1", "pause").await.with_status(404);
        assert_eq!(cluster.nodes.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_named_within_its_time() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::open(&services, &database, 2).await;
        let admin = cluster.admin().await;
        let link = cluster.shared.link().await;
        let entry = json!({"token": "x", "name": "hung", "slot": 9, "address": "127.0.0.1:1", "started_at_ms": 1});
        let mut enter = redis::cmd("SET");
        enter.arg(link.key("node:9")).arg(entry.to_string()).arg("PX").arg(60_000);
        link.query::<()>(&enter).await.expect("entered");
        let asked_at = Instant::now();
        let paused = admin.command_actor("order_writer", "*", "resume").await.accepted();
        assert!(asked_at.elapsed() < Duration::from_secs(3), "{:?}", asked_at.elapsed());
        let hung = paused.as_array().expect("a list").iter().find(|node| node["node"] == "hung").expect("it is named");
        assert_eq!((hung["error"].as_str(), hung["reached"].as_i64()), (Some("no_answer"), Some(0)));
        let listed = admin.get("/api/admin/actors").await.accepted();
        assert_eq!(listed["no_answer"], json!(["hung"]));
    })
    .await;
}
