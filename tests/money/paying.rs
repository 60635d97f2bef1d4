//! An order is paid through a gateway: once, by its owner, however the gateway tells of it.

use serde_json::json;

use crate::support::gateway::Gateway;
use crate::support::shop::TestShop;

pub const UNPAID: i64 = 1;
pub const PAID: i64 = 2;
pub const CANCELLED: i64 = 5;
pub const REFUNDED: i64 = 7;
pub const PRICE_FEN: i64 = 990;

/// A shop that is the merchant of a sandbox gateway.
pub async fn shop() -> (TestShop, Gateway) {
    let shop = TestShop::with(|settings| settings.payment.sandbox = Some(true)).await;
    let gateway = Gateway::of(&shop.address.base());
    (shop, gateway)
}

#[tokio::test]
async fn t33_a_charge_is_opened_paid_and_reaches_its_order() {
    let (shop, gateway) = shop().await;
    let (product, _) = shop.admin().await.make_sale("tea", 3).await;
    let ann = shop.register("ann").await;
    for (channel, per) in [("wechat", "wx"), ("alipay", "ali")] {
        let buyer = shop.register(&format!("{per}-buyer")).await;
        let order_no = buyer.buy(&product).await.order_no();
        let opened = buyer.open_charge(channel, &order_no).await.accepted();
        assert!(!opened["code_url"].as_str().expect("a code").is_empty(), "{opened}");
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
        gateway.pay(&format!("{order_no}_1")).await;
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        assert_eq!(buyer.order_status(&order_no).await, UNPAID, "{kind}");
        assert_eq!(shop.books.count("SELECT COUNT(*) AS n FROM notices").await, place as i64, "{kind}");
        shop.travel(16_000); // the gateway's own repetition, or our asking
        buyer.sees(&order_no, PAID).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
}
