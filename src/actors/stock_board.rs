//! How many units are left, for whoever watches: of the products that somebody watches the gate is looked at twice a second,
//! and what has changed is told. Nobody watches: nobody looks.
//!
//! Purchases are not touched by it: no message goes to an actor, and one look serves all watchers of a node. A level is told as
//! it is, never as a difference, so a watcher who is slow sees the newest and misses nothing that still matters.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use futures::stream::{self, StreamExt as _};
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use super::background::Stop;
use super::inventory::InventoryActor;
use super::kit::{ActorState, Directory};
use crate::clock::Clock;
use crate::domain::sale::{self, SalePhase, SaleTerms};
use crate::domain::stock::Pool;
use crate::domain::{ProductId, SaleId};
use crate::persistence::StoreError;
use crate::persistence::ledger::{LedgerSnapshot, StockLedger};

/// A product is told of at most so often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longest that the gate may take to say how it stands with one product.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
/// Products that are looked at at the same time.
const LOOKS_AT_ONCE: usize = 4;
/// Products that are watched on one node; one more is refused.
pub const WATCHED_MAX: usize = 200;

/// Where a product's sale stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockState {
    /// It has none.
    NoSale,
    /// It is to come.
    Upcoming,
    /// Units can be claimed.
    Open,
    /// Purchases are held up by an administrator.
    Paused,
    /// Its time is over.
    Ended,
    /// It was closed.
    Closed,
}

impl StockState {
    /// Its name on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoSale => "none",
            Self::Upcoming => "upcoming",
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Ended => "ended",
            Self::Closed => "closed",
        }
    }
}

/// How it stands with a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Which.
    pub product: ProductId,
    /// The open sale, else the next, else the last.
    pub sale: Option<SaleId>,
    /// Units left in that sale.
    pub left: i64,
    /// Units left outside of sales.
    pub free: i64,
    /// Where the sale stands.
    pub state: StockState,
}

/// Tells of one product; the first level may be still to come.
pub type LevelReceiver = watch::Receiver<Option<Level>>;

/// What is watched on this node; clones share it.
#[derive(Clone, Debug, Default)]
pub struct StockBoard {
    watched: Arc<DashMap<ProductId, watch::Sender<Option<Level>>>>,
    /// Somebody watches a product that nobody watched before.
    begun: Arc<Notify>,
}

/// What a look needs.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the ledger is a trait object")]
pub struct Looks {
    /// The gate.
    pub ledger: Arc<dyn StockLedger>,
    /// Whether purchases are held up on this node.
    pub inventory: Directory<InventoryActor>,
    /// Time.
    pub clock: Clock,
}

impl StockBoard {
    /// Tells of a product, until the receiver is dropped; `None` if too many others are watched.
    #[must_use]
    pub fn watch(&self, product: ProductId) -> Option<LevelReceiver> {
        if self.watched.len() >= WATCHED_MAX && !self.watched.contains_key(&product) {
            return None;
        }
        let mut receiver = self.watched.entry(product).or_insert_with(|| watch::channel(None).0).subscribe();
        if receiver.borrow().is_some() {
            receiver.mark_changed(); // what is known is news to who begins
        } else {
            self.begun.notify_one();
        }
        Some(receiver)
    }

    /// How many products are watched.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.watched.len()
    }

    /// Looks while somebody watches, until `stop`.
    ///
    /// # Errors
    /// None; the type is that of all background loops.
    pub async fn run(self, looks: Looks, mut stop: Stop) -> Result<(), StoreError> {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_tick = tokio::select! {
                _ = ticks.tick(), if !self.watched.is_empty() => true,
                () = self.begun.notified() => false,
                () = stop.wait() => return Ok(()),
            };
            self.watched.retain(|_, sender| sender.receiver_count() > 0);
            let is_due = |known: Option<Level>| is_tick || known.is_none();
            let due: Vec<ProductId> =
                self.watched.iter().filter(|entry| is_due(*entry.value().borrow())).map(|entry| *entry.key()).collect();
            stream::iter(due)
                .for_each_concurrent(LOOKS_AT_ONCE, async |product| self.look(&looks, product).await)
                .await;
        }
    }

    async fn look(&self, looks: &Looks, product: ProductId) {
        let answer = tokio::time::timeout(LOOK_WITHIN, looks.ledger.glance(product)).await;
        let gate = match answer {
            Ok(Ok(gate)) => gate,
            Ok(Err(error)) => return tracing::debug!(%product, %error, "no look at the gate for those who watch"),
            Err(_elapsed) => return tracing::debug!(%product, "the gate takes too long for those who watch"),
        };
        let is_paused = looks.inventory.state_of(&product) == Some(ActorState::Paused);
        let level = level(product, &gate, is_paused, looks.clock.now_ms());
        if let Some(sender) = self.watched.get(&product) {
            sender.send_if_modified(|known| known.replace(level) != Some(level));
        }
    }
}

