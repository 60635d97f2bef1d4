//! One HTTP client per gateway: pooled connections, a time limit on everything, no redirects, answers of bounded size.
//!
//! It knows what a failure on the way means: a connection that was never made leaves nothing behind, anything later
//! may have reached the gateway. Which of two addresses is asked says [`Addresses`]. Each call passes the [`Guard`]; its
//! verdict comes from whoever reads the answer.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Identity, Method, RequestBuilder, Response, Url, redirect};
use tracing::Instrument as _;

use super::addresses::{Addresses, Way};
use super::error::{Action, Doubt, PaymentError};
use super::guard::{Call, Guard, Permit, Terms, Verdict};
use crate::clock::{self, Clock};
use crate::config::PaymentSettings;
use crate::trace_context;

/// The largest answer that is read, bytes; downloads of bills are streamed and have their own bound.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Non-empty and ours: WeChat Pay refuses requests without one.
const USER_AGENT: &str = concat!("RushMall/", env!("CARGO_PKG_VERSION"));
const IDLE_CONNECTIONS_MAX: usize = 16;
const IDLE_FOR: Duration = Duration::from_secs(60);

/// The way to one gateway.
#[derive(Debug)]
pub struct Link {
    client: reqwest::Client,
    addresses: Addresses,
    guard: Guard,
    bill_timeout: Duration,
}

/// A request to send.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// GET or POST.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Names and values.
    pub headers: &'a [(&'static str, &'a str)],
    /// Empty for none.
    pub body: String,
}

/// An answer as it arrived. Nothing in it is believed so far.
#[derive(Debug)]
pub struct Incoming {
    /// HTTP status.
    pub status: u16,
    headers: HeaderMap,
    /// Body, complete.
    pub body: Vec<u8>,
}

impl Incoming {
    /// The value of a header that is there once and is plain text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        if values.next().is_some() { None } else { value }
    }

    /// True for 2xx.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

