//! A message on its way: the message itself, where its answer goes, and what became of it.
//!
//! One allocation is shared by the caller (who waits for the answer), the slot (which can fail or park it, whatever
//! became of the actor) and the actor's courier (which starts it). The receiving half of the answer lies in the parcel
//! and not with the caller, so that the kit can see that a message was answered although its caller is blocked or gone.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Task, Poll, Waker};
use std::time::Duration;

use actix::dev::MessageResponse;
use actix::{Context, Handler, Message};
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::actor::{AskError, KitActor, KitMessage};
use super::again::Handling;
use super::directory::Directory;
use super::slot::Slot;
use super::vitals::uptime_us;

/// The longest part of a message's debug text that is kept.
const MESSAGE_TEXT_MAX: usize = 1_024;
/// The place of a parcel that is not in flight.
const NOWHERE: usize = usize::MAX;

/// What the kit needs to know of a parcel without knowing its message type.
pub(super) struct Header {
    /// Of its message type.
    pub name: &'static str,
    pub queued_us: u64,
    pub deadline_us: u64,
    /// From the dead letters.
    asked_again: bool,
    /// When the actor took it up; 0 if it did not yet.
    started_us: AtomicU64,
    /// Its index among the slot's parcels in flight. Changed under the slot's gate only.
    place: AtomicUsize,
    /// The caller stopped waiting before it was started.
    withdrawn: AtomicBool,
    /// What was to answer it was dropped, although the actor lives: its own task panicked, or was cancelled.
    lost: AtomicBool,
}

impl Header {
    pub fn started_us(&self) -> u64 {
        self.started_us.load(Ordering::Acquire)
    }

    pub fn set_started(&self, now_us: u64) {
        self.started_us.store(now_us, Ordering::Release);
    }

    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Acquire)
    }

    pub fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Release);
    }

    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub fn place(&self) -> Option<usize> {
        Some(self.place.load(Ordering::Acquire)).filter(|place| *place != NOWHERE)
    }

    pub fn set_place(&self, place: Option<usize>) {
        self.place.store(place.unwrap_or(NOWHERE), Ordering::Release);
    }
}

/// A parcel whose message type is forgotten. Dynamic because one lane carries all message types of an actor.
pub(super) trait Deliver<A: KitActor>: Send + Sync {
    fn header(&self) -> &Header;
    /// Runs the actor's handler. A panic passes through; the answer then is still awaited.
    fn start(&self, actor: &mut A, ctx: &mut Context<A>);
    /// Whether there is an answer or an error, or the answering side is gone.
    fn is_settled(&self) -> bool;
    /// Answers with an error unless there is an answer already.
    fn fail(&self, error: AskError);
    /// The message's debug text, cut to 1 KiB.
    fn message_text(&self) -> String;
    /// Asks the same message again.
    fn ask_again(&self, key: A::Key, directory: Directory<A>, deadline: Duration) -> Outcome;
}

/// A parcel of any message type.
pub(super) type AnyParcel<A> = Arc<dyn Deliver<A>>;

/// How a replayed message fared.
pub(super) type Outcome = BoxFuture<'static, Result<(), AskError>>;

/// A message on its way.
pub(super) struct Parcel<M: Message> {
    header: Header,
    span: tracing::Span,
    contents: Mutex<Contents<M>>,
}

struct Contents<M: Message> {
    message: M,
    reply_to: Option<oneshot::Sender<M::Result>>,
    answer: Answer<M::Result>,
    caller: Option<Waker>,
}

enum Answer<R> {
    Awaited(oneshot::Receiver<R>),
    Arrived(Result<R, AskError>),
    Taken,
}

impl<M: Message> Parcel<M> {
    /// `span` is the ask's: the handler runs in it. `name` is that of the message's type.
    pub fn new((message, name): (M, &'static str), deadline: Duration, asked_again: bool, span: tracing::Span) -> Self {
        let (reply_to, reply) = oneshot::channel();
        let queued_us = uptime_us();
        let header = Header {
            name,
            queued_us,
            deadline_us: queued_us.saturating_add(u64::try_from(deadline.as_micros()).unwrap_or(u64::MAX)),
            asked_again,
            started_us: AtomicU64::new(0),
            place: AtomicUsize::new(NOWHERE),
            withdrawn: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        };
        let contents = Contents { message, reply_to: Some(reply_to), answer: Answer::Awaited(reply), caller: None };
        Self { header, span, contents: Mutex::new(contents) }
    }

    fn contents(&self) -> MutexGuard<'_, Contents<M>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self) -> AskError {
        self.header.lost.store(true, Ordering::Release);
        AskError::Died
    }

