//! A running sandbox: its books, keys, clocks, knobs and faults, shared by all its endpoints.

use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;

use super::error::SandboxError;
use super::faults::Faults;
use super::keys::{KeyError, Keys, Merchant};
use super::knobs::Knobs;
use super::ledger::{Ledger, LedgerError, LogLine, read_setting, write_setting};
use super::notify::Held;
use super::rules::Terms;
use super::travel::{Clocks, Offsets};
use crate::clock::Clock;

const KNOBS: &str = "knobs";
const OFFSETS: &str = "clocks";
/// Log lines that wait to be written; more are forgotten.
const LOG_WAITING_MAX: usize = 20_000;
/// A notification must be answered within this time.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a sandbox is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its books, keys and `merchant.json`.
    pub data_dir: PathBuf,
    /// Where merchants and buyers reach it, the prefix included, without a slash at the end.
    pub public_url: String,
    /// How many times faster than the providers' the retries of notifications and the processing of refunds are, >= 1.
    pub time_scale: u32,
    /// Opens the control page to other machines; without it only this one reaches it.
    pub control_token: Option<String>,
    /// Codes that buyers scan are the cashier's address unless a knob says otherwise: for a shop that people try.
    pub shows_cashier: bool,
    /// The clock that its own two are built on.
    pub clock: Clock,
}

/// See the file's header.
#[derive(Debug)]
pub struct Sandbox {
    pub(super) options: Options,
    pub(super) ledger: Ledger,
    pub(super) keys: Arc<Keys>,
    pub(super) clocks: Clocks,
    pub(super) faults: Faults,
    /// Rings when there may be something to deliver.
    pub(super) wake: Notify,
    pub(super) client: reqwest::Client,
    /// Notifications that a fault holds back.
    pub(super) held: Held,
    /// Deliveries that run.
    pub(super) deliveries: AtomicUsize,
    knobs: RwLock<Knobs>,
    log: Mutex<Vec<LogLine>>,
    /// Held while lines are written, so that whoever has written them knows that none is on its way.
    log_pen: tokio::sync::Mutex<()>,
}

impl Sandbox {
    /// Opens the books and keys, makes them at the first start.
    ///
    /// # Errors
    /// [`SandboxError`].
    pub async fn open(options: Options) -> Result<Self, SandboxError> {
        let (dir, url) = (options.data_dir.clone(), options.public_url.clone());
        let now_ms = options.clock.now_ms();
        let made = tokio::task::spawn_blocking(move || Keys::open(&dir, &url, now_ms)).await;
        let keys = made.map_err(|_| KeyError::Lost)??;
        let ledger = Ledger::open(&options.data_dir.join("sandbox.db")).await?;
        let knobs = read_setting(ledger.reader(), KNOBS).await?;
        let knobs = knobs.unwrap_or_else(|| Knobs::of(options.shows_cashier));
        let offsets: Offsets = read_setting(ledger.reader(), OFFSETS).await?.unwrap_or_default();
        Ok(Self {
            faults: Faults::open(&ledger).await?,
            clocks: Clocks::new(options.clock.clone(), offsets),
            keys: Arc::new(keys),
            wake: Notify::new(),
            client: client().map_err(SandboxError::Client)?,
            held: Held::default(),
            deliveries: AtomicUsize::new(0),
            knobs: RwLock::new(knobs),
            log: Mutex::new(Vec::new()),
            log_pen: tokio::sync::Mutex::new(()),
            ledger,
            options,
        })
    }

    /// What the merchant was given.
    #[must_use]
    pub fn merchant(&self) -> &Merchant {
        &self.keys.merchant
    }

    /// Closes the books.
    pub async fn close(&self) {
        if let Err(error) = self.write_log().await {
            tracing::warn!(%error, "the sandbox's log was not written");
        }
        self.ledger.clone().close().await;
    }

    pub(super) fn knobs(&self) -> Knobs {
        self.knobs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn set_knobs(&self, knobs: Knobs) -> Result<(), LedgerError> {
        let change = self.ledger.begin().await?;
        write_setting(&change, KNOBS, &knobs).await?;
        change.commit().await?;
        *self.knobs.write().unwrap_or_else(PoisonError::into_inner) = knobs;
        Ok(())
    }

    pub(super) async fn travel_to(&self, offsets: Offsets) -> Result<(), LedgerError> {
        let change = self.ledger.begin().await?;
        write_setting(&change, OFFSETS, &offsets).await?;
        change.commit().await?;
        self.clocks.set(offsets);
        self.wake.notify_one();
        Ok(())
    }

    /// The knobs' terms, hurried by the time scale.
    pub(super) fn terms(&self) -> Terms {
        let terms = self.knobs().terms;
        Terms { refund_takes_ms: terms.refund_takes_ms / i64::from(self.options.time_scale.max(1)), ..terms }
    }

    pub(super) fn note(&self, line: LogLine) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() < LOG_WAITING_MAX {
            log.push(line);
        }
    }

    /// Writes the lines that wait; with the answer all lines noted before the call are in the books. Lines that could not be
    /// written wait again.
    pub(super) async fn write_log(&self) -> Result<(), LedgerError> {
        let _pen = self.log_pen.lock().await;
        let lines = std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner));
        if lines.is_empty() {
            return Ok(());
        }
        let written = self.write_lines(&lines).await;
        if written.is_err() {
            let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            let later = std::mem::replace(&mut *log, lines);
            log.extend(later);
            log.truncate(LOG_WAITING_MAX);
        }
        written
    }

    async fn write_lines(&self, lines: &[LogLine]) -> Result<(), LedgerError> {
        let change = self.ledger.begin().await?;
        super::ledger::add_log_lines(&change, lines).await?;
        Ok(change.commit().await?)
    }
}

/// Never through a proxy, never to where a redirect points. A machine without root certificates reaches plain HTTP only.
fn client() -> Result<reqwest::Client, reqwest::Error> {
    let builder = || {
        reqwest::Client::builder()
            .no_proxy()
            .timeout(NOTICE_TIMEOUT)
            .connect_timeout(NOTICE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent("Mozilla/4.0")
    };
    builder().build().or_else(|_| builder().tls_certs_only([]).build())
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;
    use crate::payment::sandbox::ledger::log_lines;

    #[actix_rt::test]
    async fn who_reads_the_log_waits_for_lines_that_another_is_writing() {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::open(Options {
            data_dir: dir.path().to_owned(),
            public_url: "http://127.0.0.1:1".into(),
            time_scale: 1,
            control_token: None,
            shows_cashier: false,
            clock: Clock::default(),
        });
        let sandbox = sandbox.await.unwrap();
        let line = LogLine {
            at_ms: 1,
            channel: "alipay".into(),
            operation: "query".into(),
            number: "A".into(),
            outcome: "200".into(),
            fault: String::new(),
        };
        sandbox.note(line.clone());
        let mut writer = Box::pin(sandbox.write_log());
        assert!(poll!(writer.as_mut()).is_pending(), "it has the lines and waits for the disk");
        let mut reader = Box::pin(sandbox.write_log());
        assert!(poll!(reader.as_mut()).is_pending(), "they are not in the books yet");
        writer.await.unwrap();
        reader.await.unwrap();
        assert_eq!(log_lines(sandbox.ledger.reader(), 10).await.unwrap(), [line]);
    }
}
