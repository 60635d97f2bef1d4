//! What every handler can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;

use super::auth::{Caller, Claims, Tokens};
use super::error::ApiError;
use super::figures;
use super::looks::Looks;
use super::product_cards::ProductCards;
use super::uploads::UploadDesk;
use super::ws_tickets::WsTickets;
use crate::actors::kit::ActorState;
use crate::actors::session::{Authorize, caller_of};
use crate::actors::shop::Shop;
use crate::clock::Clock;
use crate::config::Settings;
use crate::domain::codes::Code;
use crate::domain::{BuyerId, Role};
use crate::passwords::Passwords;
use crate::persistence::Db;
use crate::persistence::access::AccessReads;
use crate::persistence::limits::{Limit, LimitClass, Subject, TooMany};

/// Shared by all workers; handlers take `web::Data<AppState>`.
#[expect(missing_debug_implementations, reason = "holds secrets and the metrics recorder")]
pub struct AppState {
    /// The actors and loops of this node.
    pub shop: Arc<Shop>,
    /// The settings this server started with; what may change live is in [`AppState::in_effect`].
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// The database.
    pub db: Db,
    /// Makes and checks access tokens.
    pub tokens: Tokens,
    /// Single-use tickets for WebSockets.
    pub ws_tickets: WsTickets,
    /// Names and pictures for the answer to a purchase.
    pub product_cards: ProductCards,
    /// Hashes and verifies passwords.
    pub passwords: Passwords,
    /// Renders `/metrics`; `None` where nothing is recorded.
    pub metrics: Option<PrometheusHandle>,
    /// What was looked up for `/metrics` a moment ago.
    pub figures: figures::Page,
    /// What brings and serves pictures.
    pub uploads: UploadDesk,
    /// Sockets of visitors that may still be opened.
    pub visitor_seats: Arc<Semaphore>,
    /// What administrators looked at a moment ago.
    pub looks: Looks,
    /// When this process started.
    pub started: Instant,
    /// For administrators whose session actor does not answer.
    access: AccessReads,
    stopping: AtomicBool,
}

/// How long an administrator's session actor is waited for before the database is asked instead.
const ADMIN_PATIENCE: Duration = Duration::from_secs(1);

impl AppState {
    /// The state of a node whose shop is open.
    ///
    /// # Errors
    /// If passwords cannot be hashed on this machine.
    pub fn new(shop: Arc<Shop>, tokens: Tokens, metrics: Option<PrometheusHandle>) -> Result<Self, ApiError> {
        if let Some(metrics) = &metrics {
            shop.controls.figures.record_in(metrics.clone());
        }
        let (settings, clock, db) = (shop.settings.clone(), shop.clock.clone(), shop.db.clone());
        Ok(Self {
            passwords: Passwords::new(settings.auth.hashing_concurrency)?,
            ws_tickets: WsTickets::new(settings.feed.tickets_max, shop.redis.clone()),
            product_cards: ProductCards::new(),
            figures: figures::Page::default(),
            visitor_seats: Arc::new(Semaphore::new(settings.feed.visitor_sockets_max)),
            uploads: UploadDesk::new(&settings.uploads),
            looks: Looks::default(),
            started: crate::clock::monotonic(),
            access: AccessReads::new(&shop.db),
            stopping: AtomicBool::new(false),
            shop,
            settings,
            clock,
            db,
            tokens,
            metrics,
        })
    }

    /// The settings in effect.
    #[must_use]
    pub fn in_effect(&self) -> Arc<Settings> {
        self.shop.in_effect.now()
    }

    /// Longest wait for an actor's answer.
    #[must_use]
    pub const fn ask_timeout(&self) -> Duration {
        Duration::from_millis(self.settings.actors.ask_timeout_ms)
    }

    /// True once shutdown has begun.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Shutdown begins: `/ready` says so, so that load balancers look elsewhere, no WebSocket opens any more, and each
    /// answer ends its connection.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Counts one more event of `key`.
    ///
    /// # Errors
    /// `TOO_MANY_REQUESTS` with the time to wait.
    pub async fn let_in(&self, class: LimitClass, key: &str, limit: Limit) -> Result<(), ApiError> {
        let admitted = self.shop.limiter.admit(Subject { class, key }, limit).await;
        admitted.map_err(|TooMany { retry_after_ms }| {
            metrics::counter!("rushmall_held_up_total", "class" => class.name()).increment(1);
            ApiError::from(Code::TOO_MANY_REQUESTS).retry_after_ms(retry_after_ms)
        })
    }

