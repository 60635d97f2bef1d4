//! A waiting room that an administrator opens and closes for one sale, before it and while it runs: the other sales stay
//! free, those who wait are let in when it closes, and neither a kill nor another node forgets what was said.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::rooms::{WAITING, buy_with, crowd_in, look, place, shop_that_admits};
use crate::support::client::{Answer, Person};
use crate::support::process::ShopProcess;
use crate::support::verbs::{Product, Sale, wire_time};
use crate::two_nodes::two_nodes;

const NOT_FOUND: i64 = 60_008;
const ENDED: i64 = 60_002;
const PARAMETER: i64 = 60_006;
const NOT_ADMINISTRATOR: i64 = 10_010;
/// So long a node may not know what another one was told.
const FELT_WITHIN: Duration = Duration::from_secs(6);

async fn command(who: &Person, sale: &Sale, rate: Value) -> Answer {
    who.put(&format!("/api/admin/sales/{}/waiting-room", sale.id), &json!({ "admissions_per_second": rate })).await
}

/// The room as the sale's page shows it.
async fn shown(admin: &Person, sale: &Sale) -> Value {
    admin.get(&format!("/api/admin/sales/{}", sale.id)).await.accepted()["waiting_room"].clone()
}

/// Buyers until the first who has to wait.
async fn crowd_until_one_waits(buyers: &[Person], product: &Product) -> usize {
    let entered = crowd_in(buyers, product).await;
    assert!(entered < buyers.len(), "nobody waits");
    entered
}

