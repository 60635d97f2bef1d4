//! A shop inside the test's process: real server, own port, own database, own clock.
//!
//! It runs in an actix system on a thread of its own, so that tests are plain tokio tests. Closing or dropping it waits
//! until it is at rest, stops it gracefully, and fails the test on anything that was left over.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use rushmall::actors::announcer::Announcer;
use rushmall::actors::shop::{BackEnds, Shop};
use rushmall::app::{self, App, back_ends};
use rushmall::clock::Clock;
use rushmall::config::{RedisSettings, Settings, Setup, Synchronous};
use rushmall::domain::user::FIRST_ADMIN;
use rushmall::messaging::rabbitmq::Broker;
use rushmall::messaging::{Broadcast, BroadcastError};
use rushmall::ops::{CheckOptions, admin, check};
use rushmall::persistence::{Db, open_bare_ledger};
use rushmall::redis_link::RedisLink;
use rushmall::telemetry::metrics::Metrics;
use serde_json::value::RawValue;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use super::books::{Books, Unfinished};
use super::client::{Address, Person};
use super::gateway::lend_keys;
use super::ground::{Ground, aside, is_cluster};
use super::services::{REDIS, REDIS_CLUSTER, redis_settings, url_of};

/// What a test says it leaves behind; everything else must be finished.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leaves {
    pub dead_tickets: i64,
    pub reviews: i64,
    /// The test broke something on purpose and looked at the books itself.
    pub anything: bool,
}

/// A running shop.
pub struct TestShop {
    pub clock: Clock,
    pub address: Address,
    pub books: Books,
    /// What the test leaves behind on purpose.
    pub leaves: Leaves,
    admin_password: String,
    settings: Settings,
    stand: Stand,
    running: Option<Running>,
    dir: TempDir,
    /// The last to go.
    _ground: Ground,
}

/// What a shop stands on.
#[derive(Clone)]
enum Stand {
    /// What its settings say.
    AsSaid,
    /// The embedded back ends, with carts and limits in that Redis.
    CartsOn(RedisSettings),
    /// What its settings say; telling other nodes takes so long.
    SlowToTell(Duration),
}

/// A node on its own thread.
pub struct Running {
    pub shop: Arc<Shop>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What a node says when it is open.
pub struct Started {
    pub base: String,
    shop: Arc<Shop>,
    pub admin_password: Option<String>,
}

/// A test that fails shows what its shops warned of; with `RUST_LOG=info` (or the like) and `--nocapture` every test
/// shows that. A crate of tests that listens to more has to do so before its first shop opens.
pub fn log<S: Subscriber + for<'span> LookupSpan<'span>>() -> impl Layer<S> {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).from_env_lossy();
    tracing_subscriber::fmt::layer().with_ansi(false).with_test_writer().with_filter(filter)
}

