//! RabbitMQ between the nodes: the order queue and the domain events.
//!
//! Two connections, because the broker stops reading from one that publishes during an alarm, and acknowledgements must
//! still get through: one publishes (`publisher`), one consumes (`order_queue`). Each is kept up by a supervisor of
//! ours (`link`): the client's own recovery would replay unconfirmed publishes and wait without bounds, while here
//! whoever published is told at once and takes another way (the order writer, the sweep). Everything that a connection
//! needs is declared again each time it opens (`topology`).

mod dead_messages;
mod events;
mod link;
mod order_queue;
mod publisher;
mod topology;

use std::sync::Arc;

pub use events::EventPublisher;
pub use link::BrokerError;
pub use order_queue::RabbitQueue;

use crate::clock::Clock;
use crate::config::AmqpSettings;

/// What RabbitMQ gives a node.
#[derive(Clone)]
pub struct Broker {
    /// Tickets on their way to the order writers of all nodes.
    pub queue: Arc<RabbitQueue>,
    /// Tells other systems what happened.
    pub events: EventPublisher,
}

impl Broker {
    /// Connects, and declares exchanges and queues; the connections are kept up until [`OrderQueue::close`].
    ///
    /// # Errors
    /// [`BrokerError`] if the broker cannot be reached within `amqp.connect_timeout_ms`, or refuses.
    ///
    /// [`OrderQueue::close`]: super::OrderQueue::close
    pub async fn connect(settings: &AmqpSettings, node: &str, clock: Clock) -> Result<Self, BrokerError> {
        let publisher = Arc::new(publisher::Publisher::connect(settings, node).await?);
        if let Err(error) = publisher.ensure_log().await {
            tracing::error!(%error, "events cannot be told yet, they wait");
        }
        let queue = RabbitQueue::connect(settings, node, clock, Arc::clone(&publisher)).await?;
        Ok(Self { queue, events: EventPublisher::new(publisher) })
    }
}
