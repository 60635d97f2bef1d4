//! A place in the waiting room, told over the WebSocket: the client shows its ticket once and is told how far it is, until
//! it may buy or there is nothing to wait for. One place a socket; a new one takes the old one's.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::error::ApiError;
use super::state::AppState;
use super::waiting_room::{self, QueuePlace};
use crate::actors::waiting_room::Place;
use crate::domain::BuyerId;

/// Pauses between two tellings: near the turn soon, far from it seldom.
const TELL_EVERY_MS: std::ops::RangeInclusive<u64> = 100..=1_000;

/// The place that a socket tells of, and when it is to be told again.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    place: Place,
    /// When.
    pub due: Instant,
}

impl Watched {
    /// The place of this ticket, to be told at once.
    ///
    /// # Errors
    /// `SECKILL_PARAMETER` if it is not this buyer's.
    pub fn new(state: &AppState, ticket: &str, buyer: BuyerId) -> Result<Self, ApiError> {
        Ok(Self { place: waiting_room::read(&state.tokens, ticket, buyer, "ticket")?, due: Instant::now() })
    }

    /// The frame, and what is left to watch. A sale that does not answer now is looked at again.
    pub async fn tell(self, state: &AppState) -> (Option<String>, Option<Self>) {
        let seen = waiting_room::look(state, self.place).await;
        let pause_ms = seen.as_ref().map_or(*TELL_EVERY_MS.end(), |place| {
            u64::try_from(place.eta_ms / 4).unwrap_or(0).clamp(*TELL_EVERY_MS.start(), *TELL_EVERY_MS.end())
        });
        let next = Self { due: Instant::now() + Duration::from_millis(pause_ms), ..self };
        match seen {
            Ok(place) => (Some(frame(&place)), (!place.is_settled()).then_some(next)),
            Err(_busy) => (None, Some(next)),
        }
    }
}

fn frame(place: &QueuePlace) -> String {
    let mut frame = serde_json::to_value(place).unwrap_or_default();
    frame["type"] = json!("queue");
    frame.to_string()
}
