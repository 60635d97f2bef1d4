//! The two clocks of a sandbox. The *ledger's* decides about pay windows, schedules, refunds and bills; the *wire's* is
//! what timestamps of signatures are made and checked with. Both can travel, apart from each other: a merchant's
//! signatures must not go stale because a notification of tomorrow is wanted now.

use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// How far the clocks are from the real time, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Offsets {
    /// The ledger's clock.
    pub(super) ledger_ms: i64,
    /// The wire's clock.
    pub(super) wire_ms: i64,
}

/// See the file's header.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    base: Clock,
    ledger_ms: AtomicI64,
    wire_ms: AtomicI64,
}

impl Clocks {
    pub(super) fn new(base: Clock, offsets: Offsets) -> Self {
        Self { base, ledger_ms: AtomicI64::new(offsets.ledger_ms), wire_ms: AtomicI64::new(offsets.wire_ms) }
    }

    /// Now, for the books.
    pub(super) fn ledger_ms(&self) -> i64 {
        self.base.now_ms().saturating_add(self.ledger_ms.load(Ordering::Relaxed))
    }

    /// Now, for signatures.
    pub(super) fn wire_ms(&self) -> i64 {
        self.base.now_ms().saturating_add(self.wire_ms.load(Ordering::Relaxed))
    }

    pub(super) fn offsets(&self) -> Offsets {
        let of = |clock: &AtomicI64| clock.load(Ordering::Relaxed);
        Offsets { ledger_ms: of(&self.ledger_ms), wire_ms: of(&self.wire_ms) }
    }

    pub(super) fn set(&self, offsets: Offsets) {
        self.ledger_ms.store(offsets.ledger_ms, Ordering::Relaxed);
        self.wire_ms.store(offsets.wire_ms, Ordering::Relaxed);
    }
}
