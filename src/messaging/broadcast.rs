//! Messages from a node to all other nodes: the port, and what a listener hears.
//!
//! **Loss is survivable.** A message only says that something durable changed (a commit, a product, a sign-in) or asks
//! a question with a deadline. Each node numbers what it sends; a listener that finds a number missing, whose own line
//! was down, or who lost sight of a sender hears [`Heard::Missed`] and reads again what it shows. So nothing here is
//! stored, repeated or confirmed by receivers.
//!
//! A node does not hear itself: what happened here is delivered here directly, so that it works while the carrier is
//! away, and by the same code that delivers what others say.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

/// Messages heard that may wait for the listener; one more counts as missed.
const WAITING_MAX: usize = 1_024;

/// Carries messages between the nodes of one shop.
#[async_trait]
pub trait Broadcast: Send + Sync {
    /// Tells every other node, in this order; returns when the carrier has them all or cannot take them now.
    ///
    /// # Errors
    /// [`BroadcastError`]: some nodes may have heard it nevertheless; those that did not will notice.
    async fn tell(&self, messages: Vec<Box<RawValue>>) -> Result<(), BroadcastError>;

    /// Tells one node, by the address that it gave with a question. Its loss is not noticed: whoever asked has a
    /// deadline.
    ///
    /// # Errors
    /// [`BroadcastError`].
    async fn answer(&self, address: &str, message: Box<RawValue>) -> Result<(), BroadcastError>;

    /// Where this node can be answered; different in every life of it.
    fn address(&self) -> &str;

    /// Says what is still to be said, takes leave, and stops listening.
    async fn close(&self);
}

/// Why a message did not go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BroadcastError {
    /// The carrier cannot be reached; messages are refused at once until it can.
    #[error("other nodes cannot be reached now")]
    Away,
    /// No answer from the carrier in time.
    #[error("no answer from the carrier in time")]
    TimedOut,
    /// More messages than it can carry.
    #[error("too many messages for other nodes")]
    Full,
}

/// What reaches this node.
#[derive(Debug)]
pub enum Heard {
    /// Said by another node.
    Message(Box<RawValue>),
    /// Something may have been missed: what is shown is to be read again.
    Missed,
}

/// The listening end; one a node.
#[derive(Debug)]
pub struct Hearing {
    receiver: mpsc::Receiver<Heard>,
    is_missed: Arc<AtomicBool>,
}

/// The end that a carrier fills.
#[derive(Clone, Debug)]
pub struct Ear {
    sender: mpsc::Sender<Heard>,
    is_missed: Arc<AtomicBool>,
}

/// A pair of ends.
#[must_use]
pub fn hearing() -> (Ear, Hearing) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let is_missed = Arc::new(AtomicBool::new(false));
    (Ear { sender, is_missed: Arc::clone(&is_missed) }, Hearing { receiver, is_missed })
}

impl Ear {
    /// Hands a message on; a listener that is too slow misses it, and will know.
    pub fn message(&self, message: Box<RawValue>) {
        if self.sender.try_send(Heard::Message(message)).is_err() {
            self.is_missed.store(true, Ordering::Release);
        }
    }

    /// Something may have been missed. Where messages wait the flag is seen with the next of them.
    pub fn missed(&self) {
        if self.sender.try_send(Heard::Missed).is_err() {
            self.is_missed.store(true, Ordering::Release);
        }
    }
}

impl Hearing {
    /// The next thing heard; `None` once nobody can say anything any more.
    pub async fn next(&mut self) -> Option<Heard> {
        if self.is_missed.swap(false, Ordering::AcqRel) {
            return Some(Heard::Missed);
        }
        self.receiver.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: usize) -> Box<RawValue> {
        serde_json::value::to_raw_value(&number).unwrap()
    }

    #[actix_rt::test]
    async fn a_slow_listener_is_told_that_it_missed_something() {
        let (ear, mut hearing) = hearing();
        for number in 0..=WAITING_MAX {
            ear.message(text(number));
        }
        assert!(matches!(hearing.next().await, Some(Heard::Missed)));
        for number in 0..WAITING_MAX {
            let Some(Heard::Message(message)) = hearing.next().await else { panic!("message {number}") };
            assert_eq!(message.get(), number.to_string());
        }
        drop(ear);
        assert!(hearing.next().await.is_none());
    }
}
