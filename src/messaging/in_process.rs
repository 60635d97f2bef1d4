//! The order queue of the embedded shop: a bounded channel of ticket batches.
//!
//! What is in it when the process dies is not lost: every ticket stays in the ledger, which is the outbox, until its
//! order is written, and the sweep publishes it again. For the same reason a full queue refuses without harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use crate::domain::stock::Ticket;

/// Batches that wait for the order writer; each holds at most `orders.batch_tickets_max` tickets.
const BATCHES_MAX: usize = 4_096;

/// The publishing end; clones share the queue.
#[derive(Clone, Debug)]
pub struct OrderQueue {
    sender: mpsc::Sender<Vec<Ticket>>,
    depth: Arc<AtomicUsize>,
}

/// The consuming end.
#[derive(Debug)]
pub struct TicketStream {
    receiver: mpsc::Receiver<Vec<Ticket>>,
    depth: Arc<AtomicUsize>,
}

/// Makes an empty queue.
#[must_use]
pub fn order_queue() -> (OrderQueue, TicketStream) {
    let (sender, receiver) = mpsc::channel(BATCHES_MAX);
    let depth = Arc::new(AtomicUsize::new(0));
    (OrderQueue { sender, depth: Arc::clone(&depth) }, TicketStream { receiver, depth })
}

impl OrderQueue {
    /// Publishes a batch of accepted tickets. False if the queue is full or shut: the tickets stay owed in the ledger
    /// and are published again by the sweep.
    pub fn publish(&self, tickets: Vec<Ticket>) -> bool {
        let count = tickets.len();
        let is_queued = self.sender.try_send(tickets).is_ok();
        if is_queued {
            self.depth.fetch_add(count, Ordering::Relaxed);
        }
        is_queued
    }

    /// Tickets published and not yet taken.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }
}

impl TicketStream {
    /// Waits for tickets and takes what is there, whole batches, about `tickets_max` at most. Empty once every
    /// publisher is gone.
    pub async fn next(&mut self, tickets_max: usize) -> Vec<Ticket> {
        let Some(mut tickets) = self.receiver.recv().await else { return Vec::new() };
        while tickets.len() < tickets_max {
            let Ok(more) = self.receiver.try_recv() else { break };
            tickets.extend(more);
        }
        self.depth.fetch_sub(tickets.len(), Ordering::Relaxed);
        tickets
    }
}
