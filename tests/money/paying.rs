//! An order is paid through a gateway: once, by its owner, however the gateway tells of it.

use serde_json::json;

use crate::stage::{Deal, PAID, PRICE_FEN, UNPAID, shop, shop_with};

#[tokio::test]
async fn t33_a_charge_is_opened_paid_and_reaches_its_order() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("tea", 3).await;
    let ann = shop.register("ann").await;
    for (channel, per) in [("wechat", "wx"), ("alipay", "ali")] {
        let buyer = shop.register(&format!("{per}-buyer")).await;
        let order_no = buyer.buy(&product).await.order_no();
        let opened = buyer.open_charge(channel, &order_no).await.accepted();
        let code_url = opened["code_url"].as_str().expect("a code");
        let telephone = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let page = telephone.get(code_url).send().await.expect("whoever scans it sees a page");
        let cashier = page.text().await.expect("text");
        assert!(cashier.contains("9.90"), "{code_url}: {cashier}");
        assert_eq!(opened["total_fee"], PRICE_FEN);
        let number = opened["out_trade_no"].as_str().expect("a number").to_owned();
        assert_eq!(number, format!("{order_no}_1"));
        let again = buyer.open_charge(channel, &order_no).await.accepted();
        assert_eq!(again["out_trade_no"], opened["out_trade_no"], "never a second number in flight");
        assert_eq!(buyer.order_status(&order_no).await, UNPAID);
        gateway.pay(&number).await;
        buyer.sees(&order_no, PAID).await;
        let stand = buyer.query_charge(channel, &order_no).await.accepted();
        assert_eq!((&stand["trade_state"], &stand["status"]), (&json!("SUCCESS"), &json!(PAID)), "{stand}");
        assert!(!stand["transaction_id"].as_str().expect("a number").is_empty());
        // nobody else's
        for answer in [
            ann.open_charge(channel, &order_no).await,
            ann.query_charge(channel, &order_no).await,
            ann.close_charge(channel, &order_no).await,
            ann.ask_refund(channel, &order_no, 1).await,
        ] {
            answer.rejected(30_001);
        }
    }
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r35_a_payment_whose_notification_never_comes_is_found_by_asking() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("silent", 1).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    let number = ann.open_charge("wechat", &order_no).await.accepted()["out_trade_no"].as_str().expect("no").to_owned();
    gateway.breaks(json!({"kind": "drop", "operation": "notify"})).await;
    gateway.pay(&number).await;
    shop.travel(6_000);
    ann.sees(&order_no, PAID).await;
    shop.travel(30_000); // the watch ends
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r20_a_charge_whose_answer_is_lost_is_asked_for_again_under_its_number() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("lost", 1).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    gateway.breaks(json!({"kind": "bad_answer_signature", "operation": "create", "count": 1})).await; // r42
    let opened = ann.open_charge("wechat", &order_no).await.accepted();
    assert_eq!(opened["out_trade_no"], format!("{order_no}_1"));
    gateway.pay(&format!("{order_no}_1")).await;
    ann.sees(&order_no, PAID).await;
    assert_eq!(shop.books.count("SELECT COUNT(*) AS n FROM payments").await, 1);
}

