//! Every command is recorded: who, what, on whom, with what result on which node; found again and exported.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::Person;
use crate::support::shop::TestShop;

async fn text(who: &Person, path: &str) -> (String, String) {
    let response = who.request(Method::GET, path).send().await.expect("an answer");
    let kind = response.headers()["content-type"].to_str().expect("a type").to_owned();
    (kind, response.text().await.expect("a text"))
}

#[tokio::test]
async fn commands_are_recorded_with_selector_and_results_also_when_refused() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("recorded", 1.0, 5).await;
    let key = product.id.to_string();
    shop.register("ann").await.place_order(&product, 1).await.accepted();
    let path = format!("/api/admin/actors/inventory/{key}/pause?node=node-0");
    for _ in 0..2 {
        admin.post_once(&path, &json!({}), "pause-1").await.accepted();
    }
    admin.command_actor("inventory", &key, "resume").await.accepted();
    admin.command_actor("inventory", &key, "lift").await.with_status(409);
    admin.post(&format!("/api/admin/actors/inventory/{key}/restock"), &json!({"units": 2})).await.accepted();

    let acts = admin.get("/api/admin/audit-log?action=actor.*").await.accepted();
    let list = acts["list"].as_array().unwrap();
    let words: Vec<&str> = list.iter().map(|act| act["action"].as_str().unwrap()).collect();
    assert_eq!(words, ["actor.lift", "actor.resume", "actor.pause"], "once under one key: {acts}");
    assert!(list[0]["result"].as_str().unwrap().starts_with("409"), "{}", list[0]);
    let pause = &list[2];
    assert_eq!((pause["actor_name"].as_str(), pause["node"].as_str()), (Some("admin"), Some("node-0")));
    assert_eq!(pause["target"], format!("inventory {key}"));
    assert_eq!(pause["detail"]["selector"], json!({"kind": "inventory", "key": key, "node": "node-0", "state": null}));
    assert_eq!(pause["detail"]["nodes"][0]["reached"], 1, "{pause}");
    let failures = admin.get("/api/admin/audit-log?failures=true").await.accepted();
    assert_eq!(failures["total"], 1, "{failures}");
    let restock = admin.get("/api/admin/audit-log?action=inventory.restock").await.accepted();
    assert_eq!(restock["list"][0]["detail"]["units"], 2, "{restock}");
    let by_target = format!("/api/admin/audit-log?target=inventory%20{key}&actor_id={}", admin.user_id);
    assert_eq!(admin.get(&by_target).await.accepted()["total"], 4);
    assert_eq!(admin.get("/api/admin/audit-log?to=2020-01-01T00:00:00%2B08:00").await.accepted()["total"], 0);
    admin.get("/api/admin/audit-log?from=yesterday").await.with_status(400);
}

#[tokio::test]
async fn looks_are_recorded_once_a_minute_and_delay_nobody() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("looked at", 1.0, 5).await;
    let key = product.id.to_string();
    shop.register("ann").await.place_order(&product, 1).await.accepted();
    for _ in 0..3 {
        admin.actor("inventory", &key).await.accepted();
        admin.get("/api/admin/actors?kind=inventory").await.accepted();
    }
    let mut looks = Value::Null;
    for _ in 0..100 {
        looks = admin.get("/api/admin/audit-log?action=actor.*").await.accepted();
        if looks["total"] == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut told: Vec<String> = looks["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|look| format!("{} {} {}", look["actor_name"], look["action"], look["target"]))
        .collect();
    told.sort();
    let expected = [
        format!("\"admin\" \"actor.inspect\" \"inventory {key}\""),
        "\"admin\" \"actor.list\" \"inventory *\"".to_owned(),
    ];
    assert_eq!(told, expected, "{looks}");
}

#[tokio::test]
async fn the_log_is_exported_as_json_lines_and_csv() {
    let shop = TestShop::open().await;
    let (admin, ann) = (shop.admin().await, shop.register("ann").await);
    let product = admin.make_product("exported", 1.0, 5).await;
    for _ in 0..3 {
        admin.command_actor("inventory", &product.id.to_string(), "pause").await.accepted();
    }
    let (kind, lines) = text(&admin, "/api/admin/audit-log/export?action=actor.pause").await;
    assert_eq!((kind.as_str(), lines.lines().count()), ("application/x-ndjson", 3), "{lines}");
    let read: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(read.windows(2).all(|pair| pair[0]["id"].as_i64() < pair[1]["id"].as_i64()), "oldest first");
    let (kind, csv) = text(&admin, "/api/admin/audit-log/export?action=actor.pause&format=csv").await;
    assert!(kind.starts_with("text/csv") && csv.starts_with("id,at,actor_id,"), "{csv}");
    assert_eq!(csv.lines().count(), 4);
    let (_, empty) = text(&admin, "/api/admin/audit-log/export?action=nothing").await;
    assert_eq!(empty, "");
    admin.get("/api/admin/audit-log/export?format=xml").await.with_status(400);
    for path in ["/api/admin/audit-log", "/api/admin/audit-log/export", "/api/admin/alerts"] {
        ann.get(path).await.with_status(403).rejected(10_010);
        shop.visitor().get(path).await.with_status(401);
    }
}
