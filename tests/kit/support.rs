//! The actor that the tests maltreat, and the words to do it with.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, Arbiter, AsyncContext, AtomicResponse, Context, Handler, Message,
    ResponseActFuture, ResponseFuture, WrapFuture,
};
use rushmall::actors::kit::{
    AnyDirectory, AskError, Directory, Host, KindLimits, KitActor, LoadError, Order, Target, Vitals, VitalsSnapshot,
};
use rushmall::clock::{Clock, monotonic};

/// Long enough for anything that is to happen.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What outlives the actors, and how `load` is to behave.
#[derive(Clone, Default)]
pub struct Store {
    pub numbers: Arc<Mutex<HashMap<String, u64>>>,
    pub loads: Arc<AtomicU32>,
    pub load_panics: Arc<AtomicU32>,
    pub load_errors: Arc<AtomicU32>,
    pub outage: Arc<AtomicBool>,
    /// What the actors handled, in order.
    pub log: Arc<Mutex<Vec<u64>>>,
    pub stays: Arc<AtomicBool>,
    pub loaded_at: Arc<Mutex<Vec<Instant>>>,
}

pub struct Counter {
    key: String,
    number: u64,
    store: Store,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

fn take_one(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl KitActor for Counter {
    type Key = String;
    type Deps = Store;
    const KIND: &'static str = "counter";

    async fn load(key: String, store: Store, _vitals: Arc<Vitals>) -> Result<Self, LoadError> {
        store.loads.fetch_add(1, Ordering::SeqCst);
        store.loaded_at.lock().unwrap().push(monotonic());
        assert!(!take_one(&store.load_panics), "load panics");
        if take_one(&store.load_errors) {
            return Err(LoadError::Permanent("row is broken".to_owned()));
        }
        if store.outage.load(Ordering::SeqCst) {
            return Err(LoadError::Transient("database is away".to_owned()));
        }
        let number = store.numbers.lock().unwrap().get(&key).copied().unwrap_or(0);
        Ok(Self { key, number, store })
    }

    fn describe(&self) -> serde_json::Value {
        serde_json::json!({ "number": self.number })
    }

    fn may_passivate(&self) -> bool {
        !self.store.stays.load(Ordering::SeqCst)
    }
}

impl Counter {
    fn add(&mut self, units: u64) -> u64 {
        self.store.log.lock().unwrap().push(units);
        self.number += units;
        self.store.numbers.lock().unwrap().insert(self.key.clone(), self.number);
        self.number
    }
}

/// Adds at once. The reply is the new number.
#[derive(Clone, Debug, Message)]
#[rtype(u64)]
pub struct Add(pub u64);

impl Handler<Add> for Counter {
    type Result = u64;
    fn handle(&mut self, Add(units): Add, _: &mut Context<Self>) -> u64 {
        self.add(units)
    }
}

/// Adds after a while, other messages in between.
#[derive(Clone, Debug, Message)]
#[rtype(u64)]
pub struct AddLater(pub u64, pub Duration);

impl Handler<AddLater> for Counter {
    type Result = ResponseActFuture<Self, u64>;
    fn handle(&mut self, AddLater(units, after): AddLater, _: &mut Context<Self>) -> Self::Result {
        Box::pin(tokio::time::sleep(after).into_actor(self).map(move |(), actor, _| actor.add(units)))
    }
}

/// Adds after a while, no other message in between.
#[derive(Clone, Debug, Message)]
#[rtype(u64)]
pub struct AddAlone(pub u64, pub Duration);

impl Handler<AddAlone> for Counter {
    type Result = AtomicResponse<Self, u64>;
    fn handle(&mut self, AddAlone(units, after): AddAlone, _: &mut Context<Self>) -> Self::Result {
        let adding = tokio::time::sleep(after).into_actor(self);
        AtomicResponse::new(Box::pin(adding.map(move |(), actor, _| actor.add(units))))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    InHandler,
    InFuture,
    InSpawnedFuture,
    ByStopping,
    AfterAnswering,
}

/// Kills the actor.
#[derive(Clone, Debug, Message)]
#[rtype(u64)]
pub struct Die(pub How);

impl Handler<Die> for Counter {
    type Result = ResponseActFuture<Self, u64>;
    fn handle(&mut self, Die(how): Die, ctx: &mut Context<Self>) -> Self::Result {
        match how {
            How::InHandler => panic!("died in the handler"),
            How::InSpawnedFuture => {
                ctx.spawn(async { panic!("died in a spawned future") }.into_actor(self));
            }
            How::ByStopping => ctx.stop(),
            How::AfterAnswering => {
                ctx.run_later(Duration::from_millis(5), |_, _| panic!("died later"));
                return Box::pin(async { 1 }.into_actor(self));
            }
            How::InFuture => {}
        }
        let dying = async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_ne!(how, How::InFuture, "died in the future");
            std::future::pending::<u64>().await
        };
        Box::pin(dying.into_actor(self))
    }
}

/// Kills the actor in an atomic response.
#[derive(Clone, Debug, Message)]
#[rtype(u64)]
pub struct DieAlone;

impl Handler<DieAlone> for Counter {
    type Result = AtomicResponse<Self, u64>;
    fn handle(&mut self, _: DieAlone, _: &mut Context<Self>) -> Self::Result {
        let dying = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            panic!("died in the atomic response")
        };
        AtomicResponse::new(Box::pin(dying.into_actor(self)))
    }
}

/// Panics in a task of its own, which does not harm the actor.
#[derive(Clone, Debug, Message)]
#[rtype(u64)]
pub struct FailAside;

impl Handler<FailAside> for Counter {
    type Result = ResponseFuture<u64>;
    fn handle(&mut self, _: FailAside, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async { panic!("failed aside") })
    }
}

