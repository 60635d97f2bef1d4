//! The actors and loops of one node, put together: what HTTP handlers talk to.
//!
//! [`Shop::start_loops`] starts the loops after the actors they ask; [`Shop::close`] ends them in the opposite order, so that
//! what was accepted is written and told before the process goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;

use super::announcer::Announcer;
use super::background::{Stop, StopSwitch, supervise};
use super::checkout::Checkout;
use super::click_sharing;
use super::consumer;
use super::control::{self, ActorCommand};
use super::gaps::Gaps;
use super::inventory::{InventoryActor, InventoryDeps};
use super::kit::{AnyDirectory, Directory, Host, KindLimits, Kinds};
use super::listener::Listener;
use super::order_saga::{OrderSagaActor, SagaDeps};
use super::order_writer::{OrderWriterActor, WriterDeps};
use super::payments::PaymentDesk;
use super::peers::{NodeAnswer, NodeMessage, Peers};
use super::relay::{Relay, RelayBell};
use super::session::{SessionActor, SessionDeps};
use super::sweep::SweepDeps;
use crate::clock::{self, Clock};
use crate::config::Settings;
use crate::messaging::one_node::OneNode;
use crate::messaging::{Broadcast, Hearing, Nodes, OrderQueue};
use crate::payment::setup::Gateways;
use crate::persistence::access::AccessReads;
use crate::persistence::ledger::StockLedger;
use crate::persistence::limits::SharedClicks;
use crate::persistence::placing::PlaceTerms;
use crate::persistence::{CartStore, Db, RateLimiter};
use crate::random::OrderNumbers;
use crate::redis_link::RedisLink;

/// Products with a live inventory actor on one node.
const INVENTORY_LIVE_MAX: usize = 20_000;
/// Requests that may wait for the order writer.
const WRITER_IN_FLIGHT_MAX: usize = 4_096;

/// Sockets that read at the same time what they missed, so that a lost line does not become a rush on the database.
const MAKING_UP_MAX: usize = 4;

/// How a node reaches the others; clones are the same.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the broadcast is a trait object")]
pub struct Surroundings {
    /// The way to all other nodes.
    pub broadcast: Arc<dyn Broadcast>,
    /// What they say.
    pub hearing: Arc<Mutex<Hearing>>,
    /// Which there are.
    pub nodes: Nodes,
    /// What they share beside the database; `None` in a shop of one node.
    pub redis: Option<RedisLink>,
}

impl Surroundings {
    /// A shop of one node.
    #[must_use]
    pub fn alone() -> Self {
        let (broadcast, hearing) = OneNode::new();
        let hearing = Arc::new(Mutex::new(hearing));
        Self { broadcast: Arc::new(broadcast), hearing, nodes: Nodes::alone(), redis: None }
    }
}

/// What stands behind the ports: the database and memory, or Redis and RabbitMQ. Chosen by `app/back_ends.rs`.
#[derive(Clone)]
pub struct BackEnds {
    /// The gate.
    pub ledger: Arc<dyn StockLedger>,
    /// Tickets on their way to the writer.
    pub queue: Arc<dyn OrderQueue>,
    /// Tells other systems; on a cluster only.
    pub announcer: Option<Announcer>,
    /// Carts.
    pub carts: Arc<dyn CartStore>,
    /// How often somebody may do something.
    pub limiter: Arc<dyn RateLimiter>,
    /// Flash-sale clicks of all nodes; `None` where there is only this one.
    pub shared_clicks: Option<Arc<SharedClicks>>,
    /// The other nodes.
    pub surroundings: Surroundings,
}

/// What a node is made of, chosen by `app.rs`.
#[derive(Clone)]
pub struct Foundations {
    /// Settings.
    pub settings: Settings,
    /// Orders, users and catalogue.
    pub db: Db,
    /// What stands behind the ports.
    pub back_ends: BackEnds,
    /// Where buyers pay.
    pub gateways: Gateways,
    /// Time.
    pub clock: Clock,
    /// Arbiters and watch of the actors.
    pub host: Arc<Host>,
}

