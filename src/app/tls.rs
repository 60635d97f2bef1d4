//! TLS of the server itself: a certificate and its key from files, shown to whoever connects, and read again on demand
//! while connections last. Protocol versions and ciphers are rustls' own choice; HTTP/1.1 only, as without TLS.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::HttpSettings;

const CERTIFICATE: &str = "http.tls_certificate_file";
const KEY: &str = "http.tls_key_file";
/// PEM files are short; a longer file is another file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why a certificate cannot be shown: which setting, which file, what is wrong; never what the file holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {path} {why}")]
pub struct TlsError {
    key: &'static str,
    path: String,
    why: String,
}

/// The certificate that is shown; replaced as a whole.
pub struct ShownCertificate(RwLock<Arc<CertifiedKey>>);

impl fmt::Debug for ShownCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShownCertificate").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for ShownCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

impl ShownCertificate {
    /// The certificate of the settings; `None` without TLS.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn open(http: &HttpSettings) -> Result<Option<Arc<Self>>, TlsError> {
        Ok(read(http)?.map(|certificate| Arc::new(Self(RwLock::new(Arc::new(certificate))))))
    }

    /// Shows another from now on; true if it is another. Connections that are open go on.
    pub fn renew(&self, certificate: CertifiedKey) -> bool {
        let differs = self.now().cert != certificate.cert;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
        differs
    }

    /// What a listener needs to show it.
    ///
    /// # Errors
    /// If this build of rustls has no protocol version for its provider.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        Ok(builder.with_no_client_auth().with_cert_resolver(Arc::<Self>::clone(self)))
    }

    fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The certificate and key of the settings, which fit together; `None` without TLS. Blocks on files.
///
/// # Errors
/// [`TlsError`] with the setting and the file.
pub fn read(http: &HttpSettings) -> Result<Option<CertifiedKey>, TlsError> {
    let (certificate, key) = (&http.tls_certificate_file, &http.tls_key_file);
    if certificate.is_empty() && key.is_empty() {
        return Ok(None);
    }
    let wrong = |key, path: &str, why: &str| TlsError { key, path: path.to_owned(), why: why.to_owned() };
    let text = file(CERTIFICATE, certificate)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| wrong(CERTIFICATE, certificate, "is no PEM"))?;
    if chain.is_empty() {
        return Err(wrong(CERTIFICATE, certificate, "holds no certificate"));
    }
    let private = PrivateKeyDer::from_pem_slice(&file(KEY, key)?);
    let private = private.map_err(|_| wrong(KEY, key, "holds no private key in PEM"))?;
    CertifiedKey::from_der(chain, private, &provider()).map(Some).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            wrong(KEY, key, &format!("is not the key of the certificate in {certificate}"))
        }
        rustls::Error::InvalidCertificate(_) => {
            wrong(CERTIFICATE, certificate, "holds no certificate that can be read")
        }
        error => wrong(KEY, key, &format!("cannot be used: {error}")),
    })
}

fn file(key: &'static str, path: &str) -> Result<Vec<u8>, TlsError> {
    let wrong = |why: String| TlsError { key, path: path.to_owned(), why };
    let unreadable = |error: std::io::Error| wrong(format!("cannot be read: {error}"));
    if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(wrong("is too long for a certificate or a key".to_owned()));
    }
    std::fs::read(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey as Made, generate_simple_self_signed};

    use super::*;

    fn told(certificate: &str, key: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = dir.path().join(name).display().to_string();
            if !text.is_empty() {
                std::fs::write(&path, text).unwrap();
            }
            path
        };
        let tls_certificate_file = path("shop.crt", certificate);
        let http =
            HttpSettings { tls_certificate_file, tls_key_file: path("shop.key", key), ..HttpSettings::default() };
        let dir = format!("{}/", dir.path().display());
        read(&http).map_or_else(|error| error.to_string().replace(&dir, ""), |read| read.is_some().to_string())
    }

    #[test]
    fn a_certificate_that_cannot_be_shown_is_told_by_setting_and_file() {
        let Made { cert, signing_key } = generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
        let other = generate_simple_self_signed(["shop.example".to_owned()]).unwrap().signing_key.serialize_pem();
        let (cert, key) = (cert.pem(), signing_key.serialize_pem());
        assert_eq!(told(&cert, &key), "true");
        for (certificate, key, message) in [
            ("", &*key, "http.tls_certificate_file: shop.crt cannot be read: No such file or directory (os error 2)"),
            (&*cert, "", "http.tls_key_file: shop.key cannot be read: No such file or directory (os error 2)"),
            ("nothing", &*key, "http.tls_certificate_file: shop.crt holds no certificate"),
            (&*cert, "nothing", "http.tls_key_file: shop.key holds no private key in PEM"),
            (&*cert, &*other, "http.tls_key_file: shop.key is not the key of the certificate in shop.crt"),
        ] {
            assert_eq!(told(certificate, key), message);
        }
        assert!(read(&HttpSettings::default()).unwrap().is_none(), "no TLS");
    }
}
