//! What nobody handled is asked again by its number: recorded whatever comes of it, and under one key done once.

use serde_json::{Value, json};

use crate::support::client::{Answer, Person};
use crate::support::shop::TestShop;
use crate::support::verbs::Product;

const ACT: &str = "/api/admin/audit-log?action=dead_letter.replay";

/// A click that the stopped actor of the product did not handle; the number of its letter.
async fn refused_click(admin: &Person, ann: &Person, product: &Product) -> u64 {
    let key = product.id.to_string();
    admin.command_actor("inventory", &key, "stop").await.accepted();
    assert_eq!(ann.buy(product).await.status, 503);
    let letters = admin.get(&format!("/api/admin/dead-letters?kind=inventory&key={key}")).await.accepted();
    assert_eq!(letters["total"], 1, "{letters}");
    letters["list"][0]["id"].as_u64().expect("a number")
}

async fn recorded(admin: &Person) -> Vec<(String, String, Value)> {
    let acts = admin.get(ACT).await.accepted();
    let text = |act: &Value, name: &str| act[name].as_str().expect("a text").to_owned();
    let list = acts["list"].as_array().expect("a list");
    list.iter().map(|act| (text(act, "target"), text(act, "result"), act["detail"].clone())).collect()
}

fn is_repeat(answer: &Answer) -> bool {
    answer.headers.get("idempotent-replayed").is_some()
}

#[tokio::test]
async fn a_letter_is_handled_after_all_once_under_one_key_and_recorded() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("replayed", 5).await;
    let ann = shop.register("ann").await;
    let id = refused_click(&admin, &ann, &product).await;
    admin.command_actor("inventory", &product.id.to_string(), "restart").await.accepted();
    let path = format!("/api/admin/dead-letters/{id}/replay");
    let first = admin.post_once(&path, &json!({}), "letter-1").await;
    assert!(!is_repeat(&first), "{first:?}");
    first.accepted();
    let again = admin.post_once(&path, &json!({}), "letter-1").await;
    assert!(is_repeat(&again), "{again:?}");
    again.accepted();
    shop.at_rest().await;
    assert_eq!(ann.orders().await.len(), 1, "handled, and once");
    let acts = recorded(&admin).await;
    assert_eq!(acts, [(format!("letter {id}"), "ok".to_owned(), json!({"node": "node-0"}))], "once under one key");
    // without a key it is asked about, and is not there any more
    admin.post(&path, &json!({ "node": "node-0" })).await.with_status(404).rejected(404);
    assert_eq!(ann.orders().await.len(), 1);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_replay_that_is_refused_is_recorded_and_loses_nothing() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("not replayed", 5).await;
    let ann = shop.register("ann").await;
    let id = refused_click(&admin, &ann, &product).await;
    let path = format!("/api/admin/dead-letters/{id}/replay");
    // the actor is stopped still: not now, so the same key may be used again
    admin.post_once(&path, &json!({}), "letter-2").await.with_status(503);
    let letters = admin.get("/api/admin/dead-letters?kind=inventory").await.accepted();
    assert_eq!(letters["total"], 1, "it is kept, as a new letter: {letters}");
    let id_now = letters["list"][0]["id"].as_u64().expect("a number");
    admin.post("/api/admin/dead-letters/4711/replay", &json!({})).await.with_status(404);
    admin.post("/api/admin/dead-letters/none/replay", &json!({})).await.with_status(404);
    let elsewhere = format!("/api/admin/dead-letters/{id_now}/replay");
    admin.post(&elsewhere, &json!({ "node": "nowhere" })).await.with_status(404);
    // what cannot be read or is no administrator's is no command
    admin.post(&elsewhere, &json!({ "nod": "node-0" })).await.with_status(400);
    ann.post(&elsewhere, &json!({})).await.with_status(403);
    shop.visitor().post(&elsewhere, &json!({})).await.with_status(401);

    let acts = recorded(&admin).await;
    let told: Vec<(&str, &str)> = acts.iter().rev().map(|(on, what, _)| (on.as_str(), &what[..3])).collect();
    let (first, now) = (format!("letter {id}"), format!("letter {id_now}"));
    let expected = [(first.as_str(), "503"), ("letter 4711", "404"), ("letter none", "404"), (now.as_str(), "404")];
    assert_eq!(told, expected, "{acts:?}");
    assert_eq!(acts[0].2, json!({"node": "nowhere"}));
    let failures = admin.get(&format!("{ACT}&failures=true")).await.accepted();
    assert_eq!(failures["total"], 4, "{failures}");

    admin.command_actor("inventory", &product.id.to_string(), "restart").await.accepted();
    admin.post_once(&elsewhere, &json!({}), "letter-3").await.accepted();
    shop.at_rest().await;
    assert_eq!(ann.orders().await.len(), 1, "nothing was lost by asking too early");
    shop.assert_stock_conserved(product.id).await;
}
