//! The loop that looks for what is wrong and tells the news: to the log, to the board (which `/ws/admin` shows) and to the
//! webhook. A quarantine is looked at the moment it happens.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::board::{Severity, Telling, TellingKind};
use super::conditions::{LetterCount, Look, OF_A_NODE, OF_THE_SHOP};
use super::webhook::AlertWebhook;
use crate::actors::background::Stop;
use crate::actors::controls::Controls;
use crate::actors::kit::ActorEventKind;
use crate::actors::peers::Peers;
use crate::clock::Clock;
use crate::config::LiveSettings;
use crate::messaging::OrderQueue;
use crate::payment::setup::Gateways;
use crate::persistence::{Db, StockLedger, StoreError};

/// What the looks need.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds the mouth of the node")]
pub struct AlertWatch {
    /// Orders.
    pub db: Db,
    /// The gate, compared with the database where it lies outside of it.
    pub ledger: Arc<dyn StockLedger>,
    /// Tickets on their way.
    pub queue: Arc<dyn OrderQueue>,
    /// Their guards.
    pub gateways: Gateways,
    /// This node's actors and the board.
    pub controls: Controls,
    /// Tells which node looks after the shop.
    pub peers: Peers,
    /// Time.
    pub clock: Clock,
    /// Thresholds, which may change live.
    pub settings: LiveSettings,
    /// The way out of the house.
    pub webhook: AlertWebhook,
}

impl AlertWatch {
    /// Looks until `stop`.
    ///
    /// # Errors
    /// None; the type is that of all background loops.
    pub async fn run(mut self, mut stop: Stop) -> Result<(), StoreError> {
        let mut events = self.controls.host.events();
        let mut letters = LetterCount::default();
        let mut compare_at = Instant::now();
        while !stop.is_set() {
            let mut look = Look::default();
            self.look_at_node(&mut letters, &mut look);
            if self.looks_after_shop().await {
                self.look_at_shop(&mut look).await;
                let compare_every = Duration::from_millis(self.settings.now().alerts.drift_every_ms);
                if !compare_every.is_zero() && Instant::now() >= compare_at {
                    compare_at = Instant::now() + compare_every;
                    self.look_for_drift(&mut look).await;
                }
            } else {
                self.controls.alerts.hand_over(&OF_THE_SHOP);
            }
            self.tell(look);
            let until = Instant::now() + Duration::from_millis(self.settings.now().alerts.check_every_ms);
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(until) => break,
                    () = stop.wait() => return Ok(()),
                    event = events.recv() => match event {
                        Ok(event) if event.what == ActorEventKind::Quarantined => break,
                        Ok(_) | Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => return Ok(()),
                    },
                }
            }
        }
        Ok(())
    }

    /// True if no live node has a lower slot.
    async fn looks_after_shop(&self) -> bool {
        let nodes = self.peers.nodes();
        let Some(own) = nodes.this().map(|this| this.slot) else { return true };
        nodes.roll().await.nodes.iter().all(|node| node.slot >= own)
    }

    fn tell(&mut self, look: Look) {
        debug_assert!(look.kinds.iter().all(|kind| OF_A_NODE.contains(kind) || OF_THE_SHOP.contains(kind)));
        let settings = self.settings.now();
        let repeat_after_ms = settings.alerts.repeat_after_ms;
        let news = self.controls.alerts.settle(&look.kinds, look.found, self.clock.now_ms(), repeat_after_ms);
        for telling in news {
            log(&telling);
            self.webhook.send(&telling, &settings.alerts, &self.clock);
        }
    }
}

fn log(Telling { state, alert }: &Telling) {
    let (kind, subject, text) = (alert.kind.word(), &alert.subject, &alert.text);
    let word = match state {
        TellingKind::Raised => "raised",
        TellingKind::Repeated => "repeated",
        TellingKind::Resolved => "resolved",
    };
    metrics::counter!("rushmall_alerts_told_total", "kind" => kind, "state" => word).increment(1);
    match (state, alert.severity) {
        (TellingKind::Resolved, _) => tracing::info!(kind, subject, "alert resolved"),
        (_, Severity::Critical) => tracing::error!(kind, subject, text, told = alert.told, "alert"),
        (_, Severity::Warning) => tracing::warn!(kind, subject, text, told = alert.told, "alert"),
    }
}
