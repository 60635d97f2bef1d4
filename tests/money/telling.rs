//! What gateways tell us, and what they do not: notifications that lie, come for nothing, or come late.

use serde_json::json;

use crate::stage::{
    CANCELLED, CLOSING, COMPLETED, DAY_MS, Deal, LOOKS, PAID, PAY_DEADLINE_MS, PRICE_FEN, REFUNDED, SHIPPED, UNPAID,
    asks_nothing, shop,
};
use crate::support::client::Person;

/// Insists on another channel until the charge of the first is closed.
async fn changes_to(buyer: &Person, channel: &str, order_no: &str) {
    for _ in 0..300 {
        if buyer.open_charge(channel, order_no).await.is_accepted() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{order_no} cannot be paid through {channel}");
}

#[tokio::test]
async fn r31_another_amount_is_not_taken_for_the_orders_money() {
    let (mut shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("wrong", 1).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    ann.open_charge("wechat", &order_no).await.accepted();
    gateway.breaks(json!({"kind": "wrong_amount", "by_fen": 1, "operation": "notify", "count": 1})).await;
    gateway.breaks(json!({"kind": "server_error", "operation": "query"})).await;
    gateway.pay(&format!("{order_no}_1")).await;
    let reviewed = "SELECT COUNT(*) AS n FROM orders WHERE review <> ''";
    for _ in 0..300 {
        if shop.books.count(reviewed).await == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(shop.books.count(reviewed).await, 1);
    let captured = "SELECT COUNT(*) AS n FROM order_events WHERE kind = 'payment_captured'";
    assert_eq!(shop.books.count(captured).await, 0, "991 fen are not 990");
    shop.leaves.anything = true;
}

#[tokio::test]
async fn r33_a_notification_about_an_unknown_order_is_not_answered_with_success() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("unknown", 1).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    ann.open_charge("wechat", &order_no).await.accepted();
    gateway.breaks(json!({"kind": "unknown_order", "operation": "notify", "count": 1})).await;
    gateway.pay(&format!("{order_no}_1")).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(ann.order_status(&order_no).await, UNPAID);
    shop.travel(16_000);
    ann.sees(&order_no, PAID).await;
}

#[tokio::test]
async fn r25_t12_money_after_the_cancellation_buys_again_or_goes_back() {
    for is_sold_meanwhile in [false, true] {
        let (shop, gateway) = shop().await;
        let (product, _) = shop.admin().await.make_sale("late", 1).await;
        let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
        let order_no = ann.buy(&product).await.order_no();
        ann.open_charge("wechat", &order_no).await.accepted();
        // r29: the gateway says closed and does not close; long after the end the order is cancelled all the same
        gateway.breaks(json!({"kind": "no_effect", "operation": "close"})).await;
        shop.travel(PAY_DEADLINE_MS + 1_000);
        let closing = format!("SELECT COUNT(*) AS n FROM orders WHERE status = {CLOSING}");
        for _ in 0..300 {
            if shop.books.count(&closing).await == 1 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        asks_nothing(&shop, LOOKS).await;
        assert_ne!(ann.order_status(&order_no).await, CANCELLED, "not paid is never final");
        shop.travel(310_000);
        ann.sees(&order_no, CANCELLED).await;
        shop.at_rest().await;
        let others = if is_sold_meanwhile { Some(bob.buy(&product).await.order_no()) } else { None };
        gateway.pay_in_time(&format!("{order_no}_1")).await;
        match others {
            None => ann.sees(&order_no, PAID).await,
            Some(others) => {
                shop.travel(15_000);
                ann.sees(&order_no, REFUNDED).await;
                assert_eq!(bob.order_status(&others).await, UNPAID);
                assert_eq!(gateway.trade(&format!("{order_no}_1")).await["refunded_fen"], PRICE_FEN);
            }
        }
        shop.assert_stock_conserved(product.id).await;
    }
}

#[tokio::test]
async fn r45_a_refund_whose_answer_is_lost_moves_the_money_once() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("refund", 1).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    ann.open_charge("wechat", &order_no).await.accepted();
    gateway.pay(&format!("{order_no}_1")).await;
    ann.sees(&order_no, PAID).await;
    gateway.breaks(json!({"kind": "bad_answer_signature", "operation": "refund", "count": 2})).await;
    gateway.breaks(json!({"kind": "drop", "operation": "notify"})).await;
    ann.ask_refund("wechat", &order_no, PRICE_FEN).await.accepted();
    for _ in 0..20 {
        shop.travel(10_000);
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    ann.sees(&order_no, REFUNDED).await;
    let trade = gateway.trade(&format!("{order_no}_1")).await;
    assert_eq!((&trade["refunded_fen"], trade["refunds"].as_array().map(Vec::len)), (&json!(PRICE_FEN), Some(1)));
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r45_a_refund_at_alipay_whose_answer_is_lost_is_found_by_asking() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("refund", 1).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    ann.open_charge("alipay", &order_no).await.accepted();
    gateway.pay(&format!("{order_no}_1")).await;
    ann.sees(&order_no, PAID).await;
    // the money moves; a repetition is told that it moved no more money
    gateway.breaks(json!({"kind": "bad_answer_signature", "operation": "refund", "count": 1})).await;
    ann.ask_refund("alipay", &order_no, PRICE_FEN).await.accepted();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    shop.travel(15_000);
    ann.sees(&order_no, REFUNDED).await;
    assert_eq!(gateway.trade(&format!("{order_no}_1")).await["refunded_fen"], PRICE_FEN);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn t26_r38_another_channel_is_paid_after_the_first_was_closed() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("channels", 1).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    ann.open_charge("wechat", &order_no).await.accepted();
    ann.open_charge("alipay", &order_no).await.rejected(30_004);
    ann.close_charge("alipay", &order_no).await.rejected(40_010); // it is WeChat's that is open
    ann.close_charge("wechat", &order_no).await.accepted();
    changes_to(&ann, "alipay", &order_no).await;
    gateway.pay(&format!("{order_no}_2")).await;
    ann.sees(&order_no, PAID).await;
    assert_eq!(gateway.trade(&format!("{order_no}_1")).await["state"], "closed");
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r30_a_code_of_alipay_that_nobody_scanned_holds_the_unit_until_its_end() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("unscanned", 1).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    ann.open_charge("alipay", &order_no).await.accepted();
    ann.cancel(&order_no).await.accepted();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let held = "SELECT COALESCE(SUM(held), 0) AS n FROM stock";
    assert_eq!(shop.books.count(held).await, 1, "whoever has the code can still pay");
    gateway.pay(&format!("{order_no}_1")).await;
    ann.sees(&order_no, PAID).await;
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn t13_copies_in_any_order_and_repeats_have_one_effect_and_are_acknowledged() {
    let deal = Deal::open("wechat").await;
    deal.gateway.breaks(json!({"kind": "duplicate", "times": 4, "operation": "notify", "count": 1})).await;
    deal.gateway.breaks(json!({"kind": "replay", "after_ms": 200, "operation": "notify", "count": 1})).await;
    deal.gateway.pay(&deal.number()).await;
    deal.sees(PAID).await;
    deal.gateway.tells_again(&deal.number()).await;
    let mut notices = json!(null);
    for _ in 0..300 {
        notices = deal.trade().await["notifications"].clone();
        if notices[0]["last_status"] == "204" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(notices[0]["last_status"], "204", "{notices}");
    assert_eq!((deal.events("payment_captured").await, deal.status().await), (1, PAID));
    deal.settles().await;
}

#[tokio::test]
async fn r26_a_paid_notification_after_the_refund_is_recorded_and_moves_nothing() {
    let deal = Deal::paid("wechat").await;
    deal.ask_refund().await;
    deal.comes_to(REFUNDED, 5_000).await;
    let version = "SELECT SUM(version) AS n FROM orders";
    let before = deal.shop.books.count(version).await;
    deal.gateway.tells_again(&deal.number()).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!((deal.shop.books.count(version).await, deal.status().await), (before, REFUNDED));
    assert_eq!(deal.shop.books.count("SELECT COUNT(*) AS n FROM payments").await, 1);
    deal.settles().await;
}

#[tokio::test]
async fn r32_a_coupon_pays_a_part_and_the_order_is_paid() {
    for (channel, by_query) in [("wechat", false), ("wechat", true), ("alipay", false), ("alipay", true)] {
        let deal = Deal::open(channel).await;
        if by_query {
            deal.gateway.breaks(json!({"kind": "drop", "operation": "notify"})).await;
        }
        deal.gateway.act(&deal.number(), "pay", json!({"coupon_fen": 300})).await;
        if by_query {
            deal.shop.travel(6_000);
        }
        deal.sees(PAID).await;
        assert_eq!(deal.reviews("amount_mismatch").await, 0, "690 of the buyer and 300 of a coupon are 990");
        deal.ask_refund().await;
        deal.comes_to(REFUNDED, 5_000).await;
        assert_eq!(deal.trade().await["refunded_fen"], PRICE_FEN);
        deal.settles().await;
    }
}

#[tokio::test]
async fn r38_of_two_payments_through_two_channels_the_second_goes_back() {
    let deal = Deal::open("wechat").await;
    // the gateway says closed and the code can still be paid
    deal.gateway.breaks(json!({"kind": "says_closed", "operation": "query"})).await;
    deal.ann.close_charge("wechat", &deal.order_no).await.accepted();
    changes_to(&deal.ann, "alipay", &deal.order_no).await;
    deal.gateway.heals().await;
    deal.gateway.pay(&format!("{}_2", deal.order_no)).await;
    deal.sees(PAID).await;
    deal.gateway.pay(&deal.number()).await;
    for _ in 0..40 {
        if deal.events("refund_reported").await > 0 && deal.trade().await["refunded_fen"] == PRICE_FEN {
            break;
        }
        deal.passes(2_000, 1).await;
    }
    assert_eq!(deal.trade().await["refunded_fen"], PRICE_FEN);
    assert_eq!((deal.status().await, deal.events("surplus_payment_captured").await), (PAID, 1));
    deal.passes(15_000, 3).await;
    deal.settles().await;
}

#[tokio::test]
async fn r41_r56_a_notification_is_answered_though_its_order_cannot_hear_it_yet() {
    let deal = Deal::open("wechat").await;
    let admin = deal.shop.admin().await;
    admin.command_actor("order_saga", &deal.order_no, "pause").await.accepted();
    deal.gateway.pay(&deal.number()).await;
    let stored = "SELECT COUNT(*) AS n FROM notices WHERE state = 'open'";
    for _ in 0..300 {
        if deal.shop.books.count(stored).await == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut acknowledged = serde_json::Value::Null;
    for _ in 0..300 {
        acknowledged = deal.trade().await["notifications"][0]["last_status"].clone();
        if acknowledged == "204" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(acknowledged, "204", "the gateway waits five seconds; the order's actor would have taken longer");
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert_eq!(deal.shop.books.count(stored).await, 1, "it waits in the inbox");
    assert_eq!(deal.events("payment_captured").await, 0);
    admin.command_actor("order_saga", &deal.order_no, "resume").await.accepted();
    deal.comes_to(PAID, 1_000).await;
    assert_eq!(deal.gateway.heard("notify", &deal.number()).await, 1, "it did not have to come again");
    deal.settles().await;
}

#[tokio::test]
async fn r70_a_payment_heard_of_after_the_delivery_began_turns_nothing_back() {
    let deal = Deal::open("wechat").await;
    deal.gateway.breaks(json!({"kind": "drop", "operation": "notify", "count": 1})).await;
    deal.gateway.pay(&deal.number()).await;
    deal.shop.travel(6_000);
    deal.sees(PAID).await;
    deal.shop.admin().await.ship(&deal.order_no).await.accepted();
    deal.gateway.tells_again(&deal.number()).await;
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!(deal.status().await, SHIPPED);
    deal.passes(60 * DAY_MS, 2).await;
    deal.sees(COMPLETED).await;
    deal.gateway.tells_again(&deal.number()).await;
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!((deal.status().await, deal.events("order_completed").await), (COMPLETED, 1));
    assert_eq!(deal.shop.books.count("SELECT COALESCE(SUM(sold), 0) AS n FROM stock").await, 1);
    deal.settles().await;
}
