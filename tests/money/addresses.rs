//! WeChat Pay's first address is gone: an order is charged, paid and refunded at its second, without a person.

use serde_json::json;

use crate::stage::{PAID, REFUNDED};
use crate::support::process::{ShopProcess, free_port};
use crate::support::sandbox_process::SandboxProcess;

#[tokio::test]
async fn an_order_lives_at_the_second_address_while_nobody_is_at_the_first() {
    let sandbox = SandboxProcess::start();
    let mut shop = ShopProcess::prepare();
    shop.is_merchant_of(&sandbox);
    let nobody = format!("http://127.0.0.1:{}", free_port());
    shop.set("RUSHMALL__PAYMENT__WECHAT_V3__BASE_URL", &nobody);
    shop.set("RUSHMALL__PAYMENT__WECHAT_V3__BACKUP_URL", &sandbox.url);
    shop.start().await;
    let (product, ann) = (shop.admin().await.make_product("far", 9.9, 1).await, shop.register("ann").await);
    let order_no = ann.place_order(&product, 1).await.order_no();
    let opened = ann.open_charge("wechat", &order_no).await.accepted();
    let number = opened["out_trade_no"].as_str().expect("a number").to_owned();
    sandbox.gateway().pay(&number).await;
    ann.sees(&order_no, PAID).await;
    assert_eq!(ann.query_charge("wechat", &order_no).await.accepted()["trade_state"], json!("SUCCESS"));
    ann.ask_refund("wechat", &order_no, 990).await.accepted();
    ann.sees(&order_no, REFUNDED).await;
    assert_eq!(sandbox.gateway().trade(&number).await["refunded_fen"], 990);
    let log = shop.log_text();
    assert!(log.contains("gateway cannot be reached, trying its other address"), "{log}");
}
