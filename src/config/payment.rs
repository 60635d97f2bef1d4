//! Settings of the payment gateways: which are on, who the merchant is, where the keys lie.
//!
//! A secret stands in the environment or, better, in a file that `…_file` names; both at once are refused. What an
//! enabled gateway lacks is told at the start, every item with its key.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::domain::reconciliation::TimeOfDay;

/// Money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PaymentSettings {
    /// Simulated payment (captured at once, no money moves). Unset: on outside production.
    pub simulated: Option<bool>,
    /// The sandbox gateway, mounted in this server under `/sandbox` and used for all channels: for a shop of one node, because
    /// its books lie with the node; several share a `rushmall sandbox-pay`. Unset: on outside production and off a cluster
    /// where there is no other gateway. Refused in production: whoever sees its cashier pays with nothing.
    pub sandbox: Option<bool>,
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
    /// When, in Beijing, the bill of the day before is compared with the books.
    pub reconcile_at: TimeOfDay,
    /// After a downtime so many days are caught up, and what could not be compared is tried for so long.
    pub reconcile_days_max: u64,
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
            sandbox: None,
            notify_base_url: String::new(),
            connect_timeout_ms: 3_000,
            request_timeout_ms: 10_000,
            bill_timeout_ms: 300_000,
            in_flight_max: 64,
            breaker_failures_max: 5,
            breaker_pause_ms: 10_000,
            certificate_refresh_ms: 12 * 3_600_000,
            reconcile_at: TimeOfDay::new(10, 30),
            reconcile_days_max: 7,
            wechat_v3: WechatV3Settings::default(),
            wechat_v2: WechatV2Settings::default(),
            alipay: AlipaySettings::default(),
        }
    }
}

/// Where WeChat Pay is, and where else.
const WECHAT_URL: &str = "https://api.mch.weixin.qq.com";
const WECHAT_BACKUP_URL: &str = "https://api2.mch.weixin.qq.com";

/// WeChat Pay v3: JSON, RSA signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WechatV3Settings {
    /// Offered to buyers.
    pub enabled: bool,
    /// Where the gateway is.
    pub base_url: String,
    /// Its second address, for when the first does not answer. Empty: WeChat Pay's own second one if `base_url` is its first.
    pub backup_url: String,
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
            base_url: WECHAT_URL.to_owned(),
            backup_url: String::new(),
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
    /// Its second address, for when the first does not answer. Empty: WeChat Pay's own second one if `base_url` is its first.
    pub backup_url: String,
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
            base_url: WECHAT_URL.to_owned(),
            backup_url: String::new(),
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

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(unset)" } else { "Secret(***)" })
    }
}

