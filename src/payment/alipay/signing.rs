//! Signatures of Alipay in both directions: requests and notifications (sorted parameters), answers (raw JSON text).
//!
//! A request signs every parameter but `sign`; a notification neither `sign` nor `sign_type`, though a few kinds keep
//! the latter, so both are tried. An answer signs the inner object byte by byte: it is never parsed and written again.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::payment::crypto::{CryptoError, PrivateKey, PublicKey};

/// Parameters by name, not percent-encoded.
pub type Params = BTreeMap<String, String>;

/// The parameter with the signature.
pub const SIGN: &str = "sign";
/// The parameter with the algorithm.
pub const SIGN_TYPE: &str = "sign_type";
/// RSA with SHA-256, the one algorithm that is accepted.
pub const RSA2: &str = "RSA2";
/// The member of an answer that gateway errors come in.
pub const ERROR_RESPONSE: &str = "error_response";

/// The largest answer or notification that is read, bytes.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The most parameters of a form.
pub const PARAMS_MAX: usize = 200;

/// Why a message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not a form or not JSON of the expected shape, a parameter twice, or too large.
    #[error("the message is malformed")]
    Malformed,
    /// There is no signature.
    #[error("the message is not signed")]
    Unsigned,
    /// Another algorithm than [`RSA2`].
    #[error("unsupported signature type")]
    Scheme,
    /// The signature does not belong to the message.
    #[error("the signature is wrong")]
    Wrong,
}

/// An answer as it arrived: the signed text and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// True for `error_response`, which says that the gateway did not run the method.
    pub is_error: bool,
    /// The inner object exactly as it was sent.
    pub text: &'a str,
    /// Base64; errors of the gateway may come without.
    pub signature: Option<String>,
    /// Serial number of Alipay's certificate, in certificate mode.
    pub certificate_sn: Option<String>,
}

/// The text that a request's signature covers: everything but [`SIGN`] that is not empty, sorted, `&` between.
#[must_use]
pub fn request_text(params: &Params) -> String {
    joined(params, |name| name != SIGN)
}

/// Signs a request: adds [`SIGN_TYPE`] and [`SIGN`].
///
/// # Errors
/// [`CryptoError::Seal`].
pub fn sign_request(params: &mut Params, key: &PrivateKey) -> Result<(), CryptoError> {
    params.insert(SIGN_TYPE.to_owned(), RSA2.to_owned());
    let signature = key.sign(request_text(params).as_bytes())?;
    params.insert(SIGN.to_owned(), signature);
    Ok(())
}

/// Checks a request.
///
/// # Errors
/// [`SignatureError`].
pub fn verify_request(params: &Params, key: &PublicKey) -> Result<(), SignatureError> {
    let signature = signature_of(params)?;
    if key.verifies(request_text(params).as_bytes(), signature) { Ok(()) } else { Err(SignatureError::Wrong) }
}

/// Signs a notification: adds [`SIGN_TYPE`] and [`SIGN`], which are both outside the signed text.
///
/// # Errors
/// [`CryptoError::Seal`].
pub fn sign_notice(params: &mut Params, key: &PrivateKey) -> Result<(), CryptoError> {
    params.remove(SIGN_TYPE);
    let signature = key.sign(request_text(params).as_bytes())?;
    params.insert(SIGN_TYPE.to_owned(), RSA2.to_owned());
    params.insert(SIGN.to_owned(), signature);
    Ok(())
}

/// Checks a notification.
///
/// # Errors
/// [`SignatureError`].
pub fn verify_notice(params: &Params, key: &PublicKey) -> Result<(), SignatureError> {
    let signature = signature_of(params)?;
    let without_type = joined(params, |name| name != SIGN && name != SIGN_TYPE);
    let texts = [without_type, request_text(params)];
    if texts.iter().any(|text| key.verifies(text.as_bytes(), signature)) { Ok(()) } else { Err(SignatureError::Wrong) }
}

/// Writes an answer: `{"name":inner,"sign":"…"}`.
///
/// # Errors
/// [`CryptoError::Seal`].
pub fn sign_answer(name: &str, inner: &str, key: &PrivateKey) -> Result<String, CryptoError> {
    let signature = key.sign(inner.as_bytes())?;
    Ok(format!("{{\"{name}\":{inner},\"{SIGN}\":\"{signature}\"}}"))
}

/// Takes an answer to `method` apart without changing a byte of its inner text.
///
/// # Errors
/// [`SignatureError::Malformed`].
pub fn read_answer<'a>(body: &'a str, method: &str) -> Result<Answer<'a>, SignatureError> {
    if body.len() > MESSAGE_BYTES_MAX {
        return Err(SignatureError::Malformed);
    }
    let members: BTreeMap<String, &'a RawValue> = serde_json::from_str(body).map_err(|_| SignatureError::Malformed)?;
    let text_of = |name: &str| members.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let expected = answer_name(method);
    let (is_error, inner) = match (members.get(&expected), members.get(ERROR_RESPONSE)) {
        (Some(inner), None) => (false, inner),
        (None, Some(inner)) => (true, inner),
        _ => return Err(SignatureError::Malformed),
    };
    Ok(Answer { is_error, text: inner.get(), signature: text_of(SIGN), certificate_sn: text_of("alipay_cert_sn") })
}

impl Answer<'_> {
    /// Checks the signature over the inner text. Some of Alipay's servers sign before they escape slashes, so the
    /// text is tried with `\/` as `/` too, as the official SDK does.
    ///
    /// # Errors
    /// [`SignatureError::Unsigned`], [`SignatureError::Wrong`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), SignatureError> {
        let signature = self.signature.as_deref().ok_or(SignatureError::Unsigned)?;
        let unescaped =
            || self.text.contains("\\/") && key.verifies(self.text.replace("\\/", "/").as_bytes(), signature);
        if key.verifies(self.text.as_bytes(), signature) || unescaped() { Ok(()) } else { Err(SignatureError::Wrong) }
    }
}

/// The member that the answer to `method` comes in: `alipay.trade.query` → `alipay_trade_query_response`.
#[must_use]
pub fn answer_name(method: &str) -> String {
    format!("{}_response", method.replace('.', "_"))
}

/// Reads a form (body or query), percent-decoded.
///
/// # Errors
/// [`SignatureError::Malformed`] if it is too large or names a parameter twice.
pub fn read_form(form: &[u8]) -> Result<Params, SignatureError> {
    if form.len() > MESSAGE_BYTES_MAX {
        return Err(SignatureError::Malformed);
    }
    let mut params = Params::new();
    for (name, value) in form_urlencoded::parse(form) {
        if params.len() >= PARAMS_MAX || params.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(SignatureError::Malformed);
        }
    }
    Ok(params)
}

/// Writes a form.
#[must_use]
pub fn write_form(params: &Params) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

fn signature_of(params: &Params) -> Result<&str, SignatureError> {
    if params.get(SIGN_TYPE).is_some_and(|scheme| scheme != RSA2) {
        return Err(SignatureError::Scheme);
    }
    params.get(SIGN).map(String::as_str).filter(|sign| !sign.is_empty()).ok_or(SignatureError::Unsigned)
}

fn joined(params: &Params, is_signed: impl Fn(&str) -> bool) -> String {
    let pairs: Vec<String> = params
        .iter()
        .filter(|(name, value)| is_signed(name) && !value.is_empty())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}
