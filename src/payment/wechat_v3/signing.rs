//! Signatures of WeChat Pay v3 in both directions: requests of merchants; answers and notifications of the platform.
//!
//! A request signs `METHOD\npath?query\ntimestamp\nnonce\nbody\n` and carries it in `Authorization`; the platform signs
//! `timestamp\nnonce\nbody\n` and carries it in `Wechatpay-*` headers. Checks go from cheap to dear: form, probe,
//! freshness, key, signature.

use crate::payment::crypto::{CryptoError, PrivateKey};
use crate::payment::keyring::PlatformKeys;
use crate::random;

/// The scheme of `Authorization` and the value of `Wechatpay-Signature-Type`.
pub const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";
/// Header: unix seconds of the answer or notification.
pub const TIMESTAMP: &str = "Wechatpay-Timestamp";
/// Header: its nonce.
pub const NONCE: &str = "Wechatpay-Nonce";
/// Header: the serial number of the key that signed. In a request: the public key the merchant expects.
pub const SERIAL: &str = "Wechatpay-Serial";
/// Header: the signature in base64.
pub const SIGNATURE: &str = "Wechatpay-Signature";
/// Header: always [`SCHEME`]; some SDKs refuse an answer without it.
pub const SIGNATURE_TYPE: &str = "Wechatpay-Signature-Type";
/// How old or how far ahead a signed message may be.
pub const FRESH_FOR_S: i64 = 300;
/// Begins the deliberately wrong signatures by which the platform tests whether merchants verify.
pub const PROBE_PREFIX: &str = "WECHATPAY/SIGNTEST/";

/// Fields longer than this are no part of a real message.
const FIELD_BYTES_MAX: usize = 1_024;
const NONCE_LETTERS: usize = 32;

/// Why a signed message is not believed. Nothing of it may be acted on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header or field is missing or is not what it should be.
    #[error("{0} is missing or malformed")]
    Malformed(&'static str),
    /// Another signature type than [`SCHEME`].
    #[error("unsupported signature type")]
    Scheme,
    /// More than [`FRESH_FOR_S`] from our clock.
    #[error("the message is {0} s from our clock")]
    Stale(i64),
    /// No valid key with this number is known.
    #[error("unknown serial number {0}")]
    UnknownSerial(String),
    /// A probe of the platform: to be refused like any wrong signature.
    #[error("a signature probe")]
    Probe,
    /// The signature does not belong to the message.
    #[error("the signature is wrong")]
    Wrong,
}

/// The signed parts of a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// As it is sent, percent-encoded.
    pub path_and_query: &'a str,
    /// Empty for GET; the `meta` JSON for uploads.
    pub body: &'a str,
}

/// The fields of the `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Who asks.
    pub mchid: String,
    /// 32 letters and digits, new for each request.
    pub nonce: String,
    /// Unix seconds, as written.
    pub timestamp: String,
    /// The serial number of the merchant's certificate.
    pub serial: String,
    /// Base64.
    pub signature: String,
}

/// The signature of an answer or notification, as the values of the `Wechatpay-*` headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Unix seconds, as written.
    pub timestamp: String,
    /// Nonce.
    pub nonce: String,
    /// The serial number or id of the platform's key.
    pub serial: String,
    /// Base64.
    pub signature: String,
}

/// Who signs, and under which serial number.
#[derive(Debug)]
pub struct Signer {
    /// The serial number of the certificate, or the id of the public key.
    pub serial: String,
    /// The private half.
    pub key: PrivateKey,
}

/// 32 random letters and digits.
#[must_use]
pub fn nonce() -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let random = random::bytes::<NONCE_LETTERS>();
    random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

impl Signer {
    /// Signs a request of `mchid` at `now_ms`.
    ///
    /// # Errors
    /// [`CryptoError::Seal`].
    pub fn sign_request(&self, mchid: &str, request: Request<'_>, now_ms: i64) -> Result<Authorization, CryptoError> {
        let (timestamp, nonce) = (seconds(now_ms), nonce());
        let signature = self.key.sign(request_text(request, &timestamp, &nonce).as_bytes())?;
        Ok(Authorization { mchid: mchid.to_owned(), nonce, timestamp, serial: self.serial.clone(), signature })
    }

    /// Signs the body of an answer or notification at `now_ms`.
    ///
    /// # Errors
    /// [`CryptoError::Seal`].
    pub fn sign_body(&self, body: &[u8], now_ms: i64) -> Result<Signature, CryptoError> {
        let (timestamp, nonce) = (seconds(now_ms), nonce());
        let signature = self.key.sign(&body_text(body, &timestamp, &nonce))?;
        Ok(Signature { timestamp, nonce, serial: self.serial.clone(), signature })
    }
}

impl Authorization {
    /// The header's value.
    #[must_use]
    pub fn to_header(&self) -> String {
        let Self { mchid, nonce, timestamp, serial, signature } = self;
        format!(
            "{SCHEME} mchid=\"{mchid}\",nonce_str=\"{nonce}\",timestamp=\"{timestamp}\",serial_no=\"{serial}\",\
             signature=\"{signature}\""
        )
    }