/// Something that an enabled gateway lacks: key, what stands there, what is expected.
pub(super) type Lack = (&'static str, &'static str, &'static str);

const UNSET: &str = "\"\"";
const GATEWAY: &str = "an https URL (http only on the loopback, outside production)";

impl PaymentSettings {
    /// True if buyers can pay through a gateway.
    #[must_use]
    pub const fn has_gateway(&self) -> bool {
        self.wechat_v3.enabled || self.wechat_v2.enabled || self.alipay.enabled
    }

    /// What is missing or contradictory. Whether files can be read is seen when the gateways are built.
    pub(super) fn lacks(&self, production: bool) -> Vec<Lack> {
        let mut lacks = Vec::new();
        if self.sandbox == Some(true) && production {
            lacks.push(("payment.sandbox", "true", "false in production: the sandbox takes no money"));
        }
        if self.sandbox == Some(true) && self.has_gateway() {
            lacks.push(("payment.sandbox", "true beside a gateway", "the sandbox, or gateways of your own"));
        }
        if self.has_gateway() && !is_safe_url(&self.notify_base_url, production) {
            let expected =
                "this shop's https URL as the gateways reach it (http only on the loopback, outside production)";
            lacks.push(("payment.notify_base_url", "an unsafe or unreadable URL", expected));
        }
        if self.wechat_v3.enabled {
            self.wechat_v3.add_lacks(production, &mut lacks);
        }
        if self.wechat_v2.enabled {
            self.wechat_v2.add_lacks(production, &mut lacks);
        }
        if self.alipay.enabled {
            self.alipay.add_lacks(production, &mut lacks);
        }
        lacks
    }
}

impl WechatV3Settings {
    /// The second address, if there is one.
    #[must_use]
    pub fn backup_url(&self) -> Option<&str> {
        wechat_backup(&self.base_url, &self.backup_url)
    }

    fn add_lacks(&self, production: bool, lacks: &mut Vec<Lack>) {
        add_url("payment.wechat_v3.base_url", &self.base_url, production, lacks);
        if !self.backup_url.is_empty() {
            add_url("payment.wechat_v3.backup_url", &self.backup_url, production, lacks);
        }
        add_unset("payment.wechat_v3.mchid", &self.mchid, "the merchant's number", lacks);
        add_unset("payment.wechat_v3.appid", &self.appid, "the merchant's app", lacks);
        add_unset("payment.wechat_v3.serial", &self.serial, "the serial number of the merchant's certificate", lacks);
        add_secret("payment.wechat_v3.private_key", &self.private_key, &self.private_key_file, lacks);
        add_secret("payment.wechat_v3.api_v3_key", &self.api_v3_key, &self.api_v3_key_file, lacks);
        if self.public_key_id.is_empty() != self.public_key_file.is_empty() {
            let expected = "public_key_id and public_key_file together, or neither";
            lacks.push(("payment.wechat_v3.public_key_id", "one of the two", expected));
        }
        if self.public_key_id.is_empty() && !self.fetch_certificates {
            let expected = "public_key_id with public_key_file, or fetch_certificates = true";
            lacks.push(("payment.wechat_v3.fetch_certificates", "no key to verify answers with", expected));
        }
    }
}

impl WechatV2Settings {
    /// The second address, if there is one.
    #[must_use]
    pub fn backup_url(&self) -> Option<&str> {
        wechat_backup(&self.base_url, &self.backup_url)
    }

    fn add_lacks(&self, production: bool, lacks: &mut Vec<Lack>) {
        add_url("payment.wechat_v2.base_url", &self.base_url, production, lacks);
        if !self.backup_url.is_empty() {
            add_url("payment.wechat_v2.backup_url", &self.backup_url, production, lacks);
        }
        add_unset("payment.wechat_v2.mchid", &self.mchid, "the merchant's number", lacks);
        add_unset("payment.wechat_v2.appid", &self.appid, "the merchant's app", lacks);
        add_secret("payment.wechat_v2.api_key", &self.api_key, &self.api_key_file, lacks);
    }
}

impl AlipaySettings {
    /// True in certificate mode.
    #[must_use]
    pub const fn has_certificates(&self) -> bool {
        !self.app_certificate_file.is_empty()
    }

    fn add_lacks(&self, production: bool, lacks: &mut Vec<Lack>) {
        add_url("payment.alipay.gateway_url", &self.gateway_url, production, lacks);
        add_unset("payment.alipay.app_id", &self.app_id, "the merchant's app", lacks);
        add_unset("payment.alipay.seller_id", &self.seller_id, "the seller's id (2088…)", lacks);
        add_secret("payment.alipay.private_key", &self.private_key, &self.private_key_file, lacks);
        let files = [&self.app_certificate_file, &self.alipay_certificate_file, &self.root_certificates_file];
        let count = files.iter().filter(|file| !file.is_empty()).count();
        if count != 0 && count != files.len() {
            let expected = "app_certificate_file, alipay_certificate_file and root_certificates_file, or none";
            lacks.push(("payment.alipay.app_certificate_file", "some of the three files", expected));
        }
        if (count == 0) == self.public_key_file.is_empty() {
            let expected = "public_key_file (key mode) or the three certificate files, not both";
            lacks.push(("payment.alipay.public_key_file", "none or both", expected));
        }
    }
}

fn add_unset(key: &'static str, value: &str, expected: &'static str, lacks: &mut Vec<Lack>) {
    if value.trim().is_empty() {
        lacks.push((key, UNSET, expected));
    }
}

fn add_secret(key: &'static str, value: &Secret, file: &str, lacks: &mut Vec<Lack>) {
    match (value.0.is_empty(), file.is_empty()) {
        (true, true) => lacks.push((key, UNSET, "the secret, or its file under the same key with _file")),
        (false, false) => lacks.push((key, "a value beside a file", "either the value or the file")),
        _ => {}
    }
}

/// A gateway that is not WeChat Pay's has no second address but the one that is named.
fn wechat_backup<'a>(base_url: &str, backup_url: &'a str) -> Option<&'a str> {
    match backup_url {
        "" if base_url.trim_end_matches('/') == WECHAT_URL => Some(WECHAT_BACKUP_URL),
        "" => None,
        named => Some(named),
    }
}

fn add_url(key: &'static str, url: &str, production: bool, lacks: &mut Vec<Lack>) {
    if !is_safe_url(url, production) {
        lacks.push((key, "an unsafe or unreadable URL", GATEWAY));
    }
}

/// https anywhere, http to this machine outside production; neither user nor query.
pub(super) fn is_safe_url(text: &str, production: bool) -> bool {
    let Ok(url) = reqwest::Url::parse(text) else { return false };
    let host = url.host_str().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback && !production);
    !host.is_empty() && is_plain && is_safe
}

#[cfg(test)]
mod tests;