/// Never answers, and lets no other message in.
#[derive(Clone, Debug, Message)]
#[rtype(u64)]
pub struct HangAlone;

impl Handler<HangAlone> for Counter {
    type Result = AtomicResponse<Self, u64>;
    fn handle(&mut self, _: HangAlone, _: &mut Context<Self>) -> Self::Result {
        AtomicResponse::new(Box::pin(std::future::pending().into_actor(self)))
    }
}

/// Blocks the arbiter's thread until released, or for so long.
#[derive(Clone, Debug, Message)]
#[rtype(u64)]
pub struct Block(pub Arc<AtomicBool>, pub Duration);

impl Handler<Block> for Counter {
    type Result = u64;
    #[expect(clippy::disallowed_methods, reason = "blocking the arbiter is the purpose")]
    fn handle(&mut self, Block(released, at_most): Block, _: &mut Context<Self>) -> u64 {
        let until = monotonic() + at_most;
        while !released.load(Ordering::SeqCst) && monotonic() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.number
    }
}

/// A directory of counters with a host and arbiters of its own.
pub struct Shop {
    pub host: Arc<Host>,
    pub counters: Directory<Counter>,
    pub store: Store,
    arbiters: Vec<Arbiter>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }
}

/// Limits at which a test takes milliseconds.
pub fn quick() -> KindLimits {
    KindLimits {
        backoff_first: Duration::from_millis(2),
        backoff_max: Duration::from_millis(50),
        ..KindLimits::default()
    }
}

impl Shop {
    pub fn open(limits: KindLimits) -> Self {
        Self::open_with(limits, Store::default())
    }

    pub fn open_with(limits: KindLimits, store: Store) -> Self {
        Self::open_on(2, limits, store)
    }

    pub fn open_on(arbiters: usize, limits: KindLimits, store: Store) -> Self {
        let arbiters: Vec<Arbiter> = (0..arbiters).map(|_| Arbiter::new()).collect();
        let host = Host::start(arbiters.iter().map(Arbiter::handle).collect(), Clock::default()).unwrap();
        let counters = Directory::new(&host, store.clone(), limits);
        Self { host, counters, store, arbiters }
    }

    pub async fn ask<M>(&self, key: &str, message: M) -> Result<u64, AskError>
    where
        M: Message<Result = u64> + Clone + std::fmt::Debug + Send + 'static,
        Counter: Handler<M>,
    {
        self.counters.ask(&key.to_owned(), message, PATIENCE).await
    }

    /// Asks from a task of its own, and returns once the message is at the actor's gate or was answered.
    pub async fn ask_aside<M>(&self, key: &str, message: M) -> tokio::task::JoinHandle<Result<u64, AskError>>
    where
        M: Message<Result = u64> + Clone + std::fmt::Debug + Send + 'static,
        Counter: Handler<M>,
    {
        let arrived = |vitals: &VitalsSnapshot| u64::from(vitals.queued + vitals.in_flight) + vitals.handled;
        let before = self.find(key).as_ref().map_or(0, arrived);
        let (counters, key_there) = (self.counters.clone(), key.to_owned());
        let asking = tokio::spawn(async move { counters.ask(&key_there, message, PATIENCE).await });
        eventually("the message is at the gate", || self.find(key).is_some_and(|now| arrived(&now) > before)).await;
        asking
    }

    pub fn find(&self, key: &str) -> Option<VitalsSnapshot> {
        self.counters.list().into_iter().find(|vitals| vitals.key == key)
    }

    pub fn vitals(&self, key: &str) -> VitalsSnapshot {
        self.find(key).unwrap()
    }

    pub async fn order(&self, key: &str, order: Order) -> usize {
        self.counters.order(&Target::Key(key.to_owned()), order).await.unwrap()
    }
}

/// Waits until it is so.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = monotonic() + PATIENCE;
    while !is_so() {
        assert!(monotonic() < until, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub const fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
