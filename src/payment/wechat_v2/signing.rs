//! Signatures of WeChat Pay v2: every field that is there and not empty, sorted, then the shared key.
//!
//! The same function signs requests, answers and notifications. Verification covers whatever arrived, fields that
//! nobody has heard of included. There is no freshness: what a message says must be checked against the order.

use std::fmt;

use subtle::ConstantTimeEq as _;

use super::xml::Fields;
use crate::payment::crypto::{CryptoError, EcbKey, hmac_sha256_hex_upper, md5_hex_lower, md5_hex_upper};

/// The field that holds the signature.
pub const SIGN: &str = "sign";
/// The field that names the algorithm; itself signed.
pub const SIGN_TYPE: &str = "sign_type";

/// How a message is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignType {
    /// MD5 over fields and key.
    Md5,
    /// HMAC-SHA256 under the key, over fields and key.
    #[default]
    HmacSha256,
}

/// The shared key of a merchant (API v2 key): 32 letters and digits.
#[derive(Clone)]
pub struct ApiV2Key(String);

/// The signature is missing or does not belong to the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is missing or wrong")]
pub struct WrongSignature;

impl SignType {
    /// The value of [`SIGN_TYPE`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::HmacSha256 => "HMAC-SHA256",
        }
    }
}

impl ApiV2Key {
    /// Takes the key as it stands in the merchant's settings: 32 bytes.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`].
    pub fn from_text(text: &str) -> Result<Self, CryptoError> {
        if text.len() == 32 { Ok(Self(text.to_owned())) } else { Err(CryptoError::KeyLength) }
    }

    /// The key under which refund notifications are sealed: the MD5 of this one in lower-case hexadecimal.
    ///
    /// # Errors
    /// None in practice: an MD5 in hexadecimal has 32 bytes.
    pub fn refund_key(&self) -> Result<EcbKey, CryptoError> {
        EcbKey::from_text(&md5_hex_lower(self.0.as_bytes()))
    }

    /// The signature over `fields`, upper-case hexadecimal.
    #[must_use]
    pub fn signature(&self, fields: &Fields, sign_type: SignType) -> String {
        let mut text = String::new();
        for (name, value) in fields.iter().filter(|(name, value)| *name != SIGN && !value.is_empty()) {
            text.push_str(name);
            text.push('=');
            text.push_str(value);
            text.push('&');
        }
        text.push_str("key=");
        text.push_str(&self.0);
        match sign_type {
            SignType::Md5 => md5_hex_upper(text.as_bytes()),
            SignType::HmacSha256 => hmac_sha256_hex_upper(self.0.as_bytes(), text.as_bytes()),
        }
    }

    /// Adds the signature, and before it [`SIGN_TYPE`] unless it is MD5, which needs no name.
    pub fn sign(&self, fields: &mut Fields, sign_type: SignType) {
        if sign_type == SignType::HmacSha256 {
            fields.insert(SIGN_TYPE.to_owned(), sign_type.name().to_owned());
        }
        let signature = self.signature(fields, sign_type);
        fields.insert(SIGN.to_owned(), signature);
    }

    /// Checks a message and says how it was signed. The length of the signature tells: messages that begun under one
    /// algorithm may still arrive after the merchant changed to the other.
    ///
    /// # Errors
    /// [`WrongSignature`].
    pub fn verify(&self, fields: &Fields) -> Result<SignType, WrongSignature> {
        let signature = fields.get(SIGN).ok_or(WrongSignature)?;
        let sign_type = match signature.len() {
            32 => SignType::Md5,
            64 => SignType::HmacSha256,
            _ => return Err(WrongSignature),
        };
        let expected = self.signature(fields, sign_type);
        let same: bool = expected.as_bytes().ct_eq(signature.as_bytes()).into();
        if same { Ok(sign_type) } else { Err(WrongSignature) }
    }
}

impl fmt::Debug for ApiV2Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiV2Key(***)")
    }
}
