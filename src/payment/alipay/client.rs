//! Signed calls to Alipay, and what of the answers is believed.
//!
//! Common parameters go into the query, `biz_content` into the body: the server decodes the body by the `charset` it
//! finds in the query. A success (code 10000) without Alipay's signature is [`PaymentError::OutcomeUnknown`].

use std::fmt;

use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::faults;
use super::signing::{self, Answer, Params, SignatureError};
use crate::clock::Clock;
use crate::config::PaymentSettings;
use crate::payment::crypto::{PrivateKey, PublicKey};
use crate::payment::error::{Action, PaymentError};
use crate::payment::guard::{Call, Guard};
use crate::payment::link::{Incoming, Link, Outgoing, settle};
use crate::payment::times;

/// The code of success.
const SUCCESS: &str = "10000";

/// The merchant and its keys.
#[derive(Debug)]
pub struct Merchant {
    /// The merchant's app.
    pub app_id: String,
    /// The seller that receives the money (2088…).
    pub seller_id: String,
    /// The app's private key.
    pub key: PrivateKey,
    /// Alipay's public key, from its file or from its certificate.
    pub alipay_key: PublicKey,
    /// Certificate mode: the numbers that name the certificates.
    pub certificates: Option<CertificateNumbers>,
}

/// The numbers of the certificates of certificate mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateNumbers {
    /// `app_cert_sn`: the app's.
    pub app: String,
    /// `alipay_root_cert_sn`: Alipay's roots, joined.
    pub roots: String,
    /// `alipay_cert_sn`: the one that signs answers.
    pub alipay: String,
}

/// Alipay for one merchant.
pub struct Alipay {
    pub(super) link: Link,
    pub(super) clock: Clock,
    pub(super) merchant: Merchant,
}

/// What every inner object begins with.
#[derive(Deserialize)]
struct Head {
    code: String,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    sub_code: String,
    #[serde(default)]
    sub_msg: String,
}

impl Alipay {
    /// A client of the gateway at `gateway_url` (path included). Asks nothing before its first call.
    ///
    /// # Errors
    /// [`PaymentError::Unconfigured`].
    pub fn new(
        gateway_url: &str,
        settings: &PaymentSettings,
        merchant: Merchant,
        clock: Clock,
    ) -> Result<Self, PaymentError> {
        let link = Link::new(("alipay", gateway_url), settings, clock.clone(), None)?;
        Ok(Self { link, clock, merchant })
    }

    /// The guard of this gateway.
    #[must_use]
    pub const fn guard(&self) -> &Guard {
        self.link.guard()
    }

    /// Asks `method` with this `biz_content`.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        content: &serde_json::Value,
        notify_url: Option<&str>,
    ) -> Result<T, PaymentError> {
        let mut query = self.signed(method, content, notify_url, None)?;
        let content = query.remove_entry("biz_content");
        let body = signing::write_form(&content.into_iter().collect());
        let mut url = self.link.base().clone();
        url.set_query(Some(&signing::write_form(&query)));
        let headers =
            [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"), ("Accept", "application/json")];
        let outgoing = Outgoing { method: Method::POST, url, headers: &headers, body };
        let call = if method == "alipay.trade.refund" { Call::Refund } else { Call::Other };
        let (permit, incoming) = self.link.exchange(call, outgoing).await?;
        settle(permit, self.read(method, &incoming))
    }

    /// All parameters of a request, signed.
    pub(super) fn signed(
        &self,
        method: &str,
        content: &serde_json::Value,
        notify_url: Option<&str>,
        return_url: Option<&str>,
    ) -> Result<Params, PaymentError> {
        let mut params: Params = [
            ("app_id", self.merchant.app_id.clone()),
            ("method", method.to_owned()),
            ("format", "JSON".to_owned()),
            ("charset", "utf-8".to_owned()),
            ("timestamp", times::spaced(self.clock.now_ms())),
            ("version", "1.0".to_owned()),
            ("biz_content", content.to_string()),
        ]
        .into_iter()
        .chain(notify_url.map(|url| ("notify_url", url.to_owned())))
        .chain(return_url.map(|url| ("return_url", url.to_owned())))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if let Some(numbers) = &self.merchant.certificates {
            params.insert("app_cert_sn".to_owned(), numbers.app.clone());
            params.insert("alipay_root_cert_sn".to_owned(), numbers.roots.clone());
        }
        signing::sign_request(&mut params, &self.merchant.key)?;
        Ok(params)
    }

    fn read<T: DeserializeOwned>(&self, method: &str, incoming: &Incoming) -> Result<T, PaymentError> {
        if incoming.status != 200 {
            return Err(faults::by_status(incoming.status));
        }
        let body = std::str::from_utf8(&incoming.body).map_err(|_| PaymentError::unreadable())?;
        let answer = signing::read_answer(body, method).map_err(|_| PaymentError::unreadable())?;
        let head: Head = serde_json::from_str(answer.text).map_err(|_| PaymentError::unreadable())?;
        let signed = self.verify(&answer);
        let is_success = head.code == SUCCESS && !answer.is_error;
        match signed {
            Err(SignatureError::Unsigned) if !is_success => {}
            other => other.map_err(PaymentError::unbelieved)?,
        }
        if is_success {
            return serde_json::from_str(answer.text).map_err(|_| PaymentError::unreadable());
        }
        let (code, message) =
            if head.sub_code.is_empty() { (&head.code, &head.msg) } else { (&head.sub_code, &head.sub_msg) };
        Err(match faults::action(method, &head.code, &head.sub_code) {
            Some(action) => PaymentError::declined(action, code, message),
            None => PaymentError::trouble(code.clone()),
        })
    }

    fn verify(&self, answer: &Answer<'_>) -> Result<(), SignatureError> {
        let expected = self.merchant.certificates.as_ref().map(|numbers| numbers.alipay.as_str());
        let is_other = answer.certificate_sn.as_deref().is_some_and(|sn| expected.is_some_and(|known| known != sn));
        if is_other {
            return Err(SignatureError::Wrong);
        }
        answer.verify(&self.merchant.alipay_key)
    }
}

impl fmt::Debug for Alipay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alipay({})", self.merchant.app_id)
    }
}

/// An answer about another number than was asked about is nobody's answer.
pub(super) fn asked_for<T>(is_ours: bool, value: T) -> Result<T, PaymentError> {
    if is_ours { Ok(value) } else { Err(PaymentError::unreadable()) }
}

/// A number that this gateway does not know (yet).
pub(super) fn not_found(what: &str) -> PaymentError {
    PaymentError::declined(Action::NotFound, what, "")
}
