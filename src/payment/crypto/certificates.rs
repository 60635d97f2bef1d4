//! X.509 as the providers use it: a serial number that names the key, a time of validity, and Alipay's own way to
//! number certificates. No chain is checked here: a certificate is trusted because of where it came from.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::{CryptoError, PublicKey, md5_hex_lower};

/// The arc of RSA signature algorithms (PKCS#1): Alipay numbers only those roots of a bundle.
const RSA_ARC: &str = "1.2.840.113549.1.1.";

/// What is used of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Upper-case hexadecimal, as in `Wechatpay-Serial`.
    pub serial: String,
    /// `app_cert_sn` and `alipay_cert_sn`: MD5 of the issuer's name and the serial number in decimal.
    pub alipay_sn: String,
    /// First moment of validity, unix ms.
    pub valid_from_ms: i64,
    /// Last moment of validity, unix ms.
    pub valid_until_ms: i64,
    spki: Vec<u8>,
    signature_oid: String,
}

impl Certificate {
    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// [`CryptoError::Certificate`].
    pub fn from_pem(text: &str) -> Result<Self, CryptoError> {
        let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| CryptoError::Certificate)?;
        Self::from_der(&der)
    }

    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`CryptoError::Certificate`].
    pub fn from_der(der: &[u8]) -> Result<Self, CryptoError> {
        let (_, parsed) = X509Certificate::from_der(der).map_err(|_| CryptoError::Certificate)?;
        let ms = |seconds: i64| seconds.saturating_mul(1_000);
        Ok(Self {
            serial: format!("{:X}", parsed.serial),
            alipay_sn: md5_hex_lower(format!("{}{}", issuer_name(&parsed), parsed.serial).as_bytes()),
            valid_from_ms: ms(parsed.validity().not_before.timestamp()),
            valid_until_ms: ms(parsed.validity().not_after.timestamp()),
            spki: parsed.public_key().raw.to_vec(),
            signature_oid: parsed.signature_algorithm.algorithm.to_id_string(),
        })
    }

    /// Its public key.
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`] if it is not RSA of 2048 bits or more.
    pub fn public_key(&self) -> Result<PublicKey, CryptoError> {
        PublicKey::from_der(&self.spki)
    }
}

/// `alipay_root_cert_sn` of a bundle in PEM: the numbers of its RSA roots, joined by `_`.
///
/// # Errors
/// [`CryptoError::Certificate`] if a certificate cannot be read or none is signed with RSA.
pub fn alipay_root_cert_sn(bundle: &str) -> Result<String, CryptoError> {
    let mut numbers = Vec::new();
    for der in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        let certificate = Certificate::from_der(&der.map_err(|_| CryptoError::Certificate)?)?;
        if certificate.signature_oid.starts_with(RSA_ARC) {
            numbers.push(certificate.alipay_sn);
        }
    }
    if numbers.is_empty() { Err(CryptoError::Certificate) } else { Ok(numbers.join("_")) }
}

/// The issuer as `CN=…,OU=…,O=…,C=…`: most specific part first, as RFC 2253 writes it.
fn issuer_name(certificate: &X509Certificate<'_>) -> String {
    let mut parts: Vec<String> = certificate
        .issuer()
        .iter_attributes()
        .map(|attribute| {
            let registry = x509_parser::objects::oid_registry();
            let name = x509_parser::objects::oid2abbrev(attribute.attr_type(), registry)
                .map_or_else(|_| attribute.attr_type().to_id_string(), str::to_owned);
            format!("{name}={}", attribute.as_str().unwrap_or_default())
        })
        .collect();
    parts.reverse();
    parts.join(",")
}
