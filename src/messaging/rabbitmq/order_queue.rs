//! The order queue on RabbitMQ: a quorum queue of messages of up to 256 tickets, shared by all nodes.
//!
//! *Attempts* are counted twice over: the broker's `x-delivery-count` says how often it had to give this message out
//! again (a node died, a connection broke), our header `attempt` how often its tickets were given back and published
//! anew. RabbitMQ 3.10 gives out for ever, so we hold the limit: a message that was delivered too often, or cannot be
//! read, goes to the dead messages first and is acknowledged then; in between a crash makes it dead twice, never lost.
//!
//! One delivery is out at a time and acknowledged cumulatively; the next ones wait here, prefetched. Its messages are
//! acknowledged within one transaction of the order writer, far from the broker's limit of 30 minutes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{BoxFuture, try_join_all};
use futures::{FutureExt, StreamExt};
use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection};
use tokio::time::timeout;
use tracing::Instrument as _;

use super::link::{BrokerError, Link, Plan, Session};
use super::publisher::{Outgoing, Publisher, new_id};
use super::topology::{header_text, number};
use crate::clock::Clock;
use crate::config::AmqpSettings;
use crate::domain::stock::Ticket;
use crate::messaging::order_queue::{DeadMessage, Delivery, OrderQueue, QueueError, Receipt, TRACES_MAX};
use crate::messaging::ticket_message;
use crate::trace_context;

/// Most tickets in one message.
const TICKETS_PER_MESSAGE_MAX: usize = 256;
/// How long a consumer waits for a connection before it hears that there is none.
const RECEIVE_PATIENCE: Duration = Duration::from_secs(2);
/// Pause after a message that could be neither read nor buried, before the broker gives it out again.
const PAUSE_UNBURIED: Duration = Duration::from_millis(500);
/// How often the depth is shown.
const GAUGE_EVERY: Duration = Duration::from_secs(2);

/// What a consuming session works with.
pub(super) struct Intake {
    channel: Channel,
    consumer: tokio::sync::Mutex<Consumer>,
    /// True while the consumer waits for a message, so that none lies here unseen.
    is_waiting: AtomicBool,
}

struct Consumer {
    messages: lapin::Consumer,
    /// Taken while looking whether there is any.
    waiting: Option<Message>,
}

impl Consumer {
    /// `None` if no message has arrived yet.
    fn at_hand(&mut self) -> Option<Option<lapin::Result<Message>>> {
        match self.waiting.take() {
            Some(message) => Some(Some(Ok(message))),
            None => self.messages.next().now_or_never(),
        }
    }
}

/// Last message of the delivery that is out, and the session on which it came.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Outstanding {
    session: u64,
    tag: u64,
}

/// The order queue of all nodes.
pub struct RabbitQueue {
    pub(super) publisher: Arc<Publisher>,
    pub(super) intake: Link<Intake>,
    pub(super) clock: Clock,
    pub(super) timeout: Duration,
    /// One at a time looks through the dead messages: they are hidden from others meanwhile.
    pub(super) dead_desk: tokio::sync::Mutex<()>,
    deliveries_max: u32,
    /// The delivery that is out.
    out: Mutex<Option<Outstanding>>,
    /// The message that is just being taken, which belongs to no delivery yet.
    in_hand: Mutex<Option<Outstanding>>,
}

fn open<'a>(connection: &'a Connection, plan: &'a Plan<Intake>) -> BoxFuture<'a, lapin::Result<Intake>> {
    async move {
        let channel = connection.create_channel().await?;
        channel.basic_qos(plan.prefetch_messages, BasicQosOptions::default()).await?;
        let (queue, tag) = (plan.names.orders.as_str().into(), plan.node.as_str().into());
        let messages = channel.basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default()).await?;
        let consumer = tokio::sync::Mutex::new(Consumer { messages, waiting: None });
        Ok(Intake { channel, consumer, is_waiting: AtomicBool::new(false) })
    }
    .boxed()
}

