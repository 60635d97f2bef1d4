//! One incarnation of an actor: from its loading to its end, whatever the end is.
//!
//! The kit runs the actix context itself ([`Life`] polls it) instead of handing it to `Context::run`. So a panic in a
//! handler, an atomic response, a response future or a spawned future is caught in one place with its text, nothing
//! is dropped while the thread unwinds, and an incarnation that never yields to its context can still be ended.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use actix::dev::ContextFut;
use actix::{ActorContext, ActorFuture, AsyncContext, Context};
use futures::FutureExt;

use super::actor::{AskError, KitActor};
use super::dead_letters::DeadLetterReason;
use super::slot::{Next, Slot};
use super::supervision::Cause;

/// Loads the actor and sets it going. Runs on the actor's arbiter.
pub(super) async fn begin<A: KitActor>(slot: Arc<Slot<A>>, incarnation: u32, deps: A::Deps) {
    let mut tombstone = Tombstone { slot: Arc::clone(&slot), incarnation, cause: Some(Cause::Vanished) };
    let (key, vitals) = (slot.key.clone(), Arc::clone(&slot.vitals));
    // Inside `async`, so that a `load` that panics before its first await is caught too.
    let loading = async move { A::load(key, deps, vitals).await };
    match AssertUnwindSafe(loading).catch_unwind().await {
        Ok(Ok(actor)) => {
            tombstone.cause = None;
            if slot.arrive(incarnation) {
                // A task of its own: this one also holds room for the loading future.
                actix::spawn(Life::new(slot, incarnation, actor));
            }
        }
        Ok(Err(error)) => tombstone.cause = Some(Cause::LoadFailed(error)),
        Err(panic) => tombstone.cause = Some(Cause::Panicked(panic_text(&*panic))),
    }
}

/// Reports the end of an incarnation when it is dropped, so also when its arbiter is stopped.
struct Tombstone<A: KitActor> {
    slot: Arc<Slot<A>>,
    incarnation: u32,
    cause: Option<Cause>,
}

impl<A: KitActor> Drop for Tombstone<A> {
    fn drop(&mut self) {
        if let Some(cause) = self.cause.take()
            && let Some(rebirth) = self.slot.mourn(self.incarnation, cause)
        {
            rebirth.schedule();
        }
    }
}

struct Life<A: KitActor> {
    tombstone: Tombstone<A>,
    body: Option<ContextFut<A, Context<A>>>,
}

impl<A: KitActor> Life<A> {
    fn new(slot: Arc<Slot<A>>, incarnation: u32, actor: A) -> Self {
        let mut ctx = Context::new();
        ctx.spawn(Courier { slot: Arc::clone(&slot), incarnation });
        Self {
            tombstone: Tombstone { slot, incarnation, cause: Some(Cause::Vanished) },
            body: Some(ctx.into_future(actor)),
        }
    }

    /// Settles what was in flight, then drops the actor, and only then lets a successor start.
    fn end(&mut self, cause: Option<Cause>) {
        self.tombstone.cause = None;
        let rebirth = cause.and_then(|cause| self.tombstone.slot.mourn(self.tombstone.incarnation, cause));
        let body = self.body.take();
        // Dropping the context runs `Actor::stopped` and the actor's own Drop; they may panic like any handler.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(body))) {
            let (kind, key) = (A::KIND, &self.tombstone.slot.key);
            tracing::error!(kind, %key, error = panic_text(&*panic), "actor panicked while it was dropped");
        }
        if let Some(rebirth) = rebirth {
            rebirth.schedule();
        }
    }
}

impl<A: KitActor> Future for Life<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(()) };
        if !this.tombstone.slot.begin_turn(this.tombstone.incarnation, task.waker()) {
            this.end(None);
            return Poll::Ready(());
        }
        match catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll(task))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => this.end(Some(Cause::StoppedItself)),
            Err(panic) => this.end(Some(Cause::Panicked(panic_text(&*panic)))),
        }
        Poll::Ready(())
    }
}

/// Carries messages from the slot's lane to the actor's handlers, from within the actor's context.
struct Courier<A: KitActor> {
    slot: Arc<Slot<A>>,
    incarnation: u32,
}

impl<A: KitActor> ActorFuture<A> for Courier<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, actor: &mut A, ctx: &mut Context<A>, task: &mut Task<'_>) -> Poll<()> {
        let this = self.get_mut();
        // An atomic response or `ctx.wait` bars the actor; the context polls the courier again when it is over.
        while !ctx.waiting() {
            match this.slot.next(this.incarnation) {
                Next::Handle(parcel) => parcel.start(actor, ctx),
                Next::Expired(parcel) => {
                    this.slot.park(&parcel, DeadLetterReason::Expired);
                    parcel.fail(AskError::TimedOut);
                }
                Next::Describe(questions) => {
                    let description = describe(actor);
                    for question in questions {
                        // The one who asked may have given up.
                        let _ = question.send(description.clone());
                    }
                }
                Next::Leave if actor.may_passivate() => {
                    if this.slot.leave(this.incarnation) {
                        ctx.terminate();
                        return Poll::Ready(());
                    }
                }
                // Counts as used, so that it is not asked again at every tick.
                Next::Leave => this.slot.vitals.touch(super::vitals::uptime_us()),
                Next::Yield => {
                    task.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Next::Rest => return Poll::Pending,
                Next::End => {
                    ctx.terminate();
                    return Poll::Ready(());
                }
            }
        }
        Poll::Pending
    }
}

/// An actor must not die of being looked at.
fn describe<A: KitActor>(actor: &A) -> serde_json::Value {
    catch_unwind(AssertUnwindSafe(|| actor.describe()))
        .unwrap_or_else(|panic| serde_json::json!({ "describe_panicked": panic_text(&*panic) }))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("no text"))
}
