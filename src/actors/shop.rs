//! The actors and loops of one node, put together: what HTTP handlers talk to.
//!
//! [`Shop::start_loops`] starts the loops after the actors they ask; [`Shop::close`] ends them in the opposite order, so that
//! what was accepted is written and told before the process goes.

mod loops;
mod parts;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore};

use self::loops::{Loops, Switches};
use self::parts::{Common, Limits};
use super::announcer::Announcer;
use super::background::Stop;
use super::checkout::Checkout;
use super::control::ActorCommand;
use super::controls::{self, Controls};
use super::gaps::Gaps;
use super::inventory::{InventoryActor, News};
use super::kit::{Directory, Host, Kinds};
use super::listener::Listener;
use super::live::LiveHub;
use super::order_saga::OrderSagaActor;
use super::order_writer::OrderWriterActor;
use super::payments::PaymentDesk;
use super::peers::{NodeAnswer, NodeMessage, Peers};
use super::rate_limits::RateLimits;
use super::reconciliation::Clerk;
use super::relay::RelayBell;
use super::session::SessionActor;
use super::stock_board::StockBoard;
use super::waiting_room::WaitingRoom;
use super::webhooks::Webhooks;
use crate::clock::Clock;
use crate::config::{LiveLimits, LiveSettings, Settings};
use crate::messaging::one_node::OneNode;
use crate::messaging::{Broadcast, Hearing, Nodes, OrderQueue};
use crate::payment::setup::Gateways;
use crate::persistence::ledger::StockLedger;
use crate::persistence::limits::SharedClicks;
use crate::persistence::{CartStore, Db, RateLimiter};
use crate::random::OrderNumbers;
use crate::redis_link::RedisLink;
use crate::transparency::HeadSigner;

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
    /// Who is told by HTTP.
    pub webhooks: Webhooks,
    /// Time.
    pub clock: Clock,
    /// Arbiters and watch of the actors.
    pub host: Arc<Host>,
    /// Signs heads of the transparency log.
    pub signer: HeadSigner,
    /// Where reports are written.
    pub reports_dir: PathBuf,
    /// Where the waiting rooms of a shop of one node are noted.
    pub rooms_note: PathBuf,
}

/// One node of the shop, open for business.
pub struct Shop {
    /// Settings as they were at the start: for what needs a restart to change.
    pub settings: Settings,
    /// Settings in effect: for what may change live.
    pub in_effect: LiveSettings,
    /// The limits in force, which may change while the shop is open.
    pub limits: LiveLimits,
    /// The limits at the door.
    pub rate_limits: Arc<RateLimits>,
    /// In front of sales.
    pub waiting_room: WaitingRoom,
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
    /// Compares the gateways' bills with the books.
    pub clerk: Clerk,
    /// The order writer.
    pub writer: Directory<OrderWriterActor>,
    /// Ordinary orders and checkouts.
    pub checkout: Checkout,
    /// Tickets on their way to the writer.
    pub queue: Arc<dyn OrderQueue>,
    /// The levers of this node, for administrators.
    pub controls: Controls,
    /// The pulse of all nodes, for administrators who watch.
    pub live: LiveHub,
    /// Units left, for whoever watches.
    pub stock_board: StockBoard,
    /// Who is told by HTTP.
    pub webhooks: Webhooks,
    /// Signs heads of the transparency log.
    pub signer: HeadSigner,
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
    shared_clicks: Option<Arc<SharedClicks>>,
    bell: RelayBell,
    announcer: Option<Announcer>,
    switches: Switches,
    loops: Mutex<Loops>,
}

impl Shop {
    /// Makes the shop; its actors start when they are asked, its loops by [`Shop::start_loops`]. Must be called inside
    /// an actix system.
    #[must_use]
    pub fn open(foundations: Foundations) -> Arc<Self> {
        let Foundations { settings, db, back_ends, gateways, webhooks, clock, host, signer, reports_dir, rooms_note } =
            foundations;
        let BackEnds { ledger, queue, announcer, carts, limiter, shared_clicks, surroundings } = back_ends;
        let Surroundings { broadcast, hearing, nodes, redis } = surroundings;
        let (peers, gaps, news) = (Peers::new(broadcast, nodes), Gaps::default(), News::default());
        let bell = RelayBell::default();
        let (in_effect, live) = (LiveSettings::new(settings.clone()), LiveLimits::of(&settings));
        let common = Common::new((&settings, &in_effect, &live), (&db, &ledger), &bell, &clock);
        let limits = Limits { settings: &settings };
        let writer = Directory::new(&host, common.writer(), limits.writer());
        let inventory = Directory::new(&host, common.inventory(&queue, &writer, (&peers, &news)), limits.inventory());
        let orders = Directory::new(&host, common.saga(), limits.orders());
        let sessions =
            Directory::new(&host, common.session(&inventory, &gaps, shared_clicks.as_ref()), limits.sessions());
        let rate_limits = Arc::new(RateLimits::new(clock.clone(), live.clone(), redis.as_ref()));
        let waiting_room = common.waiting_room(redis.as_ref(), rooms_note, &inventory);
        let mut kinds = Kinds::default();
        kinds.register(&inventory);
        kinds.register(&writer);
        kinds.register(&orders);
        kinds.register(&sessions);
        let clerk = common.clerk(gateways.clone(), &orders, reports_dir);
        let desk = common.desk(gateways, &orders);
        let checkout = common.checkout(&carts, &inventory, &writer);
        let numbers = Arc::new(OrderNumbers::new(clock.clone(), settings.node.slot));
        let drain_grace = std::time::Duration::from_millis(settings.http.drain_grace_ms);
        let controls = Controls::new(kinds, host, sessions.clone(), settings.node.clone(), drain_grace);
        let told = (inventory.clone(), news);
        let listener = Listener::new(sessions.clone(), told, controls.clone(), gaps.clone(), peers.clone());
        Arc::new(Self {
            settings,
            in_effect,
            limits: live,
            rate_limits,
            waiting_room,
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
            webhooks,
            clerk,
            writer,
            checkout,
            queue,
            controls,
            live: LiveHub::default(),
            stock_board: StockBoard::default(),
            signer,
            peers,
            redis,
            gaps,
            making_up: Semaphore::new(MAKING_UP_MAX),
            listener,
            hearing,
            bell,
            announcer,
            switches: Switches::default(),
            loops: Mutex::default(),
        })
    }

    /// Delivers on this node what happened here, and tells the others.
    pub async fn announce(&self, message: NodeMessage) {
        let (here, there) = (self.listener.deliver(&message), self.peers.tell(std::slice::from_ref(&message)));
        futures::join!(here, there);
    }

    /// Carries a command out on every node that it is for; this one's answer first, then the others' by slot.
    pub async fn ask_nodes(&self, command: ActorCommand) -> Vec<NodeAnswer> {
        controls::ask_nodes(&self.controls, &self.peers, command).await
    }

    /// Raised when WebSockets are to close because the node stops.
    #[must_use]
    pub fn closing(&self) -> Stop {
        self.switches.sockets.stop()
    }

    /// Asks WebSockets to close; HTTP can then stop without waiting for them.
    pub fn close_sockets(&self) {
        self.switches.sockets.raise();
    }
}
