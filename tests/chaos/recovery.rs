//! How long the shop needs after something was healed: until the next order that needs it is accepted *and persisted*.
//!
//! From the moment of healing (a killed node: from its exec; a killed engine: from the moment it answers) to the moment
//! when the row of an order that was clicked after it is seen in the database; for a node, its links and its door only
//! orders that this node accepted count. A recovery during which nothing else went wrong is *undisturbed*.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rushmall::persistence::Db;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::books;
use crate::plan::{Kind, Place};

const LOOK_EVERY: Duration = Duration::from_millis(10);
const READ_WITHIN: Duration = Duration::from_secs(1);
/// Orders that are looked for at the same time: the ones clicked first.
const SOUGHT_MAX: usize = 64;

/// An order that was accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// When the request that was answered left the client.
    pub clicked: Instant,
    pub node: usize,
    pub order_no: String,
}

/// Faults that go on now, how many began so far, and what was healed and has not shown yet that it works.
#[derive(Debug, Default)]
pub struct Going {
    pub now: AtomicU64,
    pub begun: AtomicU64,
    pub missing: AtomicUsize,
}

/// Something is well again.
#[derive(Clone, Copy, Debug)]
pub struct Healed {
    pub kind: Kind,
    pub place: Place,
    pub at: Instant,
    /// [`Going::begun`] if nothing else went wrong at that moment.
    pub alone: Option<u64>,
}

/// How long it took.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    pub kind: Kind,
    pub place: Place,
    pub took: Duration,
    pub is_undisturbed: bool,
}

/// Looks for orders that show a recovery.
pub struct Watcher {
    pub db: Db,
    pub going: Arc<Going>,
    pub healed: mpsc::Receiver<Healed>,
    pub accepted: mpsc::Receiver<Accepted>,
}

/// All recoveries, and what never recovered.
#[derive(Debug, Default)]
pub struct Recoveries {
    pub seen: Vec<Recovery>,
    pub missing: Vec<Healed>,
}

impl Watcher {
    /// Watches until `stop` is raised.
    pub fn watch(mut self, stop: &Arc<AtomicBool>) -> JoinHandle<Recoveries> {
        let stop = Arc::clone(stop);
        tokio::spawn(async move {
            let (mut recoveries, mut sought) = (Recoveries::default(), Vec::new());
            while !stop.load(Ordering::Relaxed) {
                self.look(&mut recoveries, &mut sought).await;
                self.going.missing.store(recoveries.missing.len(), Ordering::Relaxed);
                tokio::time::sleep(LOOK_EVERY).await;
            }
            recoveries
        })
    }

    async fn look(&mut self, recoveries: &mut Recoveries, sought: &mut Vec<Accepted>) {
        while let Ok(healed) = self.healed.try_recv() {
            recoveries.missing.push(healed);
        }
        while let Ok(accepted) = self.accepted.try_recv() {
            sought.push(accepted);
        }
        sought.retain(|order| recoveries.missing.iter().any(|healed| is_shown_by(healed, order)));
        if sought.is_empty() {
            return;
        }
        sought.sort_by_key(|order| order.clicked);
        let numbers: Vec<&str> = sought.iter().take(SOUGHT_MAX).map(|order| order.order_no.as_str()).collect();
        let reading = tokio::time::timeout(READ_WITHIN, books::existing(&self.db, &numbers)).await;
        let Ok(Ok(existing)) = reading else { return }; // the database is broken at the moment
        let now = Instant::now();
        let existing: BTreeSet<String> = existing.into_iter().collect();
        let (begun, going) = (self.going.begun.load(Ordering::Relaxed), self.going.now.load(Ordering::Relaxed));
        for order in sought.iter().filter(|order| existing.contains(&order.order_no)) {
            recoveries.missing.retain(|healed| {
                let is_shown = is_shown_by(healed, order);
                if is_shown {
                    let is_undisturbed = healed.alone == Some(begun) && going == 0;
                    let (kind, place, took) = (healed.kind, healed.place, now - healed.at);
                    recoveries.seen.push(Recovery { kind, place, took, is_undisturbed });
                }
                !is_shown
            });
        }
        sought.retain(|order| !existing.contains(&order.order_no));
    }
}

fn is_shown_by(healed: &Healed, order: &Accepted) -> bool {
    order.clicked >= healed.at && healed.place.node().is_none_or(|node| node == order.node)
}
