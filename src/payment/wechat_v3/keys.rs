//! The platform's keys: a public key from the settings, certificates fetched from the platform, or both while a
//! merchant changes over.
//!
//! Certificates are sealed with the API v3 key, which only the platform and the merchant have; the first download is
//! believed because it opens and because its answer is signed with a key that it holds (or that was known before).
//! Fetching is lazy: when they are older than the settings allow, at most once a minute; and at once when a key turns up that
//! is not known, which anybody can claim, so at most once in ten seconds. Nothing of it is stored: a restart fetches them
//! again.

use std::sync::{Arc, PoisonError, RwLock};

use reqwest::Method;

use super::WechatV3;
use super::client::request_headers;
use super::faults::{self, Operation};
use super::messages::Certificates;
use super::signing::Signature;
use crate::payment::crypto::Certificate;
use crate::payment::error::PaymentError;
use crate::payment::keyring::PlatformKeys;
use crate::payment::link::Outgoing;

/// Least time between two fetches of certificates that are due.
pub(super) const FETCH_PAUSE_MS: i64 = 60_000;
/// Least time between two fetches for the sake of a key that is not known.
const UNKNOWN_PAUSE_MS: i64 = 10_000;
/// More certificates than this are not the platform's.
const CERTIFICATES_MAX: usize = 32;

#[derive(Debug)]
pub(super) struct Keys {
    /// From the settings; always in the ring.
    fixed: PlatformKeys,
    ring: RwLock<Arc<PlatformKeys>>,
    /// `None`: certificates are never fetched.
    refresh_ms: Option<i64>,
    /// Held while fetching, so that one fetch serves all who wait.
    fetches: tokio::sync::Mutex<Fetches>,
}

#[derive(Debug, Default)]
struct Fetches {
    tried_ms: Option<i64>,
    /// For the sake of a key that was not known.
    sought_ms: Option<i64>,
    succeeded_ms: Option<i64>,
}

impl Keys {
    pub(super) fn new(fixed: PlatformKeys, refresh_ms: Option<i64>) -> Self {
        let ring = RwLock::new(Arc::new(fixed.clone()));
        Self { fixed, ring, refresh_ms, fetches: tokio::sync::Mutex::default() }
    }

    pub(super) fn current(&self) -> Arc<PlatformKeys> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, ring: PlatformKeys) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }
}

impl WechatV3 {
    /// Fetches the certificates if they are due. A failure is no reason to stop: the known ones may still do.
    pub(super) async fn refresh_keys_when_due(&self) {
        let Some(refresh_ms) = self.keys.refresh_ms else { return };
        let now_ms = self.clock.now_ms();
        let is_due = match self.keys.fetches.try_lock() {
            Ok(fetches) => fetches.succeeded_ms.is_none_or(|at_ms| (now_ms - at_ms).abs() >= refresh_ms),
            // somebody fetches: without any key there is nothing to do but wait for it
            Err(_) => self.keys.current().is_empty(),
        };
        if is_due {
            let mut fetches = self.keys.fetches.lock().await;
            let now_ms = self.clock.now_ms();
            if !is_within(fetches.tried_ms, now_ms, FETCH_PAUSE_MS) {
                self.refresh_keys(&mut fetches, now_ms).await;
            }
        }
    }

    /// Looks for a key that is not known: the platform may have begun to use it a moment ago.
    pub(super) async fn seek_key(&self, serial: &str) {
        let mut fetches = self.keys.fetches.lock().await;
        let now_ms = self.clock.now_ms();
        // whoever waited for the lock may find it there
        if self.keys.current().find(serial, now_ms).is_some() || is_within(fetches.sought_ms, now_ms, UNKNOWN_PAUSE_MS)
        {
            return;
        }
        fetches.sought_ms = Some(now_ms);
        self.refresh_keys(&mut fetches, now_ms).await;
    }

    async fn refresh_keys(&self, fetches: &mut Fetches, now_ms: i64) {
        fetches.tried_ms = Some(now_ms);
        match self.fetch_keys(now_ms).await {
            Ok(ring) => {
                tracing::info!(keys = ring.len(), "platform certificates fetched");
                self.keys.replace(ring);
                fetches.succeeded_ms = Some(now_ms);
            }
            Err(error) => tracing::warn!(%error, "platform certificates cannot be fetched"),
        }
    }

    /// Past the guard: whoever needs the keys may hold its only trial, and the pause bounds these calls.
    async fn fetch_keys(&self, now_ms: i64) -> Result<PlatformKeys, PaymentError> {
        let url = self.link.url("/v3/certificates")?;
        let authorization = self.authorize(&Method::GET, &url, "")?;
        let headers = request_headers(&authorization, None);
        let outgoing = Outgoing { method: Method::GET, url, headers: &headers, body: String::new() };
        let incoming = self.link.exchange_unguarded(outgoing).await?;
        if incoming.status != 200 {
            return Err(faults::fault(Operation::Fetch, incoming.status, &incoming.body));
        }
        let signature = Signature::from_headers(|name| incoming.header(name)).map_err(PaymentError::unbelieved)?;
        let ring = self.open_certificates(&incoming.body)?;
        signature
            .verify(&incoming.body, &ring, now_ms)
            .or_else(|_| signature.verify(&incoming.body, &self.keys.current(), now_ms))
            .map_err(PaymentError::unbelieved)?;
        Ok(ring)
    }

    fn open_certificates(&self, body: &[u8]) -> Result<PlatformKeys, PaymentError> {
        let listed: Certificates = serde_json::from_slice(body).map_err(|_| PaymentError::unreadable())?;
        if listed.data.is_empty() || listed.data.len() > CERTIFICATES_MAX {
            return Err(PaymentError::unreadable());
        }
        let mut ring = self.keys.fixed.clone();
        for sealed in listed.data {
            let resource = sealed.encrypt_certificate;
            let opened =
                self.merchant.api_v3_key.open(&resource.nonce, &resource.associated_data, &resource.ciphertext);
            let pem = opened.map_err(PaymentError::unbelieved)?;
            let certificate =
                Certificate::from_pem(&String::from_utf8_lossy(&pem)).map_err(PaymentError::unbelieved)?;
            ring.add_certificate(&certificate).map_err(PaymentError::unbelieved)?;
        }
        Ok(ring)
    }
}

/// A clock that was set back or forth makes nobody wait longer.
fn is_within(at_ms: Option<i64>, now_ms: i64, pause_ms: i64) -> bool {
    at_ms.is_some_and(|at_ms| (now_ms - at_ms).abs() < pause_ms)
}