/// One node of the shop, open for business.
pub struct Shop {
    /// Settings.
    pub settings: Settings,
    /// Orders, users and catalogue.
    pub db: Db,
    /// The gate.
    pub ledger: Arc<dyn StockLedger>,
    /// Carts.
    pub carts: Arc<dyn CartStore>,
    /// How often somebody may do something.
    pub limiter: Arc<dyn RateLimiter>,
    /// Time.
    pub clock: Clock,
    /// New order numbers.
    pub numbers: Arc<OrderNumbers>,
    /// One actor per active user.
    pub sessions: Directory<SessionActor>,
    /// One actor per active product.
    pub inventory: Directory<InventoryActor>,
    /// One actor per active order.
    pub orders: Directory<OrderSagaActor>,
    /// What is between orders and gateways.
    pub desk: PaymentDesk,
    /// The order writer.
    pub writer: Directory<OrderWriterActor>,
    /// Ordinary orders and checkouts.
    pub checkout: Checkout,
    /// Tickets on their way to the writer.
    pub queue: Arc<dyn OrderQueue>,
    /// All actor kinds, for administrators.
    pub kinds: Kinds,
    /// Dead letters of the actors.
    pub host: Arc<Host>,
    /// The mouth to the other nodes.
    pub peers: Peers,
    /// What the nodes share beside the database.
    pub redis: Option<RedisLink>,
    /// Moments after which this node may have missed what others said.
    pub gaps: Gaps,
    /// Lets few sockets at a time read what they missed.
    pub making_up: Semaphore,
    listener: Listener,
    hearing: Arc<Mutex<Hearing>>,
    ears: StopSwitch,
    sockets: StopSwitch,
    sweeps: StopSwitch,
    pipeline: StopSwitch,
    relay: StopSwitch,
    shared_clicks: Option<Arc<SharedClicks>>,
    bell: RelayBell,
    announcer: Option<Announcer>,
    loops: Mutex<Loops>,
}

#[derive(Default)]
struct Loops {
    sweeps: Vec<JoinHandle<()>>,
    consumer: Vec<JoinHandle<()>>,
    relay: Vec<JoinHandle<()>>,
    ears: Vec<JoinHandle<()>>,
}

impl Shop {
    /// Makes the shop; its actors start when they are asked, its loops by [`Shop::start_loops`]. Must be called inside
    /// an actix system.
    #[must_use]
    pub fn open(foundations: Foundations) -> Arc<Self> {
        let Foundations { settings, db, back_ends, gateways, clock, host } = foundations;
        let BackEnds { ledger, queue, announcer, carts, limiter, shared_clicks, surroundings } = back_ends;
        let Surroundings { broadcast, hearing, nodes, redis } = surroundings;
        let (peers, gaps) = (Peers::new(broadcast, nodes), Gaps::default());
        let bell = RelayBell::default();
        let common = Common { settings: &settings, db: &db, ledger: &ledger, bell: &bell, clock: &clock };
        let limits = Limits { settings: &settings };
        let writer = Directory::new(&host, common.writer(), limits.writer());
        let inventory = Directory::new(&host, common.inventory(&queue, &writer, &peers), limits.inventory());
        let orders = Directory::new(&host, common.saga(), limits.orders());
        let sessions =
            Directory::new(&host, common.session(&inventory, &gaps, shared_clicks.as_ref()), limits.sessions());
        let mut kinds = Kinds::default();
        kinds.register(&inventory);
        kinds.register(&writer);
        kinds.register(&orders);
        kinds.register(&sessions);
        let desk = common.desk(gateways, &orders);
        let checkout = common.checkout(&carts, &inventory, &writer);
        let numbers = Arc::new(OrderNumbers::new(clock.clone(), settings.node.slot));
        let listener = Listener::new(sessions.clone(), inventory.clone(), kinds.clone(), gaps.clone(), peers.clone());
        Arc::new(Self {
            settings,
            db,
            ledger,
            carts,
            limiter,
            shared_clicks,
            clock,
            numbers,
            sessions,
            inventory,
            orders,
            desk,
            writer,
            checkout,
            queue,
            kinds,
            host,
            peers,
            redis,
            gaps,
            making_up: Semaphore::new(MAKING_UP_MAX),
            listener,
            hearing,
            ears: StopSwitch::default(),
            sockets: StopSwitch::default(),
            sweeps: StopSwitch::default(),
            pipeline: StopSwitch::default(),
            relay: StopSwitch::default(),
            bell,
            announcer,
            loops: Mutex::default(),
        })
    }

