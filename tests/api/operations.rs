//! What those who run the shop see: t32, health, envelope and headers.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::Person;
use crate::support::shop::TestShop;

async fn figures(visitor: &Person) -> String {
    let response = visitor.request(Method::GET, "/metrics").send().await.expect("an answer");
    assert!(response.headers()["content-type"].to_str().expect("a type").starts_with("text/plain"));
    response.text().await.expect("a text")
}

/// The value of one series of the request counter.
fn requests(figures: &str, method: &str, route: &str, status: &str) -> u64 {
    let line = figures.lines().find(|line| {
        line.starts_with("rushmall_http_request_seconds_count{")
            && line.contains(&format!("method=\"{method}\""))
            && line.contains(&format!("route=\"{route}\""))
            && line.contains(&format!("status=\"{status}\""))
    });
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

// The recorder is the process's: only this test asks `/version` or posts to it.
#[tokio::test]
async fn t32_a_counter_moves_by_one_a_request_and_labels_are_few_whatever_is_asked() {
    let shop = TestShop::open().await;
    let visitor = shop.visitor();
    let before = figures(&visitor).await;
    for _ in 0..5 {
        visitor.get("/version").await.accepted();
    }
    for _ in 0..3 {
        visitor.post("/version", &json!({})).await.with_status(405);
    }
    let after = figures(&visitor).await;
    let moved = |method: &str, status: &str| {
        requests(&after, method, "/version", status) - requests(&before, method, "/version", status)
    };
    assert_eq!((moved("GET", "2xx"), moved("POST", "4xx")), (5, 3));

    for id in 5_001..5_040 {
        visitor.get(&format!("/api/product/{id}")).await.with_status(404);
        visitor.get(&format!("/nowhere/{id}?q={id}")).await.with_status(404);
        visitor.get(&format!("/photos/{id}.jpg")).await;
    }
    let odd = Method::from_bytes(b"BREW").expect("a method");
    visitor.ask(odd, "/version", None, &[]).await;
    let after = figures(&visitor).await;
    for invented in ["5001", "nowhere", "BREW", "5039"] {
        let labels = after.lines().filter_map(|line| line.rsplit_once('}').map(|(labels, _value)| labels));
        let line = labels.into_iter().find(|labels| labels.contains(invented));
        assert_eq!(line, None, "a caller made a label of {invented}");
    }
    let routes: BTreeSet<&str> = after
        .lines()
        .filter(|line| line.starts_with("rushmall_http_request_seconds_count{"))
        .filter_map(|line| line.split("route=\"").nth(1)?.split('"').next())
        .collect();
    assert!(routes.contains("/api/product/{id}") && routes.contains("none"), "{routes:?}");
    assert!(routes.len() < 120, "{routes:?}");
}

#[tokio::test]
async fn health_readiness_and_description_are_for_everybody() {
    let shop = TestShop::open().await;
    let visitor = shop.visitor();
    let health = visitor.get("/health").await.accepted();
    assert_eq!(health["status"], "up");
    let parts = health["dependencies"].as_array().expect("a list");
    assert_eq!(parts[0]["name"], "database");
    for part in parts {
        assert_eq!((&part["status"], part.get("reason")), (&json!("up"), None), "{part}");
        assert!(part["latency_us"].as_u64().is_some_and(|micros| micros > 0), "{part}");
    }
    let ready = visitor.get("/ready").await.accepted();
    assert_eq!((&ready["name"], &ready["status"], &ready["degraded"]), (&json!("database"), &json!("up"), &json!([])));
    let response = visitor.request(Method::GET, "/openapi.json").send().await.expect("an answer");
    let description: Value = response.json().await.expect("JSON");
    assert!(description["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{description}");
    for path in ["/api/seckill", "/api/order/{order_no}/pay", "/ws", "/api/admin/orders/{order_no}/{command}"] {
        assert!(description["paths"][path].is_object(), "{path} is not described");
    }
    assert!(description["paths"]["/api/admin/failpoints"].is_null());
    let page = visitor.request(Method::GET, "/swagger/").send().await.expect("an answer");
    assert_eq!(page.status(), 200);
}

#[tokio::test]
async fn a_node_without_its_database_lives_and_is_not_ready() {
    let mut shop = TestShop::open().await;
    shop.leaves.anything = true;
    let visitor = shop.visitor();
    shop.inside().db.clone().close().await;
    let health = visitor.get("/health").await.with_status(200).accepted();
    let database = &health["dependencies"][0];
    assert_eq!((&health["status"], &database["status"]), (&json!("degraded"), &json!("down")), "{health}");
    assert_eq!((&database["reason"], &database["required"]), (&json!("unreachable"), &json!(true)), "{health}");
    let refusal = visitor.get("/ready").await.with_status(503).rejected(503);
    assert_eq!((&refusal["reason"], &refusal["dependencies"][0]["status"]), (&json!("database"), &json!("down")));
}

#[tokio::test]
async fn every_answer_has_one_envelope_and_one_trace_id() {
    let shop = TestShop::open().await;
    let visitor = shop.visitor();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for path in ["/api/product", "/api/order", "/nothing", "/health", "/api/product/x"] {
        let request =
            visitor.request(Method::GET, path).header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
        let response = request.send().await.expect("an answer");
        let id = response.headers()["x-request-id"].to_str().expect("an id").to_owned();
        assert_eq!(response.headers()["content-type"], "application/json");
        let body: Value = response.json().await.expect("JSON");
        assert_eq!((id.as_str(), body["trace_id"].as_str()), (trace, Some(trace)), "{path}: {body}");
        assert!(body["code"].is_i64() && body["message"].is_string() && body.get("data").is_some(), "{path}: {body}");
    }
}

#[tokio::test]
async fn reconciliation_counts_what_the_books_have() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("counted", 5).await;
    let buyers = admin.make_buyers(3, "count-").await;
    let first = buyers[0].buy(&product).await.order_no();
    buyers[1].buy(&product).await.order_no();
    buyers[0].pay(&first).await.accepted();
    shop.at_rest().await;
    let path = format!("/api/admin/rehearsal/reconciliation?product_id={}", product.id);
    let books = admin.get(&path).await.accepted();
    assert_eq!((books["unsettled"].as_i64(), books["distinct_buyers"].as_i64()), (Some(0), Some(2)), "{books}");
    let sale = books["stock"].as_array().expect("pools").iter().find(|pool| pool["pool"] != 0).expect("the sale");
    assert_eq!(
        (sale["put_in"].as_i64(), sale["free"].as_i64(), sale["held"].as_i64(), sale["sold"].as_i64()),
        (Some(5), Some(3), Some(1), Some(1))
    );
    let statistics = admin.get("/api/admin/statistics").await.accepted();
    assert!(statistics.is_object(), "{statistics}");
    shop.assert_stock_conserved(product.id).await;
}
