//! What can never become an order: t6, r7, r12, r57.

use std::time::{Duration, Instant};

use rushmall::domain::stock::Ticket;
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::claims::{PATIENCE, wait_for_status};
use crate::counting::{CANNOT_CANCEL, FAILED, UNPAID, sale_pool, text};
use crate::delivery::claim;
use crate::support::client::Person;
use crate::support::shop::TestShop;
use crate::support::verbs::Product;

async fn execute(shop: &TestShop, sql: &str) {
    shop.books.db().writer().execute_unprepared(sql).await.expect("the books can be tampered with");
}

async fn until_dead(admin: &Person, order_no: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let dead = admin.get("/api/admin/dead-tickets").await.accepted();
        if dead["list"].as_array().expect("a list").iter().any(|ticket| ticket["order_no"] == order_no) {
            return;
        }
        assert!(Instant::now() < until, "{order_no} never became a dead letter");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test]
async fn t6_r7_a_ticket_that_cannot_become_an_order_fails_alone_and_its_units_come_back() {
    let mut shop = TestShop::open().await;
    shop.leaves.dead_tickets = 1;
    let admin = shop.admin().await;
    let (doomed, _) = admin.make_sale("doomed", 3).await;
    let (healthy, _) = admin.make_sale("healthy", 3).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    // wakes the writer, which is then held while the ground is pulled away
    bob.place_order(&admin.make_product("other", 1.0, 1).await, 1).await.accepted();
    admin.command_actor("order_writer", "0", "pause").await.accepted();
    let poisoned = ann.buy(&doomed).await.order_no();
    let good = bob.buy(&healthy).await.order_no();
    execute(&shop, &format!("DELETE FROM products WHERE id = {}", doomed.id)).await;
    admin.command_actor("order_writer", "0", "resume").await.accepted();

    until_dead(&admin, &poisoned).await;
    shop.at_rest().await;
    assert_eq!(bob.order_status(&good).await, UNPAID);
    let order = ann.order(&poisoned).await.accepted();
    assert_eq!((order["status"].as_i64(), order["end_reason"].as_str()), (Some(FAILED), Some("poisoned")), "{order}");
    let result = ann.buy_result(&poisoned).await.accepted();
    assert_eq!(text(&result, "status"), "failed", "{result}");
    assert!(result["reason"].is_string(), "{result}");
    let sale = sale_pool(&shop.books, &doomed).await;
    assert_eq!((sale.free, sale.held, sale.gate), (3, 0, Some(3)), "{sale:?}");

    // r12: it never had its stock, so there is nothing that a cancel could give back
    ann.cancel(&poisoned).await.rejected(CANNOT_CANCEL);
    shop.assert_stock_conserved(doomed.id).await;
    assert_eq!(sale_pool(&shop.books, &doomed).await.free, 3);
    // and the buyer is not locked out
    ann.buy(&healthy).await.order_no();
    shop.at_rest().await;
}

#[tokio::test]
async fn t6_a_dead_ticket_is_claimed_anew_once_under_one_key_and_recorded() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (doomed, _) = admin.make_sale("doomed for a while", 3).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    bob.place_order(&admin.make_product("other", 1.0, 1).await, 1).await.accepted();
    admin.command_actor("order_writer", "0", "pause").await.accepted();
    let old_no = ann.buy(&doomed).await.order_no();
    execute(&shop, &format!("CREATE TABLE set_aside AS SELECT * FROM products WHERE id = {}", doomed.id)).await;
    execute(&shop, &format!("DELETE FROM products WHERE id = {}", doomed.id)).await;
    admin.command_actor("order_writer", "0", "resume").await.accepted();
    until_dead(&admin, &old_no).await;
    shop.at_rest().await;
    execute(&shop, "INSERT INTO products SELECT * FROM set_aside").await;
    execute(&shop, "DROP TABLE set_aside").await;
    let key = doomed.id.to_string();
    // may have been put to sleep since
    admin.command_actor("inventory", &key, "restart").await;

    let path = format!("/api/admin/dead-tickets/{old_no}/replay");
    admin.command_actor("inventory", &key, "set-sold-out").await.accepted();
    admin.post_once(&path, &json!({}), "too-early").await.rejected(20_003);
    admin.command_actor("inventory", &key, "clear-sold-out").await.accepted();
    admin.post("/api/admin/dead-tickets/none/replay", &json!({})).await.with_status(404);
    let new_no = admin.post_once(&path, &json!({}), "anew").await.accepted()["order_no"].clone();
    // as if the server had died before it could keep its answer
    execute(&shop, "UPDATE idempotency_keys SET http_status = 0, answer = '', lease_until_ms = 0").await;
    for _ in 0..2 {
        assert_eq!(admin.post_once(&path, &json!({}), "anew").await.accepted()["order_no"], new_no);
    }
    shop.at_rest().await;
    admin.post(&path, &json!({})).await.with_status(404);
    assert_eq!(ann.order_status(new_no.as_str().expect("a number")).await, UNPAID);
    assert_eq!(ann.order_status(&old_no).await, FAILED, "the old order stays as it ended");
    let acts = admin.get("/api/admin/audit-log?action=dead_ticket.replay").await.accepted();
    let list = acts["list"].as_array().expect("a list");
    let told: Vec<&str> = list.iter().rev().map(|act| act["result"].as_str().expect("a result")).collect();
    let told: Vec<&str> = told.iter().map(|result| result.split(':').next().unwrap_or_default()).collect();
    assert_eq!(
        told,
        ["20003", "30001", "ok", "ok", "30001"],
        "also refused ones, and what was done before a crash: {acts}"
    );
    assert!(list.iter().filter(|act| act["result"] == "ok").all(|act| act["detail"]["order_no"] == new_no), "{acts}");
    let sale = sale_pool(&shop.books, &doomed).await;
    assert_eq!((sale.free, sale.held, sale.gate), (2, 1, Some(2)), "one unit, claimed once: {sale:?}");
    shop.assert_stock_conserved(doomed.id).await;
}

