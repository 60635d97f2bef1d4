//! Publishing with the broker's confirm, several messages in flight, none of them waiting for ever.
//!
//! A publish ends at once when the broker blocks the connection or the session is over. A confirm that does not come
//! in time ends the session, so that a black hole costs one timeout and not one for every message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use super::link::{BrokerError, Link, Plan, Session};
use super::topology::{Names, arguments, text};
use crate::config::AmqpSettings;
use crate::messaging::order_queue::QueueError;
use crate::{random, trace_context};

/// Messages survive a restart of the broker.
const PERSISTENT: u8 = 2;

/// A message to publish.
pub(super) struct Outgoing<'a> {
    /// Empty: the default exchange, whose routing keys are queues.
    pub exchange: &'a str,
    pub routing_key: &'a str,
    /// A label for metrics.
    pub kind: &'static str,
    pub content: &'a [u8],
    pub id: String,
    pub headers: FieldTable,
}

/// What a session publishes with.
struct Channels {
    confirming: Channel,
    /// Set once the stream of events is known to be there.
    log: OnceCell<()>,
}

/// Publishes on a connection of its own.
pub(super) struct Publisher {
    link: Link<Channels>,
    pub names: Names,
    pub node: String,
    window: Semaphore,
    in_flight: AtomicU64,
    timeout_ms: u64,
}

/// A new identity of a message.
pub(super) fn new_id() -> String {
    hex::encode(random::bytes::<16>())
}

fn open<'a>(connection: &'a Connection, _plan: &'a Plan<Channels>) -> BoxFuture<'a, lapin::Result<Channels>> {
    async move {
        let confirming = connection.create_channel().await?;
        confirming.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Channels { confirming, log: OnceCell::new() })
    }
    .boxed()
}

impl Publisher {
    pub async fn connect(settings: &AmqpSettings, node: &str) -> Result<Self, BrokerError> {
        Ok(Self {
            link: Link::connect("publish", node, settings, open).await?,
            names: Names::new(&settings.prefix),
            node: node.to_owned(),
            window: Semaphore::new(settings.window_messages),
            in_flight: AtomicU64::new(0),
            timeout_ms: settings.confirm_timeout_ms,
        })
    }

    /// Messages that are not confirmed yet.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Headers that every message has.
    pub fn headers(&self, more: &[(&str, AMQPValue)]) -> FieldTable {
        let mut headers = arguments(more);
        headers.insert("node".into(), text(&self.node));
        if let Some(traceparent) = trace_context::current() {
            headers.insert("traceparent".into(), text(&traceparent));
        }
        headers
    }

    /// Declares the stream of events, once a session.
    ///
    /// # Errors
    /// [`QueueError`]: the broker has no such stream; events would be lost to it.
    pub async fn ensure_log(&self) -> Result<(), QueueError> {
        let session = self.link.session().ok_or(QueueError::Away)?;
        let declaring = session.parts.log.get_or_try_init(|| async {
            let declared = self.names.declare_log(&session.connection).await;
            declared.map_err(|error| QueueError::Refused { reason: format!("no stream {}: {error}", self.names.log) })
        });
        let unconfirmed = |_| QueueError::Unconfirmed { timeout_ms: self.timeout_ms };
        timeout(Duration::from_millis(self.timeout_ms), declaring).await.map_err(unconfirmed)?.map(|&()| ())
    }

    /// Returns once the broker has confirmed that the message is safe in a queue.
    ///
    /// # Errors
    /// [`QueueError`]: it may or may not be there.
    pub async fn publish(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        let kind = message.kind;
        metrics::counter!("rushmall_amqp_publishes_total", "kind" => kind).increment(1);
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        let _in_flight = InFlight(&self.in_flight);
        let outcome = self.publish_bounded(message).await;
        match &outcome {
            Ok(()) => metrics::counter!("rushmall_amqp_confirms_total", "kind" => kind).increment(1),
            Err(error) => {
                metrics::counter!("rushmall_amqp_unpublished_total", "kind" => kind, "reason" => error.kind())
                    .increment(1);
            }
        }
        outcome
    }

    /// The session of now, if it takes messages.
    fn open_session(&self) -> Result<Arc<Session<Channels>>, QueueError> {
        if self.link.is_closed() {
            return Err(QueueError::Closed);
        }
        let session = self.link.session().ok_or(QueueError::Away)?;
        match session.blocked_reason() {
            Some(reason) => Err(QueueError::Blocked { reason }),
            None => Ok(session),
        }
    }

    /// Whether messages are taken now, as far as is known here.
    ///
    /// # Errors
    /// [`QueueError`]: why not.
    pub fn usable(&self) -> Result<(), QueueError> {
        self.open_session().map(drop)
    }

    async fn publish_bounded(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        let session = self.open_session()?;
        tokio::select! {
            biased;
            outcome = self.confirmed(&session, message) => outcome,
            reason = session.blocked() => Err(QueueError::Blocked { reason }),
            () = session.ended() => Err(QueueError::Away),
            () = tokio::time::sleep(Duration::from_millis(self.timeout_ms)) => {
                session.end("a confirm did not come in time");
                Err(QueueError::Unconfirmed { timeout_ms: self.timeout_ms })
            }
        }
    }

    async fn confirmed(&self, session: &Session<Channels>, message: Outgoing<'_>) -> Result<(), QueueError> {
        let _turn = self.window.acquire().await.map_err(|_| QueueError::Closed)?;
        let Outgoing { exchange, routing_key, content, id, headers, .. } = message;
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into())
            .with_app_id("rushmall".into())
            .with_message_id(id.into())
            .with_headers(headers);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let lost = |error: lapin::Error| {
            session.end(&error);
            QueueError::Away
        };
        let sent =
            session.parts.confirming.basic_publish(exchange.into(), routing_key.into(), options, content, properties);
        match sent.await.map_err(lost)?.await.map_err(lost)? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(returned)) => {
                session.end("a queue is gone"); // it is declared again with the next session
                Err(QueueError::Refused { reason: returned.reply_text.to_string() })
            }
            Confirmation::Nack(_) => Err(QueueError::Refused { reason: "the queue cannot store it".to_owned() }),
            Confirmation::NotRequested => Err(QueueError::Refused { reason: "no confirm was asked for".to_owned() }),
        }
    }

    pub async fn close(&self) {
        self.link.close().await;
    }
}

struct InFlight<'a>(&'a AtomicU64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
