//! What the three wires are made of: RSA signatures, AES-256 in two modes, digests, certificates.
//!
//! Every operation comes in both directions, because the sandbox answers with the same code the shop asks with. One
//! back end does the arithmetic (aws-lc-rs); keys redact themselves in `Debug`.

mod aead;
mod certificates;
mod digests;
mod ecb;
mod rsa;

pub use aead::ApiV3Key;
pub use certificates::{Certificate, alipay_root_cert_sn};
pub use digests::{hmac_sha256_hex_lower, hmac_sha256_hex_upper, md5_hex_lower, md5_hex_upper, sha1_hex_lower};
pub use ecb::EcbKey;
pub use rsa::{PrivateKey, PublicKey};

/// Why key material or a sealed text was refused. Says what is wrong, never what it holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// Neither PKCS#8 nor PKCS#1 in PEM, nor the bare base64 of one, or not RSA of 2048 to 8192 bits.
    #[error("not a private RSA key of 2048 bits or more (PEM, PKCS#8 or PKCS#1)")]
    PrivateKey,
    /// No public key or certificate in PEM, or not RSA of 2048 to 8192 bits.
    #[error("not a public RSA key of 2048 bits or more (PEM)")]
    PublicKey,
    /// Not an X.509 certificate in PEM.
    #[error("not an X.509 certificate (PEM)")]
    Certificate,
    /// A symmetric key of another length than 32 bytes.
    #[error("the key must have exactly 32 bytes")]
    KeyLength,
    /// An AES-GCM nonce of another length than 12 bytes.
    #[error("the nonce must have exactly 12 bytes")]
    NonceLength,
    /// Wrong key, or the text was changed on its way.
    #[error("the sealed text cannot be opened")]
    Sealed,
    /// The system has no randomness, or the key is unusable.
    #[error("the text cannot be signed or sealed")]
    Seal,
}
