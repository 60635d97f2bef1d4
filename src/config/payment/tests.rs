//! What an enabled gateway lacks is told by its key; what is safe passes; secrets are never shown.

use super::super::{Sources, load};
use super::*;

fn complete() -> PaymentSettings {
    let secret = || Secret("s3cr3t-value".to_owned());
    PaymentSettings {
        notify_base_url: "https://shop.example.cn".to_owned(),
        wechat_v3: WechatV3Settings {
            enabled: true,
            mchid: "1900007291".to_owned(),
            appid: "wx1".to_owned(),
            serial: "71".to_owned(),
            private_key_file: "apiclient_key.pem".to_owned(),
            api_v3_key: secret(),
            fetch_certificates: true,
            ..WechatV3Settings::default()
        },
        wechat_v2: WechatV2Settings {
            enabled: true,
            mchid: "1900007291".to_owned(),
            appid: "wx1".to_owned(),
            api_key: secret(),
            ..WechatV2Settings::default()
        },
        alipay: AlipaySettings {
            enabled: true,
            app_id: "2021".to_owned(),
            seller_id: "2088".to_owned(),
            private_key: secret(),
            public_key_file: "alipay.pem".to_owned(),
            ..AlipaySettings::default()
        },
        ..PaymentSettings::default()
    }
}

fn keys(settings: &PaymentSettings, production: bool) -> Vec<&'static str> {
    settings.lacks(production).into_iter().map(|(key, ..)| key).collect()
}

#[test]
fn what_is_off_lacks_nothing_and_what_is_complete_neither() {
    assert!(keys(&PaymentSettings::default(), true).is_empty());
    assert!(keys(&complete(), true).is_empty());
}

#[test]
fn an_empty_gateway_is_told_everything_it_lacks() {
    let mut settings = PaymentSettings::default();
    settings.wechat_v3.enabled = true;
    let expected =
        ["notify_base_url", "wechat_v3.mchid", "wechat_v3.appid", "wechat_v3.serial", "wechat_v3.private_key"];
    let more = ["wechat_v3.api_v3_key", "wechat_v3.fetch_certificates"];
    let expected: Vec<String> = expected.iter().chain(&more).map(|key| format!("payment.{key}")).collect();
    assert_eq!(keys(&settings, true), expected);
}

#[test]
fn halves_and_contradictions_are_told() {
    let mut settings = complete();
    settings.wechat_v3.public_key_id = "PUB_KEY_ID_1".to_owned();
    settings.wechat_v2.api_key_file = "key".to_owned();
    settings.alipay.root_certificates_file = "root.crt".to_owned();
    let expected = ["wechat_v3.public_key_id", "wechat_v2.api_key", "alipay.app_certificate_file"];
    let told = keys(&settings, true);
    for key in expected {
        assert!(told.contains(&format!("payment.{key}").as_str()), "{key}: {told:?}");
    }
}

#[test]
fn the_second_address_is_wechat_pays_own_unless_another_gateway_is_named() {
    let mut wechat = WechatV3Settings::default();
    assert_eq!(wechat.backup_url(), Some("https://api2.mch.weixin.qq.com"));
    wechat.base_url = "http://127.0.0.1:9001".to_owned();
    assert_eq!(wechat.backup_url(), None, "a sandbox's requests stay there");
    wechat.backup_url = "http://127.0.0.1:9002".to_owned();
    assert_eq!(wechat.backup_url(), Some("http://127.0.0.1:9002"));
    assert_eq!(WechatV2Settings::default().backup_url(), Some("https://api2.mch.weixin.qq.com"));
    let mut settings = complete();
    settings.wechat_v3.backup_url = "http://pay.example.cn".to_owned();
    settings.wechat_v2.backup_url = "nowhere".to_owned();
    assert_eq!(keys(&settings, true), ["payment.wechat_v3.backup_url", "payment.wechat_v2.backup_url"]);
}

#[test]
fn plain_http_is_for_the_loopback_outside_production() {
    for (url, development, production) in [
        ("https://api.example.cn", true, true),
        ("http://127.0.0.1:9001", true, false),
        ("http://localhost:9001", true, false),
        ("http://[::1]:9001", true, false),
        ("http://10.0.0.1", false, false),
        ("http://127.0.0.1.example.cn", false, false),
        ("https://user:word@api.example.cn", false, false),
        ("https://api.example.cn/?x=1", false, false),
        ("ftp://127.0.0.1", false, false),
        ("nonsense", false, false),
        ("", false, false),
    ] {
        assert_eq!((is_safe_url(url, false), is_safe_url(url, true)), (development, production), "{url}");
    }
}

#[test]
fn secrets_come_by_variables_and_are_never_shown() {
    let secret = "q8Zr1xV0mJ3yKp7Tn5Lw9Bd2Gh6Sf4Ca";
    let names = ["WECHAT_V3__PRIVATE_KEY", "WECHAT_V3__API_V3_KEY", "WECHAT_V2__API_KEY", "ALIPAY__PRIVATE_KEY"];
    let environment = names.iter().map(|name| (format!("RUSHMALL__PAYMENT__{name}"), secret.to_owned())).collect();
    let loaded = load(&Sources { environment, ..Sources::default() }).unwrap();
    assert_eq!(loaded.settings.payment.wechat_v2.api_key.0, secret);
    assert!(!format!("{:?}", loaded.settings).contains(secret));
    let rows = super::super::rows(&loaded);
    assert_eq!(rows.iter().filter(|row| row.value == "***").count(), names.len());
    assert!(rows.iter().all(|row| !row.value.contains(secret)));
}

#[test]
fn a_lack_stops_the_start_with_its_key_and_origin() {
    let environment = vec![("RUSHMALL__PAYMENT__WECHAT_V2__ENABLED".to_owned(), "true".to_owned())];
    let told = load(&Sources { environment, ..Sources::default() }).unwrap_err().to_string();
    assert!(told.contains("default: payment.wechat_v2.mchid: got \"\", expected the merchant's number"), "{told}");
}
