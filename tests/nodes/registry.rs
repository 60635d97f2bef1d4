//! Which nodes there are, and that a slot belongs to one of them.

use std::time::{Duration, Instant};

use rushmall::messaging::registry::RegistryError;
use rushmall::messaging::{NodeInfo, Nodes};

use crate::cluster::{Cluster, Node, Shared, on_each_database, services};
use crate::support::ground::hex;

fn info(slot: u8, name: &str) -> NodeInfo {
    NodeInfo { name: name.to_owned(), slot, address: "127.0.0.1:1".to_owned(), started_at_ms: 1 }
}

#[tokio::test]
async fn a_second_live_node_with_the_same_slot_does_not_start() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::open(&services, &database, 2).await;
        let mut settings = cluster.shared.settings(1);
        settings.node.name = "impostor".to_owned();
        let refusal = Node::try_open(settings).err().expect("the slot is taken");
        let said = format!("{refusal:#}");
        assert!(said.contains("node.slot 1 is taken by the live node node-1"), "{said}");
        let nodes = cluster.admin().await.get("/api/admin/nodes").await.accepted();
        let names: Vec<&str> =
            nodes["nodes"].as_array().expect("nodes").iter().filter_map(|n| n["name"].as_str()).collect();
        assert_eq!(names, ["node-0", "node-1"]);
        assert_eq!((nodes["is_current"].as_bool(), nodes["nodes"][0]["is_this"].as_bool()), (Some(true), Some(true)));
    })
    .await;
}

#[tokio::test]
async fn a_killed_node_takes_its_slot_again_at_once_and_another_when_it_has_expired() {
    let Some(services) = services() else { return eprintln!("not run: no services") };
    let shared = Shared::new(&services, &services.databases[0]).await;
    let entered_at = Instant::now();
    // entered by a runtime that goes down without a word
    let (redis, token) = (shared.redis.clone(), hex(8));
    let killed_token = token.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let link = rushmall::redis_link::RedisLink::connect(&redis).await.expect("Redis answers");
            Nodes::registered(link, killed_token).enter(info(3, "killed")).await.expect("the slot is free");
        });
    })
    .join()
    .expect("it ended");
    let again = Nodes::registered(shared.link().await, token);
    again.enter(info(3, "killed")).await.expect("it is its own slot");
    assert!(entered_at.elapsed() < Duration::from_secs(5), "{:?}", entered_at.elapsed());
    let other = Nodes::registered(shared.link().await, hex(8));
    let refusal = other.enter(info(3, "other")).await.expect_err("the slot is renewed");
    assert!(matches!(refusal, RegistryError::SlotTaken { slot: 3, .. }), "{refusal}");
    again.leave().await;
    other.enter(info(3, "other")).await.expect("the slot was given back");
    other.leave().await;
}

#[tokio::test]
async fn a_registry_that_was_flushed_is_written_again() {
    let Some(services) = services() else { return eprintln!("not run: no services") };
    let shared = Shared::new(&services, &services.databases[0]).await;
    let (one, two) = (Nodes::registered(shared.link().await, hex(8)), Nodes::registered(shared.link().await, hex(8)));
    one.enter(info(0, "one")).await.expect("free");
    two.enter(info(1, "two")).await.expect("free");
    let link = shared.link().await;
    for slot in 0..2 {
        let mut forget = redis::cmd("DEL");
        forget.arg(link.key(&format!("node:{slot}")));
        link.query::<i64>(&forget).await.expect("forgotten");
    }
    let until = Instant::now() + Duration::from_secs(30);
    while one.roll().await.nodes.len() < 2 {
        assert!(Instant::now() < until, "the entry was not written again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    one.leave().await;
    two.leave().await;
}
