//! Alerts: raised once, shown, told to the socket and to a webhook that checks the signature, and resolved.

use std::time::{Duration, Instant};

use rushmall::actors::alerts::signature;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::support::client::Person;
use crate::support::shop::TestShop;
use crate::support::wire::Wire;

const SECRET: &str = "a-secret-of-this-test";
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// A receiver that answers 500 to the first request and 204 to the rest; what it got, as headers and body.
async fn receiver() -> (String, mpsc::UnboundedReceiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/alerts", listener.local_addr().expect("an address"));
    let (sender, got) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut status = "500 Internal Server Error";
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = String::new();
            let body = loop {
                let mut some = [0; 4_096];
                let read = stream.read(&mut some).await.unwrap_or(0);
                text.push_str(&String::from_utf8_lossy(&some[..read]));
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = head
                        .lines()
                        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
                    if body.len() >= length.unwrap_or(0) || read == 0 {
                        break (head.to_owned(), body.to_owned());
                    }
                }
                if read == 0 {
                    break (text.clone(), String::new());
                }
            };
            let _ = sender.send(body);
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
            status = "204 No Content";
        }
    });
    (url, got)
}

async fn open_alerts(admin: &Person) -> Vec<String> {
    let alerts = admin.get("/api/admin/alerts").await.accepted();
    let open = alerts["open"].as_array().expect("a list");
    open.iter()
        .map(|alert| format!("{}: {}", alert["kind"].as_str().unwrap(), alert["subject"].as_str().unwrap()))
        .collect()
}

async fn until(admin: &Person, what: &str, fits: impl Fn(&[String]) -> bool) {
    let until = Instant::now() + TOLD_WITHIN;
    loop {
        let open = open_alerts(admin).await;
        if fits(&open) {
            return;
        }
        assert!(Instant::now() < until, "never {what}: {open:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {head}")).split_once(':').unwrap().1.trim()
}

#[tokio::test]
async fn a_quarantine_is_told_to_socket_and_webhook_once_and_then_resolved() {
    let (url, mut got) = receiver().await;
    let shop = TestShop::with(|settings| {
        settings.alerts.check_every_ms = 200;
        settings.alerts.webhook_url = url;
        settings.alerts.webhook_secret.0 = SECRET.to_owned();
    })
    .await;
    let admin = shop.admin().await;
    let product = admin.make_product("kept down", 1.0, 500).await;
    let key = product.id.to_string();
    let mut wire = Wire::try_admin(&admin).await.expect("it opens");
    wire.say(json!({"type": "subscribe", "topics": ["alerts"]}).to_string()).await;
    assert_eq!(wire.frame("alerts").await["open"], json!([]));
    admin.command_actor("inventory", &key, "quarantine").await.accepted();
    let subject = format!("inventory {key} on node-0");
    until(&admin, "raised", |open| open == [format!("quarantine: {subject}")]).await;
    let told = wire.frame("alerts").await;
    assert_eq!((&told["open"][0]["subject"], &told["open"][0]["severity"]), (&json!(subject), &json!("critical")));
    let facts = &told["open"][0]["facts"];
    assert_eq!(
        (&facts["actor_kind"], &facts["key"], &facts["node"]),
        (&json!("inventory"), &json!(key), &json!("node-0"))
    );
    tokio::time::sleep(Duration::from_millis(700)).await; // some looks later it was still told once
    admin.command_actor("inventory", &key, "lift").await.accepted();
    until(&admin, "resolved", <[String]>::is_empty).await;
    let told = wire.frame("alerts").await;
    assert_eq!((&told["open"], &told["ended"][0]["subject"]), (&json!([]), &json!(subject)), "{told}");

    let mut bodies = Vec::new();
    while bodies.len() < 3 {
        let (head, body) = tokio::time::timeout(TOLD_WITHIN, got.recv()).await.expect("it comes").expect("a request");
        assert_eq!(
            header(&head, "rushmall-signature"),
            signature(SECRET.as_bytes(), header(&head, "rushmall-timestamp"), &body)
        );
        bodies.push(serde_json::from_str::<Value>(&body).expect("JSON"));
    }
    assert_eq!(bodies[0], bodies[1], "refused with 500, sent again as it was");
    let states: Vec<&str> = bodies.iter().map(|body| body["state"].as_str().unwrap()).collect();
    assert_eq!((states, &bodies[2]["node"]), (vec!["raised", "raised", "resolved"], &json!("node-0")));
    assert!(got.try_recv().is_err(), "nothing else was told");
}

#[tokio::test]
async fn low_stock_and_what_waits_for_a_human_are_alerts() {
    let mut shop = TestShop::with(|settings| {
        settings.alerts.check_every_ms = 200;
        settings.orders.low_stock_units = 3;
    })
    .await;
    shop.leaves.reviews = 1;
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale("rare", 5).await;
    let buyers = admin.make_buyers(3, "low-").await;
    buyers[0].buy(&product).await.order_no();
    let order_no = buyers[1].buy(&product).await.order_no();
    shop.at_rest().await;
    let subject = format!("low_stock: product {}, sale {}", product.id, sale.id);
    until(&admin, "low", |open| open.contains(&subject)).await;
    let told = admin.get("/api/admin/alerts").await.accepted();
    let facts = json!({ "product_id": product.id, "sale_id": sale.id, "name": "rare", "free": 3 });
    assert_eq!(told["open"][0]["facts"], facts, "{told}");
    admin.make_product("never had many", 1.0, 2).await;
    let mark = format!("UPDATE orders SET review = 'effect_exhausted' WHERE order_no = '{order_no}'");
    sea_orm::ConnectionTrait::execute_unprepared(shop.books.db().writer(), &mark).await.expect("marked");
    until(&admin, "both", |open| open.len() == 2 && open.iter().any(|one| one.starts_with("needs_review"))).await;
    admin.sees_figure("rushmall_orders_in_review", |count| count == 1.0).await;
    let mut wire = Wire::try_admin(&admin).await.expect("it opens");
    wire.say(json!({"type": "subscribe", "topics": ["metrics"]}).to_string()).await;
    let told_until = Instant::now() + TOLD_WITHIN;
    while wire.frame("metrics").await["nodes"][0]["metrics"]["rushmall_orders_in_review"] != json!(1.0) {
        assert!(Instant::now() < told_until, "whoever watches is not told of the order");
    }
    let restock = json!({"units": 50});
    admin.post(&format!("/api/admin/actors/inventory/{}/restock", product.id), &restock).await.accepted();
    admin.change_sale(&sale, &json!({"stock": 20})).await.accepted();
    until(&admin, "only the review", |open| open.len() == 1 && open[0].starts_with("needs_review")).await;
    shop.leaves.anything = true; // the row was changed without its journal
}
