//! The waiting room in front of each sale that is open: lets in as many buyers a second as its administrator says, else as
//! the settings say; the others when their turn comes.
//!
//! A turn is a moment, given in the order of arrival and kept whatever happens: who has been told his turn can show it
//! anywhere at any time, and nobody needs to be asked whether it has come. So a look costs nothing, and neither the restart
//! of a node nor a Redis that forgot everything takes anybody's turn away. There is no room where none is needed: no sale is
//! open, nothing is left, or nobody shall wait at it; then the purchase itself answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::inventory::{InventoryActor, LookAtSale, SaleSight};
use super::kit::{AskError, Directory};
use super::sale_rooms::SaleRooms;
use crate::clock::{self, Clock};
use crate::config::{LiveLimits, WaitingRoomSettings};
use crate::domain::sale::SalePhase;
use crate::domain::{BuyerId, ProductId, SaleId};
use crate::persistence::StoreError;
use crate::persistence::sale_rooms::SaleRoom;
use crate::persistence::waiting_rooms::{Arrival, Fill, NoTurn, RoomId, RoomTerms, WaitingRooms};

/// So long a look at a sale is good for.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Products that are known at the same time; all are forgotten when there are more.
const KNOWN_MAX: usize = 10_000;
/// Turns of so much of the past may be given out at once: the first buyers of a moment do not wait.
const PAST_US: i64 = 1_000_000;

/// A buyer's turn, as his ticket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In front of which sale, and which of its rooms. A sale of 0: that of the release before rooms had names.
    pub room: RoomId,
    /// Whose.
    pub buyer: BuyerId,
    /// When it begins, µs since 1970.
    pub at_us: i64,
    /// From one turn to the next when it was given.
    pub interval_us: i64,
}

impl Place {
    /// True if it counts in this room.
    fn is_in(&self, room: RoomId) -> bool {
        self.room == room || (self.room.sale == SaleId(0) && self.room.product == room.product)
    }
}

/// Whether a buyer may buy now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nobody has to wait here.
    NoRoom,
    /// It is his turn.
    Admitted,
    /// Later.
    Waits(Place),
}

/// What has become of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceState {
    /// Nobody has to wait here.
    NoRoom,
    /// His turn is still to come.
    Waiting {
        /// How many turns are before his.
        ahead: i64,
        /// When it comes.
        eta_ms: i64,
    },
    /// He may buy.
    Admitted {
        /// For so long.
        left_ms: i64,
    },
    /// His turn is over: he may queue again.
    Missed,
    /// There is nothing to wait for: sold out, or over.
    Over,
}

/// Why a buyer can neither enter nor wait.
#[derive(Debug, thiserror::Error)]
pub enum EntryRefusal {
    /// As many wait as may.
    #[error("the waiting room is full")]
    Full,
    /// The sale does not answer now.
    #[error(transparent)]
    NotNow(#[from] AskError),
    /// The room cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NoTurn> for EntryRefusal {
    fn from(refusal: NoTurn) -> Self {
        match refusal {
            NoTurn::Full => Self::Full,
            NoTurn::Store(error) => Self::Store(error),
        }
    }
}

/// The waiting rooms, as this node sees them.
pub struct WaitingRoom {
    limits: LiveLimits,
    /// What is said of single sales.
    pub of_sales: SaleRooms,
    clock: Clock,
    rooms: Arc<dyn WaitingRooms>,
    inventory: Directory<InventoryActor>,
    ask_timeout: Duration,
    /// By how much the clock of the rooms is ahead of this node's, in µs.
    ahead_us: AtomicI64,
    known: Mutex<HashMap<ProductId, Known>>,
}

#[derive(Clone, Copy)]
struct Known {
    sale: Option<SaleSight>,
    looked_at: Instant,
    /// The latest turn that was seen here, and in which room.
    latest: Option<(RoomId, i64)>,
}

/// What can be had in a product's current sale.
enum Sale {
    /// There is none, or it is still to open.
    NotYet,
    /// It is open.
    Open(SaleId),
    /// Nothing is left, or it is over.
    Over,
}

impl Sale {
    fn of(sight: Option<SaleSight>, now_ms: i64) -> Self {
        let Some(SaleSight { terms, is_sold_out }) = sight else { return Self::NotYet };
        match terms.phase(now_ms) {
            SalePhase::NotStarted => Self::NotYet,
            SalePhase::Open if !is_sold_out => Self::Open(terms.sale),
            SalePhase::Open | SalePhase::Ended => Self::Over,
        }
    }
}

impl WaitingRoom {
    /// Nobody waits yet.
    #[must_use]
    pub fn new(
        (limits, clock): (LiveLimits, Clock),
        rooms: Arc<dyn WaitingRooms>,
        inventory: Directory<InventoryActor>,
        ask_timeout: Duration,
    ) -> Self {
        let (ahead_us, known, of_sales) = (AtomicI64::new(0), Mutex::default(), SaleRooms::default());
        Self { limits, of_sales, clock, rooms, inventory, ask_timeout, ahead_us, known }
    }

