//! The port of the order queue: accepted tickets on their way to the order writers, at least once.
//!
//! [`in_process`](super::in_process) carries them inside one process (the SQL ledger is the durable outbox behind it),
//! [`rabbitmq`](super::rabbitmq) between nodes. Both pass the contract of tests/queue. A ticket may come twice, on any
//! node, in any order: whoever consumes makes that harmless by the order number.
//!
//! One consumer a node: it receives a delivery, writes it, and hands the receipt back; receiving the next one gives up
//! what became of the last (a consumer that died), which then comes again, from the queue or by the sweep.

use async_trait::async_trait;

use crate::domain::stock::Ticket;

/// Carries accepted tickets to the order writers.
#[async_trait]
pub trait OrderQueue: Send + Sync {
    /// Publishes a batch of accepted tickets; returns when it is as safe as this queue can make it.
    ///
    /// # Errors
    /// [`QueueError`]: the tickets may or may not be in the queue; they stay owed in the ledger.
    async fn publish(&self, tickets: &[Ticket]) -> Result<(), QueueError>;

    /// Waits for tickets and takes what is there, whole batches, about `tickets_max` at most. Safe to drop while it
    /// waits: what it had taken comes again.
    ///
    /// # Errors
    /// [`QueueError::Away`] if the queue cannot be reached for a while, [`QueueError::Closed`] once it is closed and
    /// empty.
    async fn receive(&self, tickets_max: usize) -> Result<Delivery, QueueError>;

    /// Every order of the delivery is written: forget it.
    ///
    /// # Errors
    /// [`QueueError`]: the delivery may come again.
    async fn acknowledge(&self, receipt: Receipt) -> Result<(), QueueError>;

    /// `tickets` of the delivery could not be written: they come again with one more attempt on their account, or go to
    /// the dead messages when they had too many. The rest is forgotten.
    ///
    /// # Errors
    /// [`QueueError`]: the whole delivery may come again.
    async fn give_back(&self, receipt: Receipt, tickets: Vec<Ticket>, reason: &str) -> Result<(), QueueError>;

    /// Messages (batches of tickets) that wait for a consumer.
    ///
    /// # Errors
    /// [`QueueError`] if that cannot be found out now.
    async fn depth(&self) -> Result<u64, QueueError>;

    /// True if nothing waits in the queue, nothing is being published here, and this node has acknowledged all that it
    /// received. What other nodes have received and not acknowledged they must be asked for.
    ///
    /// # Errors
    /// [`QueueError`] if that cannot be found out now.
    async fn is_idle(&self) -> Result<bool, QueueError>;

    /// Messages that were given up, oldest first; looking does not remove them.
    ///
    /// # Errors
    /// [`QueueError`] if that cannot be found out now.
    async fn dead_messages(&self, limit: usize) -> Result<Vec<DeadMessage>, QueueError>;

    /// Puts a dead message back into the queue with no attempts on its account; false if there is none of this id.
    ///
    /// # Errors
    /// [`QueueError`]: it is among the dead messages still, or both there and in the queue.
    async fn replay_dead(&self, id: &str) -> Result<bool, QueueError>;

    /// Whether messages can be published and received now, asked of whoever carries them. Disturbs nothing, however
    /// early it is dropped.
    ///
    /// # Errors
    /// [`QueueError`]: why not.
    async fn probe(&self) -> Result<(), QueueError>;

    /// True if what waits survives this process, so that it need not be emptied at shutdown.
    fn outlives_process(&self) -> bool;

    /// Lets go of the queue: no publishing from here on. Repeating it changes nothing.
    async fn close(&self);
}

/// Most traces that one delivery continues.
pub const TRACES_MAX: usize = 64;

/// Tickets handed to the consumer.
#[derive(Debug)]
pub struct Delivery {
    /// Of one or several messages, in no particular order.
    pub tickets: Vec<Ticket>,
    /// To be handed back.
    pub receipt: Receipt,
    /// W3C `traceparent` of whoever published each message, if he said; of the first [`TRACES_MAX`] of them.
    pub traceparents: Vec<String>,
}

/// Stands for one delivery; handed back once.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Connection on which it came; a receipt of an earlier one is stale.
    pub(super) session: u64,
    /// Last message of the delivery.
    pub(super) tag: u64,
    /// Most attempts that any of its messages had before this one.
    pub(super) attempts: u32,
}

impl Receipt {
    /// How often its tickets were delivered before, at most.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadMessage {
    /// Its identity, for a replay.
    pub id: String,
    /// Why it was given up.
    pub reason: String,
    /// How often it was delivered.
    pub attempts: u32,
    /// Tickets in it; `None` if it cannot be read.
    pub tickets: Option<usize>,
    /// The node that gave it up.
    pub node: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Beginning of the content, up to [`DEAD_CONTENT_CHARS_MAX`] characters.
    pub content: String,
}

/// Longest content of a dead message that is shown.
pub const DEAD_CONTENT_CHARS_MAX: usize = 500;

/// Why the queue did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// As many batches wait as the process may hold. Only of a queue whose ledger is the durable outbox: harmless.
    #[error("the order queue is full")]
    Full,
    /// The broker takes no messages (memory or disk alarm).
    #[error("the broker takes no messages: {reason}")]
    Blocked {
        /// What the broker said.
        reason: String,
    },
    /// There is no connection to the broker now.
    #[error("no connection to the broker")]
    Away,
    /// The broker did not confirm in time: the message may or may not be in the queue.
    #[error("the broker did not confirm in {timeout_ms} ms")]
    Unconfirmed {
        /// How long was waited.
        timeout_ms: u64,
    },
    /// The broker refused the message, or has no queue for it.
    #[error("the broker refused the message: {reason}")]
    Refused {
        /// What the broker said.
        reason: String,
    },
    /// The receipt is of a connection that is gone: its delivery comes again.
    #[error("the delivery belongs to a connection that is gone")]
    Stale,
    /// The queue was closed here.
    #[error("the queue is closed")]
    Closed,
}

impl QueueError {
    /// A label with few values, for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Blocked { .. } => "blocked",
            Self::Away => "away",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Refused { .. } => "refused",
            Self::Stale => "stale",
            Self::Closed => "closed",
        }
    }

    /// What an operator is told of a broker that cannot be used: `blocked` or `unreachable`.
    #[must_use]
    pub const fn outage(&self) -> &'static str {
        match self {
            Self::Full | Self::Blocked { .. } => "blocked",
            _ => "unreachable",
        }
    }
}
