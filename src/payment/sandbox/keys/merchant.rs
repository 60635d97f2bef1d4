//! `merchant.json`: everything that a merchant types into an SDK.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::{self, KeyError};
use crate::config::{PaymentSettings, Secret};
use crate::random;

/// The one merchant of a sandbox. Files are named relative to the directory of `merchant.json`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Merchant {
    /// Where the gateway answers, without a slash at the end.
    pub gateway_url: String,
    /// The account at WeChat Pay.
    pub wechat: WechatAccount,
    /// The account at Alipay.
    pub alipay: AlipayAccount,
}

/// An account at WeChat Pay, both versions.
#[derive(Clone, Serialize, Deserialize)]
pub struct WechatAccount {
    /// Instead of `https://api.mch.weixin.qq.com`.
    pub base_url: String,
    /// Merchant number.
    pub mchid: String,
    /// App id.
    pub appid: String,
    /// Serial number of the merchant's certificate.
    pub certificate_serial: String,
    /// The merchant's private key, PKCS#8.
    pub private_key_file: String,
    /// The merchant's certificate.
    pub certificate_file: String,
    /// Opens resources of notifications and platform certificates.
    pub api_v3_key: String,
    /// Signs every message of v2.
    pub api_v2_key: String,
    /// Id of the platform's public key.
    pub public_key_id: String,
    /// The platform's public key.
    pub public_key_file: String,
    /// Serial number of the platform's current certificate.
    pub platform_certificate_serial: String,
    /// The platform's current certificate.
    pub platform_certificate_file: String,
}

/// An account at Alipay.
#[derive(Clone, Serialize, Deserialize)]
pub struct AlipayAccount {
    /// Instead of `https://openapi.alipay.com/gateway.do`.
    pub gateway_url: String,
    /// App id.
    pub app_id: String,
    /// Seller id.
    pub seller_id: String,
    /// The application's private key, PKCS#8.
    pub private_key_file: String,
    /// The application's public key.
    pub public_key_file: String,
    /// Alipay's public key (key mode).
    pub alipay_public_key_file: String,
    /// The application's certificate (certificate mode).
    pub app_certificate_file: String,
    /// Alipay's certificate (certificate mode).
    pub alipay_certificate_file: String,
    /// Alipay's root certificate (certificate mode).
    pub alipay_root_certificate_file: String,
}

impl Merchant {
    /// A merchant with numbers and secrets of its own; serial numbers are still empty.
    pub(super) fn new() -> Self {
        let wechat = WechatAccount {
            base_url: String::new(),
            mchid: format!("19{}", digits(8)),
            appid: format!("wx{}", hex::encode(random::bytes::<8>())),
            certificate_serial: String::new(),
            private_key_file: "apiclient_key.pem".to_owned(),
            certificate_file: "apiclient_cert.pem".to_owned(),
            api_v3_key: hex::encode(random::bytes::<16>()),
            api_v2_key: hex::encode(random::bytes::<16>()),
            public_key_id: format!("PUB_KEY_ID_01{}", digits(30)),
            public_key_file: "wechatpay_public_key.pem".to_owned(),
            platform_certificate_serial: String::new(),
            platform_certificate_file: "wechatpay_cert.pem".to_owned(),
        };
        let alipay = AlipayAccount {
            gateway_url: String::new(),
            app_id: format!("2021{}", digits(12)),
            seller_id: format!("2088{}", digits(12)),
            private_key_file: "alipay_app_key.pem".to_owned(),
            public_key_file: "alipay_app_public_key.pem".to_owned(),
            alipay_public_key_file: "alipay_public_key.pem".to_owned(),
            app_certificate_file: "alipay_app_cert.pem".to_owned(),
            alipay_certificate_file: "alipay_cert.pem".to_owned(),
            alipay_root_certificate_file: "alipay_root_cert.pem".to_owned(),
        };
        Self { gateway_url: String::new(), wechat, alipay }
    }

    /// What the sandbox under `data_dir` gave its merchant.
    ///
    /// # Errors
    /// [`KeyError`] if it was never started, or its `merchant.json` cannot be read.
    pub fn read(data_dir: &Path) -> Result<Self, KeyError> {
        let path = data_dir.join("merchant/merchant.json");
        serde_json::from_str(&files::read(&path)?).map_err(|source| super::platform::content(&path, source))
    }

    /// The settings of a shop that is this merchant: WeChat Pay v3 and Alipay in key mode; `data_dir` is the sandbox's.
    #[must_use]
    pub fn account(&self, data_dir: &Path, payment: &PaymentSettings) -> PaymentSettings {
        let file = |name: &str| data_dir.join("merchant").join(name).display().to_string();
        let mut account = payment.clone();
        let wechat = &mut account.wechat_v3;
        wechat.enabled = true;
        wechat.base_url.clone_from(&self.wechat.base_url);
        wechat.mchid.clone_from(&self.wechat.mchid);
        wechat.appid.clone_from(&self.wechat.appid);
        wechat.serial.clone_from(&self.wechat.certificate_serial);
        wechat.private_key_file = file(&self.wechat.private_key_file);
        wechat.api_v3_key = Secret(self.wechat.api_v3_key.clone());
        wechat.public_key_id.clone_from(&self.wechat.public_key_id);
        wechat.public_key_file = file(&self.wechat.public_key_file);
        let alipay = &mut account.alipay;
        alipay.enabled = true;
        alipay.gateway_url.clone_from(&self.alipay.gateway_url);
        alipay.app_id.clone_from(&self.alipay.app_id);
        alipay.seller_id.clone_from(&self.alipay.seller_id);
        alipay.private_key_file = file(&self.alipay.private_key_file);
        alipay.public_key_file = file(&self.alipay.alipay_public_key_file);
        account
    }

    /// The same, answering at `url`.
    pub(super) fn at(mut self, url: &str) -> Self {
        let url = url.trim_end_matches('/');
        url.clone_into(&mut self.gateway_url);
        url.clone_into(&mut self.wechat.base_url);
        self.alipay.gateway_url = format!("{url}/gateway.do");
        self
    }
}

/// Random decimal digits, the first not 0.
fn digits(length: usize) -> String {
    (0..length).map(|at| char::from(b'0' + digit(at == 0))).collect()
}

fn digit(is_first: bool) -> u8 {
    let value = if is_first { 1 + random::below(9) } else { random::below(10) };
    u8::try_from(value).unwrap_or(1)
}

impl std::fmt::Debug for Merchant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Merchant({}, {})", self.wechat.mchid, self.alipay.app_id)
    }
}
