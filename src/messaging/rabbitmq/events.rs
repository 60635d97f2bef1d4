//! Tells other systems what happened: domain events on a topic exchange, and on a stream that keeps them for replay.
//!
//! They come from the outbox, so an event is told if and only if its commit happened. A message that is not confirmed is
//! published again with the whole commit. While the stream cannot be used nothing is told: no replay would have it.

use std::sync::Arc;

use futures::future::try_join_all;
use lapin::types::AMQPValue;
use tracing::Instrument as _;

use super::publisher::{Outgoing, Publisher, new_id};
use crate::messaging::domain_event::EventMessage;
use crate::messaging::order_queue::QueueError;
use crate::trace_context;

/// Publishes domain events; clones share the connection.
#[derive(Clone)]
pub struct EventPublisher {
    publisher: Arc<Publisher>,
}

impl EventPublisher {
    pub(super) const fn new(publisher: Arc<Publisher>) -> Self {
        Self { publisher }
    }

    /// Publishes the messages together; returns once all are confirmed.
    ///
    /// # Errors
    /// [`QueueError`]: some may have been told; tell all of them again.
    pub async fn publish(&self, messages: &[EventMessage]) -> Result<(), QueueError> {
        self.publisher.ensure_log().await?;
        try_join_all(messages.iter().map(|message| {
            let span = trace_context::publish(&message.kind);
            self.publish_one(message).instrument(span) // its headers are made in the span
        }))
        .await
        .map(|_| ())
    }

    async fn publish_one(&self, message: &EventMessage) -> Result<(), QueueError> {
        // Cannot fail: numbers, texts and lists.
        let content = serde_json::to_vec(message).unwrap_or_default();
        let more = [
            ("version", AMQPValue::LongUInt(message.version)),
            ("commit_no", AMQPValue::LongLongInt(message.commit_no)),
        ];
        let (exchange, headers) = (&self.publisher.names.events, self.publisher.headers(&more));
        let (routing_key, id) = (&message.kind, new_id());
        self.publisher.publish(Outgoing { exchange, routing_key, kind: "events", content: &content, id, headers }).await
    }
}
