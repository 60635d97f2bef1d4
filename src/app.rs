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
mod reload;
mod sandbox;
mod tls;

use std::fs::{File, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use actix_web::dev::{Server, ServerHandle};
use actix_web::{HttpServer, web};
use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

pub use self::reload::SettingsSource;
use self::reload::{Levers, Reloader};
use self::sandbox::Mounted;
use self::tls::ShownCertificate;
use crate::actors::kit::Host;
use crate::actors::shop::{BackEnds, Foundations, Shop};
use crate::actors::webhooks::Webhooks;
use crate::clock::Clock;
use crate::config::{Environment, HttpSettings, NodeSettings, Setup};
use crate::http::auth::Tokens;
use crate::http::signing_key::signing_key;
use crate::http::{AppState, figures, server};
use crate::messaging::NodeInfo;
use crate::ops::{admin, banner, seed};
use crate::payment::setup::Gateways;
use crate::persistence::{
    Db, Holders, bill_runs, effects, idempotency, nothing_under_way, notices, open_ledger, webhooks,
};
use crate::telemetry::metrics::Metrics;
use crate::transparency::{HeadSigner, key_file};

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
    reloader: Arc<Reloader>,
    address: SocketAddr,
    handle: ServerHandle,
    server: JoinHandle<std::io::Result<()>>,
    arbiters: Vec<Arbiter>,
    /// Looks up figures for administrators who watch.
    looking: JoinHandle<()>,
    drain_grace: Duration,
    shutdown_timeout: Duration,
}

/// Runs the shop until SIGTERM or SIGINT, then lets everything that was accepted finish. SIGHUP has the settings read anew.
///
/// # Errors
/// If a part cannot be started; what failed and why is in the chain.
pub async fn serve(setup: Setup, source: SettingsSource, options: ServeOptions) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    // from the first moment on: unheard, it would end the process
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let metrics = Metrics::install();
    actix_rt::spawn(metrics.clone().upkeep());
    let db = open_database(&setup).await?;
    let clock = Clock::default();
    if options.demo {
        let ledger = open_ledger(&setup.settings, &db, &clock, nothing_under_way()).await?;
        seed::fill(&db, &*ledger, clock.now_ms()).await?;
    }
    let scheme = if setup.settings.has_tls() { "https" } else { "http" };
    let app = App::start(setup, db.clone(), clock.clone(), Some(metrics.handle())).await?;
    app.reloader.reads_from(source);
    // only now: a start that fails must not make a password that nobody ever sees
    let first_admin = admin::create_first(&db, clock.now_ms()).await?;
    banner::print(app.address(), scheme, first_admin.as_ref(), options.demo);
    loop {
        tokio::select! {
            _ = terminate.recv() => break tracing::info!("SIGTERM, finishing what was accepted"),
            _ = interrupt.recv() => break tracing::info!("SIGINT, finishing what was accepted"),
            _ = hangup.recv() => {
                tracing::info!("SIGHUP, reading the settings anew");
                app.reload_by_signal().await;
            }
        }
    }
    tokio::select! {
        () = app.stop() => Ok(()),
        _ = interrupt.recv() => anyhow::bail!("interrupted a second time; what was accepted is finished at the next start"),
    }
}

