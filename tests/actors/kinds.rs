//! What can be done to one kind only: units of a product, sign-ins of a user, an order's life.

use std::time::{Duration, Instant};

use reqwest::Method;
use rushmall::domain::stock::Pool;
use rushmall::domain::{ProductId, SaleId};
use serde_json::{Value, json};

use crate::support::client::{Answer, Person};
use crate::support::ground::is_cluster;
use crate::support::shop::TestShop;
use crate::support::wire::{Heard, Wire};

async fn command(admin: &Person, kind: &str, key: impl ToString, word: &str, params: &Value) -> Answer {
    admin.post(&format!("/api/admin/actors/{kind}/{}/{word}", key.to_string()), params).await
}

fn free(shown: &Value, pool: usize) -> i64 {
    shown["pools"][pool]["free"].as_i64().unwrap_or_else(|| panic!("no pool {pool} in {shown}"))
}

#[tokio::test]
async fn an_inventory_is_restocked_closed_and_rebuilt() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale("moved", 2).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    ann.buy(&product).await.order_no();
    let put_in = command(&admin, "inventory", product.id, "restock", &json!({"units": 7})).await.accepted();
    assert_eq!((free(&put_in, 0), &put_in["units_moved"]), (7, &json!(7)), "{put_in}");
    let into_sale = json!({"units": 3, "sale_id": sale.id});
    let moved = command(&admin, "inventory", product.id, "restock", &into_sale).await.accepted();
    assert_eq!((free(&moved, 0), free(&moved, 1)), (4, 4), "{moved}");
    command(&admin, "inventory", product.id, "restock", &json!({"units": -4})).await.accepted();
    let short = command(&admin, "inventory", product.id, "restock", &json!({"units": -1})).await;
    assert_eq!(short.code, 20_003, "{short:?}");
    command(&admin, "inventory", product.id, "restock", &json!({})).await.with_status(400);
    command(&admin, "inventory", 999_999, "restock", &json!({"units": 1})).await.with_status(404);

    command(&admin, "inventory", product.id, "clear-sold-out", &json!({})).await.accepted();
    let rebuilt = command(&admin, "inventory", product.id, "rebuild", &json!({})).await;
    let rebuilt = rebuilt.accepted();
    assert_eq!(free(&rebuilt, 1), 4);
    if !is_cluster() {
        // the free pool, the sale's pool and ann
        assert_eq!((&rebuilt["agrees"], &rebuilt["compared"]), (&json!(true), &json!(3)), "{rebuilt}");
    }
    bob.buy(&product).await.order_no();
    command(&admin, "inventory", product.id, "close-sale", &json!({"sale_id": 999_999})).await.with_status(404);
    let closed = command(&admin, "inventory", product.id, "close-sale", &json!({})).await.accepted();
    assert_eq!(closed["units_moved"], 3, "{closed}");
    assert_eq!(shop.register("cyd").await.buy(&product).await.code, 60_002);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn an_account_in_the_database_that_differs_is_told_and_left_alone() {
    if is_cluster() {
        return; // its account lies in Redis: tests/nodes/rebuilds.rs
    }
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale("differs", 3).await;
    shop.register("ann").await.buy(&product).await.order_no();
    shop.at_rest().await;
    let path = format!("/api/admin/actors/inventory/{}/rebuild", product.id);
    let by = async |units: i64| {
        let id = product.id;
        let sql =
            format!("UPDATE ledger_pools SET free = free + {units} WHERE product_id = {id} AND pool = {}", sale.id);
        let spoiling = sea_orm::ConnectionTrait::execute_unprepared(shop.books.db().writer(), &sql).await;
        assert_eq!(spoiling.expect("the account is changed").rows_affected(), 1);
    };
    by(2).await;
    let refused = admin.post(&path, &json!({})).await.with_status(409);
    assert!(refused.message.contains("账目就在数据库里"), "{refused:?}");
    let told = format!("product {}, sale {}: 4 free in the ledger, 2 by the database", product.id, sale.id);
    assert_eq!(refused.data["differences"], json!([told]), "{refused:?}");
    let english = admin.request(Method::POST, &path).header("accept-language", "en").send().await.expect("an answer");
    let english: Value = english.json().await.expect("an envelope");
    let text = english["message"].as_str().expect("a text");
    assert!(text.contains("lies in the database itself") && text.contains("nothing was changed"), "{text}");
    assert_eq!(
        shop.inside().ledger.snapshot(ProductId(product.id)).await.expect("units").free(Pool::Sale(SaleId(sale.id))),
        4
    );
    by(-2).await;
    admin.post(&path, &json!({})).await.accepted();
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_product_that_was_set_sold_out_sells_nothing_until_that_is_taken_back() {
    let mut shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("flagged", 4).await;
    let restock = command(&admin, "inventory", product.id, "restock", &json!({"units": 2})).await.accepted();
    let (ann, bob, cyd) = (shop.register("ann").await, shop.register("bob").await, shop.register("cyd").await);
    bob.command_actor("inventory", &product.id.to_string(), "set-sold-out").await.with_status(403);
    let order_no = ann.buy_once(&product, "key-1").await.order_no();
    shop.at_rest().await;

    let set = command(&admin, "inventory", product.id, "set-sold-out", &json!({})).await.accepted();
    assert!(set["sold_out_since"].is_string() && free(&set, 0) == 2 && free(&set, 1) == 3, "{set}");
    shop.travel(5_000);
    let again = command(&admin, "inventory", product.id, "set-sold-out", &json!({})).await.accepted();
    assert_eq!(
        (&again, &restock["sold_out_since"]),
        (&set, &Value::Null),
        "set once, with its time; units are as they were"
    );
    for _ in 0..3 {
        assert_eq!(bob.buy(&product).await.code, 60_003);
        assert_eq!(cyd.place_order(&product, 1).await.code, 20_003);
        tokio::time::sleep(Duration::from_millis(250)).await; // longer than a node looks away from what it found sold out
    }
    // who has bought keeps it, and is told so
    let second = ann.buy(&product).await;
    assert_eq!((second.code, &second.data["order_no"]), (60_004, &json!(order_no)), "{second:?}");
    assert_eq!(ann.buy_once(&product, "key-1").await.order_no(), order_no);
    ann.pay(&order_no).await.accepted();
    let stock = admin.get(&format!("/api/admin/products/{}/stock", product.id)).await.accepted();
    assert_eq!(
        (&stock["sold_out_since"], &stock["in_sales"], &stock["sold"]),
        (&set["sold_out_since"], &json!(3), &json!(1))
    );

    shop.restart().await;
    assert_eq!(bob.buy(&product).await.code, 60_003, "a restart forgets nothing");
    command(&admin, "inventory", product.id, "restart", &json!({})).await.accepted();
    assert_eq!(cyd.place_order(&product, 1).await.code, 20_003, "nor does one of the actor");
    for _ in 0..2 {
        let cleared = command(&admin, "inventory", product.id, "clear-sold-out", &json!({})).await.accepted();
        assert_eq!(cleared["sold_out_since"], Value::Null);
    }
    bob.buy(&product).await.order_no();
    cyd.place_order(&product, 1).await.accepted();
    for (word, times) in [("set-sold-out", 2), ("clear-sold-out", 2)] {
        let acts = admin.get(&format!("/api/admin/audit-log?action=inventory.{word}")).await.accepted();
        assert_eq!((&acts["total"], &acts["list"][0]["result"]), (&json!(times), &json!("ok")), "{acts}");
    }
    command(&admin, "inventory", 999_999, "set-sold-out", &json!({})).await.with_status(404);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_flag_set_in_the_rush_neither_loses_an_order_nor_sells_one_too_many() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("rush", 30).await;
    let buyers = admin.make_buyers(40, "rush-").await;
    let rush = async || futures::future::join_all(buyers.iter().map(|buyer| buyer.buy(&product))).await;
    let (answers, _) = futures::join!(rush(), async {
        command(&admin, "inventory", product.id, "set-sold-out", &json!({})).await.accepted();
    });
    let accepted = answers.iter().filter(|answer| answer.code == 0).count() as i64;
    assert!(answers.iter().all(|answer| [0, 60_003].contains(&answer.code)), "{answers:?}");
    shop.at_rest().await;
    let orders = shop.books.orders(product.id).await;
    assert_eq!(orders.len() as i64, accepted, "every promise is an order and no refusal is one");
    command(&admin, "inventory", product.id, "clear-sold-out", &json!({})).await.accepted();
    let sold = rush().await.iter().filter(|answer| answer.code == 0).count() as i64;
    assert_eq!(accepted + sold, 30, "what was held back is sold afterwards");
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_restock_under_one_key_happens_once() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("once", 1.0, 1).await;
    let path = format!("/api/admin/actors/inventory/{}/restock", product.id);
    for turn in 0..3 {
        let answer = admin.post_once(&path, &json!({"units": 5}), "key-1").await;
        assert_eq!(answer.headers.contains_key("idempotent-replayed"), turn > 0);
        assert_eq!(free(&answer.accepted(), 0), 6);
    }
    admin.post_once(&path, &json!({"units": 6}), "key-1").await.with_status(422);
    assert_eq!(shop.books.units(product.id).await[0].free, 6);
}

#[tokio::test]
async fn sign_ins_are_listed_revoked_and_sockets_closed() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let ann = shop.register("ann").await;
    let elsewhere = shop.visitor().log_in("ann", "ann-2026").await;
    let tokens = command(&admin, "session", ann.user_id, "tokens", &json!({})).await.accepted();
    assert_eq!(tokens.as_array().map(Vec::len), Some(2), "{tokens}");
    let mut wire = Wire::open(&ann).await;
    wire.frame("welcome").await;
    let disconnect = async || command(&admin, "session", ann.user_id, "disconnect", &json!({})).await.accepted();
    let (until, mut closed) = (Instant::now() + Duration::from_secs(30), disconnect().await);
    while closed[0]["error"] == "refused" && Instant::now() < until {
        closed = disconnect().await; // the session was not heard in its time
    }
    assert_eq!(closed[0]["reached"], 1, "{closed}");
    assert_eq!(wire.closing().await, Heard::Closed(1_013), "he may come back at once");
    let mut wire = Wire::open(&ann).await;
    wire.frame("welcome").await;

    // the older of the two sign-ins is ann's first
    let list = elsewhere.get("/api/auth/sessions").await.accepted();
    let own = list.as_array().unwrap().iter().find(|one| one["current"] == true).unwrap()["sid"].clone();
    let left = command(&admin, "session", ann.user_id, "revoke", &json!({"sid": own})).await.accepted();
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left}");
    elsewhere.get("/api/user/profile").await.with_status(401);
    ann.get("/api/user/profile").await.accepted();
    command(&admin, "session", ann.user_id, "revoke", &json!({"sid": own})).await.with_status(404);
    let left = command(&admin, "session", ann.user_id, "revoke", &json!({})).await.accepted();
    assert_eq!(left, json!([]));
    ann.get("/api/user/profile").await.with_status(401);
    assert_eq!(wire.closing().await, Heard::Closed(4_401));
    command(&admin, "session", 999_999, "tokens", &json!({})).await.with_status(404);
}

