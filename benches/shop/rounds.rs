//! Who alternates with whom: in each round the bare server, the shop and the parts it is compared with, one after the
//! other, so that a change in the machine's mood meets all of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::gate::{self, Tally};
use super::load::{self, Outcome, Pace, Plan};
use super::push::Listeners;
use super::report::{self, Better, Report, Row};
use super::rig::Rig;
use super::stage::{Sale, Stage};
use super::{Extent, chart, idle, parts, probes, raw_sql};
use rushmall::clock::monotonic;

const CONNECTIONS: usize = 256;
/// Buyers who listen on a WebSocket: one in twenty.
const LISTENERS: usize = 1_000;
/// Less than this waiting at the end of the load is too little to time the writer alone by.
const BACKLOG_MIN: i64 = 2_000;
const PARTS_OF_CAPACITY: [(f64, &str, f64, f64); 2] = [(0.5, "50 %", 2.0, 8.0), (0.9, "90 %", 2.5, 25.0)];

/// Starts everything, measures, reports.
pub async fn run(extent: Extent) -> anyhow::Result<()> {
    let (started, load_before) = (monotonic(), probes::load_average());
    println!("starting Redis, RabbitMQ, MariaDB and the shop");
    let rig = Rig::start().await?;
    println!("making {} buyers", extent.buyers);
    let stage = Stage::set(&rig, extent.buyers).await?;
    println!("idle actors and sockets");
    let mut bench = Bench { rig, stage, extent, rows: Vec::new(), notes: Vec::new() };
    bench.idle().await?;
    let listeners = Listeners::open(bench.rig.port, &bench.stage.tokens[..LISTENERS]).await?;
    bench.warm_up().await?;
    for round in 1..=extent.pairs {
        println!("round {round} of {}", extent.pairs);
        bench.round(&listeners).await?;
    }
    for round in 1..=extent.pairs {
        println!("latency, round {round} of {}", extent.pairs);
        bench.latencies().await?;
    }
    drop(listeners);
    let recovered = idle::recovery(&mut bench.rig, &bench.stage).await?;
    bench.add("first accepted order after SIGKILL, s", Better::Lower, Some(1.0), recovered, true);
    let Extent { pairs, seconds, .. } = extent;
    let Bench { rows, notes, .. } = bench; // the processes end here
    let load_average = [load_before, probes::load_average()];
    let (machine, commit) = (report::machine(), report::commit());
    let took_s = started.elapsed().as_secs_f64();
    let report = Report { pairs, seconds, machine, commit, load_average, took_s, rows, notes };
    println!("{}", report.table());
    for note in &report.notes {
        println!("{note}");
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    std::fs::write(docs.join("bench.svg"), chart::svg(&report.rows))?;
    report.write(&docs)
}

struct Bench {
    rig: Rig,
    stage: Stage,
    extent: Extent,
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// One closed run on the shop, up to the last push.
struct Sold {
    /// Accepted a second while the load lasted.
    accepted: f64,
    /// Accepted, written and pushed a second, counted until the last order was written and its push had come.
    pushed: f64,
    /// Orders that waited when the load ended, and how fast they were then written.
    backlog: i64,
    drained: f64,
    is_valid: bool,
}

impl Bench {
    fn add(&mut self, name: &str, better: Better, goal: Option<f64>, value: f64, is_valid: bool) {
        let known = self.rows.iter().position(|row| row.name == name);
        let place = known.unwrap_or_else(|| {
            self.rows.push(Row::new(name, better, goal));
            self.rows.len() - 1
        });
        self.rows[place].add(value, is_valid);
    }

    fn median(&self, name: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.name == name)?.median()
    }

    async fn idle(&mut self) -> anyhow::Result<()> {
        let idle = idle::measure(&self.rig, &self.stage).await?;
        let over_bare = idle.actor - idle.bare_actor;
        self.add("idle buyer's actor over a bare actix actor, bytes", Better::Lower, Some(1_024.0), over_bare, true);
        self.add("idle WebSocket, bytes", Better::Lower, Some(8_192.0), idle.socket, true);
        Ok(())
    }

    async fn warm_up(&mut self) -> anyhow::Result<()> {
        let sale = self.stage.open_sale().await?;
        let outcome = self.clicks(sale, Pace::Closed, 1.0).await?;
        gate::until_written(&self.rig.db, sale, outcome.accepted.len()).await?;
        self.stage.close(sale).await
    }

    async fn clicks(&self, sale: Sale, pace: Pace, seconds: f64) -> anyhow::Result<Outcome> {
        self.send(self.stage.clicks(sale.product), CONNECTIONS, pace, seconds).await
    }

    async fn send(
        &self,
        requests: Arc<Vec<Vec<u8>>>,
        connections: usize,
        pace: Pace,
        seconds: f64,
    ) -> anyhow::Result<Outcome> {
        load::run(Plan { port: self.rig.port, requests, connections, pace, seconds }).await
    }

    async fn bare(&self, pace: Pace) -> anyhow::Result<Outcome> {
        let requests = self.stage.clicks(1);
        let plan =
            Plan { port: self.rig.b0_port, requests, connections: CONNECTIONS, pace, seconds: self.extent.seconds };
        load::run(plan).await
    }

    async fn round(&mut self, listeners: &Listeners) -> anyhow::Result<()> {
        let bare_cpu = probes::cpu_seconds(self.rig.b0_pid())?;
        let bare = self.bare(Pace::Closed).await?;
        let bare_cpu = probes::cpu_seconds(self.rig.b0_pid())? - bare_cpu;
        let b0 = bare.rate();
        self.add("B0, requests/s", Better::Higher, None, b0, bare.other == 0);
        self.add(
            "CPU of B0 per request, us",
            Better::Lower,
            None,
            bare_cpu * 1e6 / bare.accepted.len().max(1) as f64,
            true,
        );
        let script = parts::single_order_script(&self.rig, self.extent.seconds).await?;
        self.add("redis-benchmark of the single-order script, orders/s", Better::Higher, None, script, true);
        let sale = self.stage.open_sale().await?;
        let sold = self.sell(sale, listeners).await?;
        let raw = raw_sql::insert_again(&self.rig.db, sale).await?;
        self.stage.close(sale).await?;
        let core = parts::reservation_core(&self.rig, self.extent.seconds).await?;
        let valid = sold.is_valid;
        let mut higher = |name: &str, goal, value| self.add(name, Better::Higher, goal, value, valid);
        higher("accepted and queued, orders/s", None, sold.accepted);
        higher("accepted and queued / B0", Some(0.75), sold.accepted / b0);
        higher("accepted, persisted and pushed, orders/s", Some(20_000.0), sold.pushed);
        higher("accepted, persisted and pushed / B0", Some(0.30), sold.pushed / b0);
        higher("accepted over HTTP / redis-benchmark of the script", Some(0.90), sold.accepted / script);
        let written = if sold.backlog >= BACKLOG_MIN { sold.drained } else { sold.pushed };
        higher("raw multi-row insert, orders/s", None, raw);
        higher("persisted / raw multi-row insert", Some(0.85), written / raw);
        self.add("backlog when the load ends, orders", Better::Lower, None, sold.backlog as f64, valid);
        self.add("reservation core, claims/s", Better::Higher, None, core, true);
        self.add("reservation core / redis-benchmark of the script", Better::Higher, Some(5.0), core / script, true);
        self.refuse(b0).await
    }

    /// A closed run, with everything that is counted about it.
    async fn sell(&mut self, sale: Sale, listeners: &Listeners) -> anyhow::Result<Sold> {
        let mut redis = redis::Client::open(self.rig.redis_url.as_str())?.get_multiplexed_async_connection().await?;
        let before = Readings::take(&self.rig, &mut redis).await?;
        let started = monotonic();
        let outcome = self.clicks(sale, Pace::Closed, self.extent.seconds).await?;
        let (ended, orders) = (monotonic(), outcome.accepted.len());
        let backlog = orders as i64 - gate::units_taken(&self.rig.db, sale).await?;
        let written_at = gate::until_written(&self.rig.db, sale, orders).await?;
        let (expected, arrived) = listeners.until_pushed(&outcome.accepted).await;
        let done = monotonic();
        let after = Readings::take(&self.rig, &mut redis).await?;
        let tally = gate::tally(&self.stage, &self.rig.db, sale, &outcome.accepted).await?;
        let is_valid = self.judge("accepted", &outcome, tally) && expected == arrived;
        if expected != arrived {
            self.notes.push(format!("{arrived} of {expected} pushes came: this round does not count"));
        }
        self.per_order(&before, &after, orders as f64, is_valid);
        Ok(Sold {
            accepted: outcome.rate(),
            pushed: orders as f64 / (done - started).as_secs_f64(),
            backlog,
            drained: backlog as f64 / (written_at - ended).max(Duration::from_millis(1)).as_secs_f64(),
            is_valid,
        })
    }

    /// The gate; says why a run does not count.
    fn judge(&mut self, what: &str, outcome: &Outcome, tally: Tally) -> bool {
        let is_valid = tally.is_valid() && outcome.other == 0;
        if !is_valid {
            let odd: String = outcome.odd.as_deref().unwrap_or_default().chars().rev().take(300).collect();
            let odd: String = odd.chars().rev().collect();
            self.notes.push(format!("{what}: a round does not count: {tally:?}, {} odd answers: {odd}", outcome.other));
        }
        is_valid
    }

    fn per_order(&mut self, before: &Readings, after: &Readings, orders: f64, is_valid: bool) {
        let mut lower = |name: &str, goal, value: f64| self.add(name, Better::Lower, goal, value / orders, is_valid);
        let sent = probes::from_clients(&before.redis, &after.redis);
        lower("Redis commands from the shop per order", Some(0.05), sent as f64);
        let all = probes::all_calls(&before.redis, &after.redis);
        lower("Redis commands per order, those inside scripts included", None, all as f64 - sent as f64);
        lower("AMQP messages per order", Some(0.02), (after.amqp - before.amqp) as f64);
        lower("commits per order", Some(0.01), (after.commits - before.commits) as f64);
        for ((name, before), (_, after)) in before.cpu.iter().zip(&after.cpu) {
            lower(&format!("CPU of {name} per order, us"), None, (after - before) * 1e6);
        }
    }

    /// Clicks on what is sold out.
    async fn refuse(&mut self, b0: f64) -> anyhow::Result<()> {
        let mut redis = redis::Client::open(self.rig.redis_url.as_str())?.get_multiplexed_async_connection().await?;
        let sale = self.stage.open_sale_of(1).await?;
        let [winner, others] = self.stage.clicks_of_one_and_others(sale.product);
        let first = self.send(winner, 1, Pace::Once, 1.0).await?;
        gate::until_written(&self.rig.db, sale, first.accepted.len()).await?;
        let before = probes::redis_calls(&mut redis).await?;
        let outcome = self.send(others, CONNECTIONS, Pace::Closed, self.extent.seconds).await?;
        let after = probes::redis_calls(&mut redis).await?;
        let tally = gate::tally(&self.stage, &self.rig.db, sale, &first.accepted).await?;
        let is_valid = self.judge("refusals", &outcome, tally) && outcome.accepted.is_empty();
        let commands = probes::from_clients(&before, &after) as f64 / outcome.sold_out.max(1) as f64;
        self.add("sold-out refusals/s", Better::Higher, None, outcome.rate(), is_valid);
        self.add("sold-out refusals / B0", Better::Higher, Some(1.05), outcome.rate() / b0, is_valid);
        self.add("Redis commands per refusal", Better::Lower, Some(0.001), commands, is_valid);
        self.stage.close(sale).await
    }

    /// Open runs at parts of the capacity that was found, the bare server at the same parts of its own.
    async fn latencies(&mut self) -> anyhow::Result<()> {
        let Some(b0) = self.median("B0, requests/s") else { return Ok(()) };
        let Some(shop) = self.median("accepted, persisted and pushed, orders/s") else { return Ok(()) };
        for (part, name, times_b0, ms_max) in PARTS_OF_CAPACITY {
            let bare = self.bare(Pace::Open(b0 * part)).await?;
            let sale = self.stage.open_sale().await?;
            let outcome = self.clicks(sale, Pace::Open(shop * part), self.extent.seconds).await?;
            let orders = outcome.accepted.len();
            let backlog = orders as i64 - gate::units_taken(&self.rig.db, sale).await?;
            gate::until_written(&self.rig.db, sale, orders).await?;
            let tally = gate::tally(&self.stage, &self.rig.db, sale, &outcome.accepted).await?;
            let is_valid = self.judge("latency", &outcome, tally);
            let (p50, p99) = (outcome.percentile_ms(0.5), outcome.percentile_ms(0.99));
            let bare_p99 = bare.percentile_ms(0.99);
            self.stage.close(sale).await?;
            let mut lower = |what: String, goal, value| self.add(&what, Better::Lower, goal, value, is_valid);
            lower(format!("p50 at {name} of capacity, ms"), None, p50);
            lower(format!("p99 at {name} of capacity, ms"), Some(ms_max), p99);
            lower(format!("p99 at {name} of capacity of B0, ms"), None, bare_p99);
            lower(format!("p99 at {name} of capacity / B0's"), Some(times_b0), p99 / bare_p99);
            lower(format!("backlog at {name} of capacity, orders"), None, backlog as f64);
        }
        Ok(())
    }
}

/// Counters before or after a run.
struct Readings {
    redis: std::collections::BTreeMap<String, u64>,
    amqp: u64,
    commits: u64,
    cpu: Vec<(&'static str, f64)>,
}

impl Readings {
    async fn take(rig: &Rig, redis: &mut redis::aio::MultiplexedConnection) -> anyhow::Result<Self> {
        let cpu = rig.pids()?.into_iter().map(|(name, pid)| Ok((name, probes::cpu_seconds(pid)?)));
        Ok(Self {
            cpu: cpu.collect::<anyhow::Result<_>>()?,
            redis: probes::redis_calls(redis).await?,
            amqp: probes::counter(&rig.base(), "rushmall_amqp_publishes_total").await?,
            commits: probes::mariadb_status(&rig.db, "Com_commit").await?,
        })
    }
}
