//! What the kit costs over bare actix: bytes per idle actor, and time per message hop.
//!
//! Run with `cargo bench --bench actor_kit`. Memory is the growth of the resident set over 100,000 idle actors, since
//! a counting allocator would need `unsafe`. Time is wall time on a quiet machine; on one arbiter that is CPU time.
#![expect(clippy::print_stdout, reason = "the table is the purpose")]
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, ArbiterHandle, Context, Handler, Message, System};
use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use rushmall::actors::kit::{Directory, Host, KindLimits, KitActor, LoadError, Vitals};
use rushmall::clock::{Clock, monotonic};

const IDLE_ACTORS: u64 = 100_000;
const HOPS: u64 = 200_000;
const ROUNDS: u32 = 3;
const DEADLINE: Duration = Duration::from_secs(5);

struct Counter {
    number: u64,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl KitActor for Counter {
    type Key = u64;
    type Deps = ();
    const KIND: &'static str = "counter";

    async fn load(_key: u64, _deps: (), _vitals: Arc<Vitals>) -> Result<Self, LoadError> {
        Ok(Self { number: 0 })
    }
}

#[derive(Clone, Debug, Message)]
#[rtype(u64)]
struct Add(u64);

impl Handler<Add> for Counter {
    type Result = u64;
    fn handle(&mut self, Add(units): Add, _: &mut Context<Self>) -> u64 {
        self.number += units;
        self.number
    }
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}

fn kit_on(arbiter: ArbiterHandle) -> Directory<Counter> {
    let host = Host::start(vec![arbiter], Clock::default()).unwrap();
    let limits = KindLimits { live_max: usize::MAX, idle_after: Duration::from_secs(3_600), ..KindLimits::default() };
    // The directory keeps its host alive.
    Directory::new(&host, (), limits)
}

async fn memory() {
    let arbiter = Arbiter::current();
    let before = resident_bytes();
    let bare: Vec<Addr<Counter>> = (0..IDLE_ACTORS).map(|_| Counter { number: 0 }.start()).collect();
    for chunk in bare.chunks(100) {
        join_all(chunk.iter().map(|addr| addr.send(Add(1)))).await;
    }
    let with_bare = resident_bytes();
    let kit = kit_on(arbiter);
    for first in (0..IDLE_ACTORS).step_by(100) {
        let keys: Vec<u64> = (first..first + 100).collect();
        join_all(keys.iter().map(|key| kit.ask(key, Add(1), DEADLINE))).await;
    }
    let with_kit = resident_bytes();
    let (bare_bytes, kit_bytes) = ((with_bare - before) / IDLE_ACTORS, (with_kit - with_bare) / IDLE_ACTORS);
    println!(
        "bytes per idle actor         bare {bare_bytes:>6}   kit {kit_bytes:>6}   kit over bare {}",
        kit_bytes.saturating_sub(bare_bytes)
    );
    black_box((bare, kit));
}

/// Nanoseconds per hop, the best of some rounds, with so many asks in flight.
async fn hops<F: Future>(in_flight: u64, ask: impl Fn() -> F) -> u128 {
    let mut best_ns = u128::MAX;
    for _ in 0..ROUNDS {
        let since = monotonic();
        let mut asks: FuturesUnordered<F> = (0..in_flight).map(|_| ask()).collect();
        for _ in in_flight..HOPS {
            black_box(asks.next().await);
            asks.push(ask());
        }
        while asks.next().await.is_some() {}
        best_ns = best_ns.min(since.elapsed().as_nanos() / u128::from(HOPS));
    }
    best_ns
}

async fn time(place: &str, arbiter: ArbiterHandle) {
    let bare = Counter::start_in_arbiter(&arbiter, |ctx| {
        ctx.set_mailbox_capacity(1_024);
        Counter { number: 0 }
    });
    let kit = kit_on(arbiter);
    kit.ask(&1, Add(1), DEADLINE).await.unwrap();
    for in_flight in [1, 64] {
        let bare_ns = hops(in_flight, || bare.send(Add(1))).await;
        let timed_ns = hops(in_flight, || bare.send(Add(1)).timeout(DEADLINE)).await;
        let kit_ns = hops(in_flight, || kit.ask(&1, Add(1), DEADLINE)).await;
        println!(
            "ns per hop, {place}, {in_flight:>2} in flight   bare {bare_ns:>6}   with timeout {timed_ns:>6}   kit {kit_ns:>6}"
        );
    }
}

fn main() {
    System::new().block_on(async {
        time("same arbiter ", Arbiter::current()).await;
        let other = Arbiter::new();
        time("other arbiter", other.handle()).await;
        memory().await;
        other.stop();
    });
}
