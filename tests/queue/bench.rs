//! Brokers, queues and tickets for the tests.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Channel, Connection, ConnectionProperties};
use rushmall::clock::Clock;
use rushmall::config::AmqpSettings;
use rushmall::domain::stock::{Claim, OrderDetails, Pool, Quantity, Ticket, TicketKind};
use rushmall::domain::{BuyerId, Money, OrderNo, ProductId};
use rushmall::messaging::rabbitmq::Broker;
use rushmall::messaging::{Delivery, OrderQueue, QueueError};
use rushmall::random::{self, OrderNumbers};

use crate::support::services::url_of;

/// Deliveries before a message is dead, in these tests.
pub const DELIVERIES_MAX: u32 = 3;
/// No step of a test takes longer, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// A broker that is killed sooner after it made a queue may have forgotten it (docs/OPERATIONS.md).
pub const TO_BE_REMEMBERED: Duration = Duration::from_secs(3);

static NUMBERS: LazyLock<OrderNumbers> = LazyLock::new(|| OrderNumbers::new(Clock::default(), 7));

/// The broker's address; `None` if the test is not to run.
pub fn amqp_url() -> Option<String> {
    url_of("RUSHMALL_TEST_AMQP_URL")
}

/// Settings with a prefix that no other test has.
pub fn settings(url: &str) -> AmqpSettings {
    AmqpSettings {
        url: url.to_owned(),
        prefix: format!("test-{}", hex::encode(random::bytes::<6>())),
        connect_timeout_ms: 10_000,
        confirm_timeout_ms: 10_000,
        deliveries_max: DELIVERIES_MAX,
        ..AmqpSettings::default()
    }
}

pub async fn connect(settings: &AmqpSettings, node: &str) -> Broker {
    Broker::connect(settings, node, Clock::default()).await.expect("RabbitMQ is there")
}

/// A connection beside the shop's.
pub async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("RabbitMQ is there");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

/// Takes everything of the prefix out of the broker.
pub async fn clean(settings: &AmqpSettings) {
    let (_connection, channel) = channel(&settings.url).await;
    for queue in ["orders", "orders.dead", "events.log"] {
        let name = format!("{}.{queue}", settings.prefix);
        channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.expect("deleted");
    }
    let exchange = format!("{}.events", settings.prefix);
    channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await.expect("deleted");
}

pub fn tickets(count: usize) -> Vec<Ticket> {
    let ticket = |_| Ticket {
        claim: Claim {
            order_no: NUMBERS.next(),
            buyer: BuyerId(7),
            product: ProductId(3),
            pool: Pool::from(12),
            quantity: Quantity::ONE,
            unit_price: Money::from_fen(9_900),
            kind: TicketKind::Owed,
            details: OrderDetails::default(),
        },
        accepted_at_ms: Clock::default().now_ms(),
        epoch: 3,
    };
    (0..count).map(ticket).collect()
}

pub fn numbers(tickets: &[Ticket]) -> BTreeSet<OrderNo> {
    tickets.iter().map(|ticket| ticket.claim.order_no).collect()
}

/// The next delivery, whatever the connection does meanwhile.
pub async fn receive(queue: &dyn OrderQueue, tickets_max: usize) -> Delivery {
    let started = Instant::now();
    loop {
        let left = PATIENCE.saturating_sub(started.elapsed());
        match tokio::time::timeout(left, queue.receive(tickets_max)).await.expect("a delivery in time") {
            Ok(delivery) => return delivery,
            Err(QueueError::Away) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Receives and acknowledges until all of these have come; answers everything that came.
pub async fn drain(queue: &dyn OrderQueue, wanted: &BTreeSet<OrderNo>) -> Vec<Ticket> {
    let mut all: Vec<Ticket> = Vec::new();
    while !wanted.is_subset(&numbers(&all)) {
        let Delivery { tickets, receipt, .. } = receive(queue, 256).await;
        all.extend(tickets);
        let _ = queue.acknowledge(receipt).await; // of a connection that broke meanwhile
    }
    all
}

/// Waits until `ask` says so.
pub async fn eventually<F: Future<Output = bool>>(what: &str, ask: impl Fn() -> F) {
    let started = Instant::now();
    while !ask().await {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
