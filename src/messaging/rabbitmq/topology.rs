//! Names and declarations: what lies in the broker. Declaring is idempotent, so every connection does it.
//!
//! Orders need their queues alone. The stream is declared by whoever tells events, before the first of a session: a
//! stream that cannot be used holds up the events, which wait in the outbox, and no order.
//!
//! `<prefix>.orders` quorum queue of tickets · `<prefix>.orders.dead` quorum queue of messages that were given up ·
//! `<prefix>.events` topic exchange of domain events · `<prefix>.events.log` stream with all of them, for replay.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

/// How long the stream keeps events.
const EVENTS_MAX_AGE: &str = "7D";
/// The stream's oldest segments go beyond this.
const EVENTS_BYTES_MAX: i64 = 1 << 30;
/// What the stream forgets at once.
const EVENTS_SEGMENT_BYTES: i64 = 16 << 20;

/// Names of the shop's exchanges and queues.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub orders: String,
    pub dead: String,
    pub events: String,
    pub log: String,
}

impl Names {
    pub fn new(prefix: &str) -> Self {
        Self {
            orders: format!("{prefix}.orders"),
            dead: format!("{prefix}.orders.dead"),
            events: format!("{prefix}.events"),
            log: format!("{prefix}.events.log"),
        }
    }

    /// Declares the queues of orders and the exchange.
    pub async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        let durable = QueueDeclareOptions::durable();
        for queue in [&self.orders, &self.dead] {
            channel
                .queue_declare(queue.as_str().into(), durable, arguments(&[("x-queue-type", text("quorum"))]))
                .await?;
        }
        let exchange = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel
            .exchange_declare(self.events.as_str().into(), ExchangeKind::Topic, exchange, FieldTable::default())
            .await
    }

    /// Declares the stream of all events.
    ///
    /// A broker that is killed within some four seconds of making its first stream ever comes up without the
    /// coordinator of its streams: they are "down or inaccessible" until any new stream is declared (seen with RabbitMQ
    /// 3.10.8). So one is declared, and deleted again. What that does not help is in docs/OPERATIONS.md.
    pub async fn declare_log(&self, connection: &Connection) -> lapin::Result<()> {
        match self.declare_log_once(connection).await {
            Err(error) if is_not_found(&error) => {
                tracing::warn!(stream = self.log, %error, "the broker's streams are down, starting them");
                let channel = connection.create_channel().await?;
                let starter = format!("{}.starter", self.log);
                let stream = arguments(&[("x-queue-type", text("stream"))]);
                channel.queue_declare(starter.as_str().into(), QueueDeclareOptions::durable(), stream).await?;
                channel.queue_delete(starter.into(), QueueDeleteOptions::default()).await?;
                channel.close(200, "started".into()).await?;
                self.declare_log_once(connection).await
            }
            outcome => outcome,
        }
    }

    async fn declare_log_once(&self, connection: &Connection) -> lapin::Result<()> {
        let channel = connection.create_channel().await?; // the broker closes a channel that it refuses something
        let stream = arguments(&[
            ("x-queue-type", text("stream")),
            ("x-max-age", text(EVENTS_MAX_AGE)),
            ("x-max-length-bytes", AMQPValue::LongLongInt(EVENTS_BYTES_MAX)),
            ("x-stream-max-segment-size-bytes", AMQPValue::LongLongInt(EVENTS_SEGMENT_BYTES)),
        ]);
        let (events, log) = (self.events.as_str(), self.log.as_str());
        channel.queue_declare(log.into(), QueueDeclareOptions::durable(), stream).await?;
        let (bind, none) = (QueueBindOptions::default(), FieldTable::default());
        channel.queue_bind(log.into(), events.into(), "#".into(), bind, none).await?;
        channel.close(200, "declared".into()).await
    }
}

fn is_not_found(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else { return false };
    *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)
}

pub(super) fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

pub(super) fn arguments(pairs: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        table.insert((*name).into(), value.clone());
    }
    table
}

/// A whole number that we or the broker wrote into a header; 0 if there is none.
pub(super) fn number(headers: Option<&FieldTable>, name: &str) -> i64 {
    match headers.and_then(|headers| headers.inner().get(name)) {
        Some(AMQPValue::LongLongInt(number)) => *number,
        Some(AMQPValue::LongInt(number)) => i64::from(*number),
        Some(AMQPValue::LongUInt(number)) => i64::from(*number),
        Some(AMQPValue::ShortInt(number)) => i64::from(*number),
        Some(AMQPValue::ShortUInt(number)) => i64::from(*number),
        Some(AMQPValue::ShortShortInt(number)) => i64::from(*number),
        Some(AMQPValue::ShortShortUInt(number)) => i64::from(*number),
        _ => 0,
    }
}

/// A text in a header.
pub(super) fn header_text(headers: Option<&FieldTable>, name: &str) -> Option<String> {
    match headers.and_then(|headers| headers.inner().get(name)) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        Some(AMQPValue::ShortString(text)) => Some(text.to_string()),
        _ => None,
    }
}
