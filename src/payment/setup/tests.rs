//! Complete settings build every gateway; what is wrong is told by its key and never by its content.

use std::path::Path;

use super::*;
use crate::payment::testing::*;

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn complete(dir: &Path) -> Settings {
    let mut settings = Settings::default();
    let payment = &mut settings.payment;
    payment.notify_base_url = "https://shop.example.cn/".to_owned();
    payment.wechat_v3 = WechatV3Settings {
        enabled: true,
        mchid: "1900007291".to_owned(),
        appid: "wx1".to_owned(),
        serial: MERCHANT_SERIAL.to_owned(),
        private_key_file: write(dir, "apiclient_key.pem", MERCHANT_KEY),
        api_v3_key_file: write(dir, "apiv3", &format!("{API_V3_KEY}\n")),
        public_key_id: PUBLIC_KEY_ID.to_owned(),
        public_key_file: write(dir, "pub_key.pem", PLATFORM_CERT),
        ..WechatV3Settings::default()
    };
    payment.wechat_v2 = WechatV2Settings {
        enabled: true,
        mchid: "1900007291".to_owned(),
        appid: "wx1".to_owned(),
        api_key: Secret(API_V2_KEY.to_owned()),
        identity_file: write(dir, "identity.pem", &format!("{ROOT_CERT}{MERCHANT_KEY}")),
        ..WechatV2Settings::default()
    };
    payment.alipay = AlipaySettings {
        enabled: true,
        app_id: "2021".to_owned(),
        seller_id: "2088".to_owned(),
        private_key: Secret(MERCHANT_KEY_PKCS1.to_owned()),
        app_certificate_file: write(dir, "app.crt", ROOT_CERT),
        alipay_certificate_file: write(dir, "alipay.crt", PLATFORM_CERT),
        root_certificates_file: write(dir, "root.crt", ROOT_BUNDLE),
        ..AlipaySettings::default()
    };
    settings
}

#[test]
fn complete_settings_build_every_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let gateways = Gateways::open(&complete(dir.path()), &Clock::default()).unwrap();
    let wires: Vec<Wire> = gateways.wires().collect();
    assert_eq!(wires, [Wire::WechatV3, Wire::WechatV2, Wire::Alipay, Wire::Simulated]);
    for wire in wires {
        assert_eq!(gateways.on(wire).unwrap().wire(), wire);
    }
    assert_eq!(gateways.notify_url(Wire::WechatV3), "https://shop.example.cn/api/pay/wechat/v3/notify");
    let shown = format!("{gateways:?}");
    assert!(!shown.contains(API_V2_KEY) && !shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn nothing_is_built_that_is_not_switched_on() {
    let mut settings = Settings::default();
    settings.payment.simulated = Some(false);
    let gateways = Gateways::open(&settings, &Clock::default()).unwrap();
    assert_eq!(gateways.wires().count(), 0);
    assert!(gateways.on(Wire::Alipay).is_none());
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_no_secret_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = complete(dir.path());
    let payment = &mut settings.payment;
    payment.wechat_v3.private_key_file = dir.path().join("missing.pem").display().to_string();
    payment.wechat_v3.api_v3_key_file = write(dir.path(), "short", "too-short-to-be-a-key");
    payment.wechat_v2.identity_file = write(dir.path(), "identity.pem", "nothing");
    payment.alipay.private_key = Secret("not-a-private-key".to_owned());
    payment.alipay.root_certificates_file = write(dir.path(), "root.crt", "nothing");
    let SetupProblems(problems) = Gateways::open(&settings, &Clock::default()).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key).collect();
    let expected = [
        "payment.wechat_v3.private_key_file",
        "payment.wechat_v3.api_v3_key_file",
        "payment.wechat_v2.identity_file",
        "payment.alipay.private_key_file",
        "payment.alipay.root_certificates_file",
    ];
    assert_eq!(keys, expected, "{problems:?}");
    let told = SetupProblems(problems).to_string();
    assert!(told.contains("missing.pem cannot be read: "), "{told}");
    assert!(!told.contains("too-short-to-be-a-key") && !told.contains("not-a-private-key"), "{told}");
}
