//! Commands to actors reach every node; one that does not answer is named.

use std::process::Command;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use rushmall::config::Setup;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Shared, on_each_database};
use crate::support::books::{Books, Unfinished};
use crate::support::client::{Answer, Person};
use crate::support::verbs::{Product, SalePlan};

fn nodes_of(list: &Value) -> Vec<&str> {
    let mut nodes: Vec<&str> =
        list.as_array().expect("a list").iter().filter_map(|entry| entry["node"].as_str()).collect();
    nodes.sort_unstable();
    nodes
}

/// The answer once all nodes but "hung" are in it: what one did not say within its second it says the next time.
async fn heard_by_all(ask: impl AsyncFn() -> Answer) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = ask().await;
        let silent = answer.data["no_answer"].as_array().into_iter().flatten();
        let unreached = answer.data.as_array().into_iter().flatten().filter(|entry| entry["error"] == "no_answer");
        let mut missing = silent.chain(unreached.map(|entry| &entry["node"])).filter(|node| **node != "hung");
        if !answer.is_open() && missing.next().is_none() {
            return answer.accepted();
        }
        assert!(Instant::now() < until, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The actor on all nodes once it has told of itself, for which an inspection gives it little time.
async fn until_described(admin: &Person, kind: &str, key: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let seen = heard_by_all(async || admin.actor(kind, key).await).await;
        if seen["note"].is_null() {
            return seen;
        }
        assert!(Instant::now() < until, "it never tells of itself: {seen}");
    }
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
        let listed = heard_by_all(async || admin.get("/api/admin/actors?kind=inventory").await).await;
        assert_eq!(nodes_of(&listed["list"]), ["node-0", "node-1", "node-2"], "{listed}");
        assert_eq!((listed["total"].as_i64(), &listed["no_answer"]), (Some(3), &json!([])));
        let one = heard_by_all(async || admin.get("/api/admin/actors?kind=inventory&node=node-2").await).await;
        assert_eq!(nodes_of(&one["list"]), ["node-2"]);
        let seen = until_described(&admin, "inventory", &key).await;
        assert_eq!((seen["node"].as_str(), nodes_of(&seen["nodes"]).len()), (Some("node-0"), 3), "{seen}");
        assert_eq!((seen["vitals"]["state"].as_str(), &seen["state_data"]["name"]), (Some("running"), &json!("held")));

        let paused = heard_by_all(async || admin.command_actor("inventory", &key, "pause").await).await;
        assert_eq!(nodes_of(&paused), ["node-0", "node-1", "node-2"], "{paused}");
        assert!(paused.as_array().expect("a list").iter().all(|node| node["reached"] == 1), "{paused}");
        for node in &cluster.nodes {
            let state = heard_by_all(async || node.meets(&admin).actor("inventory", &key).await).await;
            let states: Vec<&Value> =
                state["nodes"].as_array().expect("nodes").iter().map(|n| &n["vitals"]["state"]).collect();
            assert_eq!(states, [&json!("paused"), &json!("paused"), &json!("paused")]);
        }
        // held at another node until it is resumed from a third
        let (buyer, resumer) = (cluster.nodes[1].meets(&ann), cluster.nodes[2].meets(&admin));
        let (bought, _) = futures::join!(buyer.place_order(&product, 1), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            heard_by_all(async || resumer.command_actor("inventory", &key, "resume").await).await;
        });
        bought.accepted();

        // where it is not in memory it is not live, and that is no failure of the others
        let other = admin.make_product("only here", 1.0, 1).await.id.to_string();
        let restarted = heard_by_all(async || admin.command_actor("inventory", &other, "restart").await).await;
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
async fn a_letter_of_another_node_is_replayed_by_naming_the_node() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::open(&services, &database, 2).await;
        let admin = cluster.admin().await;
        let (product, _) = admin.make_sale("elsewhere", 5).await;
        let ann = cluster.nodes[1].visitor().register("ann").await;
        let key = product.id.to_string();
        heard_by_all(async || admin.command_actor("inventory", &key, "stop").await).await;
        assert_eq!(ann.buy(&product).await.status, 503);
        let of_actor = format!("/api/admin/dead-letters?kind=inventory&key={key}");
        let letters = heard_by_all(async || admin.get(&of_actor).await).await;
        let letter = &letters["list"][0];
        assert_eq!((letters["total"].as_i64(), letter["node"].as_str()), (Some(1), Some("node-1")), "{letters}");
        let path = format!("/api/admin/dead-letters/{}/replay", letter["id"]);
        heard_by_all(async || admin.command_actor("inventory", &key, "restart").await).await;
        // node-0 has no letter of that number: nothing of node-1 is meant by accident
        admin.post(&path, &json!({})).await.with_status(404);
        assert_eq!(ann.orders().await.len(), 0);
        admin.post_once(&path, &json!({ "node": "node-1" }), "from-afar").await.accepted();
        let until = Instant::now() + PATIENCE;
        while ann.orders().await.is_empty() {
            assert!(Instant::now() < until, "never handled");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // the same key at the other node: done, not done again
        let there = cluster.nodes[1].meets(&admin);
        there.post_once(&path, &json!({ "node": "node-1" }), "from-afar").await.accepted();
        let acts = there.get("/api/admin/audit-log?action=dead_letter.replay").await.accepted();
        let results: Vec<&Value> = acts["list"].as_array().expect("a list").iter().map(|act| &act["result"]).collect();
        assert_eq!(results.len(), 2, "{acts}");
        assert_eq!((results[0], &acts["list"][0]["detail"]), (&json!("ok"), &json!({"node": "node-1"})), "{acts}");
        assert_eq!(ann.orders().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_set_sold_out_at_one_node_is_sold_out_at_all_and_after_a_restart() {
    on_each_database(|services, database| async move {
        let mut cluster = Cluster::open(&services, &database, 2).await;
        let admin = cluster.admin().await;
        let (product, _) = admin.make_sale("flagged", 200).await;
        let key = product.id.to_string();
        let buyers = admin.make_buyers(200, "flagged-").await;
        let mut buyers = buyers.iter();
        let mut buy = async |cluster: &Cluster, node: usize| {
            let buyer = buyers.next().expect("a buyer who has not bought yet");
            cluster.nodes[node].meets(buyer).buy(&product).await.code
        };
        assert_eq!((buy(&cluster, 0).await, buy(&cluster, 1).await), (0, 0), "both nodes have it in memory");
        admin.command_actor("inventory", &key, "set-sold-out").await.accepted();
        assert_eq!(buy(&cluster, 0).await, 60_003, "at once where it was said");
        let mut code = buy(&cluster, 1).await;
        for _ in 0..80 {
            if code == 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                code = buy(&cluster, 1).await;
            }
        }
        assert_eq!(code, 60_003, "elsewhere as soon as it is heard");
        cluster.nodes[1].stop();
        cluster.nodes[1].start();
        assert_eq!(buy(&cluster, 1).await, 60_003, "a node that starts later reads it");
        let elsewhere = cluster.nodes[1].meets(&admin);
        elsewhere.command_actor("inventory", &key, "clear-sold-out").await.accepted();
        assert_eq!(buy(&cluster, 1).await, 0);
        let mut code = buy(&cluster, 0).await;
        for _ in 0..80 {
            if code == 60_003 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                code = buy(&cluster, 0).await;
            }
        }
        assert_eq!(code, 0);
    })
    .await;
}

