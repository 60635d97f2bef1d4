//! What every order queue promises, run on both.

use std::collections::BTreeSet;

use rushmall::clock::Clock;
use rushmall::domain::OrderNo;
use rushmall::domain::stock::Ticket;
use rushmall::messaging::{InProcessQueue, OrderQueue, QueueError};

use crate::bench::{DELIVERIES_MAX, amqp_url, clean, connect, drain, eventually, numbers, receive, settings, tickets};

#[tokio::test]
async fn the_queue_in_the_process_keeps_the_contract() {
    keeps_the_contract(&InProcessQueue::new(DELIVERIES_MAX, "here".to_owned(), Clock::default())).await;
}

#[tokio::test]
async fn the_queue_on_rabbitmq_keeps_the_contract() {
    let Some(url) = amqp_url() else { return };
    let settings = settings(&url);
    let broker = connect(&settings, "here").await;
    assert!(broker.queue.outlives_process());
    keeps_the_contract(&*broker.queue).await;
    clean(&settings).await;
}

async fn keeps_the_contract(queue: &dyn OrderQueue) {
    assert_eq!(queue.probe().await, Ok(()));
    what_is_published_is_delivered_whole(queue).await;
    what_is_out_is_not_idle(queue).await;
    what_is_given_back_comes_again_alone(queue).await;
    what_is_given_back_too_often_is_dead_until_replayed(queue).await;
    queue.close().await;
    queue.close().await;
    assert_eq!(queue.publish(&tickets(1)).await, Err(QueueError::Closed));
    assert_eq!(queue.probe().await, Err(QueueError::Closed));
}

async fn is_idle(queue: &dyn OrderQueue) {
    eventually("the queue is idle", || async { queue.is_idle().await == Ok(true) && queue.depth().await == Ok(0) })
        .await;
}

async fn what_is_published_is_delivered_whole(queue: &dyn OrderQueue) {
    is_idle(queue).await;
    let batches: Vec<Vec<Ticket>> = [1, 64, 256, 300, 7].map(tickets).into();
    for batch in &batches {
        queue.publish(batch).await.expect("published");
    }
    let published: Vec<Ticket> = batches.concat();
    let mut received = drain(queue, &numbers(&published)).await;
    received.sort_by_key(|ticket| ticket.claim.order_no);
    assert_eq!(received, published, "once each, as they were");
    is_idle(queue).await;
}

async fn what_is_out_is_not_idle(queue: &dyn OrderQueue) {
    queue.publish(&tickets(2)).await.expect("published");
    assert_eq!(queue.is_idle().await, Ok(false), "published");
    let delivery = receive(queue, 256).await;
    assert_eq!(queue.is_idle().await, Ok(false), "received");
    queue.acknowledge(delivery.receipt).await.expect("acknowledged");
    is_idle(queue).await;
}

async fn what_is_given_back_comes_again_alone(queue: &dyn OrderQueue) {
    let batch = tickets(5);
    queue.publish(&batch).await.expect("published");
    let delivery = receive(queue, 256).await;
    assert_eq!((delivery.tickets.len(), delivery.receipt.attempts()), (5, 0));
    queue.give_back(delivery.receipt, batch[3..].to_vec(), "a test").await.expect("given back");
    let again = receive(queue, 256).await;
    assert_eq!((numbers(&again.tickets), again.receipt.attempts()), (numbers(&batch[3..]), 1));
    queue.acknowledge(again.receipt).await.expect("acknowledged");
    is_idle(queue).await;
}

async fn what_is_given_back_too_often_is_dead_until_replayed(queue: &dyn OrderQueue) {
    let (bad, good) = (tickets(3), tickets(3));
    queue.publish(&bad).await.expect("published");
    for _ in 0..DELIVERIES_MAX {
        let delivery = receive(queue, 256).await;
        queue.give_back(delivery.receipt, bad.clone(), "it is bad").await.expect("given back");
    }
    queue.publish(&good).await.expect("published");
    assert_eq!(numbers(&drain(queue, &numbers(&good)).await), numbers(&good), "others proceed");
    let dead = queue.dead_messages(10).await.expect("the dead");
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].tickets, dead[0].attempts, &*dead[0].node), (Some(3), DELIVERIES_MAX, "here"));
    assert!(dead[0].reason.starts_with("it is bad") && dead[0].content.contains(&bad[0].claim.order_no.to_string()));
    assert_eq!(queue.dead_messages(10).await.expect("the dead"), dead, "looking takes nothing away");
    assert_eq!(queue.replay_dead("nobody").await, Ok(false));
    assert_eq!(queue.replay_dead(&dead[0].id).await, Ok(true));
    assert_eq!(queue.replay_dead(&dead[0].id).await, Ok(false));
    let replayed = receive(queue, 256).await;
    assert_eq!((numbers(&replayed.tickets), replayed.receipt.attempts()), (numbers(&bad), 0));
    queue.acknowledge(replayed.receipt).await.expect("acknowledged");
    assert_eq!(queue.dead_messages(10).await.expect("the dead"), Vec::new());
    is_idle(queue).await;
    let nothing: BTreeSet<OrderNo> = BTreeSet::new();
    assert_eq!(drain(queue, &nothing).await, Vec::new());
}
