//! What the shop does per second on Redis, RabbitMQ and MariaDB, set against the ceilings of its parts in the same run.
//!
//! `make bench` runs it; `BENCH_PAIRS` (5), `BENCH_SECONDS` (5, of each measurement) and `BENCH_BUYERS` (20,000) shorten it for a look. Everything
//! is started privately and stopped again: the services by scripts/services, the release binary of the shop, and the
//! bare server that is the measure (`b0`). In order: `rig` (processes) → `stage` (product, sale, buyers) → `load` (the
//! clients) → `gate` (does a run count?) → `parts` and `raw_sql` (ceilings) → `rounds` (who alternates with whom) →
//! `report` and `chart`. The results go to standard output, docs/bench.json, docs/bench.svg and docs/BENCHMARKS.md.
#![expect(clippy::print_stdout, reason = "the table is the purpose")]
#![expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]

mod b0;
mod chart;
mod gate;
mod idle;
mod load;
mod parts;
mod probes;
mod push;
mod raw_sql;
mod report;
mod rig;
mod rounds;
mod stage;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// As in the shop, so that the bare server has no advantage and no handicap.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// A and B alternate so often.
    pub pairs: usize,
    /// Of each measurement.
    pub seconds: f64,
    /// Who click.
    pub buyers: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, port, secret] = arguments.as_slice()
        && role == "b0"
    {
        return b0::serve(port.parse()?, secret);
    }
    let number = |name: &str, default: f64| match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}: not a number")),
        Err(_) => Ok(default),
    };
    let (pairs, seconds) = ((number("BENCH_PAIRS", 5.0)? as usize).max(1), number("BENCH_SECONDS", 5.0)?);
    let buyers = (number("BENCH_BUYERS", 20_000.0)? as usize).max(3_000);
    let extent = Extent { pairs, seconds, buyers };
    actix::System::new().block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        // what is dropped stops its processes
        tokio::select! {
            outcome = rounds::run(extent) => outcome,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
            _ = terminated.recv() => anyhow::bail!("terminated"),
        }
    })
}
