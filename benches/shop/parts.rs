//! Ceilings of the ledger's part: redis-benchmark of a script for one order, and the shop's own reservation core
//! (mailbox of the inventory actor, batched Lua, reply) without HTTP, sessions and the queue's broker.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use anyhow::{Context as _, ensure};
use futures::stream::{FuturesUnordered, StreamExt as _};
use rushmall::actors::inventory::ReserveInSale;
use rushmall::actors::kit::Host;
use rushmall::actors::shop::{Foundations, Shop};
use rushmall::actors::webhooks::Webhooks;
use rushmall::app::back_ends;
use rushmall::clock::{Clock, monotonic};
use rushmall::config::{DatabaseSettings, RedisSettings, Settings};
use rushmall::domain::sale::{SaleTerms, SaleWindow};
use rushmall::domain::{BuyerId, Money, Pool, ProductId, Quantity, SaleId};
use rushmall::messaging::OrderQueue;
use rushmall::payment::setup::Gateways;
use rushmall::persistence::ledger::{PoolState, Rebuild};
use rushmall::persistence::products::{self, NewProduct, STATUS_ON_SHELF};
use rushmall::persistence::{Db, RedisLedger, StockLedger};
use rushmall::random;
use rushmall::redis_link::RedisLink;
use rushmall::transparency::HeadSigner;

use super::rig::Rig;

/// What a shop without batches would run for each order: has this buyer bought, is there a unit, keep the ticket.
const SINGLE_ORDER: &str = "if redis.call('SADD', KEYS[1], ARGV[1]) == 0 then return -1 end \
    if redis.call('DECR', KEYS[2]) < 0 then redis.call('INCR', KEYS[2]) return 0 end \
    redis.call('HSET', KEYS[3], ARGV[1], ARGV[2]) return 1";
const KEYS: [&str; 3] = ["bench:{1}:buyers", "bench:{1}:stock", "bench:{1}:tickets"];
/// Calls that tell how many fit into the time.
const CALLS_TO_TRY: u64 = 10_000;
/// Claims that wait in the core at the same time.
const IN_FLIGHT: usize = 1_024;
const SALE: SaleId = SaleId(1);
const DEADLINE: Duration = Duration::from_secs(5);

/// Orders a second of the single-order script: 50 clients, no pipelining.
pub async fn single_order_script(rig: &Rig, seconds: f64) -> anyhow::Result<f64> {
    let client = redis::Client::open(rig.redis_url.as_str())?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    let hash: String = redis::cmd("SCRIPT").arg("LOAD").arg(SINGLE_ORDER).query_async(&mut redis).await?;
    let () = redis::cmd("SET").arg(KEYS[1]).arg(1_000_000_000).query_async(&mut redis).await?;
    let port = rig.redis_url.rsplit(':').next().context("no port")?.to_owned();
    let pace = benchmark(&port, &hash, CALLS_TO_TRY).await?;
    let calls = ((pace * seconds) as u64).max(CALLS_TO_TRY);
    // its random numbers are the same in every run: the first buyers would be refused
    let () = redis::cmd("UNLINK").arg(KEYS[0]).arg(KEYS[2]).query_async(&mut redis).await?;
    let pace = benchmark(&port, &hash, calls).await?;
    let recorded: u64 = redis::cmd("HLEN").arg(KEYS[2]).query_async(&mut redis).await?;
    // random buyers: a few in a million click twice
    ensure!(recorded > calls - calls / 100, "the script recorded {recorded} of {calls} orders");
    let () = redis::cmd("UNLINK").arg(&KEYS[..]).query_async(&mut redis).await?;
    Ok(pace)
}

