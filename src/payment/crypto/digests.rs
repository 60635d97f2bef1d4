//! The digests of WeChat Pay v2 (MD5, HMAC-SHA256), of Alipay's certificate numbers (MD5) and of bills (SHA-1).
//! MD5 and SHA-1 are the providers' choice; nothing of our own rests on them.

use aws_lc_rs::{digest, hmac};
use md5::{Digest as _, Md5};

/// MD5 in upper-case hexadecimal.
#[must_use]
pub fn md5_hex_upper(text: &[u8]) -> String {
    hex::encode_upper(Md5::digest(text))
}

/// MD5 in lower-case hexadecimal.
#[must_use]
pub fn md5_hex_lower(text: &[u8]) -> String {
    hex::encode(Md5::digest(text))
}

/// HMAC-SHA256 in upper-case hexadecimal.
#[must_use]
pub fn hmac_sha256_hex_upper(key: &[u8], text: &[u8]) -> String {
    hex::encode_upper(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text))
}

/// HMAC-SHA256 in lower-case hexadecimal.
#[must_use]
pub fn hmac_sha256_hex_lower(key: &[u8], text: &[u8]) -> String {
    hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text))
}

/// SHA-1 in lower-case hexadecimal.
#[must_use]
pub fn sha1_hex_lower(text: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text))
}
