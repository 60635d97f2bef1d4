//! Carries the plan out: breaks, waits, heals, and says when what was well again.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex as Short};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::sync::{Mutex, Semaphore, mpsc};

use crate::cluster::Cluster;
use crate::plan::{Engine, FAULTS_AT_ONCE_MAX, Kind, Place, Planned};
use crate::recovery::{Going, Healed};
use crate::support::fault_proxy::{Fault, FaultProxy};

const FLUSH_WITHIN: Duration = Duration::from_secs(30);

/// A fault that happened.
#[derive(Clone, Copy, Debug)]
pub struct Injected {
    pub fault: Planned,
    pub at: Instant,
    /// The same by the clock.
    pub at_ms: i64,
    pub healed_at: Instant,
}

/// Breaks things.
pub struct Injector {
    cluster: Arc<Cluster>,
    going: Arc<Going>,
    healed: mpsc::Sender<Healed>,
    places: Short<HashMap<Place, Arc<Mutex<()>>>>,
    room: Semaphore,
    done: Short<Vec<Injected>>,
    /// Planned faults whose place was still broken when their time came.
    skipped: Short<Vec<Planned>>,
}

impl Injector {
    pub fn new(cluster: Arc<Cluster>, going: Arc<Going>, healed: mpsc::Sender<Healed>) -> Arc<Self> {
        let (places, done, skipped) = (Short::default(), Short::default(), Short::default());
        Arc::new(Self { cluster, going, healed, places, room: Semaphore::new(FAULTS_AT_ONCE_MAX), done, skipped })
    }

    /// Carries out the whole plan; everything is healed and started again when this returns.
    pub async fn carry_out(self: &Arc<Self>, plan: &[Planned]) -> (Vec<Injected>, Vec<Planned>) {
        let begun = Instant::now();
        let mut going = Vec::new();
        for fault in plan.iter().copied() {
            tokio::time::sleep_until((begun + Duration::from_millis(fault.at_ms)).into()).await;
            let place = Arc::clone(self.places.lock().unwrap().entry(fault.place).or_default());
            let Ok(turn) = place.try_lock_owned() else {
                self.skipped.lock().unwrap().push(fault);
                continue;
            };
            let injector = Arc::clone(self);
            going.push(tokio::spawn(async move {
                injector.inject(fault).await;
                drop(turn);
            }));
        }
        for one in going {
            one.await.expect("a fault is healed");
        }
        let done = std::mem::take(&mut *self.done.lock().unwrap());
        (done, std::mem::take(&mut *self.skipped.lock().unwrap()))
    }

    async fn inject(&self, fault: Planned) {
        let room = self.room.acquire().await.expect("never closed");
        self.going.now.fetch_add(1, Ordering::Relaxed);
        self.going.begun.fetch_add(1, Ordering::Relaxed);
        let (at, at_ms) = (Instant::now(), rushmall::clock::Clock::default().now_ms());
        self.break_it(&fault).await;
        tokio::time::sleep(Duration::from_millis(fault.lasts_ms)).await;
        drop(room);
        let healed_at = self.heal_it(&fault).await;
        let now = self.going.now.fetch_sub(1, Ordering::Relaxed) - 1;
        let alone = (now == 0).then(|| self.going.begun.load(Ordering::Relaxed));
        let healed = Healed { kind: fault.kind, place: fault.place, at: healed_at, alone };
        let _ = self.healed.send(healed).await; // the watcher outlives the plan
        self.done.lock().unwrap().push(Injected { fault, at, at_ms, healed_at });
    }

    async fn break_it(&self, fault: &Planned) {
        let cluster = &self.cluster;
        match (fault.kind, fault.place) {
            (Kind::Kill, Place::Node(node)) => cluster.nodes[node].kill().await,
            (Kind::Kill, Place::Engine(engine)) => cluster.services.kill(engine).await,
            (Kind::Stop, Place::Node(node)) => cluster.nodes[node].signal(Signal::SIGSTOP),
            (Kind::Stop, Place::Engine(engine)) => cluster.services.signal(engine, Signal::SIGSTOP),
            (Kind::Flush, _) => self.flush().await,
            (Kind::Reset, place) => self.proxy(place).reset_all(),
            (Kind::Cut, place) => self.proxy(place).break_by(Fault::CutAfter(fault.measure)),
            (Kind::Delay, place) => self.proxy(place).break_by(Fault::Delay(Duration::from_millis(fault.measure))),
            (Kind::RefuseNew, place) => self.proxy(place).break_by(Fault::RefuseNew),
            (kind, place) => {
                let hole = kind.hole().expect("the other kinds are holes");
                self.proxy(place).break_by(Fault::BlackHole(hole));
            }
        }
    }

    /// When it was well again.
    async fn heal_it(&self, fault: &Planned) -> Instant {
        let cluster = &self.cluster;
        match (fault.kind, fault.place) {
            (Kind::Kill, Place::Node(node)) => {
                let executed = Instant::now();
                cluster.nodes[node].start().await;
                return executed;
            }
            (Kind::Kill, Place::Engine(engine)) => cluster.services.restart(engine).await,
            (Kind::Stop, Place::Node(node)) => cluster.nodes[node].signal(Signal::SIGCONT),
            (Kind::Stop, Place::Engine(engine)) => cluster.services.signal(engine, Signal::SIGCONT),
            (Kind::Flush | Kind::Reset, _) => {}
            (_, place) => self.proxy(place).heal(),
        }
        Instant::now()
    }

    fn proxy(&self, place: Place) -> &FaultProxy {
        match place {
            Place::Link(node, engine) => self.cluster.nodes[node].link(engine),
            Place::Door(node) => &self.cluster.nodes[node].door,
            Place::Node(_) | Place::Engine(_) => panic!("no proxy stands at {place}"),
        }
    }

    async fn flush(&self) {
        let flushing = async {
            let mut connection = self.cluster.redis.get_multiplexed_async_connection().await?;
            redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await
        };
        let flushed = tokio::time::timeout(FLUSH_WITHIN, flushing).await.expect("Redis answers past the proxies");
        flushed.expect("Redis can be flushed");
    }
}

/// True if the account of the stock may have been lost around then: flushed, or another process of Redis.
pub fn may_lose_ledger(injected: &Injected) -> bool {
    injected.fault.place == Place::Engine(Engine::Redis) && matches!(injected.fault.kind, Kind::Flush | Kind::Kill)
}
