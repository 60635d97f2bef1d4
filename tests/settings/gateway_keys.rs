//! The keys of payment gateways change while buyers pay: a shop with another's key is refused by the gateway, gets the right
//! one by SIGHUP, and is believed at once, although its calls were held back before.

use std::path::Path;

use crate::stage::Configured;
use crate::support::process::ShopProcess;
use crate::support::sandbox_process::SandboxProcess;

/// PEM of a private key that is nobody's.
fn another_key() -> String {
    let made = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
    made.expect("a key").serialize_pem()
}

fn put(text: impl AsRef<[u8]>, into: &Path) {
    std::fs::write(into, text).expect("the key is written");
}

#[tokio::test]
async fn gateways_take_new_keys_without_a_restart() {
    let sandbox = SandboxProcess::start();
    let mut shop = ShopProcess::prepare();
    shop.is_merchant_of(&sandbox);
    let (wechat, alipay) = (shop.data_dir().join("wechat.pem"), shop.data_dir().join("alipay.pem"));
    let right = |file: &str| std::fs::read(sandbox.merchant_file(file)).expect("a key");
    put(another_key(), &wechat);
    put(right(&sandbox.merchant.alipay.private_key_file), &alipay);
    shop.set("RUSHMALL__PAYMENT__WECHAT_V3__PRIVATE_KEY_FILE", &wechat.display().to_string());
    shop.set("RUSHMALL__PAYMENT__ALIPAY__PRIVATE_KEY_FILE", &alipay.display().to_string());
    let mut configured = Configured::prepare(shop, "");
    configured.shop.start().await;
    let shop = &configured.shop;
    let (admin, ann) = (shop.admin().await, shop.register("ann").await);
    let product = admin.make_product("paid", 1.0, 10).await;
    let order = async || ann.place_order(&product, 1).await.order_no();

    let (by_wechat, by_alipay) = (order().await, order().await);
    assert!(!ann.open_charge("wechat", &by_wechat).await.is_accepted(), "the gateway does not know this key");
    ann.open_charge("alipay", &by_alipay).await.accepted();
    let breaker = "rushmall_gateway_open{gateway=\"wechat_v3\"}";
    shop.visitor().sees_figure(breaker, |open| open == 1.0).await;

    // a file that is no key keeps what there is
    put("no key", &alipay);
    configured.hang_up().await;
    assert!(shop.log_text().contains("payment.alipay.private_key_file: "), "{}", shop.log_text());
    ann.open_charge("alipay", &order().await).await.accepted();

    put(right(&sandbox.merchant.alipay.private_key_file), &alipay);
    put(right(&sandbox.merchant.wechat.private_key_file), &wechat);
    configured.hang_up().await;
    let log = shop.log_text();
    assert!(log.contains("renewed=\"payment.wechat_v3\""), "{log}");
    assert!(!log.contains("payment.alipay\""), "what did not change is not built anew");
    shop.visitor().sees_figure(breaker, |open| open == 0.0).await; // nobody has called it since
    ann.open_charge("wechat", &by_wechat).await.accepted();
    sandbox.gateway().pay(&format!("{by_wechat}_1")).await;
    let paid = crate::stage::until(async || ann.order_status(&by_wechat).await == 2).await;
    assert!(paid, "its notification is believed");
}
