//! What every handler can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use metrics_exporter_prometheus::PrometheusHandle;

use super::auth::{Caller, Claims, Tokens};
use super::error::ApiError;
use super::passwords::Passwords;
use crate::clock::Clock;
use crate::config::Settings;
use crate::domain::BuyerId;
use crate::persistence::Db;
use crate::random::OrderNumbers;

/// Shared by all workers; handlers take `web::Data<AppState>`.
#[expect(missing_debug_implementations, reason = "holds secrets and the metrics recorder")]
pub struct AppState {
    /// The settings this server started with.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// The database.
    pub db: Db,
    /// Makes and checks access tokens.
    pub tokens: Tokens,
    /// Hashes and verifies passwords.
    pub passwords: Passwords,
    /// Makes order numbers.
    pub order_numbers: Arc<OrderNumbers>,
    /// Renders `/metrics`; `None` where nothing is recorded.
    pub metrics: Option<PrometheusHandle>,
    /// When this process started.
    pub started: Instant,
    /// Raised when shutdown begins: `/ready` says so, so that load balancers look elsewhere.
    pub stopping: Arc<AtomicBool>,
}

impl AppState {
    /// True once shutdown has begun.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Who a verified token speaks for, if its session still lives.
    ///
    /// # Errors
    /// `TOKEN_INVALID` after logout or a password change, `USER_DISABLED`.
    pub async fn authorize(&self, claims: &Claims) -> Result<Caller, ApiError> {
        self.admit(BuyerId(claims.user_id), &claims.sid, claims.epoch).await
    }
}

#[cfg(test)]
pub(crate) use tests::for_tests;

#[cfg(test)]
mod tests {
    use super::*;

    /// A state on a database of its own.
    pub(crate) async fn for_tests() -> (AppState, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let (settings, clock) = (Settings::default(), Clock::default());
        let db = Db::connect(&settings.database, dir.path()).await.unwrap();
        db.migrate().await.unwrap();
        let state = AppState {
            tokens: Tokens::new(&crate::random::bytes::<32>(), &settings.auth),
            passwords: Passwords::new(settings.auth.hashing_concurrency).unwrap(),
            order_numbers: Arc::new(OrderNumbers::new(clock.clone(), settings.node.slot)),
            metrics: None,
            started: crate::clock::monotonic(),
            stopping: Arc::default(),
            settings,
            clock,
            db,
        };
        (state, dir)
    }
}
