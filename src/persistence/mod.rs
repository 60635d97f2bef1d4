//! What outlives the process: one file a table, the SQL ledger, the migrations.

pub mod db;
pub mod error;
pub mod migrations;

pub use db::Db;
pub use error::StoreError;
