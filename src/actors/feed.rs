//! Hands committed events to the session actors of the buyers concerned, which push them to their WebSockets.
//!
//! Only sessions that are alive on this node are asked: nobody is woken up to hear of his order. What a paused or busy
//! actor did not take is noted in [`Gaps`]: sockets and sessions then read it from the journal. What a closed socket did
//! not get, the client gets by resuming from the last sequence it saw.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use tracing::Instrument as _;

use super::gaps::Gaps;
use super::kit::{ActorState, Directory};
use super::session::{PushEvents, SessionActor};
use crate::domain::BuyerId;
use crate::persistence::outbox::{FeedEvent, OutboxRow};
use crate::trace_context;

/// Longest that one session may delay the feed.
const PUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Pushes to the sessions of this node; clones share them.
#[derive(Clone)]
pub struct Feed {
    sessions: Directory<SessionActor>,
    gaps: Gaps,
}

impl Feed {
    /// A feed to these sessions; what they did not take is noted in `gaps`.
    #[must_use]
    pub const fn new(sessions: Directory<SessionActor>, gaps: Gaps) -> Self {
        Self { sessions, gaps }
    }

    /// Hands on one commit; returns when every session concerned has it or cannot take it.
    pub async fn publish(&self, row: &OutboxRow) {
        let span = tracing::info_span!(target: trace_context::DETAIL, "push_events", commit_no = row.commit_no);
        trace_context::follow(&span, row.payload.traceparent.as_deref());
        self.push(row).instrument(span).await;
    }

    async fn push(&self, row: &OutboxRow) {
        let mut by_buyer: BTreeMap<BuyerId, Vec<FeedEvent>> = BTreeMap::new();
        for event in &row.payload.events {
            by_buyer.entry(event.buyer).or_default().push(event.clone());
        }
        let pushes = by_buyer.into_iter().filter(|(buyer, _)| self.sessions.is_live(buyer)).map(|(buyer, events)| {
            let push = PushEvents { commit_no: row.commit_no, events };
            async move {
                if self.sessions.state_of(&buyer) == Some(ActorState::Paused) {
                    self.gaps.note(); // a question would wait as long as the pause lasts
                } else if let Err(error) = self.sessions.ask(&buyer, push, PUSH_TIMEOUT).await {
                    tracing::debug!(%buyer, %error, "push not delivered, it is read from the journal");
                    self.gaps.note();
                }
            }
        });
        join_all(pushes).await;
    }
}