    /// False if nobody has to wait for this product, whatever its sale: neither the settings nor an administrator say so.
    #[must_use]
    pub fn may_hold_up(&self, product: ProductId) -> bool {
        self.by_settings() > 0 || self.of_sales.may_open(product)
    }

    /// Buyers that a sale of which nobody said anything admits in a second.
    #[must_use]
    pub fn by_settings(&self) -> u32 {
        self.limits.now().waiting_room.admissions_per_second
    }

    /// Lets the buyer in, or gives him a place. `place` is his, if he has shown one.
    ///
    /// # Errors
    /// [`EntryRefusal`].
    pub async fn enter(&self, product: ProductId, buyer: BuyerId, place: Option<Place>) -> Result<Entry, EntryRefusal> {
        if !self.may_hold_up(product) {
            return Ok(Entry::NoRoom);
        }
        let Sale::Open(sale) = self.sale(product).await? else { return Ok(Entry::NoRoom) };
        let Some((room, terms)) = self.room(product, sale) else { return Ok(Entry::NoRoom) };
        if let Some(place) = place.filter(|place| place.is_in(room)) {
            self.saw(room, place.at_us);
            match self.now_us() - place.at_us {
                ..0 => return Ok(Entry::Waits(place)),
                since if since < terms.lasts_us => return Ok(counted("admitted", Entry::Admitted)),
                _ => {} // his turn is over
            }
        }
        let arrival = Arrival { room, buyer, after_us: self.latest_us(room) };
        let turn = match self.rooms.join(arrival, terms).await {
            Ok(turn) => turn,
            Err(refusal) => {
                return Err(counted(if matches!(refusal, NoTurn::Full) { "full" } else { "failed" }, refusal.into()));
            }
        };
        self.ahead_us.store(turn.now_us - self.clock.now_ms() * 1_000, Ordering::Relaxed);
        self.saw(room, turn.at_us);
        if turn.at_us <= turn.now_us {
            return Ok(counted("admitted", Entry::Admitted));
        }
        let place = Place { room, buyer, at_us: turn.at_us, interval_us: terms.interval_us };
        Ok(counted("waits", Entry::Waits(place)))
    }