#[tokio::test]
async fn what_a_paused_actor_was_not_told_it_reads_before_its_next_claim() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::open(&services, &database, 2).await;
        let admin = cluster.admin().await;
        let (product, _) = admin.make_sale("held and flagged", 20).await;
        let key = product.id.to_string();
        let buyers = admin.make_buyers(4, "held-").await;
        let at = |node: usize, buyer: usize| cluster.nodes[node].meets(&buyers[buyer]);
        for (node, buyer) in [(0, 0), (1, 1)] {
            at(node, buyer).buy(&product).await.accepted();
        }
        heard_by_all(async || admin.command_actor("inventory", &key, "pause").await).await;
        let began = Instant::now();
        admin.command_actor("inventory", &key, "set-sold-out").await.accepted();
        let took = began.elapsed();
        assert!(took < Duration::from_secs(4), "nobody waits for the end of the pause: {took:?}");
        let began = Instant::now();
        heard_by_all(async || admin.get("/api/admin/actors?kind=inventory").await).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(4), "a node that was told of it hears the next question: {took:?}");
        let (here, there) = (at(0, 2), at(1, 3));
        let resuming = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            heard_by_all(async || admin.command_actor("inventory", &key, "resume").await).await;
        };
        let (here, there, ()) = futures::join!(here.buy(&product), there.buy(&product), resuming);
        assert_eq!((here.code, there.code), (60_003, 60_003), "both clicks were held, and are judged by the flag");
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
        assert!(asked_at.elapsed() < Duration::from_secs(6), "{:?}", asked_at.elapsed());
        let hung = paused.as_array().expect("a list").iter().find(|node| node["node"] == "hung").expect("it is named");
        assert_eq!((hung["error"].as_str(), hung["reached"].as_i64()), (Some("no_answer"), Some(0)));
        let listed = heard_by_all(async || admin.get("/api/admin/actors").await).await;
        assert_eq!(listed["no_answer"], json!(["hung"]));
        // the command line says so, and fails
        let mut list = Command::new(env!("CARGO_BIN_EXE_rushmall"));
        list.args(["actors", "list", "--server", &cluster.nodes[0].address.base()]);
        let output = list.env("RUSHMALL_ADMIN_TOKEN", &admin.token).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("no answer from ") && told.contains("hung"), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("session"), "{output:?}");
        // nobody waits for it who does not ask it
        let narrow = "/api/admin/actors/session/*/resume?node=node-1";
        let mut took = Vec::new();
        for _ in 0..5 {
            let asked_at = Instant::now();
            let resumed = heard_by_all(async || admin.post(narrow, &json!({})).await).await;
            took.push(asked_at.elapsed());
            assert_eq!(nodes_of(&resumed), ["node-1"]);
        }
        assert!(took.iter().any(|took| *took < Duration::from_millis(900)), "{took:?}");
    })
    .await;
}

