//! The order queue of the embedded shop: a bounded channel of ticket batches.
//!
//! What is in it when the process dies is not lost: every ticket stays in the ledger, which is the outbox, until its
//! order is written, and the sweep publishes it again. For the same reason a full queue refuses without harm, a
//! delivery that nobody acknowledged is forgotten, and of the dead messages only the latest are kept.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::order_queue::{DEAD_CONTENT_CHARS_MAX, DeadMessage, Delivery, OrderQueue, QueueError, Receipt, TRACES_MAX};
use super::ticket_message;
use crate::clock::Clock;
use crate::domain::stock::Ticket;
use crate::trace_context;

/// Batches that wait for the order writer; each holds at most `orders.batch_tickets_max` tickets.
const BATCHES_MAX: usize = 4_096;
/// Dead messages kept; the oldest goes when one more comes.
const DEAD_MAX: usize = 1_000;

struct Batch {
    tickets: Vec<Ticket>,
    attempts: u32,
    /// Of whoever published it.
    traceparent: Option<String>,
}

/// The queue inside one process.
pub struct InProcessQueue {
    /// Gone once closed.
    sender: Mutex<Option<mpsc::Sender<Batch>>>,
    receiver: tokio::sync::Mutex<mpsc::Receiver<Batch>>,
    dead: Mutex<VecDeque<(DeadMessage, Vec<Ticket>)>>,
    /// Deliveries and dead messages are numbered by it.
    last_tag: AtomicU64,
    /// Batches published and not acknowledged, those of the delivery that is out among them.
    pending: AtomicU64,
    /// Batches of the delivery that is out.
    out: AtomicU64,
    deliveries_max: u32,
    node: String,
    clock: Clock,
}

impl InProcessQueue {
    /// An empty queue that gives tickets up after `deliveries_max` deliveries.
    #[must_use]
    pub fn new(deliveries_max: u32, node: String, clock: Clock) -> Self {
        let (sender, receiver) = mpsc::channel(BATCHES_MAX);
        Self {
            sender: Mutex::new(Some(sender)),
            receiver: tokio::sync::Mutex::new(receiver),
            dead: Mutex::default(),
            last_tag: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            out: AtomicU64::new(0),
            deliveries_max,
            node,
            clock,
        }
    }

    fn send(&self, batch: Batch) -> Result<(), QueueError> {
        let sender = lock(&self.sender);
        let sender = sender.as_ref().ok_or(QueueError::Closed)?;
        self.pending.fetch_add(1, Ordering::AcqRel);
        sender.try_send(batch).map_err(|error| {
            self.pending.fetch_sub(1, Ordering::AcqRel);
            match error {
                TrySendError::Full(_) => QueueError::Full,
                TrySendError::Closed(_) => QueueError::Closed,
            }
        })
    }

    /// The delivery that is out is dealt with, one way or the other.
    fn forget_delivery(&self) {
        self.pending.fetch_sub(self.out.swap(0, Ordering::AcqRel), Ordering::AcqRel);
    }

    fn next_tag(&self) -> u64 {
        self.last_tag.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn bury(&self, Batch { tickets, attempts, .. }: Batch, reason: &str) {
        tracing::error!(tickets = tickets.len(), attempts, reason, "message moved to the dead messages");
        let text = String::from_utf8_lossy(&ticket_message::write(&tickets)).into_owned();
        let dead = DeadMessage {
            id: format!("{}-{}", self.node, self.next_tag()),
            reason: reason.to_owned(),
            attempts,
            tickets: Some(tickets.len()),
            node: self.node.clone(),
            at_ms: self.clock.now_ms(),
            content: text.chars().take(DEAD_CONTENT_CHARS_MAX).collect(),
        };
        let mut all = lock(&self.dead);
        if all.len() >= DEAD_MAX {
            all.pop_front();
        }
        all.push_back((dead, tickets));
    }
}

#[async_trait]
impl OrderQueue for InProcessQueue {
    async fn publish(&self, tickets: &[Ticket]) -> Result<(), QueueError> {
        self.send(Batch { tickets: tickets.to_vec(), attempts: 0, traceparent: trace_context::current() })
    }

    async fn receive(&self, tickets_max: usize) -> Result<Delivery, QueueError> {
        self.forget_delivery();
        let mut receiver = self.receiver.lock().await;
        let Batch { mut tickets, mut attempts, traceparent } = receiver.recv().await.ok_or(QueueError::Closed)?;
        let mut traceparents: Vec<String> = traceparent.into_iter().collect();
        self.out.fetch_add(1, Ordering::AcqRel);
        while tickets.len() < tickets_max {
            let Ok(more) = receiver.try_recv() else { break };
            self.out.fetch_add(1, Ordering::AcqRel);
            attempts = attempts.max(more.attempts);
            tickets.extend(more.tickets);
            if traceparents.len() < TRACES_MAX {
                traceparents.extend(more.traceparent);
            }
        }
        let receipt = Receipt { session: 0, tag: self.next_tag(), attempts };
        Ok(Delivery { tickets, receipt, traceparents })
    }

    async fn acknowledge(&self, _receipt: Receipt) -> Result<(), QueueError> {
        self.forget_delivery();
        Ok(())
    }

    async fn give_back(&self, receipt: Receipt, tickets: Vec<Ticket>, reason: &str) -> Result<(), QueueError> {
        let batch = Batch { tickets, attempts: receipt.attempts + 1, traceparent: None };
        let outcome = if batch.attempts >= self.deliveries_max {
            self.bury(batch, reason);
            Ok(())
        } else {
            self.send(batch)
        };
        self.forget_delivery();
        outcome
    }

    async fn depth(&self) -> Result<u64, QueueError> {
        let waiting = lock(&self.sender).as_ref().map_or(0, |sender| sender.max_capacity() - sender.capacity());
        Ok(waiting as u64)
    }

    async fn is_idle(&self) -> Result<bool, QueueError> {
        Ok(self.pending.load(Ordering::Acquire) == 0)
    }

    async fn dead_messages(&self, limit: usize) -> Result<Vec<DeadMessage>, QueueError> {
        Ok(lock(&self.dead).iter().take(limit).map(|(dead, _)| dead.clone()).collect())
    }

    async fn replay_dead(&self, id: &str) -> Result<bool, QueueError> {
        let mut all = lock(&self.dead);
        let Some(index) = all.iter().position(|(dead, _)| dead.id == id) else { return Ok(false) };
        self.send(Batch { tickets: all[index].1.clone(), attempts: 0, traceparent: None })?;
        all.remove(index);
        Ok(true)
    }

    async fn probe(&self) -> Result<(), QueueError> {
        lock(&self.sender).as_ref().map(|_| ()).ok_or(QueueError::Closed)
    }

    fn outlives_process(&self) -> bool {
        false
    }

    async fn close(&self) {
        lock(&self.sender).take();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
