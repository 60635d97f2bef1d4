//! Several ends for one order: t11, r43, r44, r69. What gateways have to say of it: tests/money.

use std::time::{Duration, Instant};

use futures::future::join_all;
use rushmall::actors::order_saga::{DriveOrder, Party};
use rushmall::domain::order::{ChargeTerms, Command, PayChannel};
use rushmall::domain::{Money, OrderNo};

use crate::claims::{PATIENCE, wait_for_status};
use crate::counting::{ALREADY_PAID, CANCELLED, EXPIRED, PAID, REFUNDED, UNPAID, sale_pool};
use crate::support::client::{Answer, Person};
use crate::support::shop::TestShop;

const ORDERS: usize = 240;
const PAY_DEADLINE_MS: i64 = 30 * 60_000;

/// What one order's buyer was told at the end.
struct Told {
    buyer: Person,
    order_no: String,
    paid: Answer,
    cancelled: Answer,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_of_paying_cancelling_and_the_deadline_exactly_one_wins_each_order() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("contended", ORDERS as i64).await;
    let buyers = admin.make_buyers(ORDERS, "t11-").await;
    let numbers: Vec<String> = join_all(buyers.iter().map(async |b| b.buy(&product).await.order_no())).await;
    shop.at_rest().await;
    // the deadline falls into the middle of what follows
    let deadline = shop.books.count("SELECT MIN(pay_deadline_ms) AS n FROM orders").await;
    shop.travel(deadline - shop.clock.now_ms() - 500);
    let told = join_all(buyers.into_iter().zip(numbers).enumerate().map(async |(place, (buyer, order_no))| {
        tokio::time::sleep(Duration::from_millis((place as u64 * 7) % 1_000)).await;
        let (paid, cancelled) = if place % 2 == 0 {
            futures::join!(insist(async || buyer.pay(&order_no).await), buyer.cancel(&order_no))
        } else {
            let (cancelled, paid) =
                futures::join!(buyer.cancel(&order_no), insist(async || buyer.pay(&order_no).await));
            (paid, cancelled)
        };
        Told { buyer, order_no, paid, cancelled }
    }))
    .await;
    // what nobody could end in time, its deadline ends
    let unpaid = format!("SELECT COUNT(*) AS n FROM orders WHERE status = {UNPAID}");
    let until = Instant::now() + PATIENCE;
    while shop.books.count(&unpaid).await > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shop.at_rest().await;
    let (mut paid, mut ended) = (0, 0);
    for told in &told {
        let status = told.buyer.order_status(&told.order_no).await;
        match status {
            PAID => paid += 1,
            CANCELLED => ended += 1,
            other => panic!("{} ended as {other}", told.order_no),
        }
        let has_paid = told.paid.is_accepted() || told.paid.code == ALREADY_PAID;
        assert_eq!(has_paid, status == PAID, "{:?} but the order is {status}", told.paid);
        if told.cancelled.is_accepted() {
            assert_eq!(status, CANCELLED, "{:?}", told.cancelled);
        }
        if !has_paid {
            assert!([30_003, EXPIRED].contains(&told.paid.code), "{:?}", told.paid);
        }
    }
    assert_eq!(paid + ended, ORDERS as i64);
    assert_eq!(shop.books.count("SELECT COUNT(*) AS n FROM payments").await, paid);
    let ends = "SELECT COUNT(*) AS n FROM order_events WHERE kind IN ('payment_captured', 'order_cancelled')";
    assert_eq!(shop.books.count(ends).await, ORDERS as i64, "an order has two ends");
    let money = "SELECT COALESCE(SUM(amount_fen), 0) AS n FROM payments";
    assert_eq!(shop.books.count(money).await, paid * 990);
    shop.assert_stock_conserved(product.id).await;
    let sale = sale_pool(&shop.books, &product).await;
    assert_eq!((sale.sold, sale.free, sale.held), (paid, ended, 0), "{sale:?}");
}

/// What he is told in the end: "not now" and silence leave open what happened, and he asks again.
async fn insist(ask: impl AsyncFn() -> Answer) -> Answer {
    for _ in 0..200 {
        let answer = ask().await;
        if answer.was_heard() && answer.status != 503 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ask().await
}

#[tokio::test]
async fn r44_administrator_timeout_and_buyer_cancel_together_and_the_unit_comes_back_once() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("ended thrice", 20).await;
    let buyers = admin.make_buyers(20, "r44-").await;
    let numbers: Vec<String> = join_all(buyers.iter().map(async |b| b.buy(&product).await.order_no())).await;
    shop.at_rest().await;
    shop.travel(PAY_DEADLINE_MS + 1_000);
    join_all(buyers.iter().zip(&numbers).map(async |(buyer, order_no)| {
        let by_admin = format!("/api/admin/orders/{order_no}/cancel");
        let body = serde_json::json!({});
        let (own, admins) = futures::join!(buyer.cancel(order_no), admin.post(&by_admin, &body));
        assert_eq!(own.accepted()["status"], CANCELLED);
        assert_eq!(admins.accepted()["status"], CANCELLED);
    }))
    .await;
    shop.at_rest().await;
    let cancelled = "SELECT COUNT(*) AS n FROM order_events WHERE kind = 'order_cancelled'";
    assert_eq!(shop.books.count(cancelled).await, 20);
    shop.assert_stock_conserved(product.id).await;
    let sale = sale_pool(&shop.books, &product).await;
    assert_eq!((sale.free, sale.put_in), (20, 20), "{sale:?}");
}