#[tokio::test]
async fn t6_a_message_about_a_product_that_never_was_does_not_stop_the_queue() {
    let mut shop = TestShop::open().await;
    // the gate gives back what it never took, to a product that nobody can buy: looked at below for the other one
    shop.leaves.anything = true;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("healthy", 5).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let nonsense = claim(&shop, &ann, &Product { id: 424_242 }, 7);
    let ticket = Ticket { claim: nonsense.clone(), accepted_at_ms: shop.clock.now_ms(), epoch: 0 };
    shop.inside().queue.publish(std::slice::from_ref(&ticket)).await.expect("published");
    let good = bob.buy(&product).await.order_no();
    shop.inside().queue.publish(&[ticket]).await.expect("published");
    until_dead(&admin, &nonsense.order_no.to_string()).await;
    shop.at_rest().await;
    assert_eq!(bob.order_status(&good).await, UNPAID);
    assert_eq!(ann.order_status(&nonsense.order_no.to_string()).await, FAILED);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn t6_a_ticket_that_cannot_be_read_stands_in_nobodys_way() {
    let mut shop = TestShop::with(|settings| settings.orders.ticket_orphan_after_ms = 200).await;
    shop.leaves.anything = true; // the broken row ends among the dead letters
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale("healthy", 5).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let broken = claim(&shop, &ann, &product, sale.id);
    let taken = shop.inside().ledger.reserve(broken.product, std::slice::from_ref(&broken), shop.clock.now_ms()).await;
    taken.expect("the ledger answers").pop().expect("one answer").expect("there are units");
    shop.books.spoil_ticket(product.id, &broken.order_no.to_string()).await;
    // one behind it, whose message was lost: only the sweep can find it
    let lost = claim(&shop, &bob, &product, sale.id);
    let taken = shop.inside().ledger.reserve(lost.product, std::slice::from_ref(&lost), shop.clock.now_ms()).await;
    taken.expect("the ledger answers").pop().expect("one answer").expect("there are units");
    wait_for_status(&bob, &lost.order_no.to_string(), UNPAID).await;
    // the buyer whose row is broken can still look and buy
    assert_eq!(ann.orders().await.len(), 0);
    ann.buy(&product).await.order_no();
    // its unit went back to the gate with the burial
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn an_order_accepted_before_its_product_was_deleted_is_honoured() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("going", 5).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    bob.place_order(&admin.make_product("other", 1.0, 1).await, 1).await.accepted();
    admin.command_actor("order_writer", "0", "pause").await.accepted();
    let order_no = ann.buy(&product).await.order_no();
    admin.delete(&format!("/api/product/{}", product.id)).await.accepted();
    admin.command_actor("order_writer", "0", "resume").await.accepted();
    ann.pay(&order_no).await.accepted();
    assert_eq!(ann.order(&order_no).await.accepted()["product_name"], "going");
    let refused = bob.buy(&product).await;
    assert!([20_001, 20_002].contains(&refused.code), "{refused:?}");
    shop.assert_stock_conserved(product.id).await;
}
