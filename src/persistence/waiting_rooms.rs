//! Turns in the waiting rooms of sales: who comes gets the next one, one an interval, in the order of arrival.
//! [`WaitingRooms`] is the port: a file on one machine, Redis in a cluster; both pass the contract in tests/admission.
//!
//! A room is one moment: the first turn that is free. It moves on with every buyer who comes and never lies further in the
//! past than what may be given out at once, so an empty room lets buyers straight in. Who has a turn keeps it until it is over.
//! Each sale has a room of its own, and another one after each time that it was closed by hand.

mod local;
mod redis_rooms;

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{BuyerId, ProductId, SaleId};

pub use local::LocalRooms;
pub use redis_rooms::RedisRooms;

/// Which room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId {
    /// Of what the sale is.
    pub product: ProductId,
    /// In front of which sale.
    pub sale: SaleId,
    /// How often it had been closed by hand when it opened.
    pub closings: u32,
}

/// How turns follow each other, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomTerms {
    /// From one turn to the next.
    pub interval_us: i64,
    /// Turns of so much of the past may be given out at once.
    pub past_us: i64,
    /// How long a turn lasts.
    pub lasts_us: i64,
    /// Buyers who may wait.
    pub waiting_max: i64,
}

/// A buyer who wants to enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Which room.
    pub room: RoomId,
    /// Who.
    pub buyer: BuyerId,
    /// A turn that is known to have been given, 0 if none: later ones lie behind it, whatever the room has forgotten.
    pub after_us: i64,
}

/// A turn, by the clock of the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When it begins, µs since 1970.
    pub at_us: i64,
    /// When it was looked up.
    pub now_us: i64,
}

/// How full a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Turns that are still to come; `None`: it has forgotten who has some of them.
    pub waiting: Option<u64>,
    /// When the last turn that was given begins; `None`: none is still to come.
    pub last_at_us: Option<i64>,
}

/// Why a buyer got no turn.
#[derive(Debug, thiserror::Error)]
pub enum NoTurn {
    /// As many wait as may.
    #[error("the waiting room is full")]
    Full,
    /// The room cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives turns.
#[async_trait(?Send)]
pub trait WaitingRooms: Send + Sync {
    /// The turn of this buyer: the one that he has, else the first that is free.
    ///
    /// # Errors
    /// [`NoTurn`].
    async fn join(&self, arrival: Arrival, terms: RoomTerms) -> Result<Turn, NoTurn>;

    /// How full a room is; for people, nothing is decided by it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn fill(&self, room: RoomId) -> Result<Fill, StoreError>;
}
