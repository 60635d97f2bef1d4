//! The waiting rooms of one machine: in memory, with a note on the disk that lets no restart give a turn twice.
//!
//! The note says up to which moment turns may have been given; it is written before the first of them is, some seconds of
//! turns at once, and replaces the old one whole. A process that was killed begins behind it: whoever came before keeps
//! his turn (his ticket says it), whoever comes after is behind him.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Arrival, Fill, NoTurn, RoomId, RoomTerms, Turn, WaitingRooms};
use crate::clock::Clock;
use crate::domain::{BuyerId, ProductId, SaleId};
use crate::persistence::error::StoreError;

/// So much more is noted than was given, so that the note is written seldom.
const NOTED_AHEAD_US: i64 = 2_000_000;
/// Rooms in memory; the one that is free first is forgotten if one more opens.
const ROOMS_MAX: usize = 1_024;

/// Rooms of this process.
#[derive(Debug)]
pub struct LocalRooms {
    clock: Clock,
    note: PathBuf,
    rooms: Mutex<HashMap<RoomId, Room>>,
}

#[derive(Debug, Default)]
struct Room {
    next_us: i64,
    noted_us: i64,
    /// Turns up to here may have been given by an earlier process.
    forgotten_us: i64,
    turns: HashMap<BuyerId, i64>,
    /// The same, oldest first.
    order: VecDeque<(i64, BuyerId)>,
}

impl LocalRooms {
    /// Rooms that go on behind the turns that the note in `note` tells of.
    #[must_use]
    pub fn open(note: PathBuf, clock: Clock) -> Self {
        let noted = match std::fs::read(&note) {
            Ok(text) => serde_json::from_slice::<BTreeMap<String, i64>>(&text).unwrap_or_else(|error| {
                tracing::warn!(path = %note.display(), %error, "note of the waiting rooms cannot be read");
                BTreeMap::new()
            }),
            Err(_) => BTreeMap::new(), // none was needed yet
        };
        let room = |until_us| Room { next_us: until_us, noted_us: until_us, forgotten_us: until_us, ..Room::default() };
        let rooms = noted.into_iter().filter_map(|(name, until_us)| Some((id_of(&name)?, room(until_us)))).collect();
        Self { clock, note, rooms: Mutex::new(rooms) }
    }

    /// Written beside and put in the old one's place, so that it is never half a note. It is small and seldom written: no
    /// thread of its own is worth it.
    fn write(&self, rooms: &HashMap<RoomId, Room>) {
        let noted: BTreeMap<String, i64> = rooms.iter().map(|(id, room)| (name_of(*id), room.noted_us)).collect();
        let beside = self.note.with_extension("new");
        let written = serde_json::to_vec(&noted).map_err(std::io::Error::from);
        let written = written.and_then(|text| std::fs::write(&beside, text));
        if let Err(error) = written.and_then(|()| std::fs::rename(&beside, &self.note)) {
            tracing::warn!(path = %self.note.display(), %error, "waiting rooms not noted, a restart would forget them");
        }
    }
}

#[async_trait(?Send)]
impl WaitingRooms for LocalRooms {
    async fn join(&self, arrival: Arrival, terms: RoomTerms) -> Result<Turn, NoTurn> {
        let now_us = self.clock.now_ms() * 1_000;
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.len() >= ROOMS_MAX && !rooms.contains_key(&arrival.room) {
            let first = rooms.iter().min_by_key(|(_, room)| room.next_us).map(|(id, _)| *id);
            first.and_then(|id| rooms.remove(&id));
        }
        let room = rooms.entry(arrival.room).or_default();
        let at_us = room.join(arrival, terms, now_us).ok_or(NoTurn::Full)?;
        // a turn that is over now needs no note: what comes later lies behind it anyway
        if room.next_us > room.noted_us && room.next_us > now_us {
            room.noted_us = room.next_us + NOTED_AHEAD_US;
            self.write(&rooms);
        }
        Ok(Turn { at_us, now_us })
    }

    async fn fill(&self, room: RoomId) -> Result<Fill, StoreError> {
        let now_us = self.clock.now_ms() * 1_000;
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(rooms.get(&room).map_or(Fill { waiting: Some(0), last_at_us: None }, |room| room.fill(now_us)))
    }
}

/// As it stands in the note: `product/sale/closings`.
fn name_of(RoomId { product, sale, closings }: RoomId) -> String {
    format!("{}/{}/{closings}", product.0, sale.0)
}

/// `None` if it is no such name.
fn id_of(name: &str) -> Option<RoomId> {
    let mut parts = name.splitn(3, '/');
    let product = ProductId(parts.next()?.parse().ok()?);
    let sale = SaleId(parts.next()?.parse().ok()?);
    Some(RoomId { product, sale, closings: parts.next()?.parse().ok()? })
}

impl Room {
    fn fill(&self, now_us: i64) -> Fill {
        let waiting = self.order.len() - self.order.partition_point(|(at_us, _)| *at_us <= now_us);
        let is_known = self.forgotten_us <= now_us;
        let last_us = self.order.back().map_or(0, |(at_us, _)| *at_us).max(self.forgotten_us);
        Fill {
            waiting: is_known.then(|| u64::try_from(waiting).unwrap_or(u64::MAX)),
            last_at_us: (last_us > now_us).then_some(last_us),
        }
    }

    /// `None` if it is full. The same as `lua/room_join.lua`.
    fn join(&mut self, Arrival { buyer, after_us, .. }: Arrival, terms: RoomTerms, now_us: i64) -> Option<i64> {
        while let Some((at_us, over)) = self.order.front().copied()
            && at_us < now_us - terms.lasts_us
        {
            self.order.pop_front();
            self.turns.remove(&over);
        }
        if let Some(at_us) = self.turns.get(&buyer) {
            return Some(*at_us);
        }
        let at_us = self.next_us.max(after_us + terms.interval_us).max(now_us - terms.past_us);
        if at_us - now_us >= terms.waiting_max.saturating_mul(terms.interval_us) {
            return None;
        }
        self.next_us = at_us + terms.interval_us;
        self.turns.insert(buyer, at_us);
        self.order.push_back((at_us, buyer));
        Some(at_us)
    }
}
