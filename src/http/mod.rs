//! The HTTP contract: what a request may say, what is answered, and in which words.

pub mod addresses;
pub mod admin;
pub mod admin_actors;
pub mod admin_messages;
mod admin_orders;
pub mod auth;
pub mod carts;
pub mod categories;
pub mod dependencies;
pub mod envelope;
pub mod error;
pub mod extract;
#[cfg(feature = "failpoints")]
pub mod failpoints;
pub mod fields;
pub mod headers;
pub mod health;
pub mod i18n;
pub mod idempotent;
pub mod notices;
pub mod notify;
pub mod openapi;
pub mod order_json;
pub mod order_reads;
pub mod orders;
pub mod pages;
pub mod payments;
pub mod photos;
pub mod problem;
pub mod product_cards;
pub mod product_forms;
pub mod products;
pub mod refusals;
pub mod rehearsal;
pub mod route_table;
pub mod routes;
pub mod sale_json;
pub mod sales;
pub mod seckill;
pub mod server;
pub mod sessions;
pub mod signing_key;
pub mod state;
#[cfg(test)]
pub(crate) mod testing;
pub mod times;
pub mod trace;
pub mod users;
pub mod ws;
pub mod ws_connection;
pub mod ws_frames;
pub mod ws_tickets;

#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod repeat_tests;

pub use auth::{Admin, Caller, MaybeCaller, Token};
pub use envelope::{ApiResult, Envelope, ok};
pub use error::ApiError;
pub use extract::{Body, Params, Query};
pub use fields::{Fields, FromFields};
pub use pages::{PageOf, PageQuery};
pub use state::AppState;
pub use times::Time;
