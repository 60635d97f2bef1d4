//! Everything over HTTP under one prefix, and the work that goes on beside it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use actix_web::{Scope, web};
use tokio::sync::watch;

use super::error::SandboxError;
use super::state::Sandbox;
use super::wire::REQUEST_BYTES_MAX;
use super::{alipay, cashier, control, notify, v2, v3};

/// How often is looked for what is due when nothing rings.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The log is written behind.
const LOG_EVERY: Duration = Duration::from_secs(1);
/// Longest wait at the end for deliveries that run.
const REST_WITHIN: Duration = Duration::from_secs(6);

/// All endpoints under `prefix` (empty: at the root). Signatures cover the path as it is received, prefix included.
pub fn scope(prefix: &str, sandbox: web::Data<Sandbox>) -> Scope {
    web::scope(prefix)
        .app_data(sandbox)
        .app_data(web::PayloadConfig::new(REQUEST_BYTES_MAX))
        .configure(v3::routes)
        .configure(v2::routes)
        .configure(alipay::routes)
        .configure(cashier::routes)
        .configure(control::routes)
}

/// Delivers notifications and ends refunds until it is stopped.
#[derive(Debug)]
pub struct Background {
    sandbox: Arc<Sandbox>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Starts that work on this thread's runtime.
#[must_use]
pub fn start_background(sandbox: Arc<Sandbox>) -> Background {
    let (stop, stopped) = watch::channel(false);
    let task = actix_web::rt::spawn(work(Arc::clone(&sandbox), stopped));
    Background { sandbox, stop, task }
}

impl Background {
    /// Stops it; deliveries that run are waited for. What they owe stays in the books.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
        let rest = async {
            while !notify::deliveries_rest(&self.sandbox) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(REST_WITHIN, rest).await;
    }
}

async fn work(sandbox: Arc<Sandbox>, mut stopped: watch::Receiver<bool>) {
    let mut logged = crate::clock::monotonic();
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = sandbox.wake.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if let Err(error) = step(&sandbox).await {
            tracing::error!(%error, source = ?std::error::Error::source(&error), "the sandbox fell behind");
            tokio::time::sleep(LOG_EVERY).await;
        }
        if logged.elapsed() >= LOG_EVERY {
            logged = crate::clock::monotonic();
            if let Err(error) = sandbox.write_log().await {
                tracing::warn!(%error, "the sandbox's log was not written");
            }
        }
    }
}

async fn step(sandbox: &Arc<Sandbox>) -> Result<(), SandboxError> {
    while sandbox.end_due_refunds().await? > 0 {}
    notify::deliver_due(sandbox).await
}
