//! Builds the gateways that the settings switch on: reads key files, checks that keys fit together, and tells
//! everything that is wrong at once, with the key of the setting and the file.
//!
//! Reads files with blocking calls: for the start of the process, not for an arbiter.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use reqwest::Identity;
use sha2::{Digest as _, Sha256};

use super::crypto::{ApiV3Key, Certificate, CryptoError, PrivateKey, PublicKey, alipay_root_cert_sn};
use super::gateway::{PaymentGateway, Wire};
use super::keyring::PlatformKeys;
use super::simulated::Simulated;
use super::wechat_v2::signing::{ApiV2Key, SignType};
use super::wechat_v3::signing::Signer;
use super::{alipay, wechat_v2, wechat_v3};
use crate::clock::Clock;
use crate::config::{
    AlipaySettings, PaymentSettings, Secret, Settings, V2SignType, WechatV2Settings, WechatV3Settings,
};
use crate::domain::order::PayChannel;

/// Key files are short; a longer file is another file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The gateways of this shop; clones are the same, also after one was put in another's place.
#[derive(Clone, Debug, Default)]
pub struct Gateways {
    by_wire: Arc<RwLock<BTreeMap<Wire, Built>>>,
    notify_base_url: String,
}

/// A gateway and what it was built from.
#[derive(Clone, Debug)]
struct Built {
    gateway: Arc<dyn PaymentGateway>,
    /// Over its settings and all files that they name.
    made_of: [u8; 32],
}

/// One thing that keeps a gateway from being built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupProblem {
    /// The setting, e.g. `payment.alipay.public_key_file`.
    pub key: &'static str,
    /// What is wrong; never what the file holds.
    pub why: String,
}

/// Everything that keeps the gateways from being built, one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct SetupProblems(pub Vec<SetupProblem>);

impl fmt::Display for SetupProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.why)
    }
}

impl Gateways {
    /// Builds what the settings switch on.
    ///
    /// # Errors
    /// [`SetupProblems`] with every problem.
    pub fn open(settings: &Settings, clock: &Clock) -> Result<Self, SetupProblems> {
        let payment = &settings.payment;
        let mut builder = Builder { payment, clock, problems: Vec::new(), made_of: Sha256::new() };
        let mut by_wire = BTreeMap::new();
        let mut add =
            |wire, gateway: Arc<dyn PaymentGateway>, made_of| by_wire.insert(wire, Built { gateway, made_of });
        if settings.simulated_payment() {
            add(Wire::Simulated, Arc::new(Simulated::new(clock.clone())), [0; 32]);
        }
        if payment.wechat_v3.enabled
            && let Some(gateway) = builder.wechat_v3(&payment.wechat_v3)
        {
            add(Wire::WechatV3, Arc::new(gateway), builder.made_of(&payment.wechat_v3));
        }
        if payment.wechat_v2.enabled
            && let Some(gateway) = builder.wechat_v2(&payment.wechat_v2)
        {
            add(Wire::WechatV2, Arc::new(gateway), builder.made_of(&payment.wechat_v2));
        }
        if payment.alipay.enabled
            && let Some(gateway) = builder.alipay(&payment.alipay)
        {
            add(Wire::Alipay, Arc::new(gateway), builder.made_of(&payment.alipay));
        }
        if builder.problems.is_empty() {
            let notify_base_url = payment.notify_base_url.trim_end_matches('/').to_owned();
            Ok(Self { by_wire: Arc::new(RwLock::new(by_wire)), notify_base_url })
        } else {
            Err(SetupProblems(builder.problems))
        }
    }

    /// Puts those of `anew` in place that were built from other settings or files, and answers which. Whoever is in a call
    /// ends it with the gateway that it began with; a gateway that did not change keeps its guard and its certificates.
    pub fn renew(&self, anew: &Self) -> Vec<Wire> {
        let anew = anew.table();
        let mut here = self.by_wire.write().unwrap_or_else(PoisonError::into_inner);
        let mut renewed = Vec::new();
        for (wire, built) in here.iter_mut() {
            if let Some(other) = anew.get(wire)
                && other.made_of != built.made_of
            {
                *built = other.clone();
                renewed.push(*wire);
            }
        }
        renewed
    }

