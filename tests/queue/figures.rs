//! How many tickets a second a publisher gets confirmed and a consumer acknowledged, and in how many messages.

use std::time::Instant;

use futures::StreamExt;
use futures::stream;
use rushmall::domain::stock::Ticket;
use rushmall::messaging::OrderQueue;

use crate::bench::{amqp_url, clean, connect, eventually, receive, settings, tickets};

const IN_FLIGHT: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_tickets_costs_one_message() {
    let Some(url) = amqp_url() else { return };
    for (size, count) in [(1, 500), (64, 300), (256, 100)] {
        let settings = settings(&url);
        let broker = connect(&settings, "here").await;
        let batches: Vec<Vec<Ticket>> = (0..count).map(|_| tickets(size)).collect();
        let started = Instant::now();
        let published = stream::iter(&batches).map(|batch| broker.queue.publish(batch)).buffer_unordered(IN_FLIGHT);
        let published: Vec<_> = published.collect().await;
        assert!(published.iter().all(Result::is_ok));
        let publishing = started.elapsed();
        let messages_left = (count - usize::from(settings.prefetch_messages)) as u64;
        eventually("a message a batch, less what is prefetched", || async {
            broker.queue.depth().await == Ok(messages_left)
        })
        .await;
        let (started, mut received, mut deliveries) = (Instant::now(), 0, 0);
        while received < size * count {
            let delivery = receive(&*broker.queue, 256).await;
            (received, deliveries) = (received + delivery.tickets.len(), deliveries + 1);
            broker.queue.acknowledge(delivery.receipt).await.expect("acknowledged");
        }
        let consuming = started.elapsed();
        assert_eq!(received, size * count);
        eventually("idle", || async { broker.queue.is_idle().await == Ok(true) }).await;
        let per_second = |elapsed: std::time::Duration| (received as f64 / elapsed.as_secs_f64()) as u64;
        eprintln!(
            "{size:>3} tickets a message, {IN_FLIGHT} in flight: {} tickets/s confirmed, {} tickets/s consumed in {deliveries} deliveries",
            per_second(publishing),
            per_second(consuming),
        );
        clean(&settings).await;
    }
}
