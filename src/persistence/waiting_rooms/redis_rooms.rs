//! The waiting rooms of a cluster: two keys a room, `room:{product}:{sale}.{closings}:turns` and `…:next`, gone when the
//! last turn is over. A Redis that was flushed learns from the tickets that buyers show how far turns were given.

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::Script;

use super::{Arrival, Fill, NoTurn, RoomId, RoomTerms, Turn, WaitingRooms};
use crate::persistence::error::StoreError;
use crate::redis_link::RedisLink;

static JOIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../lua/room_join.lua")));
static FILL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../lua/room_fill.lua")));

/// Rooms in Redis.
pub struct RedisRooms {
    link: RedisLink,
}

impl RedisRooms {
    /// Rooms on `link`.
    #[must_use]
    pub const fn new(link: RedisLink) -> Self {
        Self { link }
    }

    /// The braces keep both on one process of a Redis Cluster.
    fn keys(&self, RoomId { product, sale, closings }: RoomId) -> [String; 2] {
        ["turns", "next"].map(|part| self.link.key(&format!("room:{{{}}}:{}.{closings}:{part}", product.0, sale.0)))
    }
}

#[async_trait(?Send)]
impl WaitingRooms for RedisRooms {
    async fn join(&self, arrival: Arrival, terms: RoomTerms) -> Result<Turn, NoTurn> {
        let Arrival { room, buyer, after_us } = arrival;
        let mut joining = JOIN.prepare_invoke();
        for key in self.keys(room) {
            joining.key(key);
        }
        joining.arg(buyer.0).arg(terms.interval_us).arg(terms.past_us).arg(terms.lasts_us);
        joining.arg(terms.waiting_max).arg(after_us);
        let (at_us, now_us): (i64, i64) = self
            .link
            .script(&joining)
            .await
            .map_err(|source| StoreError::Redis { operation: "joining a waiting room", source })?;
        if at_us < 0 { Err(NoTurn::Full) } else { Ok(Turn { at_us, now_us }) }
    }
    async fn fill(&self, room: RoomId) -> Result<Fill, StoreError> {
        let mut looking = FILL.prepare_invoke();
        for key in self.keys(room) {
            looking.key(key);
        }
        let (waiting, last_at_us): (u64, i64) = self
            .link
            .script(&looking)
            .await
            .map_err(|source| StoreError::Redis { operation: "looking into a waiting room", source })?;
        Ok(Fill { waiting: Some(waiting), last_at_us: (last_at_us > 0).then_some(last_at_us) })
    }
}
