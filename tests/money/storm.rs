//! Many orders at once, each with a payment, a cancel and the deadline racing, at a gateway that fails in every way: every
//! order ends, the gateway's books and ours agree to the fen, and no unit is lost.

use futures::future::join_all;
use rushmall::random;
use serde_json::json;

use crate::stage::{CANCELLED, PAID, PAY_DEADLINE_MS, REFUNDED, shop};
use crate::support::gateway::{CAPTURED_FEN, Gateway, REFUNDED_FEN, sum};
use crate::support::shop::TestShop;

/// `RUSHMALL_STORM_ORDERS` changes it.
const ORDERS: usize = 200;
/// Rounds of healing until everything must have ended.
const ROUNDS_MAX: usize = 60;

/// A number that the environment may change.
pub fn from_environment(variable: &str, usually: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usually)
}

/// What a bad day brings.
pub async fn weather(gateway: &Gateway) {
    for fault in [
        json!({"kind": "server_error", "operation": "query", "percent": 10}),
        json!({"kind": "system_error", "operation": "close", "percent": 10}),
        json!({"kind": "bad_answer_signature", "operation": "create", "percent": 5}),
        json!({"kind": "bad_answer_signature", "operation": "refund", "percent": 20}),
        json!({"kind": "no_effect", "operation": "close", "percent": 10}),
        json!({"kind": "rate_limit", "operation": "refund", "percent": 10}),
        json!({"kind": "drop", "operation": "notify", "percent": 20}),
        json!({"kind": "forge", "operation": "notify", "percent": 5}),
        json!({"kind": "duplicate", "times": 3, "operation": "notify", "percent": 20}),
        json!({"kind": "reorder", "operation": "notify", "percent": 10}),
        json!({"kind": "broken_tag", "operation": "notify", "percent": 5}),
    ] {
        gateway.breaks(fault).await;
    }
}

async fn count(shop: &TestShop, condition: &str) -> i64 {
    shop.books.count(&format!("SELECT COUNT(*) AS n FROM orders WHERE {condition}")).await
}

/// Lets time pass until no order waits for anything.
async fn comes_to_rest(shop: &TestShop) {
    for _ in 0..ROUNDS_MAX {
        shop.travel(60_000);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let waiting = count(shop, "status IN (0, 1, 6, 9)").await;
        let owed = shop.books.count("SELECT COUNT(*) AS n FROM effects WHERE kind <> 'watch_payment'").await;
        if waiting == 0 && owed == 0 {
            return;
        }
    }
    let left = count(shop, "status IN (0, 1, 6, 9)").await;
    panic!("{left} orders have not ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_r39_every_order_ends_and_both_books_agree_to_the_fen() {
    let (shop, gateway) = shop().await;
    let admin = shop.admin().await;
    let wanted = from_environment("RUSHMALL_STORM_ORDERS", ORDERS);
    let (product, _) = admin.make_sale("storm", wanted as i64).await;
    let buyers = admin.make_buyers(wanted, "storm-").await;
    let numbers: Vec<String> = join_all(buyers.iter().map(async |buyer| buyer.buy(&product).await.order_no())).await;
    shop.at_rest().await;
    weather(&gateway).await;
    for (batch, buyers) in numbers.chunks(25).zip(buyers.chunks(25)) {
        join_all(batch.iter().zip(buyers).enumerate().map(async |(place, (order_no, buyer))| {
            let channel = if place % 3 == 0 { "alipay" } else { "wechat" };
            buyer.open_charge(channel, order_no).await; // may fail: then it was never asked for, or is asked for again
            tokio::time::sleep(std::time::Duration::from_millis(random::below(300))).await;
            let number = format!("{order_no}_1");
            match place % 5 {
                0 => drop(gateway.try_pay(&number, false).await),
                1 => drop(futures::join!(gateway.try_pay(&number, false), buyer.cancel(order_no))),
                2 => drop(futures::join!(buyer.cancel(order_no), gateway.try_pay(&number, true))),
                3 => drop(buyer.cancel(order_no).await),
                _ => {}
            }
        }))
        .await;
    }
    shop.travel(PAY_DEADLINE_MS - 120_000);
    // some pay in the last moment, and some pay what was closed in name only
    join_all(numbers.iter().step_by(7).map(async |order_no| gateway.try_pay(&format!("{order_no}_1"), true).await))
        .await;
    shop.travel(121_000);
    join_all(numbers.iter().step_by(11).map(async |order_no| gateway.try_pay(&format!("{order_no}_1"), true).await))
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    gateway.heals().await;
    comes_to_rest(&shop).await;

    let ended = count(&shop, &format!("status IN ({PAID}, {CANCELLED}, {REFUNDED})")).await;
    assert_eq!(ended, wanted as i64);
    assert_eq!(count(&shop, "review <> ''").await, 0, "nobody has to look");
    let totals = gateway.totals().await;
    assert_eq!(shop.books.count(CAPTURED_FEN).await, sum(&totals, "captured_fen"), "{totals}");
    assert_eq!(shop.books.count(REFUNDED_FEN).await, sum(&totals, "refunded_fen"), "{totals}");
    let kept = "SELECT COALESCE(SUM(total_fen), 0) AS n FROM orders WHERE status = 2";
    assert_eq!(shop.books.count(kept).await, sum(&totals, "captured_fen") - sum(&totals, "refunded_fen"));
    println!(
        "{wanted} orders: {} paid, {} cancelled, {} refunded; {totals}",
        count(&shop, "status = 2").await,
        count(&shop, "status = 5").await,
        count(&shop, "status = 7").await
    );
    shop.assert_stock_conserved(product.id).await;
}