    /// What has become of a place. Neither the rooms nor, mostly, the sale is asked.
    ///
    /// # Errors
    /// [`EntryRefusal::NotNow`].
    pub async fn look(&self, place: Place) -> Result<PlaceState, EntryRefusal> {
        let product = place.room.product;
        if !self.may_hold_up(product) {
            return Ok(PlaceState::NoRoom);
        }
        let sale = match self.sale(product).await? {
            Sale::NotYet => return Ok(PlaceState::NoRoom),
            Sale::Over => return Ok(PlaceState::Over),
            Sale::Open(sale) => sale,
        };
        let Some((room, terms)) = self.room(product, sale) else { return Ok(PlaceState::NoRoom) };
        if !place.is_in(room) {
            return Ok(PlaceState::Missed);
        }
        self.saw(room, place.at_us);
        let wait_us = place.at_us - self.now_us();
        Ok(match wait_us {
            1.. => {
                let ahead = (wait_us - 1) / place.interval_us.max(1);
                PlaceState::Waiting { ahead, eta_ms: (wait_us + 999) / 1_000 }
            }
            _ if -wait_us < terms.lasts_us => PlaceState::Admitted { left_ms: (terms.lasts_us + wait_us) / 1_000 },
            _ => PlaceState::Missed,
        })
    }

    /// How full the room of a sale is, `said` being what is said of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fill(&self, product: ProductId, sale: SaleId, said: SaleRoom) -> Result<Fill, StoreError> {
        self.rooms.fill(RoomId { product, sale, closings: said.closings }).await
    }

    /// The room that an open sale has now, if it has one.
    fn room(&self, product: ProductId, sale: SaleId) -> Option<(RoomId, RoomTerms)> {
        let (limits, said) = (self.limits.now(), self.of_sales.of(product, sale));
        let terms = terms_of(&limits.waiting_room, said)?;
        Some((RoomId { product, sale, closings: said.closings }, terms))
    }

    /// By the clock of the rooms.
    fn now_us(&self) -> i64 {
        self.clock.now_ms() * 1_000 + self.ahead_us.load(Ordering::Relaxed)
    }

    async fn sale(&self, product: ProductId) -> Result<Sale, AskError> {
        let known = self.known().get(&product).copied();
        let now_ms = self.clock.now_ms();
        // one that is not open is looked at anew: it may have been opened early, or another one may follow
        if let Some(Known { sale: Some(sight), looked_at, .. }) = known
            && looked_at.elapsed() < LOOK_AGAIN_AFTER
            && sight.terms.phase(now_ms) == SalePhase::Open
        {
            return Ok(Sale::of(Some(sight), now_ms));
        }
        let sale = match (self.inventory.ask(&product, LookAtSale, self.ask_timeout).await, known) {
            (Ok(sale), _) => sale,
            (Err(AskError::Busy { .. }), Some(known)) => known.sale,
            (Err(error), _) => return Err(error),
        };
        let mut all = self.known();
        if all.len() >= KNOWN_MAX && !all.contains_key(&product) {
            all.clear();
        }
        let latest = all.get(&product).and_then(|known| known.latest);
        all.insert(product, Known { sale, looked_at: clock::monotonic(), latest });
        Ok(Sale::of(sale, self.clock.now_ms()))
    }

    fn saw(&self, room: RoomId, at_us: i64) {
        if let Some(known) = self.known().get_mut(&room.product) {
            let before = known.latest.filter(|(of, _)| *of == room);
            known.latest = Some((room, before.map_or(at_us, |(_, latest_us)| latest_us.max(at_us))));
        }
    }

    fn latest_us(&self, room: RoomId) -> i64 {
        let latest = self.known().get(&room.product).and_then(|known| known.latest);
        latest.filter(|(of, _)| *of == room).map_or(0, |(_, latest_us)| latest_us)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ProductId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` if nobody waits.
fn terms_of(settings: &WaitingRoomSettings, said: SaleRoom) -> Option<RoomTerms> {
    let per_second = i64::from(said.admits(settings.admissions_per_second));
    (per_second > 0).then(|| RoomTerms {
        interval_us: (1_000_000 / per_second).max(1),
        past_us: PAST_US,
        lasts_us: i64::try_from(settings.turn_ms).unwrap_or(i64::MAX / 1_000) * 1_000,
        waiting_max: i64::from(settings.waiting_max),
    })
}

fn counted<T>(outcome: &'static str, answer: T) -> T {
    metrics::counter!("rushmall_waiting_room_total", "outcome" => outcome).increment(1);
    answer
}
