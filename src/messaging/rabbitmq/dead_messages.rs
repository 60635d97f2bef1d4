//! Messages that were given up: kept in a queue of their own until an administrator has them replayed.
//!
//! Looking takes them without acknowledging on a channel of its own; when that closes the broker puts all of them back.
//! A message moves by being confirmed in the one queue before it is acknowledged in the other.

use std::sync::Arc;

use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::types::AMQPValue;
use lapin::{BasicProperties, Channel};
use tokio::sync::MutexGuard;

use super::link::Session;
use super::order_queue::{Intake, RabbitQueue};
use super::publisher::{Outgoing, new_id};
use super::topology::{header_text, number, text};
use crate::messaging::order_queue::{DEAD_CONTENT_CHARS_MAX, DeadMessage, QueueError};
use crate::messaging::ticket_message;

/// Messages looked through at once.
const LOOKED_AT_MAX: usize = 1_000;
/// Longest reason that is kept.
const REASON_CHARS_MAX: usize = 255;

impl RabbitQueue {
    /// Publishes a message to the dead; the caller then acknowledges it.
    pub(super) async fn bury(
        &self,
        content: &[u8],
        properties: &BasicProperties,
        attempts: u32,
        reason: &str,
    ) -> Result<(), QueueError> {
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        let more = [
            ("reason", text(&reason)),
            ("attempts", AMQPValue::LongUInt(attempts)),
            ("dead_at_ms", AMQPValue::LongLongInt(self.clock.now_ms())),
        ];
        let id = properties.message_id().as_ref().map_or_else(new_id, ToString::to_string);
        tracing::error!(id, attempts, reason, "message moved to the dead messages");
        let (routing_key, headers) = (&self.publisher.names.dead, self.publisher.headers(&more));
        self.publisher.publish(Outgoing { exchange: "", routing_key, kind: "dead", content, id, headers }).await?;
        metrics::counter!("rushmall_amqp_dead_messages_total").increment(1);
        Ok(())
    }

    pub(super) async fn list_dead(&self, limit: usize) -> Result<Vec<DeadMessage>, QueueError> {
        let desk = self.dead_desk().await?;
        let mut found = Vec::new();
        while found.len() < limit.min(LOOKED_AT_MAX) {
            let Some(message) = desk.next().await? else { break };
            found.push(shown(&message));
        }
        desk.leave().await?;
        Ok(found)
    }

    pub(super) async fn replay(&self, id: &str) -> Result<bool, QueueError> {
        let desk = self.dead_desk().await?;
        let mut found = None;
        for _ in 0..LOOKED_AT_MAX {
            let Some(message) = desk.next().await? else { break };
            if id_of(&message.delivery.properties) == id {
                found = Some(message);
                break;
            }
        }
        let outcome = match &found {
            Some(message) => desk.replay(message, id).await,
            None => Ok(()),
        };
        desk.leave().await?;
        outcome.map(|()| found.is_some())
    }

    async fn dead_desk(&self) -> Result<Desk<'_>, QueueError> {
        let alone = self.dead_desk.lock().await;
        let session = self.session()?;
        let channel = self.within(&session, session.connection.create_channel()).await?;
        Ok(Desk { queue: self, session, channel, _alone: alone })
    }
}

/// Looking through the dead messages, oldest first; they are put back when it ends.
struct Desk<'a> {
    queue: &'a RabbitQueue,
    session: Arc<Session<Intake>>,
    channel: Channel,
    _alone: MutexGuard<'a, ()>,
}

impl Desk<'_> {
    async fn next(&self) -> Result<Option<BasicGetMessage>, QueueError> {
        let queue = self.queue.publisher.names.dead.as_str();
        self.queue.within(&self.session, self.channel.basic_get(queue.into(), BasicGetOptions::default())).await
    }

    async fn replay(&self, message: &BasicGetMessage, id: &str) -> Result<(), QueueError> {
        let publisher = &self.queue.publisher;
        let (routing_key, headers) = (&publisher.names.orders, publisher.headers(&[]));
        let (content, id) = (message.delivery.data.as_slice(), id.to_owned());
        publisher.publish(Outgoing { exchange: "", routing_key, kind: "orders", content, id, headers }).await?;
        let forgetting = self.channel.basic_ack(message.delivery.delivery_tag, BasicAckOptions::default());
        self.queue.within(&self.session, forgetting).await
    }

    async fn leave(self) -> Result<(), QueueError> {
        self.queue.within(&self.session, self.channel.close(200, "looked".into())).await
    }
}

fn id_of(properties: &BasicProperties) -> String {
    properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default()
}

fn shown(message: &BasicGetMessage) -> DeadMessage {
    let (content, properties) = (&message.delivery.data, &message.delivery.properties);
    let headers = properties.headers().as_ref();
    DeadMessage {
        id: id_of(properties),
        reason: header_text(headers, "reason").unwrap_or_default(),
        attempts: u32::try_from(number(headers, "attempts")).unwrap_or_default(),
        tickets: ticket_message::read(content).ok().map(|tickets| tickets.len()),
        node: header_text(headers, "node").unwrap_or_default(),
        at_ms: number(headers, "dead_at_ms"),
        content: String::from_utf8_lossy(content).chars().take(DEAD_CONTENT_CHARS_MAX).collect(),
    }
}
