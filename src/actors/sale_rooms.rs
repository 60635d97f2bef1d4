//! The waiting rooms that administrators gave to single sales, as this node knows them: read from the database once a
//! second, and at once on the node that took a command. Purchases look here without waiting for anybody.
//!
//! What cannot be read stays as it was last known. A crash loses nothing: the next life reads before it answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;

use super::background::Stop;
use crate::clock::Clock;
use crate::domain::{ProductId, SaleId};
use crate::persistence::sale_rooms::{self, CommandedRoom, SaleRoom};
use crate::persistence::{Db, StoreError};

/// Pause between two reads: so long a command may be unknown to other nodes.
const READ_EVERY: Duration = Duration::from_millis(1_000);
/// Rooms of their own at the same time; of more, the sales that open last are read later.
const ROOMS_MAX: u64 = 10_000;

/// What is said of the rooms of one product's sales.
type OfProduct = Vec<(SaleId, SaleRoom)>;

/// The rooms; clones share them.
#[derive(Clone, Debug, Default)]
pub struct SaleRooms(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// False as long as nobody commanded a room of a sale that is not over: then that is all that a purchase looks at.
    is_any: AtomicBool,
    by_product: RwLock<Arc<HashMap<ProductId, OfProduct>>>,
    /// Reads follow each other, so that none puts back what was before a command. Inside: whether the last one failed.
    reading: Mutex<bool>,
}

impl SaleRooms {
    /// What is said of the room of `sale`; nothing, if nobody said anything.
    #[must_use]
    pub fn of(&self, product: ProductId, sale: SaleId) -> SaleRoom {
        self.look(product, |said| said.iter().find(|(known, _)| *known == sale).map(|(_, room)| *room))
            .unwrap_or_default()
    }

    /// True if somebody said that buyers shall wait at one of the product's sales.
    #[must_use]
    pub fn may_open(&self, product: ProductId) -> bool {
        let waits = |(_, room): &(SaleId, SaleRoom)| room.admissions_per_second.is_some_and(|rate| rate > 0);
        self.look(product, |said| said.iter().any(waits).then_some(())).is_some()
    }

    fn look<T>(&self, product: ProductId, pick: impl FnOnce(&OfProduct) -> Option<T>) -> Option<T> {
        if !self.0.is_any.load(Ordering::Acquire) {
            return None;
        }
        let by_product = Arc::clone(&self.0.by_product.read().unwrap_or_else(PoisonError::into_inner));
        by_product.get(&product).and_then(pick)
    }

    /// Reads what is said now. What cannot be read stays as it was, and is told once.
    pub async fn refresh(&self, db: &Db, clock: &Clock) {
        let mut has_failed = self.0.reading.lock().await;
        match sale_rooms::commanded(db, clock.now_ms(), ROOMS_MAX).await {
            Ok(rooms) => {
                self.adopt(rooms);
                *has_failed = false;
            }
            Err(error) if !*has_failed => {
                tracing::warn!(%error, "waiting rooms of sales not read, they stay as they were");
                *has_failed = true;
            }
            Err(error) => tracing::debug!(%error, "waiting rooms of sales still not read"),
        }
    }

    fn adopt(&self, rooms: Vec<CommandedRoom>) {
        let mut by_product: HashMap<ProductId, OfProduct> = HashMap::new();
        for CommandedRoom { product, sale, room } in rooms {
            by_product.entry(product).or_default().push((sale, room));
        }
        let is_any = !by_product.is_empty();
        *self.0.by_product.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(by_product);
        self.0.is_any.store(is_any, Ordering::Release);
    }

    /// Reads once a second, until `stop`.
    ///
    /// # Errors
    /// None; the type is that of all background loops.
    pub async fn run(self, db: Db, clock: Clock, mut stop: Stop) -> Result<(), StoreError> {
        while !stop.is_set() {
            self.refresh(&db, &clock).await;
            stop.sleep(READ_EVERY).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: ProductId = ProductId(1);

    fn room(sale: i64, admissions_per_second: Option<u32>) -> CommandedRoom {
        CommandedRoom { product: P, sale: SaleId(sale), room: SaleRoom { admissions_per_second, closings: 2 } }
    }

    #[test]
    fn each_sale_has_what_was_said_of_it_and_all_clones_know() {
        let rooms = SaleRooms::default();
        let elsewhere = rooms.clone();
        assert!(!rooms.may_open(P));
        rooms.adopt(vec![room(7, Some(0)), room(8, None)]);
        assert!(!elsewhere.may_open(P), "none of them makes anybody wait");
        assert_eq!(elsewhere.of(P, SaleId(7)).admits(5), 0);
        assert_eq!((elsewhere.of(P, SaleId(8)).admits(5), elsewhere.of(P, SaleId(8)).closings), (5, 2));
        assert_eq!(elsewhere.of(P, SaleId(9)), SaleRoom::default());
        rooms.adopt(vec![room(7, Some(0)), room(8, Some(3))]);
        assert!(elsewhere.may_open(P) && !elsewhere.may_open(ProductId(2)));
        rooms.adopt(Vec::new());
        assert!(!elsewhere.may_open(P));
    }

    #[actix_rt::test]
    async fn what_cannot_be_read_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::connect(&crate::config::DatabaseSettings::default(), dir.path()).await.unwrap();
        let (rooms, clock) = (SaleRooms::default(), Clock::default());
        rooms.adopt(vec![room(7, Some(3))]);
        rooms.refresh(&db, &clock).await; // there is no such table yet
        assert!(rooms.may_open(P));
        db.migrate().await.unwrap();
        rooms.refresh(&db, &clock).await;
        assert!(!rooms.may_open(P));
        db.close().await;
    }
}
