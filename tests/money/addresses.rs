//! WeChat Pay's first address is gone: an order is charged, paid and refunded at its second, without a person.

use crate::stage::pays_and_gets_it_back;
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
    pays_and_gets_it_back(&shop, &sandbox).await;
    let log = shop.log_text();
    assert!(log.contains("gateway cannot be reached, trying its other address"), "{log}");
}