async fn tell(shop: &TestShop, order_no: &str, command: Command) {
    let order_no: OrderNo = order_no.parse().expect("an order number");
    let message = DriveOrder { party: Party::Shop, command };
    let answer = shop.inside().orders.ask(&order_no, message, Duration::from_secs(5)).await;
    answer.expect("the saga answers").expect("it may be done");
}

#[tokio::test]
async fn r43_a_payment_that_the_gateway_confirms_while_the_buyer_cancels_has_one_winner() {
    let shop = TestShop::with(|settings| settings.payment.sandbox = Some(true)).await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("crossing", 30).await;
    let buyers = admin.make_buyers(30, "r43-").await;
    let mut winners = [0, 0];
    let ends = join_all(buyers.iter().map(async |buyer| {
        let order_no = buyer.buy(&product).await.order_no();
        tell(&shop, &order_no, Command::StartPayment { channel: PayChannel::Wechat, terms: ChargeTerms::default() })
            .await;
        let arrived = Command::ConfirmPayment {
            attempt: 1,
            amount: Money::from_fen(990),
            transaction_id: format!("wx-{order_no}"),
        };
        let ((), cancelled) = futures::join!(tell(&shop, &order_no, arrived), buyer.cancel(&order_no));
        (buyer, order_no, cancelled)
    }))
    .await;
    shop.at_rest().await;
    for (buyer, order_no, cancelled) in ends {
        // the gateway said closed before the money came: then the money is for an order that is over
        let status = buyer.order_status(&order_no).await;
        match status {
            PAID => winners[0] += 1,
            REFUNDED => winners[1] += 1,
            other => panic!("{order_no} is {other} after {cancelled:?}"),
        }
    }
    assert_eq!(winners[0] + winners[1], 30);
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.sold, winners[0]);
}

#[tokio::test]
async fn r69_a_deadline_does_not_cancel_an_order_whose_money_may_be_on_its_way() {
    let shop = TestShop::with(|settings| settings.payment.sandbox = Some(true)).await;
    let (product, _) = shop.admin().await.make_sale("on its way", 2).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    tell(&shop, &order_no, Command::StartPayment { channel: PayChannel::Alipay, terms: ChargeTerms::default() }).await;
    // a second attempt through another channel is not let in beside the first
    let second = ann.pay(&order_no).await;
    assert_eq!((second.code, second.data["attempt"].as_i64()), (30_004, Some(1)), "{second:?}");
    shop.travel(PAY_DEADLINE_MS + 1_000);
    ann.pay(&order_no).await;
    // the gateway has never seen the attempt; a while after the end of its time that is final, and then the order is over
    shop.travel(20_000);
    wait_for_status(&ann, &order_no, CANCELLED).await;
    let timeline = ann.order(&order_no).await.accepted()["timeline"].clone();
    let events: Vec<&str> = timeline.as_array().expect("events").iter().filter_map(|e| e["event"].as_str()).collect();
    let place =
        |name: &str| events.iter().position(|event| *event == name).unwrap_or_else(|| panic!("{name}: {events:?}"));
    assert!(place("closing_started") < place("payment_attempt_closed"), "{events:?}");
    assert!(place("payment_attempt_closed") < place("order_cancelled"), "{events:?}");
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.free, 2);
}

#[tokio::test]
async fn a_deadline_passes_to_the_millisecond_of_the_shops_own_clock() {
    let shop = TestShop::open().await;
    let (product, _) = shop.admin().await.make_sale("deadline", 2).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    shop.at_rest().await;
    shop.travel(PAY_DEADLINE_MS - 60_000);
    tokio::time::sleep(Duration::from_millis(200)).await; // some sweeps
    assert_eq!(ann.order_status(&order_no).await, UNPAID, "ended a minute early");
    shop.travel(60_001);
    let refused = ann.pay(&order_no).await;
    assert!([EXPIRED, 30_003].contains(&refused.code), "{refused:?}");
    wait_for_status(&ann, &order_no, CANCELLED).await;
    let order = ann.order(&order_no).await.accepted();
    assert_eq!(order["end_reason"], "pay_deadline");
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_shipped_order_completes_by_itself_after_a_week() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("parcel", 5.0, 2).await;
    let ann = shop.register("ann").await;
    let order_no = ann.place_order(&product, 1).await.order_no();
    ann.pay(&order_no).await.accepted();
    admin.ship(&order_no).await.accepted();
    shop.travel(7 * 24 * 3_600_000 - 60_000);
    tokio::time::sleep(Duration::from_millis(200)).await; // some sweeps
    assert_eq!(ann.order_status(&order_no).await, 3);
    shop.travel(61_000);
    wait_for_status(&ann, &order_no, crate::counting::COMPLETED).await;
    shop.assert_stock_conserved(product.id).await;
}
