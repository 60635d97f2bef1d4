//! The broadcast of the embedded shop: there is nobody else to tell.

use async_trait::async_trait;
use serde_json::value::RawValue;

use super::broadcast::{Broadcast, BroadcastError, Ear, Hearing, hearing};

/// A shop of one node.
#[derive(Debug)]
pub struct OneNode {
    /// Kept so that listening waits instead of ending.
    _ear: Ear,
}

impl OneNode {
    /// The broadcast, and the end on which nothing is ever heard.
    #[must_use]
    pub fn new() -> (Self, Hearing) {
        let (ear, hearing) = hearing();
        (Self { _ear: ear }, hearing)
    }
}

#[async_trait]
impl Broadcast for OneNode {
    async fn tell(&self, _messages: Vec<Box<RawValue>>) -> Result<(), BroadcastError> {
        Ok(())
    }

    async fn answer(&self, _address: &str, _message: Box<RawValue>) -> Result<(), BroadcastError> {
        Ok(())
    }

    fn address(&self) -> &'static str {
        ""
    }

    async fn close(&self) {}
}
