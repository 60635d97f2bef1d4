//! Chooses what stands behind the ports: the database and memory of one machine, or Redis and RabbitMQ of a cluster.
//! Nothing else knows which it is.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::Mutex;

use crate::actors::announcer::Announcer;
use crate::actors::shop::{BackEnds, Surroundings};
use crate::clock::Clock;
use crate::config::{Settings, Setup};
use crate::messaging::rabbitmq::Broker;
use crate::messaging::redis_broadcast::RedisBroadcast;
use crate::messaging::{InProcessQueue, Nodes, OrderQueue};
use crate::persistence::carts::CartTerms;
use crate::persistence::limits::{ClickLimit, SharedClicks};
use crate::persistence::recovering::{IsQuiet, Recovering};
use crate::persistence::{Db, MemoryLimiter, RedisCarts, RedisLedger, RedisLimiter, SqlCarts, SqlLedger, StockLedger};
use crate::redis_link::RedisLink;

/// The back ends that the settings name.
///
/// # Errors
/// If Redis or RabbitMQ cannot be reached within its connect timeout.
pub async fn open(setup: &Setup, db: &Db, clock: &Clock) -> anyhow::Result<BackEnds> {
    let settings = &setup.settings;
    if settings.is_cluster() { of_cluster(setup, db, clock).await } else { Ok(embedded(settings, db, clock)) }
}

/// The database and memory of this machine, whatever the settings name.
#[must_use]
pub fn embedded(settings: &Settings, db: &Db, clock: &Clock) -> BackEnds {
    let node = settings.node.name.clone();
    BackEnds {
        ledger: Arc::new(SqlLedger::new(db.clone())),
        queue: Arc::new(InProcessQueue::new(settings.amqp.deliveries_max, node, clock.clone())),
        announcer: None,
        carts: Arc::new(SqlCarts::new(db.clone())),
        limiter: Arc::new(MemoryLimiter::new(clock.clone())),
        shared_clicks: None,
        surroundings: Surroundings::alone(),
    }
}

async fn of_cluster(Setup { settings, data_dir }: &Setup, db: &Db, clock: &Clock) -> anyhow::Result<BackEnds> {
    anyhow::ensure!(
        !settings.auth.jwt_secret.is_empty(),
        "auth.jwt_secret must be set, the same on every node: a sign-in at one must count at all"
    );
    let token = node_token(data_dir)?;
    let link = RedisLink::connect(&settings.redis).await.context("cannot reach Redis (redis.url)")?;
    let broker = Broker::connect(&settings.amqp, &settings.node.name, clock.clone());
    let Broker { queue, events } = broker.await.context("cannot reach RabbitMQ (amqp.url)")?;
    let queue: Arc<dyn OrderQueue> = queue;
    let announcer = Announcer { publisher: events };
    let ledger = Arc::new(RedisLedger::new(link.clone(), db.clone()));
    let is_quiet = is_empty(Arc::clone(&queue));
    let ledger: Arc<dyn StockLedger> = Arc::new(Recovering::new(ledger, db.clone(), clock.clone(), is_quiet));
    let embedded = embedded(settings, db, clock);
    let surroundings = surroundings(link.clone(), &settings.node.name, token);
    let back_ends = BackEnds { ledger, queue, announcer: Some(announcer), surroundings, ..embedded };
    Ok(back_ends.with_carts_on(&link, settings, db, clock))
}

impl BackEnds {
    /// The same with carts and limits in Redis.
    #[must_use]
    pub fn with_carts_on(self, link: &RedisLink, settings: &Settings, db: &Db, clock: &Clock) -> Self {
        let terms = CartTerms {
            lines_max: settings.orders.cart_lines_max,
            cut_off_after_ms: settings.orders.prepared_expires_ms.saturating_mul(3) / 2,
        };
        let limit = ClickLimit::of_bucket(settings.limits.seckill_per_second, settings.limits.seckill_burst);
        Self {
            carts: Arc::new(RedisCarts::new(link.clone(), db.clone(), Arc::clone(&self.ledger), terms)),
            limiter: Arc::new(RedisLimiter::new(link.clone(), clock.clone())),
            shared_clicks: Some(Arc::new(SharedClicks::new(link.clone(), limit))),
            ..self
        }
    }
}

/// A queue that cannot say is not waited for longer than the rebuild allows.
fn is_empty(queue: Arc<dyn OrderQueue>) -> IsQuiet {
    Box::new(move || {
        let queue = Arc::clone(&queue);
        Box::pin(async move { queue.is_idle().await.unwrap_or(false) })
    })
}

/// The other nodes meet in Redis.
fn surroundings(link: RedisLink, node: &str, token: String) -> Surroundings {
    let (broadcast, hearing) = RedisBroadcast::start(link.clone(), node);
    let nodes = Nodes::registered(link.clone(), token);
    Surroundings { broadcast: Arc::new(broadcast), hearing: Arc::new(Mutex::new(hearing)), nodes, redis: Some(link) }
}

/// Tells the node of this data directory, in all its lives, from others with its slot.
fn node_token(data_dir: &Path) -> anyhow::Result<String> {
    let path = data_dir.join("node.token");
    match fs::read_to_string(&path) {
        Ok(token) if !token.is_empty() => return Ok(token),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let token = crate::random::token();
    fs::write(&path, &token).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(token)
}
