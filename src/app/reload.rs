//! Reads the settings anew while the shop is open (SIGHUP, `POST /api/admin/settings/reload`) and puts in effect what may
//! change live (`config::is_live`).
//!
//! | step | can fail | if it does |
//! |---|---|---|
//! | read the layers, check each key and all together | yes | refused: place, key, got, expected |
//! | compare with what is in effect | yes: a key that needs a restart | refused |
//! | build gateways, read secrets of webhooks, read the certificate | yes | refused |
//! | put all of it in place | no | |
//!
//! **Invariant**: a refused reload changes nothing; whatever is in effect was read from one state of the files. What is on
//! its way (a call to a gateway, a post to a webhook, a connection) ends with what it began with.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use futures::future::FutureExt as _;
use rustls::sign::CertifiedKey;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::tls::{self, ShownCertificate};
use crate::actors::settings_lever::{ChangedSetting, ReloadOutcome, Reloaded, SettingsLever};
use crate::actors::shop::Shop;
use crate::actors::webhooks::{Target, Webhooks};
use crate::clock::Clock;
use crate::config::{
    Change, LiveLimits, LiveSettings, Loaded, PaymentSettings, Settings, Sources, changes, load, rows,
};
use crate::payment::setup::Gateways;
use crate::persistence::Db;
use crate::persistence::audit::{self, AuditEntry};
use crate::telemetry::LogFilter;

/// Longest that reading files may take: they may lie on a network.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// Longest wait for the audit log.
const RECORD_WITHIN: Duration = Duration::from_secs(5);

/// The account of the mounted sandbox gateway in place of what the settings say of gateways.
pub(super) type Account = Arc<dyn Fn(&PaymentSettings) -> PaymentSettings + Send + Sync>;

/// Where the settings of this process came from, and its log.
#[derive(Debug)]
pub struct SettingsSource {
    /// The layers.
    pub sources: Sources,
    /// What they said at the start.
    pub loaded: Loaded,
    /// Which lines are written.
    pub log: LogFilter,
}

/// Reads the settings anew, one attempt at a time.
pub(super) struct Reloader {
    source: OnceLock<(Sources, LogFilter)>,
    loaded: RwLock<Arc<Loaded>>,
    turn: Mutex<()>,
    levers: Levers,
}

/// What is changed on a running node.
pub(super) struct Levers {
    pub(super) in_effect: LiveSettings,
    pub(super) limits: LiveLimits,
    pub(super) gateways: Gateways,
    pub(super) webhooks: Webhooks,
    pub(super) certificate: Option<Arc<ShownCertificate>>,
    pub(super) account: Option<Account>,
    pub(super) db: Db,
    pub(super) clock: Clock,
}

/// Everything that was read and built, before any of it is in effect.
struct Prepared {
    loaded: Loaded,
    settings: Settings,
    changes: Vec<Change>,
    gateways: Gateways,
    targets: Arc<[Target]>,
    certificate: Option<CertifiedKey>,
}

impl Levers {
    pub(super) fn of(
        shop: &Shop,
        gateways: Gateways,
        certificate: Option<Arc<ShownCertificate>>,
        account: Option<Account>,
    ) -> Self {
        Self {
            in_effect: shop.in_effect.clone(),
            limits: shop.limits.clone(),
            gateways,
            webhooks: shop.webhooks.clone(),
            certificate,
            account,
            db: shop.db.clone(),
            clock: shop.clock.clone(),
        }
    }
}

impl Reloader {
    /// A node with these settings, which cannot be read anew until [`Reloader::reads_from`].
    pub(super) fn new(settings: Settings, levers: Levers) -> Arc<Self> {
        let loaded = Arc::new(Loaded { settings, ..Loaded::default() });
        Arc::new(Self { source: OnceLock::new(), loaded: RwLock::new(loaded), turn: Mutex::default(), levers })
    }

    /// Where the settings came from; the first call counts.
    pub(super) fn reads_from(&self, SettingsSource { sources, loaded, log }: SettingsSource) {
        if self.source.set((sources, log)).is_ok() {
            self.holds(loaded);
        }
    }

    /// For administrators.
    pub(super) fn lever(self: &Arc<Self>) -> SettingsLever {
        let (shown, reloaded) = (Arc::clone(self), Arc::clone(self));
        SettingsLever {
            show: Box::new(move || shown.show()),
            reload: Box::new(move || {
                let reloader = Arc::clone(&reloaded);
                async move { reloader.reload().await }.boxed()
            }),
        }
    }

    fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn holds(&self, loaded: Loaded) {
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
    }

    fn show(&self) -> Value {
        let rows = rows(&self.loaded()).into_iter();
        let shown = rows.map(|row| json!({"key": row.key, "value": row.value, "origin": row.origin, "live": row.live}));
        shown.collect()
    }

