//! RSA keys and their PKCS#1 v1.5 signatures over SHA-256, the one scheme of WeChat Pay v3 and Alipay.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use x509_parser::prelude::FromDer as _;

use super::{Certificate, CryptoError};

/// The least modulus either side accepts, in bytes.
const MODULUS_BYTES_MIN: usize = 256;
const PEM_LINE: usize = 64;

/// A private RSA key of at least 2048 bits.
pub struct PrivateKey {
    pair: RsaKeyPair,
}

/// A public RSA key of 2048 to 8192 bits.
#[derive(Clone)]
pub struct PublicKey {
    parsed: ParsedPublicKey,
    der: Vec<u8>,
}

impl PrivateKey {
    /// Reads PEM (PKCS#8 or PKCS#1), or the same base64 without its frame, as Alipay's key tool writes it.
    ///
    /// # Errors
    /// [`CryptoError::PrivateKey`].
    pub fn from_pem(text: &str) -> Result<Self, CryptoError> {
        let pair = match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
            Ok(PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
            Ok(PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
            _ => bare(text).and_then(|der| RsaKeyPair::from_pkcs8(&der).or_else(|_| RsaKeyPair::from_der(&der)).ok()),
        };
        pair.filter(|pair| pair.public_modulus_len() >= MODULUS_BYTES_MIN)
            .map(|pair| Self { pair })
            .ok_or(CryptoError::PrivateKey)
    }

    /// A new key of 2048 bits. Takes some tenths of a second: not on an arbiter.
    ///
    /// # Errors
    /// [`CryptoError::Seal`] if the system has no randomness.
    pub fn generate() -> Result<Self, CryptoError> {
        RsaKeyPair::generate(KeySize::Rsa2048).map(|pair| Self { pair }).map_err(|_| CryptoError::Seal)
    }

    /// The key as PKCS#8 PEM, for a file that only its owner may read.
    ///
    /// # Errors
    /// [`CryptoError::Seal`] if the key cannot be written.
    pub fn to_pkcs8_pem(&self) -> Result<String, CryptoError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| CryptoError::Seal)?;
        Ok(pem("PRIVATE KEY", der.as_ref()))
    }

    /// Its public half.
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`] if the library cannot write it.
    pub fn public_key(&self) -> Result<PublicKey, CryptoError> {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().map_err(|_| CryptoError::PublicKey)?;
        PublicKey::from_der(der.as_ref())
    }

    /// The signature of `text` in base64.
    ///
    /// # Errors
    /// [`CryptoError::Seal`].
    pub fn sign(&self, text: &[u8]) -> Result<String, CryptoError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).map_err(|_| CryptoError::Seal)?;
        Ok(BASE64.encode(signature))
    }
}

impl PublicKey {
    /// Reads PEM (`PUBLIC KEY`, `RSA PUBLIC KEY` or a certificate), or the bare base64 of one.
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`].
    pub fn from_pem(text: &str) -> Result<Self, CryptoError> {
        if let Ok(der) = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()) {
            return Self::from_der(der.as_ref());
        }
        if text.contains("-----BEGIN CERTIFICATE-----") {
            return Certificate::from_pem(text).map_err(|_| CryptoError::PublicKey)?.public_key();
        }
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        Self::from_der(&bare(&body).ok_or(CryptoError::PublicKey)?)
    }

    /// Reads a SubjectPublicKeyInfo or a PKCS#1 public key.
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`].
    pub fn from_der(der: &[u8]) -> Result<Self, CryptoError> {
        let parsed = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).map_err(|_| CryptoError::PublicKey)?;
        Ok(Self { parsed, der: der.to_vec() })
    }

    /// The key as PEM; a key that was read as PKCS#1 is written as such.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let is_spki = x509_parser::x509::SubjectPublicKeyInfo::from_der(&self.der).is_ok();
        pem(if is_spki { "PUBLIC KEY" } else { "RSA PUBLIC KEY" }, &self.der)
    }

    /// True if `signature` (base64) was made over `text` with the private half. Anything that is not base64 of the
    /// right length is simply not a signature.
    #[must_use]
    pub fn verifies(&self, text: &[u8], signature: &str) -> bool {
        BASE64.decode(signature).is_ok_and(|signature| self.parsed.verify_sig(text, &signature).is_ok())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(***)")
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} bytes)", self.der.len())
    }
}

/// Base64 over several lines, without a frame.
fn bare(text: &str) -> Option<Vec<u8>> {
    let joined: String = text.split_whitespace().collect();
    BASE64.decode(joined).ok()
}

fn pem(label: &str, der: &[u8]) -> String {
    let encoded = BASE64.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
