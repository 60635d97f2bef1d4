//! The deadline, the buyer's cancel and the money meet at the gateway.

use serde_json::json;

use crate::paying::{CANCELLED, PAID, PRICE_FEN, REFUNDED, shop};

const PAY_DEADLINE_MS: i64 = 30 * 60_000;

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