    /// Starts the loops on this thread; once.
    pub async fn start_loops(&self) {
        let (listener, hearing, stop) = (self.listener.clone(), Arc::clone(&self.hearing), self.ears.stop());
        let ears =
            supervise("listener", stop.clone(), move || listener.clone().run(Arc::clone(&hearing), stop.clone()));
        let relay = Relay {
            db: self.db.clone(),
            bell: self.bell.clone(),
            listener: self.listener.clone(),
            announcer: self.announcer.clone(),
            second_leg: Arc::default(),
        };
        let (announcing, stop) = (relay.clone(), self.relay.stop());
        let announce = supervise("announce", stop.clone(), move || announcing.clone().announce(stop.clone()));
        let stop = self.relay.stop();
        let relay = supervise("relay", stop.clone(), move || relay.clone().run(stop.clone()));
        let (queue, writer, stop) = (Arc::clone(&self.queue), self.writer.clone(), self.pipeline.stop());
        let tickets_max = self.settings.orders.batch_tickets_max;
        let consumer = supervise("consumer", stop.clone(), move || {
            consumer::run(Arc::clone(&queue), writer.clone(), tickets_max, stop.clone())
        });
        let sweeps = self.start_sweeps();
        *self.loops.lock().await =
            Loops { sweeps, consumer: vec![consumer], relay: vec![relay, announce], ears: vec![ears] };
    }

    fn start_sweeps(&self) -> Vec<JoinHandle<()>> {
        let deps = SweepDeps {
            db: self.db.clone(),
            ledger: Arc::clone(&self.ledger),
            carts: Arc::clone(&self.carts),
            desk: self.desk.clone(),
            orders: self.orders.clone(),
            inventory: self.inventory.clone(),
            peers: self.peers.clone(),
            queue: Arc::clone(&self.queue),
            writer: self.writer.clone(),
            clock: self.clock.clone(),
            numbers: Arc::clone(&self.numbers),
            slot: self.settings.node.slot,
            settings: self.settings.orders.clone(),
        };
        let stop = self.sweeps.stop();
        let (deadlines, effects, tickets, rows) = (deps.clone(), deps.clone(), deps.clone(), deps.clone());
        let stops = [stop.clone(), stop.clone(), stop.clone(), stop.clone(), stop.clone()];
        let [stop_deadlines, stop_effects, stop_tickets, stop_carts, stop_rows] = stops;
        let mut sweeps = vec![
            supervise("sweep_carts", stop.clone(), move || deps.clone().sweep_carts(stop_carts.clone())),
            supervise("sweep_deadlines", stop.clone(), move || {
                deadlines.clone().sweep_deadlines(stop_deadlines.clone())
            }),
            supervise("sweep_effects", stop.clone(), move || effects.clone().sweep_effects(stop_effects.clone())),
            supervise("sweep_tickets", stop.clone(), move || tickets.clone().sweep_tickets(stop_tickets.clone())),
            supervise("keep_house", stop.clone(), move || rows.clone().keep_house(stop_rows.clone())),
        ];
        let (desk, stop_inbox) = (self.desk.clone(), stop.clone());
        sweeps.push(supervise("inbox", stop.clone(), move || desk.clone().work_off(stop_inbox.clone())));
        if let Some(clicks) = self.shared_clicks.clone() {
            let (sessions, stop_clicks) = (self.sessions.clone(), stop.clone());
            sweeps.push(supervise("share_clicks", stop, move || {
                click_sharing::run(Arc::clone(&clicks), sessions.clone(), stop_clicks.clone())
            }));
        }
        sweeps
    }

    /// Delivers on this node what happened here, and tells the others.
    pub async fn announce(&self, message: NodeMessage) {
        self.listener.deliver(&message).await;
        self.peers.tell(&[message]).await;
    }

    /// Carries a command out on every node; this one's answer first, then the others' by slot.
    pub async fn ask_nodes(&self, command: ActorCommand) -> Vec<NodeAnswer> {
        let (answer, others) =
            futures::join!(control::carry_out(&self.kinds, &command), self.peers.ask_all(command.clone()));
        let node = self.settings.node.clone();
        let mut answers = vec![NodeAnswer { node: node.name, slot: node.slot, answer: Some(answer) }];
        answers.extend(others);
        answers
    }

    /// Raised when WebSockets are to close because the node stops.
    #[must_use]
    pub fn closing(&self) -> Stop {
        self.sockets.stop()
    }

    /// Asks WebSockets to close; HTTP can then stop without waiting for them.
    pub fn close_sockets(&self) {
        self.sockets.raise();
    }

