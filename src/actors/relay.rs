//! Carries committed events from the outbox to everybody who is to hear of them, at least once.
//!
//! A commit rings the bell; the relay claims the oldest rows that no other node is at, delivers them on this node, tells
//! them to the others, then removes them. A crash before the end leaves them, and any node carries them again: receivers
//! drop what is not newer than what they have (order number and version). Rows are carried in commit order by one
//! node; two nodes may tell two commits in either order, which receivers put right by version as well.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Notify;

use super::announcer::{self, Announcer};
use super::background::Stop;
use super::listener::Listener;
use super::peers::NodeMessage;
use super::webhooks::Webhooks;
use crate::config::LiveSettings;
use crate::persistence::outbox::{self, Leg, OutboxRow};
use crate::persistence::{Db, StoreError};

/// Rows claimed at once; a row holds the events of one commit.
const ROWS_MAX: u64 = 64;
/// Looks without a ring, for rows that another process or an earlier life left.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Tells the relay that something was committed; clones ring the same bell.
#[derive(Clone, Debug, Default)]
pub struct RelayBell(Arc<Notify>);

impl RelayBell {
    /// Something was committed.
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

/// Where rows come from and go to.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds the mouth of the node")]
pub struct Relay {
    /// The outbox.
    pub db: Db,
    /// Rung at each commit of this node.
    pub bell: RelayBell,
    /// Delivers on this node, and has the way to the others.
    pub listener: Listener,
    /// Tells other systems; on a cluster only.
    pub announcer: Option<Announcer>,
    /// Told by HTTP.
    pub webhooks: Webhooks,
    /// The settings in effect: at how few units stock is low.
    pub settings: LiveSettings,
    /// Rung when rows are ready for their second leg.
    pub second_leg: Arc<Notify>,
}

impl Relay {
    /// Carries rows until `stop`; what is left then is carried by another node or at the next start.
    ///
    /// # Errors
    /// [`StoreError`] if the outbox cannot be read; the supervisor starts it again.
    pub async fn run(self, mut stop: Stop) -> Result<(), StoreError> {
        while !stop.is_set() {
            if !self.carry().await? {
                tokio::select! {
                    () = self.bell.0.notified() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = stop.wait() => {}
                }
            }
        }
        while self.carry().await? {} // what the last requests committed
        Ok(())
    }

    fn low_stock_units(&self) -> i64 {
        self.settings.now().orders.low_stock_units
    }

    /// False if nothing was there.
    async fn carry(&self) -> Result<bool, StoreError> {
        let leg = if self.announcer.is_some() { Leg::First } else { Leg::Whole };
        let carried = outbox::carry(&self.db, leg, ROWS_MAX, async |rows| self.tell_nodes(rows).await).await?;
        if carried > 0 {
            self.second_leg.notify_one();
        }
        Ok(carried > 0)
    }

    /// The one place that every commit passes on its way to people.
    async fn tell_nodes(&self, rows: Vec<OutboxRow>) -> Result<(), StoreError> {
        self.webhooks.owe(&rows, self.low_stock_units()).await?;
        for event in rows.iter().flat_map(|row| &row.payload.events) {
            let (kind, status) = (event.event.clone(), event.status.name());
            metrics::counter!("rushmall_order_events_total", "event" => kind, "status" => status).increment(1);
        }
        // here and not at the gate: no node hears of each unit that the others sell, but the commit knows the level
        for level in rows.iter().flat_map(|row| announcer::fallen(row, self.low_stock_units())) {
            tracing::warn!(product = %level.product, pool = %level.pool, units_left = level.after, "stock is low");
            metrics::counter!("rushmall_low_stock_alerts_total").increment(1);
        }
        let messages: Vec<NodeMessage> = rows.into_iter().map(NodeMessage::Committed).collect();
        join_all(messages.iter().map(|message| self.listener.deliver(message))).await;
        self.listener.peers.tell(&messages).await;
        Ok(())
    }

    /// Tells other systems what the nodes were told, until `stop`, which comes after the end of [`Self::run`]; what is
    /// left then is for another node or the next start. Returns at once where there are none.
    ///
    /// # Errors
    /// [`StoreError`] if the outbox cannot be read; the supervisor starts it again.
    pub async fn announce(self, mut stop: Stop) -> Result<(), StoreError> {
        let Some(announcer) = &self.announcer else { return Ok(()) };
        while !stop.is_set() {
            if !self.announce_some(announcer).await? {
                tokio::select! {
                    () = self.second_leg.notified() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = stop.wait() => {}
                }
            }
        }
        while self.announce_some(announcer).await? {}
        Ok(())
    }

    /// False if nothing was there, or nobody could be told: then the rows are carried again.
    async fn announce_some(&self, announcer: &Announcer) -> Result<bool, StoreError> {
        let mut failure = None;
        let carried = outbox::carry(&self.db, Leg::Second, ROWS_MAX, async |rows| {
            let told = announcer.announce(&rows, self.low_stock_units()).await;
            told.map_err(|error| {
                failure = Some(error);
                StoreError::Conflict { operation: "telling other systems" }
            })
        })
        .await;
        if let Some(error) = failure {
            tracing::warn!(%error, "other systems not told, trying again");
            return Ok(false);
        }
        carried.map(|carried| carried > 0)
    }
}