impl TestShop {
    /// An empty shop with settings for tests.
    pub async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// The same after a change of the settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::on(None, change).await
    }

    /// The embedded shop with carts and limits in that Redis; without one, the shop that the environment says.
    pub async fn on(redis: Option<RedisSettings>, change: impl FnOnce(&mut Settings)) -> Self {
        match redis {
            Some(redis) => Self::stand(Ground::embedded(), Stand::CartsOn(redis), change).await,
            None => Self::stand(Ground::chosen().await, Stand::AsSaid, change).await,
        }
    }

    /// A shop that needs so long to tell other nodes anything.
    pub async fn slow_to_tell(pause: Duration, change: impl FnOnce(&mut Settings)) -> Self {
        Self::stand(Ground::chosen().await, Stand::SlowToTell(pause), change).await
    }

    async fn stand(ground: Ground, stand: Stand, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings_for_tests();
        ground.under(&mut settings);
        change(&mut settings);
        let dir = tempfile::tempdir().expect("a directory for the shop");
        if settings.sandbox_payment() {
            lend_keys(dir.path());
        }
        let (clock, address) = (Clock::default(), Address::default());
        let setup = Setup { settings: settings.clone(), data_dir: dir.path().to_owned() };
        let (running, started) = try_start_on(stand.clone(), setup.clone(), clock.clone()).expect("the shop opens");
        address.is_now(&started.base);
        let books = Books::open(&setup).await;
        let admin_password = started.admin_password.expect("an empty shop makes its first administrator");
        let leaves = Leaves::default();
        let running = Some(running);
        Self { clock, address, books, leaves, admin_password, settings, stand, running, dir, _ground: ground }
    }

    /// A shop for each place where carts may lie: the database, and every Redis that there is.
    pub async fn each_cart_store() -> Vec<Self> {
        let mut shops = Vec::new();
        for redis in Self::cart_places() {
            shops.push(Self::on(redis, |_| {}).await);
        }
        shops
    }

    /// What to give to [`TestShop::on`] for that: `None` is the database, or the Redis of a cluster; the embedded shop is
    /// also put beside every Redis that there is.
    pub fn cart_places() -> Vec<Option<RedisSettings>> {
        let beside = if is_cluster() { &[][..] } else { &[REDIS, REDIS_CLUSTER] };
        let found = beside.iter().filter_map(|variable| url_of(variable));
        std::iter::once(None).chain(found.map(|url| Some(redis_settings(&url)))).collect()
    }

    /// Somebody who is not signed in.
    pub fn visitor(&self) -> Person {
        Person::visitor(&self.address)
    }

    /// A new buyer.
    pub async fn register(&self, username: &str) -> Person {
        self.visitor().register(username).await
    }

    /// The first administrator, signed in.
    pub async fn admin(&self) -> Person {
        self.visitor().log_in(FIRST_ADMIN, &self.admin_password).await
    }

    /// Moves the shop's clock.
    pub fn travel(&self, by_ms: i64) {
        self.clock.travel(by_ms);
    }

    /// The shop's inside: stores, directories, queue.
    pub fn inside(&self) -> &Arc<Shop> {
        &self.running.as_ref().expect("the shop is open").shop
    }

    /// Stops it gracefully, whatever is on its way; its books stay open.
    pub fn stop(&mut self) {
        self.running.take().expect("the shop is open").stop();
    }

    /// Stops it gracefully and starts it again on the same data.
    pub async fn restart(&mut self) {
        self.stop();
        let (running, started) =
            try_start_on(self.stand.clone(), self.setup(), self.clock.clone()).expect("the shop opens");
        self.address.is_now(&started.base);
        self.running = Some(running);
    }

    fn setup(&self) -> Setup {
        Setup { settings: self.settings.clone(), data_dir: self.dir.path().to_owned() }
    }

    /// Waits until nothing is on its way: no ticket, no effect, no event that was not told.
    pub async fn at_rest(&self) -> Unfinished {
        self.books.at_rest().await
    }

    /// Put in = free + held + sold, and the gate agrees.
    pub async fn assert_stock_conserved(&self, product_id: i64) {
        self.books.at_rest().await;
        self.books.assert_stock_conserved(product_id).await;
    }

    /// Comes to rest, stops, and fails the test on leftovers; the same as dropping it.
    pub async fn close(self) {
        drop(self);
    }
}

impl Drop for TestShop {
    fn drop(&mut self) {
        let Some(running) = self.running.take() else { return };
        if std::thread::panicking() || self.leaves.anything {
            running.stop();
            return;
        }
        let (setup, leaves) = (self.setup(), self.leaves);
        let now_ms = self.clock.now_ms();
        let before = reading(setup.clone(), async move |books: &Books| {
            books.has_looked(now_ms).await;
            books.at_rest().await
        });
        running.stop();
        let expected =
            Unfinished { dead_tickets: leaves.dead_tickets, reviews: leaves.reviews, ..Unfinished::default() };
        assert_eq!(before, expected, "the shop was left with work that nobody does");
        let settings = self.settings.clone();
        let problem = reading(setup, async move |books: &Books| {
            assert_eq!(books.unfinished().await, expected, "stopping left work behind");
            books.assert_conserved().await;
            let options = CheckOptions { now_ms, grace_ms: 0 };
            let ledger = open_bare_ledger(&settings, books.db()).await.expect("the ledger opens");
            let report = check(books.db(), &*ledger, options).await.expect("the check runs");
            (!report.is_sound()).then(|| report.to_string())
        });
        assert!(problem.is_none(), "the books do not add up:\n{}", problem.unwrap_or_default());
    }
}

impl Running {
    /// Stops it gracefully.
    pub fn stop(self) {
        drop(self.shop);
        let _ = self.stop.send(());
        if self.thread.join().is_err() && !std::thread::panicking() {
            panic!("the shop's thread panicked");
        }
    }
}

/// Fast, generous, on a free port: what a test does not set should not stand in its way.
pub fn settings_for_tests() -> Settings {
    let mut settings = Settings::default();
    settings.http.port = 0;
    settings.http.workers = 2;
    settings.http.drain_grace_ms = 0;
    settings.http.shutdown_timeout_ms = 5_000;
    settings.actors.arbiters = 2;
    settings.actors.ask_timeout_ms = 8_000;
    settings.database.synchronous = Synchronous::Normal;
    settings.auth.access_token_s = 366 * 24 * 3_600;
    settings.auth.refresh_token_s = 2 * 366 * 24 * 3_600;
    settings.orders.sweep_interval_ms = 50;
    settings.payment.sandbox = Some(false);
    settings.limits.seckill_per_second = 10_000;
    settings.limits.seckill_burst = 10_000;
    settings.limits.sign_ins_per_minute = 1_000;
    settings.limits.registrations_per_minute = 1_000;
    settings.limits.queue_wait_max_ms = 10_000;
    settings
}