    /// Ends loops and actors within `deadline`: sweeps, then the queue is emptied into orders, then their events are
    /// told, also to other nodes, then the actors, then this node takes leave of the others.
    pub async fn close(&self, deadline: Duration) {
        let give_up_at = clock::monotonic() + deadline;
        let mut loops = self.loops.lock().await;
        self.sweeps.raise();
        join(&mut loops.sweeps, give_up_at).await;
        self.pipeline.raise();
        join(&mut loops.consumer, give_up_at).await;
        self.relay.raise();
        join(&mut loops.relay, give_up_at).await;
        self.queue.close().await;
        let directories: [&dyn AnyDirectory; 4] = [&self.sessions, &self.inventory, &self.writer, &self.orders];
        for directory in directories {
            let report = directory.shutdown(give_up_at.saturating_duration_since(clock::monotonic())).await;
            let (drained, cut_off) = (report.drained, report.cut_off);
            tracing::info!(kind = directory.kind(), drained, cut_off, "actors stopped");
        }
        self.ears.raise();
        join(&mut loops.ears, give_up_at).await;
        self.peers.close().await;
    }
}

async fn join(loops: &mut Vec<JoinHandle<()>>, give_up_at: Instant) {
    for running in loops.drain(..) {
        if tokio::time::timeout_at(give_up_at.into(), running).await.is_err() {
            tracing::warn!("a background loop did not stop in time");
        }
    }
}

/// What most actors share.
struct Common<'a> {
    settings: &'a Settings,
    db: &'a Db,
    ledger: &'a Arc<dyn StockLedger>,
    bell: &'a RelayBell,
    clock: &'a Clock,
}

impl Common<'_> {
    const fn ask_timeout(&self) -> Duration {
        Duration::from_millis(self.settings.actors.ask_timeout_ms)
    }

    fn writer(&self) -> WriterDeps {
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

    fn inventory(
        &self,
        queue: &Arc<dyn OrderQueue>,
        writer: &Directory<OrderWriterActor>,
        peers: &Peers,
    ) -> InventoryDeps {
        InventoryDeps {
            db: self.db.clone(),
            ledger: Arc::clone(self.ledger),
            queue: Arc::clone(queue),
            writer: writer.clone(),
            peers: peers.clone(),
            clock: self.clock.clone(),
            batch_claims_max: self.settings.orders.batch_tickets_max,
            low_stock_units: self.settings.orders.low_stock_units,
        }
    }

    fn saga(&self) -> SagaDeps {
        let (db, ledger) = (self.db.clone(), Arc::clone(self.ledger));
        SagaDeps { db, ledger, bell: self.bell.clone(), clock: self.clock.clone() }
    }

    fn desk(&self, gateways: Gateways, orders: &Directory<OrderSagaActor>) -> PaymentDesk {
        let (db, clock, slot) = (self.db.clone(), self.clock.clone(), self.settings.node.slot);
        PaymentDesk::new(gateways, orders.clone(), db, clock, slot)
    }

    fn session(
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
            clicks_per_second: self.settings.limits.seckill_per_second,
            clicks_burst: self.settings.limits.seckill_burst,
            shared_clicks: shared_clicks.cloned(),
            sockets_max: self.settings.feed.sockets_per_user_max,
            ask_timeout: self.ask_timeout(),
        }
    }

    fn checkout(
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

struct Limits<'a> {
    settings: &'a Settings,
}

impl Limits<'_> {
    fn common(&self) -> KindLimits {
        let idle_after = Duration::from_millis(self.settings.actors.idle_after_ms);
        KindLimits { idle_after, ..KindLimits::default() }
    }

    fn inventory(&self) -> KindLimits {
        let in_flight_max = self.settings.actors.inventory_in_flight_max;
        KindLimits { in_flight_max, live_max: INVENTORY_LIVE_MAX, ..self.common() }
    }

    fn sessions(&self) -> KindLimits {
        let actors = &self.settings.actors;
        KindLimits { in_flight_max: actors.session_in_flight_max, live_max: actors.sessions_live_max, ..self.common() }
    }

    fn orders(&self) -> KindLimits {
        let actors = &self.settings.actors;
        // An order is quiet once it has been moved: its actor makes room soon.
        let idle_after = Duration::from_millis(actors.idle_after_ms / 6);
        let (in_flight_max, live_max) = (actors.order_in_flight_max, actors.orders_live_max);
        KindLimits { in_flight_max, live_max, idle_after, ..self.common() }
    }

    fn writer(&self) -> KindLimits {
        KindLimits { in_flight_max: WRITER_IN_FLIGHT_MAX, live_max: 1, ..self.common() }
    }
}
