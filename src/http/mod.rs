//! The HTTP contract: what a request may say, what is answered, and in which words.

pub mod addresses;
pub mod auth;
pub mod carts;
pub mod categories;
pub mod envelope;
pub mod error;
pub mod extract;
pub mod fields;
pub mod headers;
pub mod health;
pub mod i18n;
pub mod idempotent;
pub mod notices;
pub mod openapi;
pub mod pages;
pub mod passwords;
pub mod problem;
pub mod product_forms;
pub mod products;
pub mod route_table;
pub mod routes;
pub mod server;
pub mod sessions;
pub mod signing_key;
pub mod state;
pub mod times;
pub mod trace;
pub mod users;

pub use auth::{Admin, Caller, MaybeCaller, Token};
pub use envelope::{ApiResult, Envelope, ok};
pub use error::ApiError;
pub use extract::{Body, Params, Query};
pub use fields::{Fields, FromFields};
pub use pages::{PageOf, PageQuery};
pub use state::AppState;
pub use times::Time;