    /// Reads the header's value, its fields in any order: the SDKs differ in it.
    ///
    /// # Errors
    /// [`SignatureError::Scheme`], [`SignatureError::Malformed`] with the field that is missing, twice there or
    /// unreadable.
    pub fn parse(header: &str) -> Result<Self, SignatureError> {
        let fields = header.strip_prefix(SCHEME).ok_or(SignatureError::Scheme)?;
        let mut found: [Option<String>; FIELDS.len()] = Default::default();
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=').ok_or(SignatureError::Malformed("Authorization"))?;
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let at = FIELDS.iter().position(|known| *known == name);
            let (Some(at), Some(value)) = (at, value) else { return Err(SignatureError::Malformed("Authorization")) };
            if value.is_empty() || value.len() > FIELD_BYTES_MAX || value.contains('"') || found[at].is_some() {
                return Err(SignatureError::Malformed(FIELDS[at]));
            }
            found[at] = Some(value.to_owned());
        }
        let mut take = |at: usize| found[at].take().ok_or(SignatureError::Malformed(FIELDS[at]));
        let (mchid, nonce, timestamp) = (take(0)?, take(1)?, take(2)?);
        Ok(Self { mchid, nonce, timestamp, serial: take(3)?, signature: take(4)? })
    }

    /// Checks that the owner of one of `keys` signed this request, no more than [`FRESH_FOR_S`] from `now_ms`.
    ///
    /// # Errors
    /// [`SignatureError`], the first check that fails.
    pub fn verify(&self, request: Request<'_>, keys: &PlatformKeys, now_ms: i64) -> Result<(), SignatureError> {
        check_fresh(&self.timestamp, now_ms)?;
        let unknown = || SignatureError::UnknownSerial(self.serial.clone());
        let key = keys.find(&self.serial, now_ms).ok_or_else(unknown)?;
        let text = request_text(request, &self.timestamp, &self.nonce);
        if key.verifies(text.as_bytes(), &self.signature) { Ok(()) } else { Err(SignatureError::Wrong) }
    }
}

const FIELDS: [&str; 5] = ["mchid", "nonce_str", "timestamp", "serial_no", "signature"];

impl Signature {
    /// Reads the headers of an answer or notification through `header`, which looks one up by name. An absent
    /// signature type means [`SCHEME`].
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] with the header that is missing, [`SignatureError::Scheme`].
    pub fn from_headers<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Result<Self, SignatureError> {
        let of = |name: &'static str| {
            let value = header(name).filter(|value| !value.is_empty() && value.len() <= FIELD_BYTES_MAX);
            value.map(str::to_owned).ok_or(SignatureError::Malformed(name))
        };
        if header(SIGNATURE_TYPE).is_some_and(|scheme| scheme != SCHEME) {
            return Err(SignatureError::Scheme);
        }
        Ok(Self { timestamp: of(TIMESTAMP)?, nonce: of(NONCE)?, serial: of(SERIAL)?, signature: of(SIGNATURE)? })
    }

    /// The headers to send, signature type included.
    #[must_use]
    pub fn to_headers(&self) -> [(&'static str, &str); 5] {
        [
            (TIMESTAMP, &self.timestamp),
            (NONCE, &self.nonce),
            (SERIAL, &self.serial),
            (SIGNATURE, &self.signature),
            (SIGNATURE_TYPE, SCHEME),
        ]
    }

    /// Checks that the owner of one of `keys` signed this body, no more than [`FRESH_FOR_S`] from `now_ms`.
    ///
    /// # Errors
    /// [`SignatureError`], the first check that fails. [`SignatureError::UnknownSerial`] is the one that fresh
    /// certificates may cure.
    pub fn verify(&self, body: &[u8], keys: &PlatformKeys, now_ms: i64) -> Result<(), SignatureError> {
        if self.signature.starts_with(PROBE_PREFIX) {
            return Err(SignatureError::Probe);
        }
        check_fresh(&self.timestamp, now_ms)?;
        let unknown = || SignatureError::UnknownSerial(self.serial.clone());
        let key = keys.find(&self.serial, now_ms).ok_or_else(unknown)?;
        let text = body_text(body, &self.timestamp, &self.nonce);
        if key.verifies(&text, &self.signature) { Ok(()) } else { Err(SignatureError::Wrong) }
    }
}

fn seconds(now_ms: i64) -> String {
    now_ms.div_euclid(1_000).to_string()
}

fn check_fresh(timestamp: &str, now_ms: i64) -> Result<(), SignatureError> {
    let plain = timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let at: i64 = timestamp.parse().ok().filter(|_| plain).ok_or(SignatureError::Malformed("timestamp"))?;
    let age_s = now_ms.div_euclid(1_000).saturating_sub(at);
    if age_s.abs() > FRESH_FOR_S { Err(SignatureError::Stale(age_s)) } else { Ok(()) }
}

fn request_text(request: Request<'_>, timestamp: &str, nonce: &str) -> String {
    let Request { method, path_and_query, body } = request;
    format!("{method}\n{path_and_query}\n{timestamp}\n{nonce}\n{body}\n")
}

fn body_text(body: &[u8], timestamp: &str, nonce: &str) -> Vec<u8> {
    [timestamp.as_bytes(), b"\n", nonce.as_bytes(), b"\n", body, b"\n"].concat()
}
