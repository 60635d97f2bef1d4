//! A broker that is killed, and one that takes no messages.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rushmall::domain::OrderNo;
use rushmall::messaging::rabbitmq::Broker;
use rushmall::messaging::{OrderQueue, QueueError};

use crate::bench::{TO_BE_REMEMBERED, amqp_url, connect, drain, eventually, numbers, receive, settings, tickets};
use crate::broker::PrivateBroker;

/// What a publisher was told.
pub struct Heard {
    pub confirmed: BTreeSet<OrderNo>,
    pub refused: usize,
}

/// Publishes while `trouble` lasts, which sees how many messages are confirmed, and until one is confirmed after it;
/// whatever was confirmed must be delivered.
pub async fn publish_through(broker: &Broker, trouble: impl AsyncFnOnce(&AtomicUsize)) -> Heard {
    let (is_over, confirmed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let publishing = async {
        let mut heard = Heard { confirmed: BTreeSet::new(), refused: 0 };
        loop {
            let was_over = is_over.load(Ordering::SeqCst);
            let batch = tickets(16);
            match broker.queue.publish(&batch).await {
                Ok(()) if was_over => {
                    heard.confirmed.extend(numbers(&batch));
                    return heard;
                }
                Ok(()) => {
                    heard.confirmed.extend(numbers(&batch));
                    confirmed.fetch_add(1, Ordering::SeqCst);
                }
                Err(_) => heard.refused += 1,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let trouble = async {
        trouble(&confirmed).await;
        is_over.store(true, Ordering::SeqCst);
    };
    let (heard, ()) = tokio::join!(publishing, trouble);
    let delivered = drain(&*broker.queue, &heard.confirmed).await;
    assert!(heard.confirmed.is_subset(&numbers(&delivered)), "every confirmed ticket was delivered");
    heard
}

/// Waits until the broker has told that it takes no messages.
pub async fn until_blocked(broker: &Broker) {
    eventually("blocked", || async {
        matches!(broker.queue.publish(&tickets(1)).await, Err(QueueError::Blocked { .. }))
    })
    .await;
}

#[tokio::test]
async fn r6_a_broker_killed_in_mid_publish_loses_nothing_that_it_confirmed() {
    if amqp_url().is_none() {
        return;
    }
    let server = PrivateBroker::start().await;
    let broker = connect(&settings(&server.url), "here").await;
    tokio::time::sleep(TO_BE_REMEMBERED).await;
    let heard = publish_through(&broker, async |confirmed: &AtomicUsize| {
        eventually("published", || async { confirmed.load(Ordering::SeqCst) > 10 }).await;
        server.kill().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.restart().await;
    })
    .await;
    assert!(heard.refused > 0 && heard.confirmed.len() > 100, "{} refused", heard.refused);
    broker.queue.close().await;
}

#[tokio::test]
async fn r61_an_alarm_of_the_broker_refuses_at_once_and_ends_by_itself() {
    if amqp_url().is_none() {
        return;
    }
    let server = PrivateBroker::start().await;
    let broker = connect(&settings(&server.url), "here").await;
    let before = tickets(10);
    broker.queue.publish(&before).await.expect("published");
    server.alarm(true).await;
    until_blocked(&broker).await;
    let asked = Instant::now();
    let refused = broker.queue.publish(&tickets(1)).await;
    assert!(matches!(refused, Err(QueueError::Blocked { .. })), "{refused:?}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let delivery = receive(&*broker.queue, 256).await;
    assert!(numbers(&delivery.tickets).is_superset(&numbers(&before)), "what is there can be consumed");
    broker.queue.acknowledge(delivery.receipt).await.expect("acknowledged");
    tokio::time::sleep(Duration::from_secs(12)).await; // longer than two heartbeats
    assert!(matches!(broker.queue.publish(&tickets(1)).await, Err(QueueError::Blocked { .. })), "still");
    server.alarm(false).await;
    let after = tickets(10);
    eventually("published again", || async { broker.queue.publish(&after).await.is_ok() }).await;
    drain(&*broker.queue, &numbers(&after)).await;
    broker.queue.close().await;
}