/// Threads that are wanted; 0: one a core.
fn or_cores(wanted: usize) -> usize {
    if wanted == 0 { std::thread::available_parallelism().map_or(1, usize::from) } else { wanted }
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

/// The signer of the transparency log's heads. A cluster in production is given its key: nodes that each made one could
/// not continue each other's heads.
fn head_signer(setup: &Setup) -> anyhow::Result<HeadSigner> {
    let Setup { settings, data_dir } = setup;
    let is_given = !settings.audit.key_file.is_empty();
    anyhow::ensure!(
        is_given || !settings.is_cluster() || settings.environment != Environment::Production,
        "audit.key_file must be set, the same key on every node: openssl rand -hex 32 makes one"
    );
    let path = settings.audit_key_file(data_dir);
    let secret = if is_given && settings.is_cluster() { key_file::read(&path) } else { key_file::read_or_make(&path) };
    let secret = secret.with_context(|| format!("cannot use the key of the transparency log, {}", path.display()))?;
    HeadSigner::new(&settings.audit.origin, &secret).context("audit.origin cannot be used")
}

/// The HTTP server on the port that was taken; it answers once it is polled.
fn http_server(
    listener: TcpListener,
    http: &HttpSettings,
    certificate: Option<&Arc<ShownCertificate>>,
    state: &web::Data<AppState>,
    sandbox: Option<&Mounted>,
) -> anyhow::Result<Server> {
    let (state, mounted) = (state.clone(), sandbox.map(|mounted| mounted.sandbox.clone()));
    let server = HttpServer::new(move || server::app(state.clone(), mounted.clone()))
        .workers(or_cores(http.workers))
        .max_connections(http.connections_per_worker_max)
        .shutdown_timeout((http.shutdown_timeout_ms / 1_000).max(1))
        .disable_signals();
    let bound = match certificate {
        Some(certificate) => server.listen_rustls_0_23(listener, certificate.server_config()?),
        None => server.listen(listener),
    };
    Ok(bound.context("cannot serve on the port that was taken")?.run())
}

/// What an earlier life of the node in `slot` was at when it died need not wait for its leases.
async fn end_leases(db: &Db, slot: u8) -> anyhow::Result<()> {
    let of = if db.is_private() { Holders::All } else { Holders::Slot(slot) };
    let (effects, keys) = (effects::end_leases(db, of).await?, idempotency::abandon_all(db, of).await?);
    let (notices, webhooks) = (notices::end_leases(db, of).await?, webhooks::end_leases(db, of).await?);
    let bills = bill_runs::end_leases(db, of).await?;
    tracing::debug!(effects, keys, notices, webhooks, bills, "leases of an earlier life ended");
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
        let (key, signer) = (signing_key(&setup)?, head_signer(&setup)?);
        let mut settings = setup.settings;
        let listener = sandbox::listen(&settings.http.host, settings.http.port)?;
        let address = listener.local_addr().context("bound to no address")?;
        let certificate = ShownCertificate::open(&settings.http).context("TLS cannot be used")?;
        let sandbox = Mounted::open(&settings, &setup.data_dir, address, &clock).await?;
        let account = sandbox.as_ref().map(|sandbox| sandbox.account(&setup.data_dir, address));
        let said = settings.clone();
        if let Some(account) = &account {
            settings.payment = account(&settings.payment);
        }
        let gateways = Gateways::open(&settings, &clock).context("the payment gateways cannot be used")?;
        let webhooks = Webhooks::open(&settings, db.clone(), clock.clone())?;
        let arbiters: Vec<Arbiter> = (0..or_cores(settings.actors.arbiters)).map(|_| Arbiter::new()).collect();
        let host = Host::start(arbiters.iter().map(Arbiter::handle).collect(), clock.clone())
            .context("cannot start the actor host")?;
        let tokens = Tokens::new(&key, &settings.auth);
        let (reports_dir, rooms_note) = (setup.data_dir.join("reports"), setup.data_dir.join("rooms.json"));
        let (nodes, started_at_ms) = (back_ends.surroundings.nodes.clone(), clock.now_ms());
        let shop = Shop::open(Foundations {
            settings: settings.clone(),
            db,
            back_ends,
            gateways: gateways.clone(),
            webhooks,
            clock,
            host,
            signer,
            reports_dir,
            rooms_note,
        });
        let reloader = Reloader::new(said, Levers::of(&shop, gateways, certificate.clone(), account));
        shop.controls.put_settings(reloader.lever());
        let state = AppState::new(shop, tokens, metrics).map_err(|error| anyhow::anyhow!("{error}"))?;
        let state = web::Data::new(state);
        let drain_grace = Duration::from_millis(settings.http.drain_grace_ms);
        let shutdown_timeout = Duration::from_millis(settings.http.shutdown_timeout_ms);
        let running = http_server(listener, &settings.http, certificate.as_ref(), &state, sandbox.as_ref())?;
        let NodeSettings { name, slot } = settings.node.clone();
        nodes.enter(NodeInfo { name, slot, address: address.to_string(), started_at_ms }).await?;
        // Lock, port and slot are ours: from here on this process is a node of the shop.
        end_leases(&state.db, slot).await?;
        state.shop.start_loops().await;
        let looking = actix_rt::spawn(figures::look_when_asked(state.clone()));
        let handle = running.handle();
        let server = actix_rt::spawn(running);
        Ok(Self {
            _lock: lock,
            sandbox,
            state,
            reloader,
            address,
            handle,
            server,
            arbiters,
            looking,
            drain_grace,
            shutdown_timeout,
        })
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

    async fn reload_by_signal(&self) {
        self.reloader.reload_by_signal(&self.state.settings.node.name).await;
    }

    /// Stops taking requests, finishes what was accepted, and closes everything.
    pub async fn stop(self) {
        self.state.stop();
        self.looking.abort();
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
