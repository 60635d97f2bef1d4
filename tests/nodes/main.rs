//! Several nodes of one shop: what one does the others tell, though messages, Redis or nodes are lost.
//!
//! The nodes run in this process, over a real Redis and a real database: `RUSHMALL_TEST_REDIS_URL`,
//! `RUSHMALL_TEST_AMQP_URL`, and `RUSHMALL_TEST_MYSQL_URL` and `RUSHMALL_TEST_POSTGRES_URL` (each is tested). Without
//! them the tests are not run; with `RUSHMALL_TEST_SERVICES=1` that fails.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod commands;
mod drift;
mod full;
mod health;
mod losses;
mod low_stock;
mod notices;
mod outbox;
#[cfg(feature = "failpoints")]
mod paused;
mod pushes;
mod rebuilds;
mod registry;
mod repair;
mod resume;
mod upgrade;
