//! Keys and names that the tests of the wires share. The keys were made for these tests and open nothing else.

use super::crypto::{PrivateKey, PublicKey};
use super::error::PaymentError;
use super::gateway::{NewCharge, RefundOrder, TradeType};
use super::keyring::PlatformKeys;
use crate::config::PaymentSettings;
use crate::domain::Money;

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
pub(crate) const PAYMENT_NO: &str = "01KAJ2Z5E8Q4T6W9Y1B3D5F7H0_1";
pub(crate) const REFUND_NO: &str = "01KAJ2Z5E8Q4T6W9Y1B3D5F7H0_r1";
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

/// A charge of 88.80 yuan that is paid by QR code.
pub(crate) fn charge() -> NewCharge {
    NewCharge {
        payment_no: PAYMENT_NO.parse().unwrap(),
        amount: Money::from_fen(8_880),
        description: "限量手机壳".to_owned(),
        expires_ms: NOW_MS,
        notify_url: "https://shop.example.cn/api/pay/notify".to_owned(),
        trade_type: TradeType::QrCode,
        buyer_ip: Some([203, 0, 113, 7].into()),
    }
}

/// A refund of 10.00 yuan of it.
pub(crate) fn refund() -> RefundOrder {
    RefundOrder {
        payment_no: PAYMENT_NO.parse().unwrap(),
        refund_no: REFUND_NO.parse().unwrap(),
        amount: Money::from_fen(1_000),
        total: Money::from_fen(8_880),
        reason: "不想要了".to_owned(),
        notify_url: "https://shop.example.cn/api/pay/notify".to_owned(),
    }
}

/// Trips after three failures.
pub(crate) fn settings() -> PaymentSettings {
    PaymentSettings { breaker_failures_max: 3, ..PaymentSettings::default() }
}

/// The same with a short wait, for a gateway that hangs.
pub(crate) fn impatient() -> PaymentSettings {
    PaymentSettings { request_timeout_ms: 300, ..settings() }
}

/// Sorts what a call came to: `ok`, `unknown` or the action in words.
pub(crate) fn outcome<T>(result: &Result<T, PaymentError>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) if error.is_outcome_unknown() => "unknown".to_owned(),
        Err(error) => format!("{:?}", error.action()),
    }
}
