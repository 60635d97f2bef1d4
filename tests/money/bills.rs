//! The bills of the sandbox, as its wires write them, against the books.

use rushmall::domain::reconciliation::BillDay;
use serde_json::json;

use crate::stage::{DAY_MS, LOOKS, PAID, PRICE_FEN, asks_nothing};
use crate::support::gateway::Gateway;
use crate::support::shop::TestShop;

/// A refund of the sandbox ends by then.
const REFUND_MS: i64 = 3_600_000;

#[tokio::test]
async fn r67_the_bills_of_both_gateways_agree_with_the_books() {
    let shop = TestShop::with(|settings| {
        settings.payment.sandbox = Some(true);
        settings.payment.breaker_failures_max = 1_000; // a gateway that is left alone gives no bill
    })
    .await;
    let gateway = Gateway::of(&shop.address.base());
    // payments of one day, far from its end
    let now_ms = shop.clock.now_ms();
    if now_ms > BillDay::of(now_ms).ends_ms() - 3 * REFUND_MS {
        shop.travel(4 * REFUND_MS);
    }
    let (admin, silent) = (shop.admin().await, shop.register("silent").await);
    let (product, _) = admin.make_sale("billed", 10).await;
    for (channel, buyers) in [("wechat", 3), ("alipay", 2)] {
        for at in 0..buyers {
            let buyer = shop.register(&format!("{channel}-{at}")).await;
            let order_no = buyer.buy(&product).await.order_no();
            buyer.open_charge(channel, &order_no).await.accepted();
            gateway.pay(&format!("{order_no}_1")).await;
            buyer.sees(&order_no, PAID).await;
            if at == 0 {
                buyer.ask_refund(channel, &order_no, PRICE_FEN / 3).await.accepted();
            }
        }
    }
    asks_nothing(&shop, LOOKS).await;
    shop.travel(REFUND_MS);
    shop.at_rest().await;
    // a payment of which the shop hears nothing, whatever it asks
    let order_no = silent.buy(&product).await.order_no();
    silent.open_charge("wechat", &order_no).await.accepted();
    gateway.breaks(json!({"kind": "drop", "operation": "notify"})).await;
    gateway.breaks(json!({"kind": "server_error", "operation": "query"})).await;
    gateway.pay(&format!("{order_no}_1")).await;
    let day = BillDay::of(shop.clock.now_ms());
    asks_nothing(&shop, LOOKS).await;
    shop.travel(DAY_MS);
    admin.post("/api/admin/reconciliation", &json!({ "date": day.to_string() })).await.accepted();
    for (channel, lines, repaired) in [("wechat", 5, 1), ("alipay", 3, 0)] {
        let run = admin.compared(channel, day).await;
        let told = &run["run"];
        assert_eq!(
            (&told["state"], &told["lines"], &told["unknown"]),
            (&json!("done"), &json!(lines), &json!(0)),
            "{run}"
        );
        let list = run["list"].as_array().expect("a list");
        assert_eq!(list.len(), repaired, "{run}");
        for found in list {
            assert_eq!(
                (&found["kind"], &found["state"]),
                (&json!("paid_there_unpaid_here"), &json!("repaired")),
                "{run}"
            );
        }
    }
    assert_eq!(silent.order_status(&order_no).await, PAID, "the bill told it");
    gateway.heals().await;
    asks_nothing(&shop, LOOKS).await;
    shop.travel(REFUND_MS); // what was asked in vain is asked again
    shop.assert_stock_conserved(product.id).await;
}
