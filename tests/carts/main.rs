//! The contract of a cart store, as functions over `&dyn CartStore`: run on the database, on Redis and on a Redis
//! Cluster; then what Redis carts alone have, checkouts whose lines lie aside.

#![allow(dead_code, reason = "of what is shared this file uses a part")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/cut_wire.rs"]
mod cut_wire;
#[path = "../support/services.rs"]
mod services;

mod aside;
mod bench;
mod contract;
mod moving;