impl Link {
    /// A link to the gateway of that name at `base_url`; with `identity` the merchant's certificate is shown to it (mTLS).
    ///
    /// # Errors
    /// [`PaymentError::Unconfigured`] if the URL or the identity is unusable.
    pub fn new(
        (gateway, base_url): (&'static str, &str),
        settings: &PaymentSettings,
        clock: Clock,
        identity: Option<Identity>,
    ) -> Result<Self, PaymentError> {
        let addresses = Addresses::new(base_url, clock.clone())?;
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_millis(settings.connect_timeout_ms))
            .timeout(Duration::from_millis(settings.request_timeout_ms))
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_FOR);
        if let Some(identity) = identity {
            builder = builder.identity(identity);
        }
        let client = builder.build().map_err(|_| PaymentError::Unconfigured("a usable TLS identity"))?;
        let terms = Terms {
            gateway,
            failures_max: settings.breaker_failures_max,
            pause_ms: settings.breaker_pause_ms,
            in_flight_max: settings.in_flight_max,
        };
        let bill_timeout = Duration::from_millis(settings.bill_timeout_ms);
        Ok(Self { client, addresses, guard: Guard::new(clock, terms), bill_timeout })
    }

    /// The same with a second address for when the first does not answer; `None` changes nothing.
    ///
    /// # Errors
    /// [`PaymentError::Unconfigured`] if it is no URL.
    pub fn with_backup(mut self, backup_url: Option<&str>) -> Result<Self, PaymentError> {
        if let Some(backup_url) = backup_url {
            self.addresses = self.addresses.with_second(backup_url)?;
        }
        Ok(self)
    }

    /// The gateway's URL as configured.
    #[must_use]
    pub const fn base(&self) -> &Url {
        self.addresses.first()
    }

    /// True if `url` lies at this gateway.
    #[must_use]
    pub fn is_own(&self, url: &Url) -> bool {
        self.addresses.hold(url)
    }

    /// The URL of a path (with query) below the base.
    ///
    /// # Errors
    /// [`PaymentError::Unacceptable`] if it is no URL.
    pub fn url(&self, path_and_query: &str) -> Result<Url, PaymentError> {
        let base = self.base().as_str().trim_end_matches('/');
        Url::parse(&format!("{base}{path_and_query}")).map_err(|_| PaymentError::Unacceptable("the path"))
    }

    /// The guard of this gateway.
    #[must_use]
    pub const fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Sends a request under the guard. Whoever reads the answer ends the permit ([`settle`]).
    ///
    /// # Errors
    /// What happened on the way; the guard has learnt of it then.
    pub async fn exchange(&self, call: Call, outgoing: Outgoing<'_>) -> Result<(Permit<'_>, Incoming), PaymentError> {
        let permit = self.guard.admit(call)?;
        match self.send(outgoing).await {
            Ok(incoming) => Ok((permit, incoming)),
            Err(error) => settle(permit, Err(error)),
        }
    }

    /// Sends a request past the guard: for what is rare and bounded elsewhere.
    ///
    /// # Errors
    /// What happened on the way.
    pub async fn exchange_unguarded(&self, outgoing: Outgoing<'_>) -> Result<Incoming, PaymentError> {
        self.send(outgoing).await
    }

    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Incoming, PaymentError> {
        // without the query, which may be signed
        let span = trace_context::call("gateway", &format!("{} {}", outgoing.method, outgoing.url.path()));
        let began = clock::monotonic();
        let outcome = self.send_now(outgoing).instrument(span).await;
        let word = match &outcome {
            Ok(incoming) if incoming.is_success() => "answered",
            Ok(incoming) if incoming.status < 500 => "refused",
            Ok(_) | Err(_) => "failed",
        };
        metrics::histogram!("rushmall_gateway_seconds", "gateway" => self.guard.gateway(), "outcome" => word)
            .record(began.elapsed().as_secs_f64());
        outcome
    }

    async fn send_now(&self, outgoing: Outgoing<'_>) -> Result<Incoming, PaymentError> {
        let mut response = self.reach(&outgoing, None).await?;
        let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| on_the_way(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(PaymentError::unreadable());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Incoming { status, headers, body })
    }

    /// Starts a download that is read chunk by chunk; the permit must be ended by the reader.
    ///
    /// # Errors
    /// What happened on the way.
    pub async fn download(&self, outgoing: Outgoing<'_>) -> Result<(Permit<'_>, reqwest::Response), PaymentError> {
        let permit = self.guard.admit(Call::Other)?;
        match self.reach(&outgoing, Some(self.bill_timeout)).await {
            Ok(response) => Ok((permit, response)),
            Err(error) => settle(permit, Err(error)),
        }
    }

    /// Sends a request and waits for the head of its answer; who is not reached at one address is tried at the other.
    async fn reach(&self, outgoing: &Outgoing<'_>, timeout: Option<Duration>) -> Result<Response, PaymentError> {
        let Way { to, or_to } = self.addresses.way(&outgoing.url);
        match (self.reach_at(to, outgoing, timeout).await, or_to) {
            (Err(PaymentError::Unreachable), Some(other)) => {
                let host = other.host_str().unwrap_or_default();
                tracing::warn!(
                    gateway = self.guard.gateway(),
                    host,
                    "gateway cannot be reached, trying its other address"
                );
                self.reach_at(other, outgoing, timeout).await
            }
            (outcome, _) => outcome,
        }
    }

    async fn reach_at(
        &self,
        url: Url,
        outgoing: &Outgoing<'_>,
        timeout: Option<Duration>,
    ) -> Result<Response, PaymentError> {
        let request = self.request(url.clone(), outgoing)?;
        let request = timeout.into_iter().fold(request, RequestBuilder::timeout);
        request.send().await.map_err(|error| {
            self.addresses.was_silent(&url);
            on_the_way(&error)
        })
    }

    fn request(&self, url: Url, outgoing: &Outgoing<'_>) -> Result<RequestBuilder, PaymentError> {
        let mut headers = HeaderMap::new();
        for (name, value) in outgoing.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| PaymentError::Unacceptable("a header"))?;
            let value = HeaderValue::from_str(value).map_err(|_| PaymentError::Unacceptable("a header"))?;
            headers.insert(name, value);
        }
        let request = self.client.request(outgoing.method.clone(), url).headers(headers);
        Ok(if outgoing.body.is_empty() { request } else { request.body(outgoing.body.clone()) })
    }
}

/// Ends the permit by what came of the call, and hands the result on.
///
/// # Errors
/// The one that was given.
pub fn settle<T>(permit: Permit<'_>, result: Result<T, PaymentError>) -> Result<T, PaymentError> {
    permit.end(verdict(result.as_ref().err()));
    result
}

/// What the guard learns from a result.
fn verdict(error: Option<&PaymentError>) -> Verdict {
    let Some(error) = error else { return Verdict::Answered };
    match (error, error.action()) {
        (PaymentError::Declined { .. }, Action::Configuration) => Verdict::Misconfigured,
        // a code that says "ask" comes from a gateway in good health; its trouble comes as `Doubt::Trouble`
        (PaymentError::Declined { .. }, Action::BackOff) | (PaymentError::OutcomeUnknown(_), _) => Verdict::Failed,
        (PaymentError::Unreachable | PaymentError::HeldBack { .. }, _) => Verdict::Failed,
        _ => Verdict::Declined,
    }
}

/// What a failure on the way leaves behind.
#[must_use]
pub fn on_the_way(error: &reqwest::Error) -> PaymentError {
    if error.is_connect() {
        PaymentError::Unreachable
    } else if error.is_timeout() {
        PaymentError::OutcomeUnknown(Doubt::TimedOut)
    } else {
        PaymentError::OutcomeUnknown(Doubt::Broken)
    }
}
