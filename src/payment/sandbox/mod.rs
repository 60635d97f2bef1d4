//! The sandbox gateway.

pub mod ledger;
pub mod rules;
