//! AES-256-ECB with PKCS#7 padding: only because refund notifications of WeChat Pay v2 are sealed with it.

use std::fmt;

use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::CryptoError;

const KEY_BYTES: usize = 32;

/// A key of 32 bytes.
#[derive(Clone)]
pub struct EcbKey([u8; KEY_BYTES]);

impl EcbKey {
    /// A key from exactly 32 bytes of text.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`].
    pub fn from_text(text: &str) -> Result<Self, CryptoError> {
        text.as_bytes().try_into().map(Self).map_err(|_| CryptoError::KeyLength)
    }

    /// The sealed text in base64.
    ///
    /// # Errors
    /// [`CryptoError::Seal`].
    pub fn seal(&self, plaintext: &[u8]) -> Result<String, CryptoError> {
        let key = UnboundCipherKey::new(&AES_256, &self.0).and_then(PaddedBlockEncryptingKey::ecb_pkcs7);
        let mut text = plaintext.to_vec();
        key.and_then(|key| key.encrypt(&mut text)).map_err(|_| CryptoError::Seal)?;
        Ok(BASE64.encode(text))
    }

    /// Opens base64 of the sealed text. The mode proves nothing about who sealed it: whoever reads the result must
    /// believe it only as far as it agrees with what is asked of the gateway.
    ///
    /// # Errors
    /// [`CryptoError::Sealed`] if it is not base64, not whole blocks or wrongly padded.
    pub fn open(&self, sealed: &str) -> Result<Vec<u8>, CryptoError> {
        let key = UnboundCipherKey::new(&AES_256, &self.0)
            .and_then(PaddedBlockDecryptingKey::ecb_pkcs7)
            .map_err(|_| CryptoError::KeyLength)?;
        let mut text = BASE64.decode(sealed).map_err(|_| CryptoError::Sealed)?;
        let length = key.decrypt(&mut text, DecryptionContext::None).map_err(|_| CryptoError::Sealed)?.len();
        text.truncate(length);
        Ok(text)
    }
}

impl fmt::Debug for EcbKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EcbKey(***)")
    }
}
