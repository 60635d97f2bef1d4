//! Keys and names that the tests of the wires share. The keys were made for these tests and open nothing else.

use super::crypto::{PrivateKey, PublicKey};
use super::keyring::PlatformKeys;

pub(crate) const MERCHANT_KEY: &str = include_str!("../../tests/data/payment/merchant_key.pem");
pub(crate) const MERCHANT_KEY_PKCS1: &str = include_str!("../../tests/data/payment/merchant_pkcs1.pem");
pub(crate) const MERCHANT_PUBLIC: &str = include_str!("../../tests/data/payment/merchant_public.pem");
pub(crate) const ROOT_CERT: &str = include_str!("../../tests/data/payment/root_cert.pem");
pub(crate) const ROOT_BUNDLE: &str = include_str!("../../tests/data/payment/root_bundle.pem");
pub(crate) const PLATFORM_KEY: &str = include_str!("../../tests/data/payment/platform_key.pem");
pub(crate) const PLATFORM_CERT: &str = include_str!("../../tests/data/payment/platform_cert.pem");
pub(crate) const PLATFORM_SERIAL: &str = "7132D72A03E93CDDF8C03BBD1F37EEDF0C6A1B2C";
pub(crate) const MERCHANT_SERIAL: &str = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1";
pub(crate) const PUBLIC_KEY_ID: &str = "PUB_KEY_ID_0116400000012026112100000000000001";
pub(crate) const API_V3_KEY: &str = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb";
pub(crate) const API_V2_KEY: &str = "192006250b4c09247ec02edce69f6a2d";
/// 2026-11-22T01:46:40Z, within the validity of the certificates.
pub(crate) const NOW_MS: i64 = 1_795_312_000_000;

pub(crate) fn merchant_key() -> PrivateKey {
    PrivateKey::from_pem(MERCHANT_KEY).unwrap()
}

pub(crate) fn merchant_public() -> PublicKey {
    PublicKey::from_pem(MERCHANT_PUBLIC).unwrap()
}

pub(crate) fn platform_key() -> PrivateKey {
    PrivateKey::from_pem(PLATFORM_KEY).unwrap()
}

pub(crate) fn platform_public() -> PublicKey {
    PublicKey::from_pem(PLATFORM_CERT).unwrap()
}

/// A ring with one key.
pub(crate) fn ring(id: &str, key: PublicKey) -> PlatformKeys {
    let mut keys = PlatformKeys::new();
    keys.add_key(id, key);
    keys
}
