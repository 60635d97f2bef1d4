//! What outlives the process: one file a table, the SQL ledger, the migrations.

pub mod addresses;
pub mod audit;
pub mod carts;
pub mod categories;
pub mod db;
pub mod error;
pub mod migrations;
pub mod page;
pub mod product_list;
pub mod products;
pub mod sessions;
pub mod users;

pub use db::Db;
pub use error::StoreError;
pub use page::Page;

use page::contains;
