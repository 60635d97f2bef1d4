//! The invariants of the shop, verified on a live store: `rushmall check` and the chaos suite use this.
//!
//! All reads of the database are one snapshot, a page of orders at a time, so the check may run while the shop sells.
//! What is in flight (a ticket whose order is not written, units on their way back) is counted where it is; only what
//! has been in flight for longer than the grace period is a violation. A ledger outside the database (cluster) is
//! compared product by product by `shared`. Only [`repair`] writes.

mod rest;
mod shared;
mod stock;
pub(super) mod stream;

use std::fmt;

use serde::Serialize;

use crate::domain::ProductId;
use crate::persistence::{Db, StockLedger, StoreError, recovery};

/// Violations of one invariant that are told; the rest is only counted.
pub const VIOLATIONS_TOLD_MAX: usize = 20;
/// How long a ticket, an effect or an outbox row may be in flight in a healthy shop.
pub const GRACE_MS: i64 = 10_000;

/// What to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
    /// What has been in flight for less than this is not a violation; usually [`GRACE_MS`], 0 for a shop at rest.
    pub grace_ms: i64,
}

/// One invariant's result.
#[derive(Clone, Debug, Serialize)]
pub struct Invariant {
    /// Short name.
    pub name: &'static str,
    /// Rows that were examined for it.
    pub rows: u64,
    /// How many of them break it.
    pub violations: u64,
    /// The first [`VIOLATIONS_TOLD_MAX`] violations.
    pub told: Vec<String>,
}

impl Invariant {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, rows: 0, violations: 0, told: Vec::new() }
    }

    /// Counts a row, and a violation if `holds` is false.
    pub(super) fn expect(&mut self, holds: bool, told: impl FnOnce() -> String) {
        self.rows += 1;
        if !holds {
            self.violate(told());
        }
    }

    pub(super) fn violate(&mut self, told: String) {
        self.violations += 1;
        if self.told.len() < VIOLATIONS_TOLD_MAX {
            self.told.push(told);
        }
    }
}

/// The result of a check.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// One line each, in the order of reading.
    pub invariants: Vec<Invariant>,
    /// Tickets that were given up and wait for an administrator.
    pub dead_tickets: u64,
    /// Orders that wait for a human.
    pub needs_review: u64,
    /// Products whose account in a ledger outside the database is wrong: what [`repair`] rebuilds.
    pub wrong_accounts: Vec<ProductId>,
}

impl CheckReport {
    /// True if no invariant is broken.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.invariants.iter().all(|invariant| invariant.violations == 0)
    }

    /// The invariant of that name.
    #[must_use]
    pub fn invariant(&self, name: &str) -> Option<&Invariant> {
        self.invariants.iter().find(|invariant| invariant.name == name)
    }
}

impl fmt::Display for CheckReport {
    /// A table for people: one line an invariant, below it what breaks it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24} {:>10} {:>10}", "invariant", "rows", "violations")?;
        for invariant in &self.invariants {
            writeln!(f, "{:<24} {:>10} {:>10}", invariant.name, invariant.rows, invariant.violations)?;
            for told in &invariant.told {
                writeln!(f, "    {told}")?;
            }
        }
        writeln!(f, "{:<24} {:>10}", "dead tickets", self.dead_tickets)?;
        write!(f, "{:<24} {:>10}", "needs review", self.needs_review)
    }
}

/// Verifies every invariant; `ledger` as it is, without anything in front that mends it.
///
/// # Errors
/// [`StoreError`] if the store cannot be read; a stored value that cannot be read is a violation instead where it
/// belongs to one order.
pub async fn check(db: &Db, ledger: &dyn StockLedger, options: CheckOptions) -> Result<CheckReport, StoreError> {
    const OPERATION: &str = "checking the invariants";
    let tx = db.snapshot(OPERATION).await?;
    let mut orders = stream::Orders::default();
    let needs_review = orders.read(&tx).await?;
    let mut invariants = stock::check(&tx, &orders, !ledger.is_shared()).await?;
    invariants.extend(orders.finish(&tx).await?);
    let (at_rest, dead_tickets) = rest::check(&tx, options, !ledger.is_shared()).await?;
    invariants.extend(at_rest);
    tx.commit().await.map_err(StoreError::during(OPERATION))?;
    let mut wrong_accounts = Vec::new();
    if ledger.is_shared() {
        let compared = shared::check(db, ledger, options).await?;
        invariants.extend(compared.invariants);
        wrong_accounts = compared.wrong;
    }
    Ok(CheckReport { invariants, dead_tickets, needs_review, wrong_accounts })
}

/// Rebuilds the accounts that `report` found wrong; their sales pause meanwhile. Answers how many were rebuilt.
///
/// # Errors
/// [`StoreError`]; accounts that were not reached are rebuilt when somebody next asks for them.
pub async fn repair(db: &Db, ledger: &dyn StockLedger, report: &CheckReport, now_ms: i64) -> Result<usize, StoreError> {
    for product in &report.wrong_accounts {
        ledger.suspend(*product).await?;
        recovery::rebuild(db, ledger, *product, now_ms).await?;
    }
    Ok(report.wrong_accounts.len())
}

#[cfg(test)]
mod tests;
