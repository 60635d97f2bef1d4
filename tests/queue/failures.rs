//! RabbitMQ: consumers that die, messages that cannot be read, connections that break, brokers that do not answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use rushmall::clock::Clock;
use rushmall::messaging::rabbitmq::{Broker, BrokerError};
use rushmall::messaging::{OrderQueue, QueueError};
use tokio::net::{TcpListener, TcpSocket};

use crate::bench::{
    DELIVERIES_MAX, amqp_url, channel, clean, connect, drain, eventually, numbers, receive, settings, tickets,
};
use crate::outages::publish_through;
use crate::proxy::Proxy;

#[tokio::test]
async fn r7_what_a_dead_consumer_did_not_acknowledge_comes_to_another_node() {
    let Some(url) = amqp_url() else { return };
    let settings = settings(&url);
    let (first, second) = (connect(&settings, "first").await, connect(&settings, "second").await);
    let batch = tickets(20);
    first.queue.publish(&batch).await.expect("published");
    let taken = tokio::select! { // whoever gets it
        taken = receive(&*first.queue, 256) => (taken, &first, &second),
        taken = receive(&*second.queue, 256) => (taken, &second, &first),
    };
    let (delivery, dead, living) = taken;
    assert_eq!((numbers(&delivery.tickets), delivery.receipt.attempts()), (numbers(&batch), 0));
    dead.queue.close().await;
    let again = receive(&*living.queue, 256).await;
    assert_eq!((numbers(&again.tickets), again.receipt.attempts()), (numbers(&batch), 1), "the attempt is counted");
    assert_ne!(dead.queue.acknowledge(delivery.receipt).await, Ok(()), "too late");
    living.queue.acknowledge(again.receipt).await.expect("acknowledged");
    eventually("idle", || async { living.queue.is_idle().await == Ok(true) }).await;
    clean(&settings).await;
}

#[tokio::test]
async fn r7_a_message_that_kills_its_consumers_is_given_up() {
    let Some(url) = amqp_url() else { return };
    let settings = settings(&url);
    let broker = connect(&settings, "here").await;
    let (bad, good) = (tickets(2), tickets(2));
    broker.queue.publish(&bad).await.expect("published");
    for attempts in 0..DELIVERIES_MAX {
        let delivery = receive(&*broker.queue, 256).await; // its consumer dies: nobody acknowledges
        assert_eq!((numbers(&delivery.tickets), delivery.receipt.attempts()), (numbers(&bad), attempts));
    }
    broker.queue.publish(&good).await.expect("published");
    assert_eq!(numbers(&drain(&*broker.queue, &numbers(&good)).await), numbers(&good));
    let burial = async {
        loop {
            let dead = broker.queue.dead_messages(10).await.expect("the dead");
            if !dead.is_empty() && broker.queue.is_idle().await == Ok(true) {
                break dead;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let dead = tokio::select! { // whoever looks for the next buries it
        next = broker.queue.receive(256) => panic!("nothing else comes: {next:?}"),
        dead = burial => dead,
    };
    assert_eq!((dead.len(), dead[0].attempts, dead[0].tickets), (1, DELIVERIES_MAX, Some(2)));
    clean(&settings).await;
}

#[tokio::test]
async fn r7_what_cannot_be_read_is_kept_and_stands_in_nobodys_way() {
    let Some(url) = amqp_url() else { return };
    let settings = settings(&url);
    let broker = connect(&settings, "here").await;
    let (_connection, channel) = channel(&url).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    for content in [&b"nonsense"[..], br#"{"version":99,"tickets":[]}"#] {
        let (queue, options) = (format!("{}.orders", settings.prefix), BasicPublishOptions::default());
        let sent = channel.basic_publish("".into(), queue.into(), options, content, BasicProperties::default()).await;
        sent.expect("sent").await.expect("taken");
    }
    let good = tickets(9);
    broker.queue.publish(&good).await.expect("published");
    assert_eq!(numbers(&drain(&*broker.queue, &numbers(&good)).await), numbers(&good));
    let dead = broker.queue.dead_messages(10).await.expect("the dead");
    let reasons: Vec<&str> = dead.iter().map(|dead| dead.reason.as_str()).collect();
    assert!(reasons[0].starts_with("not a message of tickets"), "{reasons:?}");
    assert_eq!((reasons.len(), reasons[1], dead[1].tickets), (2, "version 99 is newer than this node", None));
    eventually("idle", || async { broker.queue.is_idle().await == Ok(true) }).await;
    clean(&settings).await;
}

#[tokio::test]
async fn r6_connections_that_are_reset_in_mid_publish_lose_nothing() {
    let Some(url) = amqp_url() else { return };
    let proxy = Proxy::before(&url).await;
    let mut settings = settings(&proxy.url);
    settings.deliveries_max = 100; // what lies here prefetched counts as delivered when the connection breaks
    let broker = connect(&settings, "here").await;
    let heard = publish_through(&broker, async |confirmed: &AtomicUsize| {
        for _ in 0..10 {
            let before = confirmed.load(Ordering::SeqCst);
            eventually("published", || async { confirmed.load(Ordering::SeqCst) > before }).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
            proxy.reset();
        }
    })
    .await;
    assert!(heard.refused > 0 && heard.confirmed.len() > 100, "{} refused", heard.refused);
    clean(&settings).await;
}

#[tokio::test]
async fn a_black_hole_costs_one_timeout_and_heals() {
    let Some(url) = amqp_url() else { return };
    let proxy = Proxy::before(&url).await;
    let mut settings = settings(&proxy.url);
    (settings.confirm_timeout_ms, settings.connect_timeout_ms) = (4_000, 5_000);
    let broker = connect(&settings, "here").await;
    proxy.swallow(true);
    assert_eq!(broker.queue.publish(&tickets(1)).await, Err(QueueError::Unconfirmed { timeout_ms: 4_000 }));
    let asked = Instant::now();
    assert_eq!(broker.queue.publish(&tickets(1)).await, Err(QueueError::Away), "at once");
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    proxy.swallow(false);
    eventually("published again", || async { broker.queue.publish(&tickets(1)).await.is_ok() }).await;
    clean(&settings).await;
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_said_at_the_start() {
    let closed = TcpSocket::new_v4().expect("a socket"); // bound and never listening: nobody else gets its port
    closed.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let port = closed.local_addr().expect("an address").port();
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut nowhere = settings(&format!("amqp://guest:guest@127.0.0.1:{port}/%2f"));
    nowhere.connect_timeout_ms = 1_000;
    let refused = Broker::connect(&nowhere, "here", Clock::default()).await.err().expect("nobody is there");
    assert!(matches!(refused, BrokerError::Refused { .. }), "{refused}");
    nowhere.url = format!("amqp://guest:guest@{}/%2f", silent.local_addr().expect("an address"));
    let asked = Instant::now();
    let timed_out = Broker::connect(&nowhere, "here", Clock::default()).await.err().expect("nobody answers");
    assert!(matches!(timed_out, BrokerError::TimedOut { timeout_ms: 1_000, .. }), "{timed_out}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}