#[tokio::test]
async fn r22_ten_copies_of_a_notification_pay_once() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("copies", 1).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    ann.open_charge("wechat", &order_no).await.accepted();
    gateway.breaks(json!({"kind": "duplicate", "times": 9, "operation": "notify", "count": 1})).await;
    gateway.pay(&format!("{order_no}_1")).await;
    ann.sees(&order_no, PAID).await;
    let captured = "SELECT COUNT(*) AS n FROM order_events WHERE kind = 'payment_captured'";
    assert_eq!(shop.books.count(captured).await, 1);
    assert_eq!(shop.books.count("SELECT COUNT(*) AS n FROM notices").await, 1);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r34_forged_stale_and_probing_notifications_change_nothing_and_the_true_one_pays() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("forged", 5).await;
    for (place, kind) in ["forge", "probe", "stale", "unknown_serial", "broken_tag"].into_iter().enumerate() {
        let buyer = shop.register(&format!("buyer-{place}")).await;
        let order_no = buyer.buy(&product).await.order_no();
        buyer.open_charge("wechat", &order_no).await.accepted();
        gateway.breaks(json!({"kind": kind, "operation": "notify", "count": 1})).await;
        let number = format!("{order_no}_1");
        gateway.pay(&number).await;
        for _ in 0..300 {
            if gateway.trade(&number).await["notifications"][0]["attempts"] == 1 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(buyer.order_status(&order_no).await, UNPAID, "{kind}");
        let taken = async || shop.books.count("SELECT COUNT(*) AS n FROM notices").await;
        assert_eq!(taken().await, place as i64, "{kind}");
        shop.travel(16_000); // the gateway's own repetition, or our asking
        buyer.sees(&order_no, PAID).await;
        for _ in 0..300 {
            if taken().await > place as i64 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn r21_a_charge_opened_again_otherwise_keeps_its_first_terms() {
    let deal = Deal::open("wechat").await;
    let first = deal.trade().await["order"].clone();
    // the product is renamed, the buyer is elsewhere, time has passed: the gateway hears the same words
    let admin = deal.shop.admin().await;
    admin.put(&format!("/api/product/{}", deal.product.id), &json!({ "name": "another lamp" })).await.accepted();
    deal.shop.travel(120_000);
    let body = json!({ "order_no": deal.order_no, "trade_type": "JSAPI", "openid": "oABC", "total_fee": 1 });
    let again = deal.ann.post("/api/pay/wechat/unified-order", &body).await.accepted();
    assert_eq!((&again["out_trade_no"], &again["trade_type"]), (&json!(deal.number()), &json!("NATIVE")));
    assert_eq!(deal.trade().await["order"], first, "no refusal for other parameters, no second trade");
    assert_eq!(deal.gateway.totals().await[0]["trades"], 1);
    deal.gateway.pay(&deal.number()).await;
    deal.sees(PAID).await;
    deal.settles().await;
}

#[tokio::test]
async fn t15_a_sum_that_a_client_sends_is_ignored() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("cheap", 2).await;
    for channel in ["wechat", "alipay"] {
        let buyer = shop.register(channel).await;
        let order_no = buyer.buy(&product).await.order_no();
        let body = json!({ "order_no": order_no, "total_fee": 1, "amount": 1, "total_amount": "0.01" });
        let opened = buyer.post(&format!("/api/pay/{channel}/unified-order"), &body).await.accepted();
        assert_eq!(opened["total_fee"], PRICE_FEN);
        gateway.pay(&format!("{order_no}_1")).await;
        buyer.sees(&order_no, PAID).await;
        assert_eq!(gateway.trade(&format!("{order_no}_1")).await["order"]["total_fen"], PRICE_FEN);
    }
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn t17_three_at_19_99_are_5997_fen_at_every_gateway() {
    let (shop, gateway) = shop().await;
    let product = shop.admin().await.make_product("lamp", 19.99, 10).await;
    for channel in ["wechat", "alipay"] {
        let buyer = shop.register(channel).await;
        let order_no = buyer.place_order(&product, 3).await.order_no();
        assert_eq!(buyer.open_charge(channel, &order_no).await.accepted()["total_fee"], 5_997);
        let number = format!("{order_no}_1");
        assert_eq!(gateway.trade(&number).await["order"]["total_fen"], 5_997);
        gateway.pay(&number).await;
        buyer.sees(&order_no, PAID).await;
        for (fen, left) in [(1, 5_996), (5_996, 0)] {
            buyer.ask_refund(channel, &order_no, fen).await.accepted();
            for round in 0..300 {
                if round < 20 {
                    shop.travel(5_000);
                } else if gateway.trade(&number).await["refunded_fen"] == 5_997 - left {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            assert_eq!(gateway.trade(&number).await["refunded_fen"], 5_997 - left);
        }
    }
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r23_a_notification_before_the_answer_to_the_charge_pays_the_order() {
    let (shop, gateway) = shop_with(|settings| settings.payment.request_timeout_ms = 6_000).await;
    let (product, _) = shop.admin().await.make_sale("early", 1).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    gateway.breaks(json!({"kind": "commit_then_hang", "ms": 8_000, "operation": "create", "count": 1})).await;
    let number = format!("{order_no}_1");
    let paid = async {
        while !gateway.try_pay(&number, false).await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        ann.sees(&order_no, PAID).await;
    };
    let began = std::time::Instant::now();
    let (opened, is_early) = futures::join!(ann.open_charge("wechat", &order_no), async {
        paid.await;
        began.elapsed() < std::time::Duration::from_millis(5_900)
    });
    assert!(is_early, "paid while the charge was not answered: {opened:?}");
    assert!(!opened.is_accepted(), "there is nothing left to pay");
    assert_eq!(shop.books.count("SELECT COUNT(*) AS n FROM payments WHERE state = 'captured'").await, 1);
    shop.assert_stock_conserved(product.id).await;
}
