//! Loops that run beside the actors (consumer, relay, sweeps): started again when they fail or panic, stopped together.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::persistence::StoreError;

const PAUSE_FIRST_MS: u64 = 20;
const PAUSE_MAX_MS: u64 = 2_000;

/// Raised once, seen by all loops.
#[derive(Debug)]
pub struct StopSwitch(watch::Sender<bool>);

/// A loop's view of the switch.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Default for StopSwitch {
    fn default() -> Self {
        Self(watch::channel(false).0)
    }
}

impl StopSwitch {
    /// Asks all loops to finish.
    pub fn raise(&self) {
        self.0.send_replace(true);
    }

    /// A view for one loop.
    #[must_use]
    pub fn stop(&self) -> Stop {
        Stop(self.0.subscribe())
    }
}

impl Stop {
    /// True once raised.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once raised (or the switch is gone).
    pub async fn wait(&mut self) {
        let _ = self.0.wait_for(|raised| *raised).await;
    }

    /// Sleeps `pause`, or less if raised meanwhile.
    pub async fn sleep(&mut self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.wait() => {}
        }
    }
}

/// Runs `work` on this thread's runtime until it returns `Ok`; an error or a panic starts it again after a pause that
/// doubles from 20 ms to 2 s.
pub fn supervise<W, F>(name: &'static str, mut stop: Stop, work: W) -> JoinHandle<()>
where
    W: Fn() -> F + 'static,
    F: Future<Output = Result<(), StoreError>> + 'static,
{
    actix_rt::spawn(async move {
        let mut pause_ms = PAUSE_FIRST_MS;
        loop {
            match actix_rt::spawn(work()).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => tracing::error!(name, %error, "background loop failed, starting again"),
                Err(panic) => tracing::error!(name, %panic, "background loop panicked, starting again"),
            }
            metrics::counter!("rushmall_background_restarts_total", "loop" => name).increment(1);
            if stop.is_set() {
                return;
            }
            stop.sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(PAUSE_MAX_MS);
        }
    })
}
