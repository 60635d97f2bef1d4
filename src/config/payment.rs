//! Settings of the payment gateways: which are on, who the merchant is, where the keys lie.
//!
//! A secret stands in the environment or, better, in a file that `…_file` names; both at once are refused. What an
//! enabled gateway lacks is told at the start, every item with its key.

use std::fmt;

use serde::{Deserialize, Serialize};

mod lacks;

/// Money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PaymentSettings {
    /// Simulated payment (captured at once, no money moves). Unset: on outside production.
    pub simulated: Option<bool>,
    /// This shop as the gateways reach it, e.g. `https://shop.example.cn`; their notifications go to paths below it.
    pub notify_base_url: String,
    /// Longest wait for a connection to a gateway.
    pub connect_timeout_ms: u64,
    /// Longest wait for an answer; after it the outcome is unknown and is asked for.
    pub request_timeout_ms: u64,
    /// Longest that the download of a daily bill may take.
    pub bill_timeout_ms: u64,
    /// Calls to one gateway at the same time.
    pub in_flight_max: usize,
    /// Failures in a row after which a gateway is left alone for a while.
    pub breaker_failures_max: u32,
    /// How long it is left alone.
    pub breaker_pause_ms: u64,
    /// Platform certificates older than this are fetched again.
    pub certificate_refresh_ms: i64,
    /// WeChat Pay v3.
    pub wechat_v3: WechatV3Settings,
    /// WeChat Pay v2.
    pub wechat_v2: WechatV2Settings,
    /// Alipay.
    pub alipay: AlipaySettings,
}

impl Default for PaymentSettings {
    fn default() -> Self {
        Self {
            simulated: None,
            notify_base_url: String::new(),
            connect_timeout_ms: 3_000,
            request_timeout_ms: 10_000,
            bill_timeout_ms: 300_000,
            in_flight_max: 64,
            breaker_failures_max: 5,
            breaker_pause_ms: 10_000,
            certificate_refresh_ms: 12 * 3_600_000,
            wechat_v3: WechatV3Settings::default(),
            wechat_v2: WechatV2Settings::default(),
            alipay: AlipaySettings::default(),
        }
    }
}

/// WeChat Pay v3: JSON, RSA signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WechatV3Settings {
    /// Offered to buyers.
    pub enabled: bool,
    /// Where the gateway is.
    pub base_url: String,
    /// The merchant's number.
    pub mchid: String,
    /// The app that payers see.
    pub appid: String,
    /// Serial number of the merchant's certificate.
    pub serial: String,
    /// The merchant's private key, PEM.
    pub private_key: Secret,
    /// The file that holds it (`apiclient_key.pem`).
    pub private_key_file: String,
    /// The API v3 key, 32 characters.
    pub api_v3_key: Secret,
    /// The file that holds it.
    pub api_v3_key_file: String,
    /// Public-key mode: the id of WeChat Pay's public key (`PUB_KEY_ID_…`).
    pub public_key_id: String,
    /// Public-key mode: that key, PEM (`pub_key.pem`).
    pub public_key_file: String,
    /// Certificate mode: fetch the platform's certificates and renew them.
    pub fetch_certificates: bool,
}

impl Default for WechatV3Settings {
    fn default() -> Self {
        Self {
            enabled: false,
            base_url: "https://api.mch.weixin.qq.com".to_owned(),
            mchid: String::new(),
            appid: String::new(),
            serial: String::new(),
            private_key: Secret::default(),
            private_key_file: String::new(),
            api_v3_key: Secret::default(),
            api_v3_key_file: String::new(),
            public_key_id: String::new(),
            public_key_file: String::new(),
            fetch_certificates: false,
        }
    }
}

/// WeChat Pay v2: XML, a shared key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WechatV2Settings {
    /// Offered to buyers.
    pub enabled: bool,
    /// Where the gateway is.
    pub base_url: String,
    /// The merchant's number.
    pub mchid: String,
    /// The app that payers see.
    pub appid: String,
    /// The API key, 32 characters.
    pub api_key: Secret,
    /// The file that holds it.
    pub api_key_file: String,
    /// How requests are signed.
    pub sign_type: V2SignType,
    /// The merchant's certificate and private key, PEM in one file: without it nothing can be refunded.
    pub identity_file: String,
}

impl Default for WechatV2Settings {
    fn default() -> Self {
        Self {
            enabled: false,
            base_url: "https://api.mch.weixin.qq.com".to_owned(),
            mchid: String::new(),
            appid: String::new(),
            api_key: Secret::default(),
            api_key_file: String::new(),
            sign_type: V2SignType::HmacSha256,
            identity_file: String::new(),
        }
    }
}

/// How requests of WeChat Pay v2 are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum V2SignType {
    /// MD5.
    #[serde(rename = "md5")]
    Md5,
    /// HMAC-SHA256.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
}

/// Alipay: forms, RSA signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlipaySettings {
    /// Offered to buyers.
    pub enabled: bool,
    /// Where the gateway is, path included.
    pub gateway_url: String,
    /// The merchant's app.
    pub app_id: String,
    /// The seller that notifications must name.
    pub seller_id: String,
    /// The app's private key, PEM or bare base64.
    pub private_key: Secret,
    /// The file that holds it.
    pub private_key_file: String,
    /// Key mode: Alipay's public key.
    pub public_key_file: String,
    /// Certificate mode: the app's certificate (`appCertPublicKey_….crt`).
    pub app_certificate_file: String,
    /// Certificate mode: Alipay's certificate (`alipayCertPublicKey_RSA2.crt`).
    pub alipay_certificate_file: String,
    /// Certificate mode: Alipay's roots (`alipayRootCert.crt`).
    pub root_certificates_file: String,
}

impl Default for AlipaySettings {
    fn default() -> Self {
        Self {
            enabled: false,
            gateway_url: "https://openapi.alipay.com/gateway.do".to_owned(),
            app_id: String::new(),
            seller_id: String::new(),
            private_key: Secret::default(),
            private_key_file: String::new(),
            public_key_file: String::new(),
            app_certificate_file: String::new(),
            alipay_certificate_file: String::new(),
            root_certificates_file: String::new(),
        }
    }
}

impl AlipaySettings {
    /// True in certificate mode.
    #[must_use]
    pub const fn has_certificates(&self) -> bool {
        !self.app_certificate_file.is_empty()
    }
}

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(unset)" } else { "Secret(***)" })
    }
}

#[cfg(test)]
mod tests;
