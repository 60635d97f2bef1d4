//! A database whose files cannot grow: what writes is refused and told, what reads is served, `/ready` says so, and all of
//! it is over when there is room again, in the same process and with sound books.
//!
//! The kernel is told that no file of the server may be longer than the log of the database is by then, so that each write of
//! SQLite fails as on a full disk.

use std::time::{Duration, Instant};

use crate::support::client::Person;
use crate::support::ground::Ground;
use crate::support::process::ShopProcess;

const WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
/// More than the server prints meanwhile, less than after which SQLite begins its log anew (4 MiB).
const FULL_BYTES: u64 = 2 * 1024 * 1024;
/// So many commits do not fit into that.
const ORDERS_MAX: usize = 600;

#[tokio::test(flavor = "multi_thread")]
async fn r61_a_database_without_room_refuses_what_writes_and_recovers_by_itself() {
    let mut shop = ShopProcess::prepare_on(Ground::embedded());
    shop.survive_full_files();
    shop.set("RUSHMALL__PAYMENT__SANDBOX", "false");
    shop.start().await;
    let admin = shop.admin().await;
    // longer than the shop may take to refuse
    let ann = Person::visitor_who_waits(&shop.address, WITHIN).register("ann").await;
    let product = admin.make_product("no room for it", 1.0, 5_000).await;
    let mut order_nos = vec![ann.place_order(&product, 1).await.order_no()];

    shop.fill_files(Some(FULL_BYTES));
    let refused = loop {
        let answer = ann.place_order(&product, 1).await;
        match answer.status {
            200 | 202 if answer.is_accepted() => order_nos.push(answer.order_no()),
            429 => tokio::time::sleep(PAUSE).await,
            _ => break answer,
        }
        assert!(order_nos.len() < ORDERS_MAX, "all of it fits");
    };
    assert!(refused.status == 503 && !refused.message.is_empty(), "told to come again: {refused:?}");
    let told = shop.visitor().sees_ready(503).await;
    assert_eq!(told["reason"], "database", "{told}");
    assert_eq!(told["dependencies"][0]["reason"], "refuses_writes", "{told}");
    shop.visitor().sees_figure("rushmall_dependency_up{dependency=\"database\"}", |up| up == 0.0).await;
    let new = shop
        .visitor()
        .post("/api/user/register", &serde_json::json!({"username": "bob", "password": "bob-of-the-shop"}))
        .await;
    assert_eq!(new.status, 503, "{new:?}");
    // whoever reads does not notice
    shop.visitor().get(&format!("/api/product/{}", product.id)).await.accepted();
    ann.order(&order_nos[0]).await.accepted();
    shop.visitor().get("/health").await.with_status(200).accepted();

    shop.fill_files(None);
    shop.visitor().sees_ready(200).await;
    assert!(!shop.has_ended(), "it is the same process");
    let until = Instant::now() + WITHIN;
    loop {
        let answer = ann.place_order(&product, 1).await;
        if answer.is_accepted() {
            order_nos.push(answer.order_no());
            break;
        }
        assert!(Instant::now() < until, "{answer:?}");
        tokio::time::sleep(PAUSE).await;
    }
    for order_no in &order_nos {
        ann.sees(order_no, 1).await; // each that was accepted is there
    }
    shop.assert_clean().await;
}
