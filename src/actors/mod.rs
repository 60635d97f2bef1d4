//! The supervised actors and the loops beside them; every purchase passes through here.
//!
//! session (per user) -> inventory (per product) -> ledger; order queue -> order writer; order saga (per order);
//! relay -> listener -> feed -> session, and by `peers` to the listeners of other nodes. `kit` supervises them all.

pub mod announcer;
pub mod background;
pub mod checkout;
pub mod click_sharing;
pub mod consumer;
pub mod control;
pub mod feed;
pub mod gaps;
pub mod inventory;
pub mod kit;
pub mod listener;
mod order_effects;
pub mod order_saga;
pub mod order_writer;
pub mod payments;
pub mod peers;
pub mod relay;
pub mod session;
pub mod shop;
pub mod sweep;
pub mod token_bucket;

use crate::persistence::StoreError;

impl From<StoreError> for kit::LoadError {
    fn from(error: StoreError) -> Self {
        if error.is_transient() { Self::Transient(error.to_string()) } else { Self::Permanent(error.to_string()) }
    }
}
