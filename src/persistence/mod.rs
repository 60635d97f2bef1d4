//! What outlives the process: one file a table, both stock ledgers, the migrations.

pub mod access;
pub mod addresses;
pub mod audit;
pub mod backlog;
pub mod bill_differences;
pub mod bill_runs;
pub mod billed;
pub mod carts;
pub mod categories;
pub mod choice;
#[cfg(test)]
mod crowd;
pub mod daily;
pub mod db;
pub mod dead_tickets;
pub mod drift;
pub mod effects;
pub mod error;
#[cfg(test)]
pub(crate) mod fixture;
pub mod gathered;
pub mod idempotency;
pub mod journal;
pub mod lags;
pub mod leases;
pub mod ledger;
pub mod ledger_accounts;
pub mod limits;
pub mod migrations;
pub mod money_log;
pub mod notices;
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
pub mod redis_ledger;
pub mod rehearsal;
pub mod sale_rooms;
pub mod sales;
pub mod sessions;
pub mod sold_out;
pub mod sql_ledger;
pub mod stock;
pub mod stock_history;
pub mod stock_moves;
#[cfg(test)]
pub(crate) mod testing;
pub mod uploads;
pub mod users;
pub mod waiting_rooms;
pub mod webhook_targets;
pub mod webhooks;

pub use carts::{CartStore, RedisCarts, SqlCarts};
pub use choice::{nothing_under_way, open_bare_ledger, open_ledger};
pub use db::Db;
pub use error::StoreError;
pub use leases::{Holders, Lease};
pub use ledger::StockLedger;
pub use limits::{MemoryLimiter, RateLimiter, RedisLimiter};
pub use page::Page;
pub use recovering::Recovering;
pub use redis_ledger::RedisLedger;
pub use sql_ledger::SqlLedger;

use page::contains;
