//! A gateway that hangs, or answers nothing but errors: its breaker opens, nobody else waits, and all is done afterwards.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;

use crate::stage::{CANCELLED, CLOSING, PAID, PAY_DEADLINE_MS, shop_with};
use crate::support::client::Person;

const ORDERS: usize = 40;
/// What a request of a buyer may take while the gateway hangs.
const PROMPT: Duration = Duration::from_millis(5_500);

/// The first request may be the call that tries after a pause; then the second is not.
async fn is_refused_at_once(buyer: &Person, order_no: &str) {
    let mut took = Duration::MAX;
    for _ in 0..2 {
        let began = Instant::now();
        buyer.open_charge("wechat", order_no).await.with_status(503);
        took = took.min(began.elapsed());
        if took < PROMPT {
            break;
        }
    }
    assert!(took < PROMPT, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r39_a_gateway_that_hangs_for_half_a_minute_holds_nobody_up_and_is_caught_up_with() {
    let (shop, gateway) = shop_with(|settings| {
        settings.payment.request_timeout_ms = 6_000;
        settings.payment.breaker_pause_ms = 3_000;
    })
    .await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("hang", ORDERS as i64 + 4).await;
    let buyers = admin.make_buyers(ORDERS, "waiting-").await;
    let mut numbers = Vec::new();
    for few in buyers.chunks(4) {
        let opened = few.iter().map(async |buyer| {
            let order_no = buyer.buy(&product).await.order_no();
            buyer.open_charge("wechat", &order_no).await.accepted();
            order_no
        });
        numbers.extend(join_all(opened).await);
    }
    gateway.breaks(json!({"kind": "hang", "channel": "wechat_v3", "ms": 30_000})).await;
    shop.travel(PAY_DEADLINE_MS + 1_000);
    gateway.has_struck(1).await;

    // others are served meanwhile: through the other channel from order to paid, and units come back
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let began = Instant::now();
    let order_no = ann.buy(&product).await.order_no();
    ann.open_charge("alipay", &order_no).await.accepted();
    gateway.pay(&format!("{order_no}_1")).await;
    ann.sees(&order_no, PAID).await;
    let unpaid = bob.buy(&product).await.order_no();
    bob.cancel(&unpaid).await.accepted();
    bob.sees(&unpaid, CANCELLED).await;
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    let owed = "SELECT COUNT(*) AS n FROM effects WHERE kind = 'release_stock'";
    for _ in 0..150 {
        if shop.books.count(owed).await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(shop.books.count(owed).await, 0, "a unit does not wait behind a gateway");

    // the breaker is open: whoever wants to pay this way is told at once
    let cid = shop.register("cid").await;
    let order_no = cid.buy(&product).await.order_no();
    tokio::time::sleep(Duration::from_millis(6_200)).await;
    is_refused_at_once(&cid, &order_no).await;
    cid.cancel(&order_no).await.accepted();
    let before = gateway.strikes().await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let since = gateway.strikes().await - before;
    assert!(since <= 3, "one call tries after each pause, and does not pile up: {since} after {before}");
    let waiting = format!("SELECT COUNT(*) AS n FROM orders WHERE status = {CLOSING}");
    assert_eq!(shop.books.count(&waiting).await, ORDERS as i64 + 1, "nobody knows, of cid's charge neither");

    gateway.heals().await;
    for _ in 0..80 {
        shop.travel(5_000);
        tokio::time::sleep(Duration::from_millis(300)).await;
        if shop.books.count("SELECT COUNT(*) AS n FROM orders WHERE status = 9").await == 0 {
            break;
        }
    }
    for (buyer, order_no) in buyers.iter().zip(&numbers) {
        assert_eq!(buyer.order_status(order_no).await, CANCELLED);
    }
    // what failed while the gateway hung is due in the course of an hour
    for _ in 0..12 {
        if shop.books.count("SELECT COUNT(*) AS n FROM effects").await == 0 {
            break;
        }
        shop.travel(300_000);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    shop.assert_stock_conserved(product.id).await;
}