    fn table(&self) -> BTreeMap<Wire, Built> {
        self.by_wire.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The gateway on this wire, if it is switched on.
    #[must_use]
    pub fn on(&self, wire: Wire) -> Option<Arc<dyn PaymentGateway>> {
        let by_wire = self.by_wire.read().unwrap_or_else(PoisonError::into_inner);
        by_wire.get(&wire).map(|built| Arc::clone(&built.gateway))
    }

    /// The gateway that a channel goes to. WeChat knows a number whichever of its two wires brought it, so the newer one
    /// serves all if both are on.
    #[must_use]
    pub fn of(&self, channel: PayChannel) -> Option<Arc<dyn PaymentGateway>> {
        let wires: &[Wire] = match channel {
            PayChannel::Wechat => &[Wire::WechatV3, Wire::WechatV2],
            PayChannel::Alipay => &[Wire::Alipay],
            PayChannel::Card | PayChannel::Simulated => &[], // captured in the order's own commit
        };
        wires.iter().find_map(|wire| self.on(*wire))
    }

    /// The wires whose gateways are left alone at the moment.
    pub fn tripped(&self) -> impl Iterator<Item = Wire> + use<> {
        self.table().into_iter().filter(|(_, built)| built.gateway.is_tripped()).map(|(wire, _)| wire)
    }

    /// The wires that are switched on.
    pub fn wires(&self) -> impl Iterator<Item = Wire> + use<> {
        self.table().into_keys()
    }

    /// Where a gateway tells of payments and refunds; a name that nobody calls for the one that tells nothing.
    #[must_use]
    pub fn notify_url(&self, wire: Wire) -> String {
        let path = match wire {
            Wire::WechatV3 => "/api/pay/wechat/v3/notify",
            Wire::WechatV2 => "/api/pay/wechat/notify",
            Wire::Alipay => "/api/pay/alipay/notify",
            Wire::Simulated => return "https://simulated.invalid/notify".to_owned(),
        };
        format!("{}{path}", self.notify_base_url)
    }
}

struct Builder<'a> {
    payment: &'a PaymentSettings,
    clock: &'a Clock,
    problems: Vec<SetupProblem>,
    /// Over the files of the gateway that is being built.
    made_of: Sha256,
}

