//! What each kind of actor is given, and its limits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::actors::checkout::Checkout;
use crate::actors::gaps::Gaps;
use crate::actors::inventory::{InventoryActor, InventoryDeps, News};
use crate::actors::kit::{Directory, KindLimits};
use crate::actors::order_saga::{OrderSagaActor, SagaDeps};
use crate::actors::order_writer::{OrderWriterActor, WriterDeps};
use crate::actors::payments::PaymentDesk;
use crate::actors::peers::Peers;
use crate::actors::reconciliation::{Clerk, ClerkTerms};
use crate::actors::relay::RelayBell;
use crate::actors::session::SessionDeps;
use crate::actors::waiting_room::WaitingRoom;
use crate::clock::Clock;
use crate::config::{LiveLimits, LiveSettings, Settings};
use crate::messaging::OrderQueue;
use crate::payment::setup::Gateways;
use crate::persistence::access::AccessReads;
use crate::persistence::ledger::StockLedger;
use crate::persistence::limits::SharedClicks;
use crate::persistence::placing::PlaceTerms;
use crate::persistence::waiting_rooms::{LocalRooms, RedisRooms, WaitingRooms};
use crate::persistence::{CartStore, Db};
use crate::redis_link::RedisLink;

/// Products with a live inventory actor on one node.
const INVENTORY_LIVE_MAX: usize = 20_000;
/// Requests that may wait for the order writer.
const WRITER_IN_FLIGHT_MAX: usize = 4_096;

/// What most actors share.
pub(super) struct Common<'a> {
    pub(super) settings: &'a Settings,
    pub(super) in_effect: &'a LiveSettings,
    pub(super) limits: &'a LiveLimits,
    pub(super) db: &'a Db,
    pub(super) ledger: &'a Arc<dyn StockLedger>,
    pub(super) bell: &'a RelayBell,
    pub(super) clock: &'a Clock,
}

impl<'a> Common<'a> {
    pub(super) fn new(
        (settings, in_effect, limits): (&'a Settings, &'a LiveSettings, &'a LiveLimits),
        (db, ledger): (&'a Db, &'a Arc<dyn StockLedger>),
        bell: &'a RelayBell,
        clock: &'a Clock,
    ) -> Self {
        Self { settings, in_effect, limits, db, ledger, bell, clock }
    }
}

impl Common<'_> {
    const fn ask_timeout(&self) -> Duration {
        Duration::from_millis(self.settings.actors.ask_timeout_ms)
    }

    pub(super) fn writer(&self) -> WriterDeps {
        let orders = &self.settings.orders;
        WriterDeps {
            db: self.db.clone(),
            ledger: Arc::clone(self.ledger),
            bell: self.bell.clone(),
            clock: self.clock.clone(),
            terms: PlaceTerms { pay_deadline_ms: orders.pay_deadline_ms },
            prepared_expires_ms: orders.prepared_expires_ms,
            batch_tickets_max: orders.batch_tickets_max,
            ticket_attempts_max: orders.ticket_attempts_max,
        }
    }

    pub(super) fn inventory(
        &self,
        queue: &Arc<dyn OrderQueue>,
        writer: &Directory<OrderWriterActor>,
        (peers, news): (&Peers, &News),
    ) -> InventoryDeps {
        InventoryDeps {
            db: self.db.clone(),
            ledger: Arc::clone(self.ledger),
            queue: Arc::clone(queue),
            writer: writer.clone(),
            peers: peers.clone(),
            news: news.clone(),
            clock: self.clock.clone(),
            limits: self.limits.clone(),
            batch_claims_max: self.settings.orders.batch_tickets_max,
        }
    }

    pub(super) fn saga(&self) -> SagaDeps {
        let (db, ledger) = (self.db.clone(), Arc::clone(self.ledger));
        SagaDeps { db, ledger, bell: self.bell.clone(), clock: self.clock.clone() }
    }

