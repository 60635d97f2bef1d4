//! The results as a table, as JSON, and in docs/BENCHMARKS.md between its two marks.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use comfy_table::Table;
use serde::Serialize;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// The goal is a floor.
    Higher,
    /// The goal is a ceiling.
    Lower,
}

/// One line of the table: a value of each round.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What.
    pub name: String,
    /// What is aimed at; `None` where nothing is.
    pub goal: Option<f64>,
    /// Which way is better.
    pub better: Better,
    /// One a round.
    pub values: Vec<f64>,
    /// Rounds that failed the gate and are not among the values.
    pub invalid: usize,
}

impl Row {
    /// A line that has no value yet.
    pub fn new(name: &str, better: Better, goal: Option<f64>) -> Self {
        Self { name: name.to_owned(), goal, better, values: Vec::new(), invalid: 0 }
    }

    /// Adds a round's value, which counts only if its gate was passed.
    pub fn add(&mut self, value: f64, is_valid: bool) {
        if is_valid && value.is_finite() { self.values.push(value) } else { self.invalid += 1 }
    }

    /// The middle one.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted.get(sorted.len().saturating_sub(1) / 2)?, sorted.get(sorted.len() / 2)?);
        Some((low + high) / 2.0)
    }

    /// The worst one.
    pub fn worst(&self) -> Option<f64> {
        let values = self.values.iter().copied();
        if self.better == Better::Higher { values.reduce(f64::min) } else { values.reduce(f64::max) }
    }

    /// Whether the median reaches the goal; `None` without goal or value, and while a round failed the gate.
    pub fn is_reached(&self) -> Option<bool> {
        let (goal, median) = (self.goal?, self.median()?);
        Some(self.invalid == 0 && if self.better == Better::Higher { median >= goal } else { median <= goal })
    }
}

/// Everything about one run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Rounds, seconds each.
    pub pairs: usize,
    /// Of each measurement.
    pub seconds: f64,
    /// Processor and its cores.
    pub machine: String,
    /// What was measured.
    pub commit: String,
    /// One-minute load before and after; above two, others were working.
    pub load_average: [f64; 2],
    /// Wall seconds of the whole run.
    pub took_s: f64,
    /// The table.
    pub rows: Vec<Row>,
    /// What else happened: rounds that failed the gate, odd answers.
    pub notes: Vec<String>,
}

const HEADERS: [&str; 6] = ["", "median", "worst", "goal", "reached", "rounds (invalid)"];

impl Report {
    fn cells(row: &Row) -> [String; 6] {
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure);
        let bound = if row.better == Better::Higher { "≥" } else { "≤" };
        let goal = row.goal.map_or_else(String::new, |goal| format!("{bound} {}", figure(goal)));
        let reached = match row.is_reached() {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        let rounds = format!("{} ({})", row.values.len(), row.invalid);
        [row.name.clone(), shown(row.median()), shown(row.worst()), goal, reached.to_owned(), rounds]
    }

    /// For the terminal.
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.set_header(HEADERS);
        for row in &self.rows {
            table.add_row(Self::cells(row));
        }
        table
    }

    /// For the document.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let [before, after] = self.load_average;
        // writing to a String does not fail
        let _ = writeln!(
            text,
            "{}; commit {}; {} rounds of {} s, {:.0} s in all; load average {before:.1} before, {after:.1} after.\n",
            self.machine, self.commit, self.pairs, self.seconds, self.took_s
        );
        let _ = writeln!(text, "| {} |\n|---|---|---|---|---|---|", HEADERS.join(" | "));
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", Self::cells(row).join(" | "));
        }
        for note in &self.notes {
            let _ = write!(text, "\n* {note}");
        }
        text
    }

    /// Writes docs/bench.json and the table of docs/BENCHMARKS.md.
    pub fn write(&self, docs: &Path) -> anyhow::Result<()> {
        const BEGIN: &str = "<!-- bench: begin -->";
        const END: &str = "<!-- bench: end -->";
        std::fs::write(docs.join("bench.json"), serde_json::to_string_pretty(self)? + "\n")?;
        let path = docs.join("BENCHMARKS.md");
        let text = std::fs::read_to_string(&path)?;
        let (head, rest) = text.split_once(BEGIN).context("docs/BENCHMARKS.md has no place for the table")?;
        let (_, tail) = rest.split_once(END).context("docs/BENCHMARKS.md: the table has no end")?;
        std::fs::write(path, format!("{head}{BEGIN}\n{}\n{END}{tail}", self.markdown().trim_end()))?;
        Ok(())
    }
}

/// Three digits that matter, thousands apart.
pub fn figure(value: f64) -> String {
    let digits = match value.abs() {
        at if at >= 100.0 || value == 0.0 => 0,
        at if at >= 10.0 => 1,
        at if at >= 1.0 => 2,
        at if at >= 0.01 => 3,
        _ => 5,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut shown = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            shown.push(' ');
        }
        shown.push(digit);
    }
    shown + rest
}

/// Model and number of the processors.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{model}, {cores} cores, shared by the shop, its services and the clients")
}

/// Of the work tree.
pub fn commit() -> String {
    let output = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
