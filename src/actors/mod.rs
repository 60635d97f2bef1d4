//! The supervised actors and the loops beside them; every purchase passes through here.
//!
//! session (per user) -> inventory (per product) -> ledger; order queue -> order writer; order saga (per order);
//! relay -> listener -> feed -> session, and by `peers` to the listeners of other nodes. `kit` supervises them all.

pub mod alerts;
pub mod announcer;
pub mod background;
pub mod bucket_table;
pub mod checkout;
pub mod click_sharing;
pub mod consumer;
pub mod control;
pub mod controls;
pub mod feed;
pub mod gaps;
pub mod inventory;
pub mod kit;
pub mod listener;
pub mod live;
mod notary;
mod order_effects;
pub mod order_saga;
pub mod order_writer;
pub mod payments;
pub mod peers;
pub mod process_figures;
pub mod rate_limits;
pub mod reconciliation;
pub mod relay;
pub mod sale_rooms;
pub mod session;
pub mod settings_lever;
pub mod shop;
pub mod stock_board;
pub mod sweep;
pub mod token_bucket;
pub mod waiting_room;
pub mod webhooks;

use crate::persistence::StoreError;

impl From<StoreError> for kit::LoadError {
    fn from(error: StoreError) -> Self {
        if error.is_transient() { Self::Transient(error.to_string()) } else { Self::Permanent(error.to_string()) }
    }
}
