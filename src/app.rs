//! The composition root: settings become stores, stores become actors, actors become a shop behind HTTP. The only
//! file that sees all.
//!
//! Shutdown goes the other way: readiness says no and every answer ends its connection, for as long as balancers need
//! to notice; then sockets and the listener close, running requests finish, the queue is emptied into orders, their
//! events are told, the actors and the database close. So no accepted request fails.
//!
//! The grace is for kept connections: once the server stops, actix-web closes those that are idle at once, and with them
//! the request that a client has just sent. A client that was told `Connection: close` sends no more on it.

pub mod back_ends;
mod sandbox;

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use actix_web::dev::ServerHandle;
use actix_web::{HttpServer, web};
use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use self::sandbox::Mounted;
use crate::actors::kit::Host;
use crate::actors::shop::{BackEnds, Foundations, Shop};
use crate::clock::Clock;
use crate::config::{NodeSettings, Setup};
use crate::http::auth::Tokens;
use crate::http::signing_key::signing_key;
use crate::http::{AppState, server};
use crate::messaging::NodeInfo;
use crate::ops::{admin, banner, seed};
use crate::payment::setup::Gateways;
use crate::persistence::{Db, Holders, effects, idempotency, nothing_under_way, notices, open_ledger};
use crate::telemetry::metrics::Metrics;

/// How `serve` was asked to start.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// Put the demo catalogue into an empty shop (never in production).
    pub demo: bool,
}

/// A running shop.
pub struct App {
    /// Released by the operating system, however the process ends.
    _lock: File,
    sandbox: Option<Mounted>,
    state: web::Data<AppState>,
    address: SocketAddr,
    handle: ServerHandle,
    server: JoinHandle<std::io::Result<()>>,
    arbiters: Vec<Arbiter>,
    drain_grace: Duration,
    shutdown_timeout: Duration,
}

/// Runs the shop until SIGTERM or SIGINT, then lets everything that was accepted finish.
///
/// # Errors
/// If a part cannot be started; what failed and why is in the chain.
pub async fn serve(setup: Setup, options: ServeOptions) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let metrics = Metrics::install();
    actix_rt::spawn(metrics.clone().upkeep());
    let db = open_database(&setup).await?;
    let clock = Clock::default();
    if options.demo {
        let ledger = open_ledger(&setup.settings, &db, &clock, nothing_under_way()).await?;
        seed::fill(&db, &*ledger, clock.now_ms()).await?;
    }
    let app = App::start(setup, db.clone(), clock.clone(), Some(metrics.handle())).await?;
    // only now: a start that fails must not make a password that nobody ever sees
    let first_admin = admin::create_first(&db, clock.now_ms()).await?;
    banner::print(app.address(), first_admin.as_ref(), options.demo);
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM, finishing what was accepted"),
        _ = interrupt.recv() => tracing::info!("SIGINT, finishing what was accepted"),
    }
    tokio::select! {
        () = app.stop() => Ok(()),
        _ = interrupt.recv() => anyhow::bail!("interrupted a second time; what was accepted is finished at the next start"),
    }
}