/// Opens a node on a thread of its own, or says why it cannot be.
pub fn try_start(settings: Settings, data_dir: PathBuf, clock: Clock) -> anyhow::Result<(Running, Started)> {
    try_start_on(Stand::AsSaid, Setup { settings, data_dir }, clock)
}

fn try_start_on(stand: Stand, setup: Setup, clock: Clock) -> anyhow::Result<(Running, Started)> {
    let _ = tracing_subscriber::registry().with(log()).try_init(); // or there is one
    let (report, started) = std_mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("shop".to_owned())
        .spawn(move || actix_rt::System::new().block_on(run(setup, stand, clock, (report, stopped))))
        .expect("a thread for the shop");
    let started: Started = started.recv().expect("the shop's thread lives")?;
    Ok((Running { shop: Arc::clone(&started.shop), stop, thread }, started))
}

async fn run(
    setup: Setup,
    stand: Stand,
    clock: Clock,
    (report, stopped): (std_mpsc::Sender<anyhow::Result<Started>>, oneshot::Receiver<()>),
) {
    let opened = async {
        let db = app::open_database(&setup).await?;
        let first_admin = admin::create_first(&db, clock.now_ms()).await?;
        let back_ends = open_back_ends(stand, &setup, &db, &clock).await?;
        let app = App::start_on(back_ends, setup, db, clock, Some(Metrics::install().handle())).await?;
        let admin_password = first_admin.map(|credentials| credentials.password);
        anyhow::Ok((app, admin_password))
    };
    match opened.await {
        Ok((app, admin_password)) => {
            let (base, shop) = (format!("http://{}", app.address()), Arc::clone(app.shop()));
            let _ = report.send(Ok(Started { base, shop, admin_password })); // the test may have gone
            let _ = stopped.await;
            app.stop().await;
        }
        Err(error) => {
            let _ = report.send(Err(error));
        }
    }
}

async fn open_back_ends(stand: Stand, setup: &Setup, db: &Db, clock: &Clock) -> anyhow::Result<BackEnds> {
    if let Stand::CartsOn(redis) = stand {
        let link = RedisLink::connect(&redis).await?;
        return Ok(back_ends::embedded(&setup.settings, db, clock).with_carts_on(&link, &setup.settings, db, clock));
    }
    let is_beside = !setup.settings.amqp.url.is_empty() && setup.settings.redis.url.is_empty();
    let mut back_ends = match is_beside {
        true => beside_rabbitmq(setup, db, clock).await?,
        false => back_ends::open(setup, db, clock).await?,
    };
    if let Stand::SlowToTell(pause) = stand {
        let broadcast = Arc::clone(&back_ends.surroundings.broadcast);
        back_ends.surroundings.broadcast = Arc::new(SlowBroadcast { broadcast, pause });
    }
    Ok(back_ends)
}

/// A way to the other nodes that takes its time.
struct SlowBroadcast {
    broadcast: Arc<dyn Broadcast>,
    pause: Duration,
}

#[async_trait]
impl Broadcast for SlowBroadcast {
    async fn tell(&self, messages: Vec<Box<RawValue>>) -> Result<(), BroadcastError> {
        tokio::time::sleep(self.pause).await;
        self.broadcast.tell(messages).await
    }

    async fn answer(&self, address: &str, message: Box<RawValue>) -> Result<(), BroadcastError> {
        self.broadcast.answer(address, message).await
    }

    fn address(&self) -> &str {
        self.broadcast.address()
    }

    async fn close(&self) {
        self.broadcast.close().await;
    }
}

/// The embedded shop with the order queue and the domain events of a cluster: settings that no server accepts, for
/// tests of RabbitMQ alone.
async fn beside_rabbitmq(setup: &Setup, db: &Db, clock: &Clock) -> anyhow::Result<BackEnds> {
    let Settings { amqp, node, .. } = &setup.settings;
    let Broker { queue, events } = Broker::connect(amqp, &node.name, clock.clone()).await?;
    let announcer = Some(Announcer { publisher: events });
    Ok(BackEnds { queue, announcer, ..back_ends::embedded(&setup.settings, db, clock) })
}

/// Runs `work` on the books from a thread of its own.
fn reading<T: Send + 'static>(setup: Setup, work: impl AsyncFnOnce(&Books) -> T + Send + 'static) -> T {
    aside(async move || {
        let books = Books::open(&setup).await;
        let outcome = work(&books).await;
        books.close().await;
        outcome
    })
}