#[tokio::test]
async fn an_orders_journal_is_shown_and_its_life_directed() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("directed", 3.0, 9).await;
    let ann = shop.register("ann").await;
    let (one, two) = (ann.place_order(&product, 1).await.order_no(), ann.place_order(&product, 1).await.order_no());
    ann.pay(&one).await.accepted();
    shop.at_rest().await;
    let journal = command(&admin, "order_saga", &one, "journal", &json!({})).await.accepted();
    assert_eq!((&journal["intact"], &journal["broken_at"], &journal["owed"]), (&json!(true), &Value::Null, &json!([])));
    let kinds: Vec<&str> =
        journal["events"].as_array().unwrap().iter().map(|event| event["event"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["order_placed", "payment_started", "payment_captured"]);
    assert_eq!(command(&admin, "order_saga", &one, "retry", &json!({})).await.accepted()["retried"], 0);
    command(&admin, "order_saga", &one, "resync", &json!({})).await.with_status(404).rejected(40_010);
    command(&admin, "order_saga", &one, "clear-review", &json!({})).await.with_status(400);
    let refunded = command(&admin, "order_saga", &one, "refund", &json!({"reason": "test"})).await.accepted();
    assert!([6, 7].contains(&refunded["status"].as_i64().unwrap()), "{refunded}");
    assert_eq!(command(&admin, "order_saga", &two, "cancel", &json!({})).await.accepted()["status"], 5);
    // the same words at the order's own place
    let same = admin.post(&format!("/api/admin/orders/{two}/journal"), &json!({})).await.accepted();
    assert_eq!(same["events"].as_array().map(Vec::len), Some(2), "{same}");
    admin.post(&format!("/api/admin/orders/{two}/pause"), &json!({})).await.with_status(404);
    command(&admin, "order_saga", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "journal", &json!({})).await.with_status(404);
    tokio::time::sleep(Duration::from_millis(50)).await;
    shop.assert_stock_conserved(product.id).await;
}
