//! What outlives the process: one file a table, the SQL ledger, the migrations.

pub mod addresses;
pub mod audit;
pub mod carts;
pub mod categories;
#[cfg(test)]
mod crowd;
pub mod db;
pub mod dead_tickets;
pub mod effects;
pub mod error;
#[cfg(test)]
pub(crate) mod fixture;
pub mod idempotency;
pub mod journal;
pub mod ledger;
pub mod migrations;
pub mod orders;
pub mod outbox;
pub mod page;
pub mod payments;
pub mod placing;
pub mod positions;
pub mod product_list;
pub mod products;
pub(crate) mod query;
pub mod recovering;
pub mod recovery;
pub mod rehearsal;
pub mod sales;
pub mod sessions;
pub mod sql_ledger;
pub mod stock;
pub mod stock_moves;
#[cfg(test)]
pub(crate) mod testing;
pub mod users;

pub use db::Db;
pub use error::StoreError;
pub use ledger::StockLedger;
pub use page::Page;
pub use recovering::Recovering;
pub use sql_ledger::SqlLedger;

use page::contains;
