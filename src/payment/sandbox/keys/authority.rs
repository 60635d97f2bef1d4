//! A certificate authority of the sandbox's own: it signs the certificates of merchant and platform, as the providers'
//! authorities do. Nothing else trusts it.

use chrono::Datelike as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, SerialNumber, date_time_ymd,
};

use super::files::KeyError;
use crate::payment::crypto::PrivateKey;
use crate::random;

const ORGANISATION: &str = "RushMall Sandbox";
/// Some SDKs name an issuer by CN, OU, O and C, as Alipay's own have them: none may be missing.
const UNIT: &str = "Certification Authority";
const VALID_YEARS: i32 = 5;
const SERIAL_BYTES: usize = 20;

/// Signs certificates with its own key.
pub(super) struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    /// An authority with this key, valid around `now_ms`.
    pub(super) fn new(key_pem: &str, now_ms: i64) -> Result<Self, KeyError> {
        let mut params = params("RushMall Sandbox Root", now_ms)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { params, key: key_pair(key_pem)? })
    }

    /// Its own certificate in PEM.
    pub(super) fn certificate(&self) -> Result<String, KeyError> {
        Ok(self.params.self_signed(&self.key)?.pem())
    }

    /// A certificate in PEM for the owner of `key`.
    pub(super) fn certify(&self, name: &str, key: &PrivateKey, now_ms: i64) -> Result<String, KeyError> {
        let subject = key_pair(&key.to_pkcs8_pem()?)?;
        let issuer = Issuer::from_params(&self.params, &self.key);
        Ok(params(name, now_ms)?.signed_by(&subject, &issuer)?.pem())
    }
}

fn key_pair(pem: &str) -> Result<KeyPair, KeyError> {
    Ok(KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_RSA_SHA256)?)
}

/// Valid from yesterday (clocks differ) for five years, with a random serial number of 40 hexadecimal digits.
fn params(name: &str, now_ms: i64) -> Result<CertificateParams, KeyError> {
    let mut params = CertificateParams::new(Vec::new())?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CountryName, "CN");
    subject.push(DnType::OrganizationName, ORGANISATION);
    subject.push(DnType::OrganizationalUnitName, UNIT);
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    let mut serial = random::bytes::<SERIAL_BYTES>();
    serial[0] = 0x40 | (serial[0] & 0x3F); // positive, and no leading zero
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let yesterday = chrono::DateTime::from_timestamp_millis(now_ms).unwrap_or_default() - chrono::Duration::days(1);
    let on = |year: i32| {
        let month = u8::try_from(yesterday.month()).unwrap_or(1);
        let day = u8::try_from(yesterday.day().min(28)).unwrap_or(1); // every year has it
        date_time_ymd(year, month, day)
    };
    params.not_before = on(yesterday.year());
    params.not_after = on(yesterday.year() + VALID_YEARS);
    Ok(params)
}