/// Calls a second by redis-benchmark.
async fn benchmark(port: &str, hash: &str, calls: u64) -> anyhow::Result<f64> {
    let mut command = Command::new("redis-benchmark");
    command.args([
        "-p",
        port,
        "-c",
        "50",
        "-n",
        &calls.to_string(),
        "-r",
        "100000000000",
        "--csv",
        "EVALSHA",
        hash,
        "3",
    ]);
    command.args(KEYS).args(["__rand_int__", "sale:1 1 990 1763700000000 {}"]);
    let output =
        tokio::task::spawn_blocking(move || command.output()).await?.context("redis-benchmark (redis-tools)")?;
    ensure!(output.status.success(), "redis-benchmark: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let last =
        text.lines().last().and_then(|line| line.split("\",\"").nth(1)).context("no figure of redis-benchmark")?;
    Ok(last.parse()?)
}

/// Claims a second of the reservation core.
pub async fn reservation_core(rig: &Rig, seconds: f64) -> anyhow::Result<f64> {
    let dir = tempfile::tempdir()?;
    let (settings, clock) = (Settings::default(), Clock::default());
    let db = Db::connect(&DatabaseSettings::default(), dir.path()).await?;
    db.migrate().await?;
    let prefix = format!("bench-{}", random::token());
    let redis = RedisSettings { url: rig.redis_url.clone(), prefix: prefix.clone(), ..RedisSettings::default() };
    let ledger: Arc<dyn StockLedger> = Arc::new(RedisLedger::new(RedisLink::connect(&redis).await?, db.clone()));
    let product = open_sale(&db, &*ledger, clock.now_ms()).await?;
    let arbiter = Arbiter::new();
    let host = Host::start(vec![arbiter.handle()], clock.clone())?;
    let embedded = back_ends::embedded(&settings, &db, &clock);
    let back_ends = rushmall::actors::shop::BackEnds { ledger: Arc::clone(&ledger), ..embedded };
    let webhooks = Webhooks::open(&settings, db.clone(), clock.clone())?;
    let signer = HeadSigner::new(&settings.audit.origin, &random::bytes())?;
    let (gateways, reports_dir) = (Gateways::default(), std::env::temp_dir());
    let rooms_note = reports_dir.join(format!("{prefix}.json"));
    let shop = Shop::open(Foundations {
        settings,
        db,
        back_ends,
        gateways,
        webhooks,
        clock,
        host,
        signer,
        reports_dir,
        rooms_note,
    });
    let emptying = actix::spawn(empty(Arc::clone(&shop.queue)));
    let mut buyers = (1..).map(BuyerId);
    let mut claim = || {
        let (shop, order_no, buyer) = (Arc::clone(&shop), shop.numbers.next(), buyers.next().unwrap_or(BuyerId(1)));
        let message = ReserveInSale { order_no, buyer, quantity: Quantity::ONE, since: monotonic() };
        async move { shop.inventory.ask(&product, message, DEADLINE).await }
    };
    claim().await??;
    let started = monotonic();
    let mut waiting: FuturesUnordered<_> = (0..IN_FLIGHT).map(|_| claim()).collect();
    let mut taken: i64 = 1;
    while let Some(answer) = waiting.next().await {
        answer??;
        taken += 1;
        if started.elapsed().as_secs_f64() < seconds {
            waiting.push(claim());
        }
    }
    let took = started.elapsed().as_secs_f64();
    let left: i64 = ledger.snapshot(product).await?.pools.iter().map(|pool| pool.free).sum();
    ensure!(left + taken == UNITS, "{taken} claims were answered, but {} units are gone", UNITS - left);
    emptying.abort();
    arbiter.stop();
    forget(&rig.redis_url, &prefix).await?;
    Ok(taken as f64 / took)
}

const UNITS: i64 = 50_000_000;

async fn open_sale(db: &Db, ledger: &dyn StockLedger, now_ms: i64) -> anyhow::Result<ProductId> {
    let new = NewProduct {
        name: "bench".to_owned(),
        description: String::new(),
        category_id: 0,
        price: Money::from_fen(9_900),
        image_url: String::new(),
        images: Vec::new(),
        attributes: Default::default(),
        status: STATUS_ON_SHELF,
    };
    let product = products::insert(db, &new, now_ms).await?.map_err(|_| anyhow::anyhow!("product refused"))?;
    let window = SaleWindow::new(now_ms - 1_000, now_ms + 3_600_000).context("no window")?;
    let terms =
        SaleTerms { sale: SALE, window, unit_price: Money::from_fen(990), units_per_buyer_max: 1, closed: false };
    let pools = vec![PoolState { pool: Pool::Sale(SALE), free: UNITS, terms: Some(terms) }];
    let lost = ledger.begin_rebuild(product).await?.context("the product has an account already")?;
    let account = Rebuild { epoch: 1, turn: lost.turn, pools, ..Rebuild::default() };
    ensure!(ledger.rebuild(product, &account).await?, "sale not opened");
    Ok(product)
}

/// Stands for the broker: takes every batch and forgets it.
async fn empty(queue: Arc<dyn OrderQueue>) {
    while let Ok(delivery) = queue.receive(4_096).await {
        let _ = queue.acknowledge(delivery.receipt).await; // it cannot be stale here, and nothing depends on it
    }
}

async fn forget(url: &str, prefix: &str) -> anyhow::Result<()> {
    let mut redis = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{prefix}*")).query_async(&mut redis).await?;
    if !keys.is_empty() {
        let () = redis::cmd("UNLINK").arg(keys).query_async(&mut redis).await?;
    }
    Ok(())
}
