//! What an enabled gateway needs and has not, and which URLs are safe enough for money.

use std::net::IpAddr;

use super::{AlipaySettings, PaymentSettings, Secret, WechatV2Settings, WechatV3Settings};

/// Something that an enabled gateway lacks: key, what stands there, what is expected.
pub(in crate::config) type Lack = (&'static str, &'static str, &'static str);

const UNSET: &str = "\"\"";
const GATEWAY: &str = "an https URL (http only on the loopback, outside production)";

impl PaymentSettings {
    /// What is missing or contradictory. Whether files can be read is seen when the gateways are built.
    pub(in crate::config) fn lacks(&self, production: bool) -> Vec<Lack> {
        let mut lacks = Vec::new();
        let is_any = self.wechat_v3.enabled || self.wechat_v2.enabled || self.alipay.enabled;
        if is_any && !is_safe_url(&self.notify_base_url, production) {
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
    fn add_lacks(&self, production: bool, lacks: &mut Vec<Lack>) {
        add_url("payment.wechat_v3.base_url", &self.base_url, production, lacks);
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
    fn add_lacks(&self, production: bool, lacks: &mut Vec<Lack>) {
        add_url("payment.wechat_v2.base_url", &self.base_url, production, lacks);
        add_unset("payment.wechat_v2.mchid", &self.mchid, "the merchant's number", lacks);
        add_unset("payment.wechat_v2.appid", &self.appid, "the merchant's app", lacks);
        add_secret("payment.wechat_v2.api_key", &self.api_key, &self.api_key_file, lacks);
    }
}

impl AlipaySettings {
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
