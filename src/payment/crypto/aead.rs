//! AES-256-GCM as WeChat Pay v3 seals resources and certificates: the key is the API v3 key, 32 characters of text.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::CryptoError;

/// The API v3 key of a merchant.
pub struct ApiV3Key {
    key: LessSafeKey,
}

impl ApiV3Key {
    /// Reads the key as it stands in the merchant's settings: exactly 32 bytes of text.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`].
    pub fn from_text(text: &str) -> Result<Self, CryptoError> {
        let key = UnboundKey::new(&AES_256_GCM, text.as_bytes()).map_err(|_| CryptoError::KeyLength)?;
        Ok(Self { key: LessSafeKey::new(key) })
    }

    /// The sealed text with its tag, in base64. `nonce` has 12 bytes and must never be used twice; `aad` may be empty.
    ///
    /// # Errors
    /// [`CryptoError::NonceLength`], [`CryptoError::Seal`].
    pub fn seal(&self, nonce: &str, aad: &str, plaintext: &[u8]) -> Result<String, CryptoError> {
        let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).map_err(|_| CryptoError::NonceLength)?;
        let mut sealed = plaintext.to_vec();
        self.key
            .seal_in_place_append_tag(nonce, Aad::from(aad.as_bytes()), &mut sealed)
            .map_err(|_| CryptoError::Seal)?;
        Ok(BASE64.encode(sealed))
    }

    /// Opens base64 of the sealed text and its tag.
    ///
    /// # Errors
    /// [`CryptoError::NonceLength`]; [`CryptoError::Sealed`] if the key, the nonce, the additional data or any byte
    /// of the text is not what it was when it was sealed.
    pub fn open(&self, nonce: &str, aad: &str, sealed: &str) -> Result<Vec<u8>, CryptoError> {
        let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).map_err(|_| CryptoError::NonceLength)?;
        let mut text = BASE64.decode(sealed).map_err(|_| CryptoError::Sealed)?;
        let length =
            self.key.open_in_place(nonce, Aad::from(aad.as_bytes()), &mut text).map_err(|_| CryptoError::Sealed)?.len();
        text.truncate(length);
        Ok(text)
    }
}

impl fmt::Debug for ApiV3Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiV3Key(***)")
    }
}