/// What was taken for one delivery.
#[derive(Default)]
struct Gathered {
    tickets: Vec<Ticket>,
    last_tag: Option<u64>,
    attempts: u32,
    traceparents: Vec<String>,
}

impl RabbitQueue {
    pub(super) async fn connect(
        settings: &AmqpSettings,
        node: &str,
        clock: Clock,
        publisher: Arc<Publisher>,
    ) -> Result<Arc<Self>, BrokerError> {
        let queue = Arc::new(Self {
            publisher,
            intake: Link::connect("consume", node, settings, open).await?,
            clock,
            timeout: Duration::from_millis(settings.confirm_timeout_ms),
            dead_desk: tokio::sync::Mutex::default(),
            deliveries_max: settings.deliveries_max,
            out: Mutex::default(),
            in_hand: Mutex::default(),
        });
        let watched = Arc::downgrade(&queue);
        tokio::spawn(async move {
            while let Some(queue) = watched.upgrade().filter(|queue| !queue.intake.is_closed()) {
                if let Ok(depth) = queue.depth().await {
                    metrics::gauge!("rushmall_order_queue_depth").set(depth as f64);
                }
                drop(queue);
                tokio::time::sleep(GAUGE_EVERY).await;
            }
        });
        Ok(queue)
    }

    pub(super) fn session(&self) -> Result<Arc<Session<Intake>>, QueueError> {
        if self.intake.is_closed() {
            return Err(QueueError::Closed);
        }
        self.intake.session().ok_or(QueueError::Away)
    }

    fn out(&self) -> MutexGuard<'_, Option<Outstanding>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_hand(&self) -> MutexGuard<'_, Option<Outstanding>> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if this node has received what it has not acknowledged.
    fn has_unsettled(&self) -> bool {
        self.out().is_some() || self.in_hand().is_some()
    }

    /// Publishes tickets as one message with `attempt` attempts on its account.
    async fn publish_message(&self, tickets: &[Ticket], attempt: u32) -> Result<(), QueueError> {
        let routing_key = &self.publisher.names.orders;
        let publishing = async {
            let more =
                [("attempt", AMQPValue::LongUInt(attempt)), ("tickets", AMQPValue::LongLongInt(tickets.len() as i64))];
            // made in the span, so that the consumer's trace goes on from here
            let (content, headers) = (ticket_message::write(tickets), self.publisher.headers(&more));
            let (content, id) = (&content, new_id());
            self.publisher.publish(Outgoing { exchange: "", routing_key, kind: "orders", content, id, headers }).await
        };
        publishing.instrument(trace_context::publish(routing_key)).await
    }