impl Builder<'_> {
    /// What the gateway that was just built was built from; the next one begins anew.
    fn made_of(&mut self, settings: &impl serde::Serialize) -> [u8; 32] {
        let mut hash = std::mem::take(&mut self.made_of);
        hash.update(serde_json::to_vec(settings).unwrap_or_default());
        hash.finalize().into()
    }

    fn wechat_v3(&mut self, settings: &WechatV3Settings) -> Option<wechat_v3::WechatV3> {
        let key = self.secret("payment.wechat_v3.private_key_file", &settings.private_key, &settings.private_key_file);
        let key = self.read("payment.wechat_v3.private_key_file", key, PrivateKey::from_pem);
        let api_key = self.secret("payment.wechat_v3.api_v3_key_file", &settings.api_v3_key, &settings.api_v3_key_file);
        let api_key = self.read("payment.wechat_v3.api_v3_key_file", api_key, ApiV3Key::from_text);
        let mut public_keys = PlatformKeys::new();
        if !settings.public_key_file.is_empty() {
            let text = self.file("payment.wechat_v3.public_key_file", &settings.public_key_file);
            let public_key = self.read("payment.wechat_v3.public_key_file", text, PublicKey::from_pem)?;
            public_keys.add_key(&settings.public_key_id, public_key);
        }
        let merchant = wechat_v3::Merchant {
            mchid: settings.mchid.clone(),
            appid: settings.appid.clone(),
            signer: Signer { serial: settings.serial.clone(), key: key? },
            api_v3_key: api_key?,
            public_keys,
            fetches_certificates: settings.fetch_certificates,
        };
        let built = wechat_v3::WechatV3::new(&settings.base_url, self.payment, merchant, self.clock.clone())
            .and_then(|built| built.with_backup(settings.backup_url()));
        self.built("payment.wechat_v3", built)
    }

    fn wechat_v2(&mut self, settings: &WechatV2Settings) -> Option<wechat_v2::WechatV2> {
        let key = self.secret("payment.wechat_v2.api_key_file", &settings.api_key, &settings.api_key_file);
        let key = self.read("payment.wechat_v2.api_key_file", key, ApiV2Key::from_text);
        let identity = if settings.identity_file.is_empty() {
            tracing::warn!("payment.wechat_v2.identity_file is not set: refunds will be refused");
            None
        } else {
            let text = self.file("payment.wechat_v2.identity_file", &settings.identity_file);
            let read = |text: &str| Identity::from_pem(text.as_bytes()).map_err(|_| CryptoError::Certificate);
            Some(self.read("payment.wechat_v2.identity_file", text, read)?)
        };
        let sign_type = match settings.sign_type {
            V2SignType::Md5 => SignType::Md5,
            V2SignType::HmacSha256 => SignType::HmacSha256,
        };
        let (mchid, appid) = (settings.mchid.clone(), settings.appid.clone());
        let merchant = wechat_v2::Merchant { mchid, appid, key: key?, sign_type, identity };
        let built = wechat_v2::WechatV2::new(&settings.base_url, self.payment, merchant, self.clock.clone())
            .and_then(|built| built.with_backup(settings.backup_url()));
        self.built("payment.wechat_v2", built)
    }

    fn alipay(&mut self, settings: &AlipaySettings) -> Option<alipay::Alipay> {
        let key = self.secret("payment.alipay.private_key_file", &settings.private_key, &settings.private_key_file);
        let key = self.read("payment.alipay.private_key_file", key, PrivateKey::from_pem);
        let (alipay_key, certificates) = if settings.has_certificates() {
            let (key, numbers) = self.alipay_certificates(settings)?;
            (Some(key), Some(numbers))
        } else {
            let text = self.file("payment.alipay.public_key_file", &settings.public_key_file);
            (self.read("payment.alipay.public_key_file", text, PublicKey::from_pem), None)
        };
        let merchant = alipay::Merchant {
            app_id: settings.app_id.clone(),
            seller_id: settings.seller_id.clone(),
            key: key?,
            alipay_key: alipay_key?,
            certificates,
        };
        let built = alipay::Alipay::new(&settings.gateway_url, self.payment, merchant, self.clock.clone());
        self.built("payment.alipay", built)
    }

    fn alipay_certificates(&mut self, settings: &AlipaySettings) -> Option<(PublicKey, alipay::CertificateNumbers)> {
        let text = self.file("payment.alipay.app_certificate_file", &settings.app_certificate_file);
        let app = self.read("payment.alipay.app_certificate_file", text, Certificate::from_pem);
        let text = self.file("payment.alipay.root_certificates_file", &settings.root_certificates_file);
        let roots = self.read("payment.alipay.root_certificates_file", text, alipay_root_cert_sn);
        let text = self.file("payment.alipay.alipay_certificate_file", &settings.alipay_certificate_file);
        let with_key =
            |text: &str| Certificate::from_pem(text).and_then(|read| Ok((read.public_key()?, read.alipay_sn)));
        let (key, alipay) = self.read("payment.alipay.alipay_certificate_file", text, with_key)?;
        Some((key, alipay::CertificateNumbers { app: app?.alipay_sn, roots: roots?, alipay }))
    }

    /// The secret itself, or what its file holds.
    fn secret(&mut self, key: &'static str, value: &Secret, path: &str) -> Option<String> {
        if value.0.is_empty() { self.file(key, path) } else { Some(value.0.clone()) }
    }

    fn file(&mut self, key: &'static str, path: &str) -> Option<String> {
        let told = |why: std::io::Error| format!("{path} cannot be read: {why}");
        let length = std::fs::metadata(path).map(|found| found.len()).unwrap_or_default();
        let text = if length > FILE_BYTES_MAX {
            Err(format!("{path} is too long for a key"))
        } else {
            std::fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(told)
        };
        let text = text.map_err(|why| self.problems.push(SetupProblem { key, why })).ok()?;
        self.made_of.update(Sha256::digest(&text));
        Some(text)
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        text: Option<String>,
        read: impl FnOnce(&str) -> Result<T, CryptoError>,
    ) -> Option<T> {
        let result = read(&text?);
        result.map_err(|error| self.problems.push(SetupProblem { key, why: error.to_string() })).ok()
    }

    fn built<T>(&mut self, key: &'static str, built: Result<T, super::PaymentError>) -> Option<T> {
        built.map_err(|error| self.problems.push(SetupProblem { key, why: error.to_string() })).ok()
    }
}

#[cfg(test)]
mod tests;