    /// Reads the settings anew; the log and the figures tell what came of it.
    pub(super) async fn reload(&self) -> Reloaded {
        let _turn = self.turn.lock().await;
        let reloaded = match self.prepare().await.and_then(|prepared| self.put_in_place(prepared)) {
            Ok(reloaded) => reloaded,
            Err(problems) => Reloaded::refused(problems),
        };
        metrics::counter!("rushmall_settings_reloads_total", "outcome" => reloaded.outcome.word()).increment(1);
        match reloaded.outcome {
            ReloadOutcome::Unchanged => tracing::info!("settings read anew, nothing changed"),
            ReloadOutcome::Applied => {
                for ChangedSetting { key, from, to, origin } in &reloaded.changed {
                    tracing::info!(key, from, to, origin, "setting changed");
                }
                for renewed in &reloaded.renewed {
                    tracing::info!(renewed, "built anew from its files");
                }
            }
            ReloadOutcome::Refused => {
                for problem in &reloaded.problems {
                    tracing::error!(%problem, "settings refused, the old ones stay in force");
                }
            }
        }
        reloaded
    }

    /// The same for a signal, recorded in the audit log.
    pub(super) async fn reload_by_signal(&self, node: &str) {
        let reloaded = self.reload().await;
        let entry = AuditEntry {
            actor: None,
            actor_name: "SIGHUP".to_owned(),
            action: "settings.reload".to_owned(),
            target: "settings".to_owned(),
            detail: json!(reloaded),
            result: reloaded.problems.first().cloned().unwrap_or_else(|| "ok".to_owned()),
            node: node.to_owned(),
            trace_id: String::new(),
        };
        let recording = audit::append(&self.levers.db, &entry, self.levers.clock.now_ms());
        match tokio::time::timeout(RECORD_WITHIN, recording).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "settings read anew but not in the audit log"),
            Err(_) => tracing::error!("settings read anew but not in the audit log in time"),
        }
        tracing::info!(outcome = reloaded.outcome.word(), "SIGHUP worked off");
    }

    async fn prepare(&self) -> Result<Prepared, Vec<String>> {
        let Some((sources, _)) = self.source.get() else {
            return Err(vec!["this server was not started from files or variables".to_owned()]);
        };
        let (sources, old, clock) = (sources.clone(), self.loaded(), self.levers.clock.clone());
        let account = self.levers.account.clone();
        let reading = tokio::task::spawn_blocking(move || Prepared::read(&sources, &old, account.as_ref(), &clock));
        match tokio::time::timeout(READ_WITHIN, reading).await {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(_)) => Err(vec!["the settings could not be read: see the log".to_owned()]),
            Err(_) => Err(vec![format!("the settings could not be read within {} s", READ_WITHIN.as_secs())]),
        }
    }

    /// Nothing waits in here.
    fn put_in_place(&self, prepared: Prepared) -> Result<Reloaded, Vec<String>> {
        let Prepared { loaded, settings, changes, gateways, targets, certificate } = prepared;
        if changes.iter().any(|change| change.key == "telemetry.log")
            && let Some((_, log)) = self.source.get()
        {
            log.set(&settings.telemetry.log).map_err(|error| vec![error.to_string()])?;
        }
        let levers = &self.levers;
        levers.limits.replace(&settings);
        levers.in_effect.replace(settings);
        let mut renewed: Vec<String> =
            levers.gateways.renew(&gateways).into_iter().map(|wire| format!("payment.{wire}")).collect();
        if levers.webhooks.renew(targets) {
            renewed.push("webhooks.targets".to_owned());
        }
        if let (Some(shown), Some(certificate)) = (&levers.certificate, certificate)
            && shown.renew(certificate)
        {
            renewed.push("http.tls_certificate_file".to_owned());
        }
        self.holds(loaded);
        let differs = !changes.is_empty() || !renewed.is_empty();
        let outcome = if differs { ReloadOutcome::Applied } else { ReloadOutcome::Unchanged };
        let changed = changes.into_iter().map(|Change { key, from, to, origin }| ChangedSetting {
            key: key.to_owned(),
            from,
            to,
            origin,
        });
        Ok(Reloaded { outcome, changed: changed.collect(), renewed, problems: Vec::new() })
    }
}

impl Prepared {
    /// Blocks on files.
    fn read(sources: &Sources, old: &Loaded, account: Option<&Account>, clock: &Clock) -> Result<Self, Vec<String>> {
        let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let loaded = load(sources).map_err(|problems| lines(problems.to_string()))?;
        let changes = changes(old, &loaded).map_err(|problems| lines(problems.to_string()))?;
        let mut settings = loaded.settings.clone();
        if let Some(account) = account {
            settings.payment = account(&settings.payment);
        }
        let gateways = Gateways::open(&settings, clock).map_err(|problems| lines(problems.to_string()))?;
        let targets = Target::all_of(&settings).map_err(|error| lines(error.to_string()))?;
        let certificate = tls::read(&settings.http).map_err(|error| lines(error.to_string()))?;
        Ok(Self { loaded, settings, changes, gateways, targets, certificate })
    }
}