fn level(product: ProductId, gate: &LedgerSnapshot, is_paused: bool, now_ms: i64) -> Level {
    let current = sale::current(gate.sales(), now_ms);
    let state = |terms: SaleTerms| match terms.phase(now_ms) {
        SalePhase::NotStarted => StockState::Upcoming,
        SalePhase::Open if is_paused => StockState::Paused,
        SalePhase::Open => StockState::Open,
        SalePhase::Ended if terms.closed => StockState::Closed,
        SalePhase::Ended => StockState::Ended,
    };
    Level {
        product,
        sale: current.map(|terms| terms.sale),
        left: current.map_or(0, |terms| gate.free(Pool::Sale(terms.sale))),
        free: gate.free(Pool::Free),
        state: current.map_or(StockState::NoSale, state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Money;
    use crate::domain::sale::SaleWindow;
    use crate::persistence::ledger::LedgerPool;

    const P: ProductId = ProductId(1);

    fn pool(pool: Pool, free: i64, window: Option<(i64, i64)>, closed: bool) -> LedgerPool {
        let terms = window.map(|(opens, closes)| SaleTerms {
            sale: SaleId(i64::from(pool)),
            window: SaleWindow::new(opens, closes).unwrap(),
            unit_price: Money::from_fen(1),
            units_per_buyer_max: 1,
            closed,
        });
        LedgerPool { pool, free, unsettled: 0, terms, epoch: 0 }
    }

    #[test]
    fn a_level_is_that_of_the_open_sale_else_the_next_else_the_last() {
        let free = pool(Pool::Free, 9, None, false);
        let (past, open) = (pool(Pool::from(1), 0, Some((0, 10)), true), pool(Pool::from(2), 5, Some((20, 30)), false));
        let next = pool(Pool::from(3), 7, Some((40, 50)), false);
        let gate = LedgerSnapshot { pools: vec![free, past, open, next] };
        for (now_ms, sale, left, state) in [
            (25, 2, 5, StockState::Open),
            (15, 2, 5, StockState::Upcoming),
            (35, 3, 7, StockState::Upcoming),
            (60, 3, 7, StockState::Ended),
        ] {
            let expected = Level { product: P, sale: Some(SaleId(sale)), left, free: 9, state };
            assert_eq!(level(P, &gate, false, now_ms), expected, "{now_ms}");
        }
        assert_eq!(level(P, &gate, true, 25).state, StockState::Paused);
        let none = LedgerSnapshot { pools: vec![pool(Pool::Free, 3, None, false)] };
        let expected = Level { product: P, sale: None, left: 0, free: 3, state: StockState::NoSale };
        assert_eq!(level(P, &none, true, 0), expected);
        let closed = LedgerSnapshot { pools: vec![pool(Pool::from(1), 0, Some((0, 10)), true)] };
        assert_eq!(level(P, &closed, false, 5).state, StockState::Closed);
    }

    #[actix_rt::test]
    async fn a_node_watches_so_many_products_and_known_ones_still() {
        let board = StockBoard::default();
        let known: Vec<LevelReceiver> = (0..WATCHED_MAX as i64).map(|id| board.watch(ProductId(id)).unwrap()).collect();
        assert!(board.watch(ProductId(-1)).is_none());
        assert!(board.watch(ProductId(7)).is_some());
        assert_eq!((known.len(), board.watched()), (WATCHED_MAX, WATCHED_MAX));
    }
}
