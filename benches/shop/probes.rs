//! Readings taken before and after a run: processor time, memory, and what the services were asked to do.

use std::collections::BTreeMap;

use anyhow::Context as _;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};

/// Clock ticks a second in /proc (USER_HZ, fixed on Linux).
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: u64 = 4_096;

/// Processor seconds of a process, its threads included.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("process gone")?;
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let fields: Vec<f64> = after_name.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
    Ok((fields.get(11).unwrap_or(&0.0) + fields.get(12).unwrap_or(&0.0)) / TICKS_PER_SECOND)
}

/// Resident bytes of a process.
pub fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).context("process gone")?;
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    Ok(pages * PAGE_BYTES)
}

/// The one-minute load of the machine.
pub fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// Calls of each Redis command since its start, those inside scripts among them.
pub async fn redis_calls(redis: &mut redis::aio::MultiplexedConnection) -> anyhow::Result<BTreeMap<String, u64>> {
    let text: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await?;
    let read = |line: &str| {
        let (name, rest) = line.trim().strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    Ok(text.lines().filter_map(read).collect())
}

/// Commands that clients sent, at least: calls of scripts, and those commands that hardly any script uses.
pub fn from_clients(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> u64 {
    const SENT: [&str; 11] = [
        "evalsha",
        "eval",
        "publish",
        "spublish",
        "ping",
        "script|load",
        "subscribe",
        "get",
        "set",
        "smembers",
        "hgetall",
    ];
    SENT.iter().map(|name| after.get(*name).unwrap_or(&0) - before.get(*name).unwrap_or(&0)).sum()
}

/// All calls, those inside scripts included, but our own INFO.
pub fn all_calls(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> u64 {
    let sum = |calls: &BTreeMap<String, u64>| {
        calls.iter().filter(|(name, _)| name.as_str() != "info").map(|(_, calls)| calls).sum::<u64>()
    };
    sum(after) - sum(before)
}

/// A status variable of MariaDB.
pub async fn mariadb_status(db: &DatabaseConnection, name: &str) -> anyhow::Result<u64> {
    let sql = format!("SHOW GLOBAL STATUS LIKE '{name}'");
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    let value: String = row.context("no such status variable")?.try_get_by_index(1)?;
    Ok(value.parse()?)
}

/// Sum of a counter over its labels, from the shop's own metrics.
pub async fn counter(base: &str, name: &str) -> anyhow::Result<u64> {
    let text = reqwest::get(format!("{base}/metrics")).await?.text().await?;
    let of_line = |line: &str| {
        line.strip_prefix(name)
            .filter(|rest| rest.starts_with(['{', ' ']))
            .and_then(|rest| rest.rsplit(' ').next()?.parse::<u64>().ok())
    };
    Ok(text.lines().filter_map(of_line).sum())
}
