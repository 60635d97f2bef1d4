//! The directory of one actor kind: finds the actor of a key, starts it on first use, and asks it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::Handler;
use dashmap::{DashMap, Entry};
use tokio::sync::Notify;

use super::actor::{AskError, KindLimits, KitActor, KitMessage};
use super::dead_letters::DeadLetterReason;
use super::host::Host;
use super::parcel::{AnyParcel, Parcel, Reply};
use super::slot::{Admission, Slot, Times};
use super::vitals::ActorState;
use super::watch;
use crate::trace_context;

/// All actors of one kind on this node. Clones are the same directory; when the last is dropped, its actors end.
pub struct Directory<A: KitActor> {
    pub(super) shared: Arc<Shared<A>>,
}

pub(super) struct Shared<A: KitActor> {
    pub host: Arc<Host>,
    pub limits: KindLimits,
    pub deps: A::Deps,
    pub slots: DashMap<A::Key, Arc<Slot<A>>>,
    pub times: Times,
    /// Slots there are or are about to be; at most `live_max`.
    pub live: AtomicUsize,
    /// Until then no room is looked for: there was none a moment ago.
    pub full_until_us: AtomicU64,
    pub making_room: tokio::sync::Mutex<()>,
    /// Someone left.
    pub left: Notify,
    pub closing: AtomicBool,
    this: Weak<Self>,
}

impl<A: KitActor> Clone for Directory<A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<A: KitActor> std::fmt::Debug for Directory<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("kind", &A::KIND).field("live", &self.live()).finish_non_exhaustive()
    }
}

impl<A: KitActor> Directory<A> {
    /// An empty directory; its actors get clones of `deps`.
    #[must_use]
    pub fn new(host: &Arc<Host>, deps: A::Deps, limits: KindLimits) -> Self {
        let shared = Arc::new_cyclic(|this| Shared {
            host: Arc::clone(host),
            limits,
            deps,
            slots: DashMap::new(),
            times: Times::of(A::KIND),
            live: AtomicUsize::new(0),
            full_until_us: AtomicU64::new(0),
            making_room: tokio::sync::Mutex::new(()),
            left: Notify::new(),
            closing: AtomicBool::new(false),
            this: Weak::clone(this),
        });
        host.watch().spawn(watch::watch(Arc::downgrade(&shared)));
        Self { shared }
    }

    /// Asks the actor of `key` and waits for its answer, starting the actor from durable state if need be. A message
    /// that was not started when the actor died is handled by its next incarnation.
    ///
    /// # Errors
    /// See [`AskError`]; only `Died` and `TimedOut` leave open whether the message was handled.
    pub async fn ask<M>(&self, key: &A::Key, message: M, deadline: Duration) -> Result<M::Result, AskError>
    where
        A: Handler<M>,
        M: KitMessage,
    {
        self.send(key, message, deadline, false).await
    }

    /// The same for a message that was not handled before.
    pub(super) async fn ask_again<M>(&self, key: &A::Key, message: M, deadline: Duration) -> Result<M::Result, AskError>
    where
        A: Handler<M>,
        M: KitMessage,
    {
        self.send(key, message, deadline, true).await
    }

    async fn send<M>(&self, key: &A::Key, message: M, deadline: Duration, again: bool) -> Result<M::Result, AskError>
    where
        A: Handler<M>,
        M: KitMessage,
    {
        let give_up_at = tokio::time::Instant::now() + deadline;
        let name = message_name::<M>();
        let span = trace_context::ask(A::KIND, (A::KEY_IS, key), name);
        let parcel = Arc::new(Parcel::new((message, name), deadline, again, span));
        let slot = match self.shared.deliver(key, &(Arc::clone(&parcel) as AnyParcel<A>)).await {
            Ok(slot) => slot,
            Err(error) => {
                if error == AskError::Stopped {
                    self.shared.park(key, &(parcel as AnyParcel<A>), DeadLetterReason::Stopped);
                }
                return Err(error);
            }
        };
        let reply = Reply { parcel, slot: Arc::clone(&slot), answered: false };
        match tokio::time::timeout_at(give_up_at, reply).await {
            Ok(answer) => answer,
            Err(_) => Err(slot.why_late()),
        }
    }