    fn poll_answer(&self, task: &mut Task<'_>) -> Poll<Result<M::Result, AskError>> {
        let mut contents = self.contents();
        if let Answer::Awaited(reply) = &mut contents.answer {
            match Pin::new(reply).poll(task) {
                Poll::Pending => {
                    // The reply wakes by itself; this waker is for `fail`.
                    match &mut contents.caller {
                        Some(caller) => caller.clone_from(task.waker()),
                        None => contents.caller = Some(task.waker().clone()),
                    }
                    return Poll::Pending;
                }
                Poll::Ready(reply) => contents.answer = Answer::Arrived(reply.map_err(|_| self.lose())),
            }
        }
        match mem::replace(&mut contents.answer, Answer::Taken) {
            Answer::Arrived(answer) => Poll::Ready(answer),
            Answer::Awaited(_) | Answer::Taken => Poll::Ready(Err(AskError::Died)),
        }
    }
}

impl<A, M> Deliver<A> for Parcel<M>
where
    A: KitActor + Handler<M>,
    M: KitMessage,
{
    fn header(&self) -> &Header {
        &self.header
    }

    fn start(&self, actor: &mut A, ctx: &mut Context<A>) {
        let message = self.contents().message.clone();
        let _in_span = self.span.enter();
        let _handling = Handling::begin(self.header.asked_again);
        let response = actor.handle(message, ctx);
        // Taken only now: had the handler panicked, the caller must not learn of it before the slot has.
        let reply_to = self.contents().reply_to.take();
        response.handle(ctx, reply_to);
    }

    fn is_settled(&self) -> bool {
        let mut contents = self.contents();
        if let Answer::Awaited(reply) = &mut contents.answer {
            match reply.try_recv() {
                Ok(reply) => contents.answer = Answer::Arrived(Ok(reply)),
                Err(oneshot::error::TryRecvError::Empty) => return false,
                Err(oneshot::error::TryRecvError::Closed) => {
                    contents.answer = Answer::Arrived(Err(self.lose()));
                }
            }
        }
        true
    }

    fn fail(&self, error: AskError) {
        let caller = {
            let mut contents = self.contents();
            if let Answer::Awaited(reply) = &mut contents.answer {
                contents.answer = Answer::Arrived(reply.try_recv().map_err(|_| error));
            }
            contents.caller.take()
        };
        if let Some(caller) = caller {
            caller.wake();
        }
    }

    fn message_text(&self) -> String {
        let mut text = format!("{:?}", self.contents().message);
        if text.len() > MESSAGE_TEXT_MAX {
            text.truncate(text.floor_char_boundary(MESSAGE_TEXT_MAX));
            text.push('…');
        }
        text
    }

    fn ask_again(&self, key: A::Key, directory: Directory<A>, deadline: Duration) -> Outcome {
        let message = self.contents().message.clone();
        Box::pin(async move { directory.ask_again(&key, message, deadline).await.map(drop) })
    }
}

/// The caller's end: resolves to the answer. Dropped before that, it withdraws a parcel that was not started.
pub(super) struct Reply<A: KitActor + Handler<M>, M: KitMessage> {
    pub parcel: Arc<Parcel<M>>,
    pub slot: Arc<Slot<A>>,
    pub answered: bool,
}

impl<A: KitActor + Handler<M>, M: KitMessage> Future for Reply<A, M> {
    type Output = Result<M::Result, AskError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let answer = this.parcel.poll_answer(task);
        if answer.is_ready() {
            this.answered = true;
            // A handler that answered at once was already seen off by its courier.
            if this.parcel.header.place().is_some() {
                this.slot.finish(&*this.parcel);
            }
        }
        answer
    }
}

impl<A: KitActor + Handler<M>, M: KitMessage> Drop for Reply<A, M> {
    fn drop(&mut self) {
        if !self.answered {
            let parcel: AnyParcel<A> = Arc::clone(&self.parcel) as AnyParcel<A>;
            self.slot.withdraw(&parcel);
        }
    }
}
