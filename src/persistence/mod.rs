//! What outlives the process: one file a table, the SQL ledger, the migrations.

pub mod db;
pub mod dead_tickets;
pub mod effects;
pub mod error;
#[cfg(test)]
pub(crate) mod fixture;
pub mod journal;
pub mod ledger;
pub mod migrations;
pub mod orders;
pub mod outbox;
pub mod payments;
pub mod placing;
pub(crate) mod query;
pub mod sales;
pub mod sql_ledger;
pub mod stock;
pub mod stock_moves;

pub use db::Db;
pub use error::StoreError;
pub use ledger::StockLedger;
pub use sql_ledger::SqlLedger;
