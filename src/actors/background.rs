//! Loops that run beside the actors (consumer, relay, sweeps): started again when they fail or panic, stopped together.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
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

/// How long a stop waits for work that has begun; what is not done then is found again when its lease has ended.
const GRACE: Duration = Duration::from_secs(3);

/// Works off what `claim` hands out (at most as many as there is room for), so many at the same time, until `stop`. A slow
/// one holds up nobody else; `pause` comes between two looks when there was less than there was room for.
///
/// # Errors
/// The first of `claim` or `work`.
pub async fn work_off<T, E>(
    at_once: usize,
    mut stop: Stop,
    claim: impl AsyncFn(usize) -> Result<Vec<T>, E>,
    work: impl AsyncFn(T) -> Result<(), E>,
    pause: impl AsyncFn(),
) -> Result<(), E> {
    let mut running = FuturesUnordered::new();
    while !stop.is_set() {
        let room = at_once - running.len();
        let claiming = claim(room);
        tokio::pin!(claiming);
        // What runs goes on meanwhile: it may hold what the claim waits for.
        let claimed = loop {
            tokio::select! {
                claimed = &mut claiming => break claimed?,
                Some(outcome) = running.next(), if !running.is_empty() => outcome?,
            }
        };
        let has_more = claimed.len() == room;
        running.extend(claimed.into_iter().map(|item| work(item)));
        // Claims are made in portions, not one for everything that is done.
        let portion = if has_more { at_once.div_ceil(2) } else { 0 };
        let pausing = pause();
        tokio::pin!(pausing);
        while running.len() >= portion {
            tokio::select! {
                Some(outcome) = running.next(), if !running.is_empty() => outcome?,
                () = &mut pausing, if !has_more => break,
                () = stop.wait() => break,
            }
        }
    }
    let rest = async {
        while let Some(outcome) = running.next().await {
            outcome?;
        }
        Ok(())
    };
    tokio::time::timeout(GRACE, rest).await.unwrap_or(Ok(()))
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
                // Its connections go away with the node; what was under way is found again at the next start.
                Ok(Err(error)) if stop.is_set() => tracing::info!(name, %error, "background loop ended with the node"),
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