    pub(super) fn desk(&self, gateways: Gateways, orders: &Directory<OrderSagaActor>) -> PaymentDesk {
        let (db, clock, slot) = (self.db.clone(), self.clock.clone(), self.settings.node.slot);
        PaymentDesk::new(gateways, orders.clone(), db, clock, slot)
    }

    pub(super) fn clerk(&self, gateways: Gateways, orders: &Directory<OrderSagaActor>, reports_dir: PathBuf) -> Clerk {
        let terms = ClerkTerms::new(&self.settings.payment, self.settings.node.slot);
        Clerk::new(gateways, orders.clone(), (self.db.clone(), self.clock.clone()), terms, reports_dir)
    }

    pub(super) fn session(
        &self,
        inventory: &Directory<InventoryActor>,
        gaps: &Gaps,
        shared_clicks: Option<&Arc<SharedClicks>>,
    ) -> SessionDeps {
        SessionDeps {
            reads: AccessReads::new(self.db),
            ledger: Arc::clone(self.ledger),
            inventory: inventory.clone(),
            gaps: gaps.clone(),
            clock: self.clock.clone(),
            limits: self.limits.clone(),
            shared_clicks: shared_clicks.cloned(),
            settings: self.in_effect.clone(),
            ask_timeout: self.ask_timeout(),
        }
    }

    /// Rooms are all nodes' where there is a Redis.
    pub(super) fn waiting_room(
        &self,
        redis: Option<&RedisLink>,
        note: PathBuf,
        inventory: &Directory<InventoryActor>,
    ) -> WaitingRoom {
        let rooms: Arc<dyn WaitingRooms> = match redis {
            Some(link) => Arc::new(RedisRooms::new(link.clone())),
            None => Arc::new(LocalRooms::open(note, self.clock.clone())),
        };
        let now = (self.limits.clone(), self.clock.clone());
        WaitingRoom::new(now, rooms, inventory.clone(), self.ask_timeout())
    }

    pub(super) fn checkout(
        &self,
        carts: &Arc<dyn CartStore>,
        inventory: &Directory<InventoryActor>,
        writer: &Directory<OrderWriterActor>,
    ) -> Checkout {
        Checkout {
            db: self.db.clone(),
            ledger: Arc::clone(self.ledger),
            carts: Arc::clone(carts),
            inventory: inventory.clone(),
            writer: writer.clone(),
            clock: self.clock.clone(),
            prepared_expires_ms: self.settings.orders.prepared_expires_ms,
            ask_timeout: self.ask_timeout(),
        }
    }
}

/// How much of each kind a node bears.
pub(super) struct Limits<'a> {
    pub(super) settings: &'a Settings,
}

impl Limits<'_> {
    fn common(&self) -> KindLimits {
        let idle_after = Duration::from_millis(self.settings.actors.idle_after_ms);
        KindLimits { idle_after, ..KindLimits::default() }
    }

    pub(super) fn inventory(&self) -> KindLimits {
        let in_flight_max = self.settings.actors.inventory_in_flight_max;
        KindLimits { in_flight_max, live_max: INVENTORY_LIVE_MAX, ..self.common() }
    }

    pub(super) fn sessions(&self) -> KindLimits {
        let actors = &self.settings.actors;
        KindLimits { in_flight_max: actors.session_in_flight_max, live_max: actors.sessions_live_max, ..self.common() }
    }

    pub(super) fn orders(&self) -> KindLimits {
        let actors = &self.settings.actors;
        // An order is quiet once it has been moved: its actor makes room soon.
        let idle_after = Duration::from_millis(actors.idle_after_ms / 6);
        let (in_flight_max, live_max) = (actors.order_in_flight_max, actors.orders_live_max);
        KindLimits { in_flight_max, live_max, idle_after, ..self.common() }
    }

    pub(super) fn writer(&self) -> KindLimits {
        KindLimits { in_flight_max: WRITER_IN_FLIGHT_MAX, live_max: 1, ..self.common() }
    }
}
