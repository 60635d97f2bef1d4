//! Tells other systems what happened.
use std::sync::Arc;

use super::publisher::Publisher;

/// Publishes domain events; clones share the connection.
#[derive(Clone)]
pub struct EventPublisher {
    publisher: Arc<Publisher>,
}

impl EventPublisher {
    pub(super) const fn new(publisher: Arc<Publisher>) -> Self {
        Self { publisher }
    }
}
