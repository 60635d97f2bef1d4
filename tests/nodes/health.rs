//! What a node of a cluster says of the servers it stands on, while each of them is away or does not answer.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{Cluster, Services, Shared, on_each_database};
use crate::support::client::{Answer, Person};
use crate::support::fault_proxy::{Fault, FaultProxy, Hole};

/// A server that answers nothing costs its own time and no other's; with room for a busy machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(4);
/// A balancer waits no longer for an answer to its check (deploy/haproxy).
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
const HEALED_WITHIN: Duration = Duration::from_secs(30);

/// A node whose ways to its servers can be cut.
struct Cut {
    cluster: Cluster,
    database: FaultProxy,
    redis: FaultProxy,
    rabbitmq: FaultProxy,
}

/// Opens a proxy before the server of `url`; the proxy, and the URL through it.
async fn before(url: &str) -> (FaultProxy, String) {
    let rest = url.split_once("//").expect("a URL").1;
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place).split('/').next().expect("a place");
    let target: SocketAddr = place.to_socket_addrs().expect("a host and a port").next().expect("an address");
    let proxy = FaultProxy::open(target).await;
    let through = url.replacen(place, &proxy.address.to_string(), 1);
    (proxy, through)
}

impl Cut {
    async fn open(services: &Services, database: &str) -> Self {
        let (redis, redis_url) = before(&services.redis).await;
        let (rabbitmq, amqp_url) = before(&services.amqp).await;
        let (proxy, database_url) = before(database).await;
        let through = Services { redis: redis_url, amqp: amqp_url, databases: Vec::new() };
        let cluster = Cluster::on(Shared::new(&through, &database_url).await, 1);
        Self { cluster, database: proxy, redis, rabbitmq }
    }

    fn visitor(&self) -> Person {
        self.cluster.nodes[0].visitor()
    }

    /// `GET /health` and how long it took.
    async fn health(&self) -> (Value, Duration) {
        let started = Instant::now();
        let health = self.visitor().get("/health").await.with_status(200).accepted();
        (health, started.elapsed())
    }

    async fn ready(&self) -> Answer {
        self.visitor().get("/ready").await
    }

    /// What `/health` tells once all is well.
    async fn until_ready(&self) -> Value {
        let until = Instant::now() + HEALED_WITHIN;
        loop {
            let ((health, _), ready) = (self.health().await, self.ready().await);
            if health["status"] == "up" && ready.is_accepted() && ready.data["degraded"] == json!([]) {
                return health;
            }
            assert!(Instant::now() < until, "not well again: {health} {ready:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What `/health` tells once this server and no other is down, and how long it took.
    async fn until_down(&self, name: &str) -> (Value, Duration) {
        let until = Instant::now() + HEALED_WITHIN;
        loop {
            let (health, took) = self.health().await;
            let is_alone = states(&health).iter().filter(|one| one.1 == "down").map(|one| one.0).eq([name]);
            if is_alone && health["status"] == "degraded" {
                return (health, took);
            }
            assert!(Instant::now() < until, "not {name} alone is down: {health}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Status and reason of each, by name.
fn states(health: &Value) -> Vec<(&str, &str, Option<&str>)> {
    let all = health["dependencies"].as_array().expect("a list").iter();
    all.map(|one| {
        (one["name"].as_str().expect("a name"), one["status"].as_str().expect("a status"), one["reason"].as_str())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_nothing_is_named_and_only_what_sells_makes_a_node_unready() {
    on_each_database(|services, database| async move {
        let node = Cut::open(&services, &database).await;
        let health = node.until_ready().await;
        assert_eq!(states(&health), [("database", "up", None), ("redis", "up", None), ("rabbitmq", "up", None)]);

        let silence = Fault::BlackHole(Hole::Both);
        for (name, proxy) in [("database", &node.database), ("redis", &node.redis)] {
            proxy.break_by(silence);
            let (_, took) = node.until_down(name).await;
            assert!(took < ANSWERED_WITHIN, "{name}: {took:?}");
            let refusal = node.ready().await.with_status(503).rejected(503);
            assert_eq!(refusal["reason"], name, "{refusal}");
            proxy.heal();
            node.until_ready().await;
        }

        node.rabbitmq.break_by(silence);
        let mut took = Vec::new();
        for _ in 0..5 {
            let started = Instant::now();
            let ready = node.ready().await.with_status(200).accepted();
            took.push(started.elapsed());
            assert_eq!(ready["degraded"], json!(["rabbitmq"]), "{ready}");
        }
        assert!(took.iter().any(|took| *took < CHECK_TIMEOUT), "a balancer would have given the node up: {took:?}");
        let (health, _) = node.until_down("rabbitmq").await;
        assert_eq!(health["dependencies"][2]["required"], false, "{health}");
        node.rabbitmq.heal();
        node.until_ready().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_refuse_are_both_named_and_the_node_sells_without_the_broker() {
    on_each_database(|services, database| async move {
        let node = Cut::open(&services, &database).await;
        let admin = node.cluster.admin().await;
        let (product, _) = admin.make_sale("without the broker", 5).await;
        let ann = node.visitor().register("ann").await;
        node.until_ready().await;
        node.rabbitmq.break_by(Fault::RefuseNew);
        node.rabbitmq.reset_all();
        let until = Instant::now() + HEALED_WITHIN;
        while states(&node.health().await.0)[2] != ("rabbitmq", "down", Some("unreachable")) {
            assert!(Instant::now() < until, "the broker is gone, and nobody says so");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let ready = node.ready().await.with_status(200).accepted();
        assert_eq!(ready["degraded"], json!(["rabbitmq"]), "{ready}");
        let order_no = ann.buy(&product).await.order_no();
        assert_eq!(ann.order_status(&order_no).await, 1, "what is ready to sell sells");

        node.redis.break_by(Fault::RefuseNew);
        node.redis.reset_all();
        let refusal = node.ready().await.with_status(503).rejected(503);
        assert_eq!(refusal["reason"], "redis", "{refusal}");
        let found: Vec<&Value> = refusal["dependencies"].as_array().expect("a list").iter().collect();
        assert_eq!(found.iter().map(|one| &one["status"]).collect::<Vec<_>>(), ["up", "down", "down"], "{refusal}");
        node.redis.heal();
        node.rabbitmq.heal();
        node.until_ready().await;
    })
    .await;
}