    /// A step on the channel, within the time limit; a failure ends the session.
    pub(super) async fn within<T>(
        &self,
        session: &Session<Intake>,
        step: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, QueueError> {
        match timeout(self.timeout, step).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                session.end(&error);
                Err(QueueError::Away)
            }
            Err(_elapsed) => {
                session.end("no answer from the broker");
                Err(QueueError::Away)
            }
        }
    }

    async fn ack(&self, session: &Session<Intake>, tag: u64, multiple: bool) -> Result<(), QueueError> {
        self.within(session, session.parts.channel.basic_ack(tag, BasicAckOptions { multiple })).await
    }

    async fn requeue(&self, session: &Session<Intake>, tag: u64, multiple: bool) -> Result<(), QueueError> {
        let options = BasicNackOptions { multiple, requeue: true };
        self.within(session, session.parts.channel.basic_nack(tag, options)).await
    }

    /// What the last delivery's consumer left behind comes again, and what a dropped [`OrderQueue::receive`] had taken.
    /// What an earlier session had the broker took back itself.
    async fn return_leftovers(&self, session: &Session<Intake>) -> Result<(), QueueError> {
        let of_now = |left: &Outstanding| left.session == session.number;
        let (in_hand, out) = (self.in_hand().take().filter(of_now), self.out().take().filter(of_now));
        if let Some(left) = in_hand {
            self.requeue(session, left.tag, false).await?;
        }
        match out {
            Some(left) => self.requeue(session, left.tag, true).await,
            None => Ok(()),
        }
    }

    /// The session of a receipt, which is settled by this.
    fn settle(&self, receipt: &Receipt) -> Result<Arc<Session<Intake>>, QueueError> {
        let session = self.session()?;
        let named = Outstanding { session: receipt.session, tag: receipt.tag };
        let mut out = self.out();
        if session.number != receipt.session || *out != Some(named) {
            return Err(QueueError::Stale);
        }
        *out = None;
        Ok(session)
    }

    /// Adds a message to the delivery, or buries it.
    async fn take(&self, session: &Session<Intake>, message: Message, into: &mut Gathered) -> Result<(), QueueError> {
        let named = Outstanding { session: session.number, tag: message.delivery_tag };
        *self.in_hand() = Some(named);
        let headers = message.properties.headers().as_ref();
        let attempts = number(headers, "attempt").saturating_add(number(headers, "x-delivery-count"));
        let attempts = u32::try_from(attempts.max(0)).unwrap_or(u32::MAX);
        if message.redelivered || attempts > 0 {
            metrics::counter!("rushmall_amqp_redeliveries_total").increment(1);
        }
        let tag = message.delivery_tag;
        let reason = match ticket_message::read(&message.data) {
            Ok(_) if attempts >= self.deliveries_max => format!("delivered {attempts} times"),
            Ok(tickets) => {
                into.tickets.extend(tickets);
                into.last_tag = Some(tag);
                into.attempts = into.attempts.max(attempts);
                if into.traceparents.len() < TRACES_MAX {
                    into.traceparents.extend(header_text(headers, "traceparent"));
                }
                *self.out() = Some(named);
                *self.in_hand() = None;
                return Ok(());
            }
            Err(unreadable) => unreadable.to_string(),
        };
        let outcome = match self.bury(&message.data, &message.properties, attempts, &reason).await {
            Ok(()) => self.ack(session, tag, false).await,
            Err(error) => {
                tracing::error!(%error, reason, "message not buried, it comes again");
                tokio::time::sleep(PAUSE_UNBURIED).await;
                self.requeue(session, tag, false).await
            }
        };
        *self.in_hand() = None;
        outcome
    }

    /// The next message; `None` if none is at hand and the delivery has some already.
    async fn next(
        &self,
        session: &Session<Intake>,
        consumer: &mut Consumer,
        is_first: bool,
    ) -> Result<Option<Message>, QueueError> {
        let next = match consumer.at_hand() {
            Some(next) => next,
            None if !is_first => return Ok(None),
            None => {
                let _waiting = Waiting::begin(&session.parts.is_waiting);
                tokio::select! {
                    next = consumer.messages.next() => next,
                    () = session.ended() => return Err(QueueError::Away),
                }
            }
        };
        match next {
            Some(Ok(message)) => Ok(Some(message)),
            Some(Err(error)) => {
                session.end(&error);
                Err(QueueError::Away)
            }
            None => {
                session.end("the broker cancelled the consumer");
                Err(QueueError::Away)
            }
        }
    }

    /// Messages ready in the queue. On the consumer's channel, so that what was given out before has arrived.
    async fn ready(&self, session: &Session<Intake>) -> Result<u64, QueueError> {
        self.within(session, self.ask_for_ready(session)).await
    }

    async fn ask_for_ready(&self, session: &Session<Intake>) -> lapin::Result<u64> {
        let queue = self.publisher.names.orders.as_str().into();
        let options = QueueDeclareOptions::durable().passive();
        let found = session.parts.channel.queue_declare(queue, options, FieldTable::default()).await?;
        Ok(u64::from(found.message_count()))
    }
}

struct Waiting<'a>(&'a AtomicBool);