const BUYERS: usize = 180;
const AT_ONCE: usize = 9;
const PATIENCE: Duration = Duration::from_secs(60);
const ALREADY_BOUGHT: i64 = 60_004;

/// Clicks until he has it; where he is told "not now" he goes to the next node, as a balancer would send him.
async fn buys(mut doors: Vec<Person>, product: Product) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = doors[0].buy(&product).await;
        if answer.is_accepted() || answer.code == ALREADY_BOUGHT {
            return answer.data["order_no"].as_str().expect("a number").to_owned();
        }
        assert!(Instant::now() < until && [0, 409, 429, 500, 503].contains(&answer.status), "{answer:?}");
        doors.rotate_left(1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Holds the hot product on one node, restarts it on all, and drains a node.
async fn direct(cluster: &Cluster, admin: &Person, product: Product) {
    let key = product.id.to_string();
    let order = async |kind: &str, key: &str, command: &str, node: Option<&str>| {
        let path = format!("/api/admin/actors/{kind}/{key}/{command}");
        heard_by_all(async || admin.post(&path, &json!({"node": node})).await).await
    };
    for _ in 0..3 {
        order("inventory", &key, "pause", Some("node-1")).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let seen = heard_by_all(async || admin.actor("inventory", &key).await).await;
        let states: Vec<&str> = seen["nodes"]
            .as_array()
            .expect("nodes")
            .iter()
            .map(|one| one["vitals"]["state"].as_str().expect("one"))
            .collect();
        assert_eq!(states.iter().filter(|state| **state == "paused").count(), 1, "{states:?}");
        order("inventory", &key, "resume", Some("node-1")).await;
        let restarted = order("inventory", &key, "restart", None).await;
        assert_eq!(nodes_of(&restarted), ["node-0", "node-1", "node-2"]);
    }
    let drained = order("*", "*", "drain", Some("node-2")).await;
    assert_eq!(nodes_of(&drained), ["node-2"]);
    cluster.nodes[2].visitor().get("/ready").await.with_status(503);
    for node in &cluster.nodes[..2] {
        node.visitor().sees_ready(200).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    order("*", "*", "restart", Some("node-2")).await;
    cluster.nodes[2].visitor().sees_ready(200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_on_three_nodes_reconciles_whatever_its_actors_are_told() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::with(Shared::new(&services, &database).await, 3, |settings| {
            settings.actors.ask_timeout_ms = 3_000;
            settings.orders.ticket_orphan_after_ms = 500;
        });
        let admin = cluster.admin().await;
        let units = i64::try_from(BUYERS).expect("a number");
        let product = admin.make_product("directed", 9.9, units).await;
        admin.plan_sale(&product, SalePlan::open_now(units)).await;
        let buyers = admin.make_buyers(BUYERS, "directed-").await;
        // the hot product is in memory everywhere before it is told anything
        for node in &cluster.nodes {
            node.visitor().get("/api/seckill").await.accepted();
            node.meets(&buyers[0]).buy(&product).await;
        }
        let clicking = futures::stream::iter(buyers.iter().enumerate()).map(|(place, buyer)| {
            let mut doors: Vec<Person> = cluster.nodes.iter().map(|node| node.meets(buyer)).collect();
            doors.rotate_left(place % 3);
            async move {
                tokio::time::sleep(Duration::from_millis(60)).await; // the sale lasts as long as the orders to actors
                buys(doors, product).await
            }
        });
        let buying = clicking.buffer_unordered(AT_ONCE).collect::<Vec<String>>();
        let (orders, ()) = futures::join!(buying, direct(&cluster, &admin, product));
        let distinct: std::collections::BTreeSet<&String> = orders.iter().collect();
        assert_eq!(distinct.len(), BUYERS, "everybody has an order of his own");
        let setup = Setup { settings: cluster.shared.settings(0), data_dir: std::env::temp_dir() };
        let books = Books::open(&setup).await;
        assert_eq!(books.at_rest().await, Unfinished::default());
        books.assert_stock_conserved(product.id).await;
        assert_eq!(books.orders(product.id).await.len(), BUYERS);
        books.close().await;
    })
    .await;
}