    /// Who a verified token speaks for, if its session still lives.
    ///
    /// # Errors
    /// `TOKEN_INVALID` after logout or a password change, `USER_DISABLED`.
    pub async fn authorize(&self, claims: &Claims) -> Result<Caller, ApiError> {
        let (buyer, sid) = (BuyerId(claims.user_id), claims.sid.clone());
        tracing::Span::current().record("user_id", claims.user_id);
        Ok(self.shop.sessions.ask(&buyer, Authorize { sid }, self.ask_timeout()).await??)
    }

    /// The same for an administrator, whose doors must open also while the actor of his own session is held up by an
    /// order (perhaps his own) or does not answer: then the database is asked.
    ///
    /// # Errors
    /// As [`AppState::authorize`], and `NOT_ADMINISTRATOR`.
    pub async fn authorize_admin(&self, admin: BuyerId, sid: &str) -> Result<Caller, ApiError> {
        let state = self.shop.sessions.state_of(&admin);
        let is_held = matches!(
            state,
            Some(ActorState::Paused | ActorState::Draining | ActorState::Quarantined | ActorState::Stopped)
        );
        let asked = if is_held {
            None
        } else {
            let authorize = Authorize { sid: sid.to_owned() };
            self.shop.sessions.ask(&admin, authorize, ADMIN_PATIENCE.min(self.ask_timeout())).await.ok()
        };
        let caller = match asked {
            Some(answer) => answer?,
            None => {
                let access = self.access.access(admin).await?;
                caller_of(access.as_ref(), sid.to_owned(), self.clock.now_ms())?
            }
        };
        if caller.role == Role::Admin { Ok(caller) } else { Err(Code::NOT_ADMINISTRATOR.into()) }
    }

    /// True if balancers should look elsewhere: this node stops, or its actors were drained.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.is_stopping() || self.shop.controls.is_drained()
    }
}

#[cfg(test)]
pub(crate) use tests::for_tests;

#[cfg(test)]
mod tests {
    use actix::Arbiter;

    use super::*;
    use crate::actors::kit::Host;
    use crate::actors::shop::{BackEnds, Foundations, Surroundings};
    use crate::persistence::{MemoryLimiter, SqlCarts, SqlLedger};

    /// A state on a database of its own.
    pub(crate) async fn for_tests() -> (AppState, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let (mut settings, clock) = (Settings::default(), Clock::default());
        settings.limits.queue_wait_max_ms = 0; // one thread does everything here, hashing as well: it is often late
        let db = Db::connect(&settings.database, dir.path()).await.unwrap();
        db.migrate().await.unwrap();
        let host = Host::start(vec![Arbiter::current()], clock.clone()).unwrap();
        let ledger = Arc::new(SqlLedger::new(db.clone()));
        let queue = Arc::new(crate::messaging::InProcessQueue::new(3, settings.node.name.clone(), clock.clone()));
        let tokens = Tokens::new(&crate::random::bytes::<32>(), &settings.auth);
        let (carts, limiter) = (Arc::new(SqlCarts::new(db.clone())), Arc::new(MemoryLimiter::new(clock.clone())));
        let surroundings = Surroundings::alone();
        let back_ends = BackEnds { ledger, queue, announcer: None, carts, limiter, shared_clicks: None, surroundings };
        let gateways = crate::payment::setup::Gateways::default();
        let webhooks = crate::actors::webhooks::Webhooks::open(&settings, db.clone(), clock.clone()).unwrap();
        let signer = crate::transparency::HeadSigner::new(&settings.audit.origin, &crate::random::bytes()).unwrap();
        let (reports_dir, rooms_note) = (dir.path().join("reports"), dir.path().join("rooms.json"));
        let shop = Shop::open(Foundations {
            settings,
            db,
            back_ends,
            gateways,
            webhooks,
            clock,
            host,
            signer,
            reports_dir,
            rooms_note,
        });
        shop.start_loops().await;
        (AppState::new(shop, tokens, None).unwrap(), dir)
    }
}
