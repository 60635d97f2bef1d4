//! Settings of the HTTP server: where it listens, how much it takes, whose pages may read its answers, and its TLS.

use serde::{Deserialize, Serialize};

use super::{Environment, Network, Settings};

/// In the list of origins: all of them.
pub const ANY_ORIGIN: &str = "*";

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Worker threads; 0 = one per core.
    pub workers: usize,
    /// Largest request body, bytes.
    pub body_bytes_max: usize,
    /// Longest that one request may take before 503.
    pub request_timeout_ms: u64,
    /// How long a node that stops says so before it takes no more requests.
    pub drain_grace_ms: u64,
    /// Longest that shutdown then waits for running requests.
    pub shutdown_timeout_ms: u64,
    /// Most connections per worker.
    pub connections_per_worker_max: usize,
    /// Proxies in front of this server, whose word on the client's address is taken.
    pub trusted_proxies: Vec<Network>,
    /// Origins of web clients served from elsewhere (CORS, and WebSockets); `*` allows any, without cookies. Unset: any
    /// outside production, none in production.
    pub allowed_origins: Option<Vec<String>>,
    /// The server's certificate and those between it and a root, PEM; set together with the key, or not at all: no TLS.
    pub tls_certificate_file: String,
    /// The certificate's private key, PEM.
    pub tls_key_file: String,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8080,
            workers: 0,
            body_bytes_max: 1024 * 1024,
            request_timeout_ms: 10_000,
            drain_grace_ms: 2_000,
            shutdown_timeout_ms: 15_000,
            connections_per_worker_max: 25_000,
            trusted_proxies: Vec::new(),
            allowed_origins: None,
            tls_certificate_file: String::new(),
            tls_key_file: String::new(),
        }
    }
}

impl Settings {
    /// True if the server itself speaks TLS.
    #[must_use]
    pub const fn has_tls(&self) -> bool {
        !self.http.tls_certificate_file.is_empty()
    }

    /// True if pages of this origin may read answers and open WebSockets.
    #[must_use]
    pub fn allows_origin(&self, origin: &[u8]) -> bool {
        self.allows_any_origin() || self.origins().any(|allowed| allowed.as_bytes() == origin)
    }

    /// True if pages of any origin may.
    #[must_use]
    pub fn allows_any_origin(&self) -> bool {
        match &self.http.allowed_origins {
            Some(origins) => origins.iter().any(|origin| origin == ANY_ORIGIN),
            None => self.environment != Environment::Production,
        }
    }

    fn origins(&self) -> impl Iterator<Item = &String> {
        self.http.allowed_origins.iter().flatten()
    }

    /// What contradicts itself: key, what it is, what it must be.
    pub(super) fn http_lacks(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        const TOGETHER: &str = "http.tls_certificate_file and http.tls_key_file together, or neither (no TLS)";
        let mut lacks = Vec::new();
        match (self.http.tls_certificate_file.is_empty(), self.http.tls_key_file.is_empty()) {
            (true, false) => lacks.push(("http.tls_key_file", "a file alone", TOGETHER)),
            (false, true) => lacks.push(("http.tls_certificate_file", "a file alone", TOGETHER)),
            _ => {}
        }
        if self.has_tls() && self.payment.sandbox == Some(true) {
            // its books hold addresses that the shop calls, and this certificate names others
            lacks.push(("payment.sandbox", "true beside TLS", "false, and `rushmall sandbox-pay` of its own"));
        }
        lacks
    }
}
