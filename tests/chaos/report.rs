//! The summary of a run, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use crate::crowd::Tally;
use crate::inject::Injected;
use crate::journal::status;
use crate::plan::Planned;
use crate::recovery::{Recoveries, Recovery};
use crate::verdict::Verdict;

const COMPLAINTS_TOLD: usize = 25;

/// What happened.
pub struct Run<'a> {
    pub seed: u64,
    pub database: &'a str,
    pub seconds: u64,
    pub injected: &'a [Injected],
    pub skipped: &'a [Planned],
    pub recoveries: &'a Recoveries,
    pub tally: &'a Tally,
    /// Acknowledged acts of the administrator.
    pub office: u64,
    pub refused_starts: u64,
    pub verdict: &'a Verdict,
    pub complaints: &'a [(u64, String)],
}

/// The median, the 99th percentile and the longest, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spread {
    count: usize,
    p50: u128,
    p99: u128,
    max: u128,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort();
        let at = |share: usize| times.get((times.len() * share).div_ceil(100).saturating_sub(1));
        let (p50, p99) = (at(50)?.as_millis(), at(99)?.as_millis());
        Some(Self { count: times.len(), p50, p99, max: times.last()?.as_millis() })
    }

    fn json(&self) -> Value {
        let (p50, p99, max) = (self.p50 as u64, self.p99 as u64, self.max as u64);
        json!({ "count": self.count, "p50_ms": p50, "p99_ms": p99, "max_ms": max })
    }
}

fn name_of(code: i64) -> &'static str {
    match code {
        status::PROCESSING => "processing",
        status::UNPAID => "unpaid",
        status::PAID => "paid",
        status::SHIPPED => "shipped",
        status::COMPLETED => "completed",
        status::CANCELLED => "cancelled",
        status::REFUNDING => "refunding",
        status::REFUNDED => "refunded",
        status::FAILED => "failed",
        status::CLOSING => "closing",
        _ => "unknown",
    }
}

impl Run<'_> {
    fn by_kind(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for injected in self.injected {
            *counts.entry(injected.fault.kind.to_string()).or_default() += 1;
        }
        counts
    }

    fn by_component(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for injected in self.injected {
            *counts.entry(injected.fault.place.component()).or_default() += 1;
        }
        counts
    }

    /// All recoveries and the undisturbed ones of each component and kind.
    fn recovery_times(&self) -> Vec<(String, Spread, Option<Spread>)> {
        let mut groups: BTreeMap<String, Vec<Recovery>> = BTreeMap::new();
        for recovery in &self.recoveries.seen {
            let name = format!("{}: {}", recovery.place.component(), recovery.kind);
            groups.entry(name).or_default().push(*recovery);
            groups.entry(format!("{} (all)", recovery.place.component())).or_default().push(*recovery);
        }
        let spread = |(name, group): (String, Vec<Recovery>)| {
            let all = Spread::of(group.iter().map(|recovery| recovery.took).collect())?;
            let calm = group.iter().filter(|recovery| recovery.is_undisturbed).map(|recovery| recovery.took).collect();
            Some((name, all, Spread::of(calm)))
        };
        groups.into_iter().filter_map(spread).collect()
    }

    fn ends(&self) -> BTreeMap<&'static str, u64> {
        self.verdict.ends.iter().map(|(code, count)| (name_of(*code), *count)).collect()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).expect("a string takes everything");
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let tally = self.tally;
        let counts = |counts: BTreeMap<String, u64>| {
            counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
        };
        let owned = |counts: BTreeMap<&str, u64>| counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        writeln!(out, "chaos: seed {}, {} s, {}", self.seed, self.seconds, self.database)?;
        let skipped = self.skipped.len();
        writeln!(
            out,
            "faults       {} injected, {skipped} passed over (their place was still broken)",
            self.injected.len()
        )?;
        writeln!(out, "  by kind    {}", counts(self.by_kind()))?;
        writeln!(out, "  by place   {}", counts(owned(self.by_component())))?;
        writeln!(out, "requests     {}, of which {} never answered", load(&tally.requests), load(&tally.unheard))?;
        writeln!(out, "orders       {} acknowledged; ends: {}", load(&tally.accepted), counts(owned(self.ends())))?;
        let acts = tally.acts.lock().unwrap();
        let acts = acts.iter().map(|(act, count)| (format!("{act:?}").to_lowercase(), *count)).collect();
        writeln!(out, "acts         {}; {} of the administrator", counts(acts), self.office)?;
        let answers = tally.answers.lock().unwrap();
        let answers = answers.iter().map(|((status, code), n)| (format!("{status}/{code}"), *n)).collect();
        writeln!(out, "answers      {}", counts(answers))?;
        writeln!(out, "blinks       {}", tally.blinks.lock().unwrap().len())?;
        writeln!(out, "nodes        {} starts refused because an engine was away", self.refused_starts)?;
        writeln!(out, "at rest      after {:.1?}", self.verdict.rested_after)?;
        writeln!(out, "recovery, ms {:<28} {:>5} {:>7} {:>7} {:>7}   undisturbed", "", "n", "p50", "p99", "max")?;
        for (name, all, calm) in self.recovery_times() {
            let calm = calm.map_or(String::new(), |calm| format!("{:>5} {:>7} {:>7}", calm.count, calm.p50, calm.max));
            writeln!(out, "  {name:<39} {:>5} {:>7} {:>7} {:>7}   {calm}", all.count, all.p50, all.p99, all.max)?;
        }
        for (count, complaint) in self.complaints.iter().take(COMPLAINTS_TOLD) {
            writeln!(out, "  log {count:>6} x {complaint}")?;
        }
        writeln!(out, "violations   {}", self.verdict.violations.len())?;
        for violation in &self.verdict.violations {
            writeln!(out, "  {violation}")?;
        }
        Ok(())
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let tally = self.tally;
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let recovery = self
            .recovery_times()
            .into_iter()
            .map(|(name, all, calm)| (name, json!({ "all": all.json(), "undisturbed": calm.map(|calm| calm.json()) })));
        json!({
            "seed": self.seed, "seconds": self.seconds, "database": self.database,
            "faults": { "injected": self.injected.len(), "passed_over": self.skipped.len(),
                "by_kind": self.by_kind(), "by_component": self.by_component() },
            "requests": load(&tally.requests), "unheard": load(&tally.unheard),
            "acknowledged": load(&tally.accepted), "orders": self.ends(),
            "rested_after_ms": self.verdict.rested_after.as_millis() as u64,
            "recovery": recovery.collect::<serde_json::Map<String, Value>>(),
            "violations": self.verdict.violations,
        })
    }
}
