//! A Redis that has no room, or too few replicas, answers and takes nothing: what writes is refused, what reads is served,
//! `/ready` says so, and it is over as soon as Redis takes writes again, without a restart.

use rushmall::config::RedisSettings;

use crate::cluster::{Cluster, OwnRedis, Shared, number, services};
use crate::support::client::Person;
use crate::support::verbs::Product;

/// While Redis refuses: nobody buys, everybody reads.
async fn is_refused(cluster: &Cluster, buyer: &Person, product: &Product, order_no: &str) {
    let visitor = cluster.nodes[0].visitor();
    let told = visitor.sees_ready(503).await;
    assert_eq!(told["reason"], "redis", "{told}");
    let dependencies = told["dependencies"].as_array().expect("dependencies");
    let redis = dependencies.iter().find(|one| one["name"] == "redis").expect("Redis");
    assert_eq!(redis["reason"], "refuses_writes", "{told}");
    let refused = buyer.place_order(product, 1).await;
    assert!(refused.status == 503 && !refused.message.is_empty(), "told to come again: {refused:?}");
    visitor.get(&format!("/api/product/{}", product.id)).await.accepted();
    buyer.order(order_no).await.accepted();
}

async fn refuses(limits: &[(&str, &str)], ends: &[(&str, &str)]) {
    let Some(services) = services() else { return eprintln!("not run: no services") };
    let redis = OwnRedis::start().await;
    let mut shared = Shared::new(&services, services.databases.first().expect("a database")).await;
    shared.redis = RedisSettings { url: redis.url(), ..shared.redis };
    let cluster = Cluster::on(shared, 1);
    let admin = cluster.admin().await;
    let product = admin.make_product("no room for it", 1.0, 10).await;
    let ann = cluster.nodes[0].visitor().register("roomless").await;
    let order_no = ann.place_order(&product, 1).await.order_no();
    let configure = async |settings: &[(&str, &str)]| {
        let link = cluster.shared.link().await;
        for (name, value) in settings {
            let mut set = redis::cmd("CONFIG");
            link.query::<String>(set.arg("SET").arg(*name).arg(*value)).await.expect("Redis takes it");
        }
    };
    configure(limits).await;
    is_refused(&cluster, &ann, &product, &order_no).await;
    configure(ends).await;
    cluster.nodes[0].visitor().sees_ready(200).await;
    ann.place_order(&product, 2).await.order_no();
    let db = cluster.shared.schema.db().await;
    cluster.until(&db, "SELECT COUNT(*) AS n FROM orders", 2).await;
    let held = format!("SELECT put_in - free - sold AS n FROM stock WHERE product_id = {} AND pool = 0", product.id);
    cluster.until(&db, &held, 3).await;
    let free = format!("SELECT free AS n FROM stock WHERE product_id = {} AND pool = 0", product.id);
    assert_eq!(number(&db, &free).await, 7, "what was refused holds nothing");
    let pools = cluster.shared.link().await;
    let mut get = redis::cmd("HGET");
    let at_the_gate: i64 =
        pools.query(get.arg(pools.key(&format!("{{p{}}}:pools", product.id))).arg("f0")).await.expect("Redis answers");
    assert_eq!(at_the_gate, 7, "nor at the gate");
    db.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r61_a_redis_without_memory_refuses_what_writes_and_recovers_by_itself() {
    refuses(&[("maxmemory-policy", "noeviction"), ("maxmemory", "1")], &[("maxmemory", "0")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r61_a_redis_with_too_few_replicas_refuses_what_writes_and_recovers_by_itself() {
    refuses(&[("min-replicas-to-write", "1")], &[("min-replicas-to-write", "0")]).await;
}
