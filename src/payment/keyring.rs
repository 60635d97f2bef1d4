//! Public keys by the serial number under which their owner signs.

use std::collections::BTreeMap;

use super::crypto::{Certificate, CryptoError, PublicKey};

/// Begins the "serial number" of a WeChat Pay public key, which is no certificate's.
const PUBLIC_KEY_ID_PREFIX: &str = "PUB_KEY_ID_";

/// The keys whose signatures are believed: platform keys at the shop, merchants' keys at the sandbox. Certificates and
/// a public key may stand side by side, as they do while a merchant changes over.
#[derive(Clone, Debug, Default)]
pub struct PlatformKeys {
    keys: BTreeMap<String, RingKey>,
}

#[derive(Clone, Debug)]
struct RingKey {
    key: PublicKey,
    valid_until_ms: i64,
}

impl PlatformKeys {
    /// No key: nothing is believed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key without an end under its id (`PUB_KEY_ID_…`).
    pub fn add_key(&mut self, id: &str, key: PublicKey) {
        self.keys.insert(name(id), RingKey { key, valid_until_ms: i64::MAX });
    }

    /// Adds the key of a certificate under its serial number.
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`] if the certificate holds no usable RSA key.
    pub fn add_certificate(&mut self, certificate: &Certificate) -> Result<(), CryptoError> {
        let key = certificate.public_key()?;
        self.keys.insert(name(&certificate.serial), RingKey { key, valid_until_ms: certificate.valid_until_ms });
        Ok(())
    }

    /// The key with this serial number if it is still valid at `now_ms`. Letter case and leading zeros of a
    /// certificate's number do not matter: the SDKs do not agree on them.
    #[must_use]
    pub fn find(&self, serial: &str, now_ms: i64) -> Option<&PublicKey> {
        self.keys.get(&name(serial)).filter(|ring| now_ms <= ring.valid_until_ms).map(|ring| &ring.key)
    }

    /// The id of the public key, if the ring holds one: what `Wechatpay-Serial` of a request names.
    #[must_use]
    pub fn public_key_id(&self) -> Option<&str> {
        self.keys.keys().map(String::as_str).find(|id| id.starts_with(PUBLIC_KEY_ID_PREFIX))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True without any key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

fn name(serial: &str) -> String {
    if serial.starts_with(PUBLIC_KEY_ID_PREFIX) {
        return serial.to_owned();
    }
    serial.trim_start_matches('0').to_ascii_uppercase()
}
