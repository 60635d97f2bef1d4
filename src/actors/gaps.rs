//! Counts the moments after which this node may have missed what other nodes said, or one of its sessions what this node
//! said.
//!
//! Whoever shows or remembers something that other nodes can change looks here: sockets wait for the next moment and
//! read from the journal what they were not told; others compare the count with the one they read at.

use std::sync::Arc;

use tokio::sync::watch;

/// The count; clones share it.
#[derive(Clone, Debug)]
pub struct Gaps(Arc<watch::Sender<u64>>);

impl Default for Gaps {
    fn default() -> Self {
        Self(Arc::new(watch::channel(0).0))
    }
}

impl Gaps {
    /// Something may have been missed until now.
    pub fn note(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        *self.0.borrow()
    }

    /// Sees every later one (several at once are one).
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
