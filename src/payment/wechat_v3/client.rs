//! Signed calls to WeChat Pay v3, and what of the answers is believed.
//!
//! A success without a valid signature is [`PaymentError::OutcomeUnknown`], whatever it says: somebody else may have
//! written it. A refusal needs no signature (the official SDKs do not look at it either), but a wrong one is not
//! believed. A key that is not known leads to the platform's certificates, at most once a minute.

use std::fmt;

use reqwest::{Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::faults::{self, Operation};
use super::keys::{FETCH_PAUSE_MS, Keys};
use super::signing::{SCHEME, SERIAL, SIGNATURE, Signature, SignatureError, Signer};
use crate::clock::Clock;
use crate::config::PaymentSettings;
use crate::payment::crypto::ApiV3Key;
use crate::payment::error::PaymentError;
use crate::payment::guard::{Call, Guard};
use crate::payment::keyring::PlatformKeys;
use crate::payment::link::{Incoming, Link, Outgoing, settle};

/// The merchant and its keys.
#[derive(Debug)]
pub struct Merchant {
    /// The merchant's number.
    pub mchid: String,
    /// The app that payers see.
    pub appid: String,
    /// The private key and the serial number of its certificate.
    pub signer: Signer,
    /// The key that resources are sealed with.
    pub api_v3_key: ApiV3Key,
    /// Public-key mode: WeChat Pay's key under its id. Empty otherwise.
    pub public_keys: PlatformKeys,
    /// Certificate mode: fetch the platform's certificates.
    pub fetches_certificates: bool,
}

/// WeChat Pay v3 for one merchant.
pub struct WechatV3 {
    pub(super) link: Link,
    pub(super) clock: Clock,
    pub(super) merchant: Merchant,
    pub(super) keys: Keys,
}

impl WechatV3 {
    /// A client of the gateway at `base_url`. Asks nothing before its first call.
    ///
    /// # Errors
    /// [`PaymentError::Unconfigured`].
    pub fn new(
        base_url: &str,
        settings: &PaymentSettings,
        merchant: Merchant,
        clock: Clock,
    ) -> Result<Self, PaymentError> {
        let link = Link::new(("wechat_v3", base_url), settings, clock.clone(), None)?;
        let refresh_ms = merchant.fetches_certificates.then_some(settings.certificate_refresh_ms);
        let keys = Keys::new(merchant.public_keys.clone(), refresh_ms);
        Ok(Self { link, clock, merchant, keys })
    }

    /// The same with a second address for when the first does not answer.
    ///
    /// # Errors
    /// [`PaymentError::Unconfigured`].
    pub fn with_backup(self, backup_url: Option<&str>) -> Result<Self, PaymentError> {
        Ok(Self { link: self.link.with_backup(backup_url)?, ..self })
    }

    /// The guard of this gateway.
    #[must_use]
    pub const fn guard(&self) -> &Guard {
        self.link.guard()
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, operation: Operation, path: &str) -> Result<T, PaymentError> {
        self.json(operation, Method::GET, path, String::new()).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        operation: Operation,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, PaymentError> {
        self.json(operation, Method::POST, path, written(body)?).await
    }

    /// For answers of 204 without a body.
    pub(super) async fn post_only(
        &self,
        operation: Operation,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(), PaymentError> {
        self.exchange(operation, Method::POST, path, written(body)?, |_| Ok(())).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        operation: Operation,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<T, PaymentError> {
        let read = |incoming: &Incoming| serde_json::from_slice(&incoming.body).map_err(|_| PaymentError::unreadable());
        self.exchange(operation, method, path, body, read).await
    }

    async fn exchange<T>(
        &self,
        operation: Operation,
        method: Method,
        path: &str,
        body: String,
        read: impl FnOnce(&Incoming) -> Result<T, PaymentError>,
    ) -> Result<T, PaymentError> {
        self.refresh_keys_when_due().await;
        let keys = self.keys.current();
        if keys.is_empty() {
            // no answer could be believed
            return Err(PaymentError::HeldBack { retry_after_ms: FETCH_PAUSE_MS.unsigned_abs() });
        }
        let url = self.link.url(path)?;
        let authorization = self.authorize(&method, &url, &body)?;
        let headers = request_headers(&authorization, keys.public_key_id());
        let outgoing = Outgoing { method, url, headers: &headers, body };
        let call = if operation == Operation::Refund { Call::Refund } else { Call::Other };
        let (permit, incoming) = self.link.exchange(call, outgoing).await?;
        let believed = self.believe(operation, &incoming).await;
        settle(permit, believed.and_then(|()| read(&incoming)))
    }

    /// `Ok` if this is a success that the platform signed.
    async fn believe(&self, operation: Operation, incoming: &Incoming) -> Result<(), PaymentError> {
        if !incoming.is_success() && incoming.header(SIGNATURE).is_none() {
            return Err(faults::fault(operation, incoming.status, &incoming.body));
        }
        let signature = Signature::from_headers(|name| incoming.header(name)).map_err(PaymentError::unbelieved)?;
        self.verify(&signature, &incoming.body).await.map_err(PaymentError::unbelieved)?;
        match incoming.status {
            202 => Err(PaymentError::trouble("HTTP_202")),
            _ if incoming.is_success() => Ok(()),
            status => Err(faults::fault(operation, status, &incoming.body)),
        }
    }

    /// Checks a signature; an unknown key leads to fresh certificates and a second look.
    pub(super) async fn verify(&self, signature: &Signature, body: &[u8]) -> Result<(), SignatureError> {
        let now_ms = self.clock.now_ms();
        let first = signature.verify(body, &self.keys.current(), now_ms);
        match &first {
            Err(SignatureError::UnknownSerial(serial)) if self.merchant.fetches_certificates => {
                self.seek_key(serial).await;
            }
            _ => return first,
        }
        signature.verify(body, &self.keys.current(), now_ms)
    }

    pub(super) fn authorize(&self, method: &Method, url: &Url, body: &str) -> Result<String, PaymentError> {
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let request = super::signing::Request { method: method.as_str(), path_and_query: &target, body };
        let signed = self.merchant.signer.sign_request(&self.merchant.mchid, request, self.clock.now_ms())?;
        Ok(signed.to_header())
    }
}

/// The headers of every request; in public-key mode it names the key that the answer is expected to be signed with.
pub(super) fn request_headers<'a>(authorization: &'a str, key_id: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
    let mut headers = vec![
        ("Authorization", authorization),
        ("Accept", "application/json"),
        ("Content-Type", "application/json"),
        ("Accept-Language", "zh-CN"),
    ];
    headers.extend(key_id.map(|id| (SERIAL, id)));
    headers
}

fn written(body: &impl Serialize) -> Result<String, PaymentError> {
    serde_json::to_string(body).map_err(|_| PaymentError::Unacceptable("a body that is no JSON"))
}

impl fmt::Debug for WechatV3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WechatV3({}, {SCHEME})", self.merchant.mchid)
    }
}
