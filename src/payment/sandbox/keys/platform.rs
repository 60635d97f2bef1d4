//! The keys under which WeChat Pay signs: one public key with an id, and certificates that can be rotated.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::authority::Authority;
use super::files::{self, KeyError};
use crate::payment::crypto::{Certificate, PrivateKey};
use crate::payment::wechat_v3::signing::Signer;

/// In this order they were made: the last one signs.
const SERIALS: &str = "certificates.json";

/// A certificate of the platform with the key that belongs to it.
#[derive(Clone, Debug)]
pub struct PlatformCertificate {
    /// Signs under the certificate's serial number.
    pub signer: Arc<Signer>,
    /// What merchants get.
    pub pem: String,
    /// Its dates.
    pub certificate: Certificate,
}

/// The certificates in the order in which they were made.
pub(super) fn load(directory: &Path) -> Result<Vec<PlatformCertificate>, KeyError> {
    serials(directory)?.iter().map(|serial| read(directory, serial)).collect()
}

/// Makes one more certificate, which signs from now on.
pub(super) fn add(directory: &Path, authority: &Authority, now_ms: i64) -> Result<PlatformCertificate, KeyError> {
    let key = PrivateKey::generate()?;
    let pem = authority.certify("Tenpay.com sandbox", &key, now_ms)?;
    let serial = Certificate::from_pem(&pem)?.serial;
    files::write(&key_file(directory, &serial), &key.to_pkcs8_pem()?)?;
    files::write(&certificate_file(directory, &serial), &pem)?;
    let mut serials = serials(directory)?;
    serials.push(serial.clone());
    let path = directory.join(SERIALS);
    let text = serde_json::to_string_pretty(&serials).map_err(|source| content(&path, source))?;
    files::write(&path, &text)?;
    read(directory, &serial)
}

fn serials(directory: &Path) -> Result<Vec<String>, KeyError> {
    let path = directory.join(SERIALS);
    if !path.exists() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&files::read(&path)?).map_err(|source| content(&path, source))
}

fn read(directory: &Path, serial: &str) -> Result<PlatformCertificate, KeyError> {
    let pem = files::read(&certificate_file(directory, serial))?;
    let key = PrivateKey::from_pem(&files::read(&key_file(directory, serial))?)?;
    let certificate = Certificate::from_pem(&pem)?;
    Ok(PlatformCertificate { signer: Arc::new(Signer { serial: serial.to_owned(), key }), pem, certificate })
}

fn key_file(directory: &Path, serial: &str) -> PathBuf {
    directory.join(format!("wechatpay_{serial}_key.pem"))
}

fn certificate_file(directory: &Path, serial: &str) -> PathBuf {
    directory.join(format!("wechatpay_{serial}_cert.pem"))
}

pub(super) fn content(path: &Path, source: serde_json::Error) -> KeyError {
    KeyError::Content { path: path.display().to_string(), source }
}