impl<'a> Waiting<'a> {
    fn begin(flag: &'a AtomicBool) -> Self {
        flag.store(true, Ordering::Release);
        Self(flag)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[async_trait]
impl OrderQueue for RabbitQueue {
    async fn publish(&self, tickets: &[Ticket]) -> Result<(), QueueError> {
        let messages = tickets.chunks(TICKETS_PER_MESSAGE_MAX).map(|tickets| self.publish_message(tickets, 0));
        try_join_all(messages).await.map(|_| ())
    }

    async fn receive(&self, tickets_max: usize) -> Result<Delivery, QueueError> {
        if self.intake.is_closed() {
            return Err(QueueError::Closed);
        }
        let session = self.intake.wait(RECEIVE_PATIENCE).await.ok_or(QueueError::Away)?;
        let mut consumer = session.parts.consumer.lock().await;
        self.return_leftovers(&session).await?;
        let mut gathered = Gathered::default();
        while gathered.tickets.len() < tickets_max {
            let Some(message) = self.next(&session, &mut consumer, gathered.last_tag.is_none()).await? else { break };
            self.take(&session, message, &mut gathered).await?;
        }
        let Gathered { tickets, last_tag, attempts, traceparents } = gathered;
        let receipt = Receipt { session: session.number, tag: last_tag.unwrap_or_default(), attempts };
        Ok(Delivery { tickets, receipt, traceparents })
    }

    async fn acknowledge(&self, receipt: Receipt) -> Result<(), QueueError> {
        let session = self.settle(&receipt)?;
        self.ack(&session, receipt.tag, true).await
    }

    async fn give_back(&self, receipt: Receipt, tickets: Vec<Ticket>, reason: &str) -> Result<(), QueueError> {
        let session = self.settle(&receipt)?;
        let attempts = receipt.attempts.saturating_add(1);
        let published = if attempts >= self.deliveries_max {
            let reason = format!("{reason}, delivered {attempts} times");
            self.bury(&ticket_message::write(&tickets), &lapin::BasicProperties::default(), attempts, &reason).await
        } else {
            self.publish_message(&tickets, attempts).await
        };
        match published {
            Ok(()) => self.ack(&session, receipt.tag, true).await,
            Err(error) => {
                self.requeue(&session, receipt.tag, true).await?;
                Err(error)
            }
        }
    }

    async fn depth(&self) -> Result<u64, QueueError> {
        self.ready(&*self.session()?).await
    }

    async fn is_idle(&self) -> Result<bool, QueueError> {
        let session = self.session()?;
        if self.publisher.in_flight() > 0 || self.ready(&session).await? > 0 || self.has_unsettled() {
            return Ok(false);
        }
        match session.parts.consumer.try_lock() {
            Ok(mut consumer) => {
                if let Some(Some(Ok(message))) = consumer.at_hand() {
                    consumer.waiting = Some(message);
                }
                Ok(consumer.waiting.is_none() && !self.has_unsettled())
            }
            Err(_receiving) => Ok(session.parts.is_waiting.load(Ordering::Acquire) && !self.has_unsettled()),
        }
    }

    async fn dead_messages(&self, limit: usize) -> Result<Vec<DeadMessage>, QueueError> {
        self.list_dead(limit).await
    }

    async fn replay_dead(&self, id: &str) -> Result<bool, QueueError> {
        self.replay(id).await
    }

    /// Asks over the connection that consumes; of the one that publishes it is known whether it lives. Not
    /// `within`: whoever only looks ends no session by his impatience.
    async fn probe(&self) -> Result<(), QueueError> {
        self.publisher.usable()?;
        let session = self.session()?;
        tokio::select! {
            asked = self.ask_for_ready(&session) => asked.map(drop).map_err(|_| QueueError::Away),
            () = session.ended() => Err(QueueError::Away),
        }
    }

    fn outlives_process(&self) -> bool {
        true
    }

    async fn close(&self) {
        self.publisher.close().await;
        self.intake.close().await;
    }
}
