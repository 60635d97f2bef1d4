//! What an audit found.

use std::fmt;

use serde::Serialize;

use crate::ops::check::Invariant;

/// The result of an audit.
#[derive(Clone, Debug, Serialize)]
pub struct AuditReport {
    /// Every order's events fit their hashes, none is missing at the end.
    pub chains: Invariant,
    /// Every money fact is a leaf with the right hash, or owed to the log.
    pub facts: Invariant,
    /// Every leaf is a money fact.
    pub leaves: Invariant,
    /// Leaves are numbered without gaps, and the stored subtrees are theirs.
    pub tree: Invariant,
    /// Every head is signed, and over the root of its leaves.
    pub heads: Invariant,
    /// Every head continues the one before it, by a proof.
    pub continuity: Invariant,
    /// The head that was saved earlier is one of this log.
    pub saved: Invariant,
    /// Facts that wait to be appended.
    pub owed: u64,
    /// Leaves that no head is over yet.
    pub unsigned: u64,
}

impl Default for AuditReport {
    fn default() -> Self {
        Self {
            chains: Invariant::new("hash chains intact"),
            facts: Invariant::new("money facts are leaves"),
            leaves: Invariant::new("leaves are money facts"),
            tree: Invariant::new("tree is whole"),
            heads: Invariant::new("heads fit the leaves"),
            continuity: Invariant::new("heads continue heads"),
            saved: Invariant::new("saved head holds"),
            owed: 0,
            unsigned: 0,
        }
    }
}

impl AuditReport {
    /// What was verified, in the order of reading.
    #[must_use]
    pub fn invariants(&self) -> [&Invariant; 7] {
        [&self.chains, &self.facts, &self.leaves, &self.tree, &self.heads, &self.continuity, &self.saved]
    }

    /// True if nothing differs.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.invariants().iter().all(|invariant| invariant.violations == 0)
    }
}

impl fmt::Display for AuditReport {
    /// A table for people: one line an invariant, below it what differs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24} {:>10} {:>10}", "audit", "rows", "violations")?;
        for invariant in self.invariants() {
            writeln!(f, "{:<24} {:>10} {:>10}", invariant.name, invariant.rows, invariant.violations)?;
            for told in &invariant.told {
                writeln!(f, "    {told}")?;
            }
        }
        writeln!(f, "{:<24} {:>10}", "waiting for a leaf", self.owed)?;
        write!(f, "{:<24} {:>10}", "waiting for a head", self.unsigned)
    }
}