    /// Whether the key has an actor in memory: for news that nobody should be woken up for.
    #[must_use]
    pub fn is_live(&self, key: &A::Key) -> bool {
        self.shared.slots.contains_key(key)
    }

    /// Where the actor of this key is in its life; `None` if it is not in memory.
    #[must_use]
    pub fn state_of(&self, key: &A::Key) -> Option<ActorState> {
        self.shared.slot(key).map(|slot| slot.vitals.state())
    }

    /// The keys that have an actor in memory now.
    #[must_use]
    pub fn keys(&self) -> Vec<A::Key> {
        self.shared.slots.iter().map(|slot| slot.key().clone()).collect()
    }

    /// How many actors there are, those being started, stopped and quarantined included.
    #[must_use]
    pub fn live(&self) -> usize {
        self.shared.live.load(Ordering::Relaxed)
    }
}

/// `BuyInSale` of `rushmall::actors::session::BuyInSale`.
fn message_name<M>() -> &'static str {
    let path = std::any::type_name::<M>();
    path.rsplit("::").next().unwrap_or(path)
}

impl<A: KitActor> Shared<A> {
    /// Brings a parcel to its actor's gate.
    async fn deliver(&self, key: &A::Key, parcel: &AnyParcel<A>) -> Result<Arc<Slot<A>>, AskError> {
        loop {
            let slot = match self.slot(key) {
                Some(slot) => slot,
                None => self.open(key).await?,
            };
            match slot.admit(Arc::clone(parcel), self.limits.in_flight_max) {
                Admission::Admitted => return Ok(slot),
                Admission::Gone => self.forget(&slot),
                Admission::Refused(error) => return Err(error),
            }
        }
    }

    pub fn slot(&self, key: &A::Key) -> Option<Arc<Slot<A>>> {
        self.slots.get(key).map(|slot| Arc::clone(&slot))
    }

    /// The key's slot, made and started if there is none.
    pub async fn open(&self, key: &A::Key) -> Result<Arc<Slot<A>>, AskError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(AskError::Stopped);
        }
        self.reserve_room().await?;
        let (slot, is_new) = match self.slots.entry(key.clone()) {
            Entry::Occupied(taken) => (Arc::clone(taken.get()), false),
            Entry::Vacant(vacant) => {
                let slot = Arc::new(Slot::new(key.clone(), Weak::clone(&self.this), self.times.clone()));
                (Arc::clone(&vacant.insert(slot)), true)
            }
        };
        if is_new {
            let incarnation = slot.gate().incarnation;
            slot.start(incarnation, None);
        } else {
            self.live.fetch_sub(1, Ordering::AcqRel);
        }
        Ok(slot)
    }

    /// Takes a slot that is gone out of the directory. Safe to repeat.
    pub fn forget(&self, slot: &Slot<A>) {
        let is_it = |known: &Arc<Slot<A>>| std::ptr::eq(Arc::as_ptr(known), slot);
        if self.slots.remove_if(&slot.key, |_, known| is_it(known)).is_some() {
            self.live.fetch_sub(1, Ordering::AcqRel);
            self.left.notify_waiters();
        }
    }

    /// Puts a message among the dead letters, with all it takes to ask it again.
    pub fn park(&self, key: &A::Key, parcel: &AnyParcel<A>, reason: DeadLetterReason) {
        let (this, key_again, parcel_again) = (Weak::clone(&self.this), key.clone(), Arc::clone(parcel));
        let replay = move |deadline| match this.upgrade() {
            Some(shared) => parcel_again.ask_again(key_again.clone(), Directory { shared }, deadline),
            None => Box::pin(async { Err(AskError::Stopped) }) as super::parcel::Outcome,
        };
        self.host.dead_letters().add(A::KIND, key.to_string(), parcel.message_text(), reason, Arc::new(replay));
    }

    /// Every slot, cloned out so that no shard of the map stays locked.
    pub fn all(&self) -> Vec<Arc<Slot<A>>> {
        self.slots.iter().map(|slot| Arc::clone(&slot)).collect()
    }
}

impl<A: KitActor> Drop for Shared<A> {
    fn drop(&mut self) {
        for slot in self.all() {
            slot.stop();
        }
    }
}
