//! An administrator at one node has the settings of all read anew; each says what came of it.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::stage::{Configured, row};
use crate::support::ground::Ground;
use crate::support::process::ShopProcess;

/// Redis, RabbitMQ and one database; `None` if there are none and none are demanded.
fn services() -> Option<(String, String, String)> {
    let is_demanded = std::env::var("RUSHMALL_TEST_SERVICES").is_ok_and(|value| value == "1");
    let url = |name: &str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        assert!(value.is_some() || !is_demanded, "RUSHMALL_TEST_SERVICES=1, but {name} is not set");
        value
    };
    Some((url("RUSHMALL_TEST_MYSQL_URL")?, url("RUSHMALL_TEST_REDIS_URL")?, url("RUSHMALL_TEST_AMQP_URL")?))
}

const BURST_7: &str = "[limits]\nseckill_burst = 7\n";

#[tokio::test]
async fn a_reload_is_done_on_each_node_and_each_says_what_came_of_it() {
    let Some((database, redis, amqp)) = services() else {
        eprintln!("skipped: no services (scripts/services with redis rabbitmq mariadb -- …)");
        return;
    };
    let mut first = Configured::prepare(ShopProcess::prepare_on(Ground::on(&database, &redis, &amqp).await), "");
    first.shop.start().await;
    let mut second = Configured::prepare(first.shop.beside(1), "");
    second.shop.start().await;
    let admin = first.shop.admin().await;
    let outcomes = |results: &Value| -> Vec<String> {
        let list = results.as_array().expect("a list").iter();
        list.map(|node| format!("{} {}", node["node"].as_str().expect("a name"), node["outcome"])).collect()
    };
    let reload = async |node: Option<&str>| admin.post("/api/admin/settings/reload", &json!({ "node": node })).await;

    first.write(BURST_7);
    second.write(BURST_7);
    let both = reload(None).await.accepted();
    assert_eq!(outcomes(&both), ["node-0 \"applied\"", "node-1 \"applied\""], "{both}");
    let shown = admin.get("/api/admin/settings").await.accepted();
    for node in shown["nodes"].as_array().expect("nodes") {
        assert_eq!(row(node, "limits.seckill_burst")["value"], "7", "{}", node["node"]);
    }
    // what one refuses the other still does, and both are told
    first.write("[limits]\nseckill_burst = 8\n");
    second.write("[limits]\nseckill_burst = 8\n[http]\nbody_bytes_max = 2048\n");
    let torn = reload(None).await.accepted();
    assert_eq!(outcomes(&torn), ["node-0 \"applied\"", "node-1 \"refused\""], "{torn}");
    assert!(torn[1]["problems"].to_string().contains("http.body_bytes_max"), "{torn}");
    let one = reload(Some("node-1")).await.accepted();
    assert_eq!(outcomes(&one), ["node-1 \"refused\""], "{one}");
    // a node that hangs is named
    second.shop.signal(Signal::SIGSTOP);
    let silent = reload(None).await;
    second.shop.signal(Signal::SIGCONT);
    assert_eq!(outcomes(&silent.accepted()), ["node-0 \"unchanged\"", "node-1 \"no_answer\""]);
    let acts = admin.get("/api/admin/audit-log?action=settings.reload").await.accepted();
    assert_eq!(acts["total"], 4, "{acts}");
    assert!(acts["list"][0]["result"].as_str().is_some_and(|result| result.contains("node-1")), "{acts}");
}
