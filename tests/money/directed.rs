//! Commands to orders while their money comes and goes: the gateway is asked, what is owed is done at once, what was looked at
//! goes on. No fen is lost, and none moves twice.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::stage::{Deal, PAID, PRICE_FEN, REFUNDED, REFUNDING, shop};
use crate::support::client::Person;

const ORDERS: usize = 10;
/// Of each four, the first two are given back.
const REFUNDS: i64 = 6;

/// `resync` and `retry`, in turn at every order, until it is told to stop; how many were carried out.
async fn directs(admin: &Person, orders: &[String], stop: &AtomicBool) -> (u64, u64) {
    let (resynced, retried) = (AtomicU64::new(0), AtomicU64::new(0));
    while !stop.load(Ordering::Relaxed) {
        for order_no in orders {
            for (word, count) in [("resync", &resynced), ("retry", &retried)] {
                let answer = admin.post(&format!("/api/admin/orders/{order_no}/{word}"), &json!({})).await;
                // what the machine has no time for now is asked again in the next turn
                assert!([0, 200, 409, 429, 503].contains(&answer.status), "{word}: {answer:?}");
                count.fetch_add(u64::from(answer.is_accepted()), Ordering::Relaxed);
            }
        }
    }
    (resynced.into_inner(), retried.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_are_directed_while_money_comes_and_goes_settle_to_the_fen() {
    let (shop, gateway) = shop().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("directed", i64::try_from(ORDERS).expect("a number")).await;
    let buyers = admin.make_buyers(ORDERS, "directed-").await;
    let mut deals = Vec::new();
    for (place, buyer) in buyers.iter().enumerate() {
        let channel = ["wechat", "alipay"][place % 2];
        let order_no = buyer.buy(&product).await.order_no();
        buyer.open_charge(channel, &order_no).await.accepted();
        deals.push((channel, buyer, order_no));
    }
    let orders: Vec<String> = deals.iter().map(|(_, _, order_no)| order_no.clone()).collect();
    let (_, ann, first_no) = &deals[0];
    let deal = Deal { shop, gateway, product, ann: (*ann).clone(), order_no: first_no.clone(), channel: "wechat" };
    let stop = AtomicBool::new(false);
    let living = async {
        // the first refund ends when it is said
        deal.gateway.turn(json!({"terms": {"refund_outcome": "PROCESSING"}})).await;
        deal.gateway.pay(&deal.number()).await;
        deal.ann.sees(&deal.order_no, PAID).await;
        deal.ask_refund().await;
        deal.refund_is_heard_of().await;
        deal.gateway.turn(json!({"terms": {"refund_outcome": "SUCCESS"}})).await;
        let lives = deals.iter().enumerate().skip(1).map(async |(place, (channel, buyer, order_no))| {
            tokio::time::sleep(Duration::from_millis(100 * u64::try_from(place / 2).expect("a number"))).await;
            deal.gateway.pay(&format!("{order_no}_1")).await;
            buyer.sees(order_no, PAID).await;
            if place % 4 < 2 {
                buyer.ask_refund(channel, order_no, PRICE_FEN).await.accepted();
            }
        });
        futures::future::join_all(lives).await;
        // it needs a human then, who looks while everything else goes on
        deal.gateway.settle(&deal.refund_no(), "ABNORMAL").await;
        deal.is_reviewed("refund_abnormal", 100).await;
        assert_eq!(deal.status().await, REFUNDING);
        deal.is_cleared().await;
        assert_eq!(deal.reviews("refund_abnormal").await, 0);
        deal.gateway.settle(&deal.refund_no(), "SUCCESS").await;
        deal.comes_to(REFUNDED, 1_000).await;
        let refunded = format!("SELECT COUNT(*) AS n FROM orders WHERE status = {REFUNDED}");
        for _ in 0..60 {
            if deal.shop.books.count(&refunded).await == REFUNDS {
                break;
            }
            deal.passes(5_000, 1).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let ((resynced, retried), ()) = futures::join!(directs(&admin, &orders, &stop), living);
    eprintln!("{resynced} resyncs and {retried} retries of {ORDERS} orders");
    assert!(resynced >= ORDERS as u64 && retried >= ORDERS as u64, "{resynced} {retried}");
    let states = "SELECT COUNT(*) AS n FROM orders WHERE status = ";
    assert_eq!(deal.shop.books.count(&format!("{states}{REFUNDED}")).await, REFUNDS);
    assert_eq!(deal.shop.books.count(&format!("{states}{PAID}")).await, ORDERS as i64 - REFUNDS);
    assert_eq!(deal.events("payment_captured").await, ORDERS as i64, "each was paid once");
    assert_eq!(deal.events("refund_requested").await, REFUNDS, "and given back once");
    deal.settles().await;
}