/// One server a data directory: a second one would take the first one's leases for those of the dead.
fn lock(data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => anyhow::bail!("another rushmall serves from {}", data_dir.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// Opens the database that the settings name and brings its schema up to date.
///
/// # Errors
/// If the data directory cannot be made or the database not be opened or migrated.
pub async fn open_database(setup: &Setup) -> anyhow::Result<Db> {
    let dir = &setup.data_dir;
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create the data directory {}", dir.display()))?;
    let db = Db::connect(&setup.settings.database, dir).await?;
    db.migrate().await?;
    Ok(db)
}

/// What an earlier life of the node in `slot` was at when it died need not wait for its leases.
async fn end_leases(db: &Db, slot: u8) -> anyhow::Result<()> {
    let of = if db.is_private() { Holders::All } else { Holders::Slot(slot) };
    let (effects, keys) = (effects::end_leases(db, of).await?, idempotency::abandon_all(db, of).await?);
    let notices = notices::end_leases(db, of).await?;
    tracing::debug!(effects, keys, notices, "leases of an earlier life ended");
    Ok(())
}

impl App {
    /// Starts actors, loops and the HTTP server on `db`; must be called inside an actix system.
    ///
    /// # Errors
    /// If the signing key is refused, the port is taken, or a back end cannot be reached.
    pub async fn start(setup: Setup, db: Db, clock: Clock, metrics: Option<PrometheusHandle>) -> anyhow::Result<Self> {
        let back_ends = back_ends::open(&setup, &db, &clock).await?;
        Self::start_on(back_ends, setup, db, clock, metrics).await
    }

    /// The same on chosen back ends.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_on(
        back_ends: BackEnds,
        setup: Setup,
        db: Db,
        clock: Clock,
        metrics: Option<PrometheusHandle>,
    ) -> anyhow::Result<Self> {
        let lock = lock(&setup.data_dir)?;
        let key = signing_key(&setup)?;
        let mut settings = setup.settings;
        let listener = sandbox::listen(&settings.http.host, settings.http.port)?;
        let address = listener.local_addr().context("bound to no address")?;
        let sandbox = match settings.sandbox_payment() {
            true => Some(Mounted::open(&setup.data_dir, address, &clock).await?),
            false => None,
        };
        if let Some(sandbox) = &sandbox {
            settings.payment = sandbox.account(&setup.data_dir, address, &settings.payment);
        }
        let gateways = Gateways::open(&settings, &clock).context("the payment gateways cannot be used")?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let or_cores = |wanted: usize| if wanted == 0 { cores } else { wanted };
        let arbiters: Vec<Arbiter> = (0..or_cores(settings.actors.arbiters)).map(|_| Arbiter::new()).collect();
        let host = Host::start(arbiters.iter().map(Arbiter::handle).collect(), clock.clone())
            .context("cannot start the actor host")?;
        let tokens = Tokens::new(&key, &settings.auth);
        let (nodes, started_at_ms) = (back_ends.surroundings.nodes.clone(), clock.now_ms());
        let shop = Shop::open(Foundations { settings: settings.clone(), db, back_ends, gateways, clock, host });
        let state = AppState::new(shop, tokens, metrics).map_err(|error| anyhow::anyhow!("{error}"))?;
        let state = web::Data::new(state);
        let factory = state.clone();
        let drain_grace = Duration::from_millis(settings.http.drain_grace_ms);
        let shutdown_timeout = Duration::from_millis(settings.http.shutdown_timeout_ms);
        let mounted = sandbox.as_ref().map(|mounted| mounted.sandbox.clone());
        let bound = HttpServer::new(move || server::app(factory.clone(), mounted.clone()))
            .workers(or_cores(settings.http.workers))
            .max_connections(settings.http.connections_per_worker_max)
            .shutdown_timeout(shutdown_timeout.as_secs().max(1))
            .disable_signals()
            .listen(listener)
            .context("cannot serve on the port that was taken")?;
        let NodeSettings { name, slot } = settings.node.clone();
        nodes.enter(NodeInfo { name, slot, address: address.to_string(), started_at_ms }).await?;
        // Lock, port and slot are ours: from here on this process is a node of the shop.
        end_leases(&state.db, slot).await?;
        state.shop.start_loops().await;
        let running = bound.run();
        let handle = running.handle();
        let server = actix_rt::spawn(running);
        Ok(Self { _lock: lock, sandbox, state, address, handle, server, arbiters, drain_grace, shutdown_timeout })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The shop behind it.
    #[must_use]
    pub fn shop(&self) -> &Arc<Shop> {
        &self.state.shop
    }

    /// Stops taking requests, finishes what was accepted, and closes everything.
    pub async fn stop(self) {
        self.state.stop();
        actix_rt::time::sleep(self.drain_grace).await;
        let shop = Arc::clone(self.shop());
        shop.close_sockets();
        self.handle.stop(true).await;
        if let Ok(Err(error)) = self.server.await {
            tracing::warn!(%error, "HTTP server ended with an error");
        }
        if let Some(sandbox) = self.sandbox {
            sandbox.close().await;
        }
        shop.close(self.shutdown_timeout).await;
        for arbiter in self.arbiters {
            arbiter.stop();
        }
        shop.db.clone().close().await;
        tracing::info!("stopped");
    }
}
