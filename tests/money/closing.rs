//! The deadline, the buyer's cancel and the money meet at the gateway.

use serde_json::json;

use crate::stage::{CANCELLED, CLOSING, Deal, HOUR_MS, PAID, PAY_DEADLINE_MS, PRICE_FEN, REFUNDED, shop};

#[tokio::test]
async fn r24_money_that_comes_while_the_order_is_closing_pays_it() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("closing", 1).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    ann.open_charge("wechat", &order_no).await.accepted();
    // the gateway cannot be asked: the order stays closing, its unit held
    gateway.breaks(json!({"kind": "server_error", "operation": "query"})).await;
    gateway.breaks(json!({"kind": "drop", "operation": "notify"})).await;
    shop.travel(PAY_DEADLINE_MS + 1_000);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let held = "SELECT COALESCE(SUM(held), 0) AS n FROM stock";
    assert_eq!(shop.books.count(held).await, 1);
    gateway.pay_in_time(&format!("{order_no}_1")).await;
    gateway.heals().await;
    shop.travel(20_000); // the breaker's pause and the next try
    ann.sees(&order_no, PAID).await;
}

#[tokio::test]
async fn an_order_that_nobody_pays_is_cancelled_after_the_gateway_said_closed() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("unpaid", 1).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    ann.open_charge("wechat", &order_no).await.accepted();
    shop.travel(PAY_DEADLINE_MS + 1_000);
    ann.sees(&order_no, CANCELLED).await;
    assert_eq!(gateway.trade(&format!("{order_no}_1")).await["state"], "closed");
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_paid_order_is_refunded_through_the_gateway_in_parts() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("refund", 1).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    ann.open_charge("wechat", &order_no).await.accepted();
    gateway.pay(&format!("{order_no}_1")).await;
    ann.sees(&order_no, PAID).await;
    ann.ask_refund("wechat", &order_no, 300).await.accepted();
    ann.ask_refund("wechat", &order_no, PRICE_FEN).await.rejected(40_005);
    shop.travel(15_000);
    ann.sees(&order_no, PAID).await;
    shop.travel(70_000); // a minute between two refunds
    let rest = ann.ask_refund("wechat", &order_no, PRICE_FEN - 300).await.accepted();
    assert_eq!(rest["out_refund_no"], format!("{order_no}_r2"));
    shop.travel(15_000);
    ann.sees(&order_no, REFUNDED).await;
    let numbered = "SELECT COUNT(*) AS n FROM refunds WHERE gateway_no <> '' AND state = 'succeeded'";
    assert_eq!(shop.books.count(numbered).await, 2);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r27_a_close_that_times_out_leaves_the_order_closing_until_it_is_known() {
    for kind in ["hang", "commit_then_hang"] {
        let deal = Deal::with("wechat", |settings| settings.payment.request_timeout_ms = 3_000).await;
        deal.gateway.breaks(json!({"kind": kind, "operation": "close", "ms": 6_000})).await;
        deal.ann.cancel(&deal.order_no).await.accepted();
        deal.gateway.has_struck(1).await;
        deal.gateway.breaks(json!({"kind": "server_error", "operation": "query"})).await;
        let in_vain = "SELECT COUNT(*) AS n FROM effects WHERE kind = 'close_payment' AND last_error <> ''";
        for _ in 0..300 {
            if deal.shop.books.count(in_vain).await == 1 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!((deal.status().await, deal.held().await), (CLOSING, 1), "{kind}: nobody knows yet");
        deal.gateway.heals().await;
        deal.comes_to(CANCELLED, 1_000).await;
        assert_eq!(deal.trade().await["state"], "closed", "{kind}");
        deal.settles().await;
    }
}

#[tokio::test]
async fn r27_money_that_comes_while_the_close_hangs_pays_the_order() {
    let deal = Deal::with("wechat", |settings| settings.payment.request_timeout_ms = 3_000).await;
    deal.gateway.breaks(json!({"kind": "hang", "operation": "close", "ms": 6_000})).await;
    deal.gateway.breaks(json!({"kind": "drop", "operation": "notify"})).await;
    deal.ann.cancel(&deal.order_no).await.accepted();
    deal.gateway.has_struck(1).await;
    deal.gateway.pay(&deal.number()).await;
    deal.comes_to(PAID, 1_000).await;
    deal.gateway.heals().await;
    deal.settles().await;
}

#[tokio::test]
async fn r28_a_close_that_finds_it_paid_pays_the_order() {
    for channel in ["wechat", "alipay"] {
        let deal = Deal::open(channel).await;
        if channel == "alipay" {
            deal.gateway.act(&deal.number(), "scan", json!({})).await;
        }
        // he pays between the question and the close, and no notification tells of it
        deal.gateway.breaks(json!({"kind": "drop", "operation": "notify"})).await;
        deal.gateway.breaks(json!({"kind": "delay", "ms": 4_000, "operation": "close"})).await;
        deal.ann.cancel(&deal.order_no).await.accepted();
        deal.gateway.has_struck(1).await;
        deal.gateway.pay(&deal.number()).await;
        deal.sees(PAID).await;
        assert_eq!(deal.gateway.heard("close", &deal.number()).await, 1);
        deal.settles().await;
    }
}

#[tokio::test]
async fn r29_a_close_without_effect_is_not_believed_and_asked_for_again() {
    let deal = Deal::open("wechat").await;
    deal.gateway.breaks(json!({"kind": "no_effect", "operation": "close", "count": 2})).await;
    deal.ann.cancel(&deal.order_no).await.accepted();
    deal.gateway.has_struck(1).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!((deal.status().await, deal.held().await), (CLOSING, 1), "said closed, and not paid when asked");
    deal.comes_to(CANCELLED, 10_000).await;
    assert_eq!(deal.trade().await["state"], "closed");
    assert_eq!(deal.gateway.heard("close", &deal.number()).await, 3);
    deal.settles().await;
}

#[tokio::test]
async fn r36_not_paid_however_often_it_is_said_does_not_end_an_order() {
    let deal = Deal::open("wechat").await;
    deal.gateway.breaks(json!({"kind": "no_effect", "operation": "close"})).await;
    deal.shop.travel(PAY_DEADLINE_MS + 1_000);
    deal.sees(CLOSING).await;
    for _ in 0..60 {
        deal.passes(10_000, 1).await;
        assert_eq!((deal.status().await, deal.held().await), (CLOSING, 1));
        if deal.gateway.heard("query", &deal.number()).await >= 5 {
            break;
        }
    }
    assert!(deal.gateway.heard("query", &deal.number()).await >= 5, "asked again and again");
    deal.gateway.pay_in_time(&deal.number()).await;
    deal.sees(PAID).await;
    deal.settles().await;
}

#[tokio::test]
async fn r37_a_payer_who_is_at_it_at_the_deadline_is_waited_for() {
    for pays in [true, false] {
        let deal = Deal::open("wechat").await;
        deal.gateway.breaks(json!({"kind": "drop", "operation": "notify"})).await;
        deal.gateway.act(&deal.number(), "enter", json!({})).await;
        deal.shop.travel(PAY_DEADLINE_MS + 1_000);
        deal.sees(CLOSING).await;
        deal.passes(30_000, 3).await;
        assert_eq!((deal.status().await, deal.held().await), (CLOSING, 1));
        assert_eq!(deal.ann.query_charge("wechat", &deal.order_no).await.accepted()["trade_state"], "USERPAYING");
        assert_eq!(deal.gateway.heard("close", &deal.number()).await, 0, "not under his hands");
        if pays {
            deal.gateway.pay_in_time(&deal.number()).await;
            deal.comes_to(PAID, 10_000).await;
        } else {
            deal.gateway.act(&deal.number(), "fail", json!({})).await;
            deal.comes_to(CANCELLED, 10_000).await;
            assert_eq!(deal.trade().await["state"], "closed");
        }
        deal.settles().await;
    }
}

#[tokio::test]
async fn r40_a_payment_that_pends_for_ever_is_for_a_human_and_asked_about_on() {
    let deal = Deal::open("wechat").await;
    deal.gateway.act(&deal.number(), "enter", json!({})).await;
    deal.shop.travel(PAY_DEADLINE_MS + 1_000);
    deal.sees(CLOSING).await;
    deal.passes(50 * 60_000, 5).await;
    assert_eq!(deal.reviews("gateway_undecided").await, 0, "some patience");
    deal.is_reviewed("gateway_undecided", HOUR_MS / 4).await;
    let asked = deal.gateway.heard("query", &deal.number()).await;
    deal.passes(2 * HOUR_MS, 4).await;
    assert_eq!((deal.status().await, deal.held().await), (CLOSING, 1), "never ended by a clock");
    assert!(deal.gateway.heard("query", &deal.number()).await > asked, "asked on");
    deal.gateway.pay_in_time(&deal.number()).await;
    deal.sees(PAID).await;
    deal.is_cleared().await;
    deal.settles().await;
}

#[tokio::test]
async fn r43_of_a_cancel_and_a_notification_at_once_one_wins() {
    const ORDERS: usize = 20;
    let (shop, gateway) = shop().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("race", ORDERS as i64).await;
    let buyers = admin.make_buyers(ORDERS, "racer-").await;
    let ended = futures::future::join_all(buyers.iter().map(async |buyer| {
        let order_no = buyer.buy(&product).await.order_no();
        buyer.open_charge("wechat", &order_no).await.accepted();
        let number = format!("{order_no}_1");
        let (is_paid, _) = futures::join!(gateway.try_pay(&number, false), buyer.cancel(&order_no));
        let wanted = if is_paid { PAID } else { CANCELLED };
        buyer.sees(&order_no, wanted).await;
        let state = gateway.trade(&number).await["state"].clone();
        assert_eq!(state, if is_paid { "paid" } else { "closed" });
        is_paid
    }))
    .await;
    let sold = ended.into_iter().filter(|is_paid| *is_paid).count() as i64;
    shop.at_rest().await;
    assert_eq!(shop.books.count("SELECT COALESCE(SUM(sold), 0) AS n FROM stock").await, sold);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r44_administrator_deadline_and_buyer_end_a_charge_once() {
    let deal = Deal::open("wechat").await;
    let admin = deal.shop.admin().await;
    let path = format!("/api/admin/orders/{}/cancel", deal.order_no);
    deal.shop.travel(PAY_DEADLINE_MS);
    let nothing = json!({});
    let by_admin = admin.post(&path, &nothing);
    let _ = futures::join!(by_admin, deal.ann.cancel(&deal.order_no), deal.ann.close_charge("wechat", &deal.order_no));
    deal.comes_to(CANCELLED, 1_000).await;
    assert_eq!((deal.events("closing_started").await, deal.events("order_cancelled").await), (1, 1));
    assert_eq!(deal.shop.books.count("SELECT COALESCE(SUM(free), 0) AS n FROM stock").await, 1);
    deal.settles().await;
}

#[tokio::test]
async fn r69_the_deadline_asks_for_a_payment_that_nobody_told_of() {
    let deal = Deal::open("alipay").await;
    deal.gateway.breaks(json!({"kind": "drop", "operation": "notify"})).await;
    deal.gateway.breaks(json!({"kind": "server_error", "operation": "query"})).await;
    deal.gateway.pay(&deal.number()).await;
    deal.shop.travel(PAY_DEADLINE_MS + 1_000);
    deal.sees(CLOSING).await;
    deal.gateway.heals().await;
    deal.comes_to(PAID, 5_000).await;
    deal.settles().await;
}
