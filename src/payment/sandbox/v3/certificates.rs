//! Platform certificates, sealed under the merchant's API v3 key.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Problem};
use super::routes::Task;
use crate::payment::crypto::CryptoError;
use crate::payment::sandbox::keys::{Keys, PlatformCertificate};
use crate::payment::sandbox::notify::seal_nonce;
use crate::payment::times;

pub(super) fn list(task: &Task) -> Outcome {
    let certificates = task.sandbox.keys.certificates();
    if !task.sandbox.knobs().lists_certificates || certificates.is_empty() {
        let message = "无可用的平台证书，请使用微信支付公钥 (no platform certificate: use the public key)";
        return Err(Problem::new(404, "RESOURCE_NOT_EXISTS", message));
    }
    let sealed: Result<Vec<Value>, CryptoError> =
        certificates.iter().map(|certificate| sealed(&task.sandbox.keys, certificate)).collect();
    match sealed {
        Ok(data) => Ok(Answer::ok(json!({ "data": data }))),
        Err(error) => {
            tracing::error!(%error, "a certificate was not sealed");
            Err(Problem::system_error())
        }
    }
}

fn sealed(keys: &Keys, certificate: &PlatformCertificate) -> Result<Value, CryptoError> {
    let nonce = seal_nonce();
    let ciphertext = keys.api_v3.seal(&nonce, "certificate", certificate.pem.as_bytes())?;
    Ok(json!({
        "serial_no": certificate.signer.serial,
        "effective_time": times::rfc3339(certificate.certificate.valid_from_ms),
        "expire_time": times::rfc3339(certificate.certificate.valid_until_ms),
        "encrypt_certificate": {
            "algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "associated_data": "certificate",
            "ciphertext": ciphertext,
        },
    }))
}