#[tokio::test]
async fn a_rate_given_to_one_sale_leaves_the_others_free_and_outlives_a_kill() {
    let mut shop = ShopProcess::open().await;
    let admin = shop.admin().await;
    let (wanted, sale) = admin.make_sale("wanted", 90).await;
    let (quiet, other) = admin.make_sale("quiet", 90).await;
    let buyers = admin.make_buyers(48, "own-").await;
    buyers[0].buy(&wanted).await.order_no();
    assert_eq!(
        shown(&admin, &sale).await,
        json!({ "admissions_per_second": 0, "is_own": false, "waiting": 0, "waiting_until": null })
    );
    let room = command(&admin, &sale, json!(1)).await.accepted();
    assert_eq!((&room["admissions_per_second"], &room["is_own"]), (&json!(1), &json!(true)));
    for buyer in &buyers {
        buyer.buy(&quiet).await.order_no();
    }
    crowd_until_one_waits(&buyers[1..9], &wanted).await;
    let mut last = place(buyers[9].buy(&wanted).await);
    for buyer in &buyers[10..46] {
        last = place(buyer.buy(&wanted).await);
    }
    let full = shown(&admin, &sale).await;
    assert!(full["waiting"].as_i64() >= Some(1) && full["waiting_until"].is_string(), "{full}");
    let listed = admin.get("/api/admin/sales").await.accepted();
    let of_other = listed["list"].as_array().expect("a list").iter().find(|one| one["id"] == other.id);
    assert_eq!(of_other.expect("it is listed")["waiting_room"]["is_own"], false);

    shop.kill_and_restart().await;
    let newcomer = place(shop.meets(&buyers[46]).buy(&wanted).await);
    assert!(newcomer.eta_ms > 0, "{newcomer:?}");
    let seen = look(&shop.meets(&buyers[45]), &wanted, &last.ticket).await;
    assert!(seen["state"] == "waiting" || seen["state"] == "admitted", "{seen}");
    assert_eq!(shown(&shop.meets(&admin), &sale).await["is_own"], true);
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_room_that_is_closed_lets_all_who_wait_buy_and_opened_again_it_begins_anew() {
    let shop = shop_that_admits(1).await;
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale("wanted", 90).await;
    let buyers = admin.make_buyers(60, "shut-").await;
    let entered = crowd_until_one_waits(&buyers[..8], &product).await;
    let mut waiting = vec![(&buyers[entered], place(buyers[entered].buy(&product).await))];
    for buyer in &buyers[8..40] {
        waiting.push((buyer, place(buyer.buy(&product).await)));
    }
    let (lazy, his) = waiting.pop().expect("some wait");
    assert!(his.eta_ms > 15_000, "{his:?}");
    // said twice it is as if said once
    for _ in 0..2 {
        let room = command(&admin, &sale, json!(0)).await.accepted();
        assert_eq!(room, json!({ "admissions_per_second": 0, "is_own": true, "waiting": 0, "waiting_until": null }));
    }
    let since = Instant::now();
    for (buyer, place) in &waiting {
        assert_eq!(look(buyer, &product, &place.ticket).await["state"], "open");
        buy_with(buyer, &product, &place.ticket).await.order_no();
    }
    assert!(since.elapsed() < Duration::from_secs(15), "they waited");

    // as the settings say again: a room without the turns of those who are in
    let room = command(&admin, &sale, Value::Null).await.accepted();
    assert_eq!((&room["admissions_per_second"], &room["is_own"]), (&json!(1), &json!(false)));
    assert_eq!(look(lazy, &product, &his.ticket).await["state"], "missed");
    buyers[40].buy(&product).await.order_no();
    crowd_until_one_waits(&buyers[41..52], &product).await;
    for buyer in &buyers[52..56] {
        place(buyer.buy(&product).await);
    }
    let behind = place(buy_with(lazy, &product, &his.ticket).await);
    assert!(behind.eta_ms < 9_000, "{behind:?}: he waits for nobody who was let in");
    command(&admin, &sale, json!(1_000_000)).await.accepted();
    assert_eq!(look(lazy, &product, &behind.ticket).await["state"], "waiting", "turns that were given stay");
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_sale_is_planned_with_its_room_and_only_administrators_command_it() {
    let shop = ShopProcess::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("planned", 9.0, 60).await;
    let now_ms = admin.server_time_ms().await;
    let plan = |rate: Value| {
        json!({
            "product_id": product.id, "price": 1, "stock": 30, "start_at": wire_time(now_ms - 60_000),
            "end_at": wire_time(now_ms + 3_600_000), "admissions_per_second": rate,
        })
    };
    for wrong in [json!(-1), json!(1_000_001), json!("often")] {
        let refused = admin.post("/api/seckill/sale", &plan(wrong)).await.with_status(400).rejected(PARAMETER);
        assert_eq!(refused["errors"][0]["field"], "admissions_per_second");
    }
    let planned = admin.post("/api/seckill/sale", &plan(json!(1))).await.accepted();
    let sale = Sale { id: planned["id"].as_i64().expect("an id"), product };
    let buyers = admin.make_buyers(12, "plan-").await;
    crowd_until_one_waits(&buyers, &product).await;

    let ann = shop.register("ann").await;
    assert_eq!(command(&ann, &sale, json!(0)).await.with_status(403).code, NOT_ADMINISTRATOR);
    for wrong in [json!(-1), json!(1_000_001), json!("often"), json!([1])] {
        let refused = command(&admin, &sale, wrong).await.with_status(400).rejected(PARAMETER);
        assert_eq!(refused["errors"][0]["field"], "admissions_per_second");
    }
    let path = format!("/api/admin/sales/{}/waiting-room", sale.id);
    admin.put(&path, &json!({ "admission_per_second": 0 })).await.with_status(400);
    assert_eq!(shown(&admin, &sale).await["admissions_per_second"], 1, "nothing of it was done");
    let nowhere = Sale { id: 999_999, ..sale };
    command(&admin, &nowhere, json!(0)).await.with_status(404).rejected(NOT_FOUND);
    command(&admin, &sale, json!(3)).await.accepted();
    let acts = admin.get("/api/admin/audit-log?action=sale.waiting_room").await.accepted();
    let written = acts["list"][0].clone();
    assert_eq!((&acts["total"], &written["target"]), (&json!(1), &json!(format!("sale {}", sale.id))), "{acts}");
    assert!(written.to_string().contains("before"), "{written}");
    admin.close_sale(&sale).await.accepted();
    command(&admin, &sale, json!(0)).await.rejected(ENDED);
    shop.assert_clean().await;
}

#[tokio::test]
async fn a_room_is_shown_opened_and_closed_from_the_command_line() {
    let shop = ShopProcess::open().await;
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale("typed", 30).await;
    let id = sale.id.to_string();
    let run = |flags: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rushmall"));
        command.args(["sale", "room", &id]).args(flags);
        command.env("RUSHMALL_SERVER", shop.address.base()).env("RUSHMALL_ADMIN_TOKEN", &admin.token);
        let output = command.output().expect("the binary runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    assert_eq!(run(&[]), (Some(0), "nobody waits (as the settings say); 0 wait".to_owned()));
    let (code, opened) = run(&["--per-second", "1"]);
    assert_eq!(code, Some(0));
    assert!(opened.starts_with("1 buyers a second are admitted (said of this sale); "), "{opened}");
    let buyers = admin.make_buyers(10, "typed-").await;
    crowd_until_one_waits(&buyers, &product).await;
    assert_eq!(run(&["--off"]), (Some(0), "nobody waits (said of this sale); 0 wait".to_owned()));
    let (_, told) = run(&["--as-settings", "--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["is_own"], false);
    assert_eq!(run(&["--per-second", "0"]).0, Some(2));
    shop.assert_clean().await;
}

#[tokio::test]
async fn what_one_node_was_told_in_mid_sale_the_other_does_within_seconds() {
    let Some((one, two)) = two_nodes(0).await else { return };
    let admin = one.admin().await;
    let (product, sale) = admin.make_sale("wanted", 200).await;
    let (quiet, _) = admin.make_sale("quiet", 200).await;
    let buyers = admin.make_buyers(120, "felt-").await;
    two.meets(&buyers[0]).buy(&product).await.order_no();
    command(&admin, &sale, json!(1)).await.accepted();
    let told_at = Instant::now();
    // at the node that was told, enough of them that whoever enters the room at the other one has to wait
    let crowd = join_all(buyers[1..22].iter().map(|buyer| buyer.buy(&product)));
    let mut fresh = buyers[22..].iter().map(|buyer| two.meets(buyer));
    let feel = async {
        loop {
            let buyer = fresh.next().expect("the other node never hears of it");
            let (asked_after, answer) = (told_at.elapsed(), buyer.buy(&product).await);
            if answer.code == WAITING {
                break (buyer, place(answer), asked_after);
            }
            answer.order_no();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let (at_once, (first, his, felt_after)) = tokio::join!(crowd, feel);
    assert!(felt_after < FELT_WITHIN, "{felt_after:?}");
    assert!(at_once.iter().filter(|answer| answer.code == WAITING).count() > 4, "{at_once:?}");
    let mut waiting = vec![(first, his)];
    for buyer in fresh.by_ref().take(6) {
        let answer = buyer.buy(&product).await;
        waiting.push((buyer, place(answer)));
    }
    fresh.next().expect("one more").buy(&quiet).await.order_no();
    let (last, his) = waiting.pop().expect("some wait");
    assert!(his.eta_ms > 7_000, "{his:?}: his turn does not come by itself meanwhile");

    command(&two.meets(&admin), &sale, json!(0)).await.accepted();
    let told_at = Instant::now();
    let last = one.meets(&last);
    while look(&last, &product, &his.ticket).await["state"] == "waiting" {
        assert!(told_at.elapsed() < FELT_WITHIN, "the first node still makes him wait");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    buy_with(&last, &product, &his.ticket).await.order_no();
    for (buyer, place) in &waiting {
        buy_with(buyer, &product, &place.ticket).await.order_no();
    }
    two.assert_clean().await;
    drop(one);
}
