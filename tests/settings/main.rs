//! Settings of a running server: what SIGHUP and administrators change without a restart, what is refused, whose pages may
//! talk to the shop, and TLS of the server itself. All on the real binary with files of its own.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod doors;
mod gateway_keys;
mod nodes;
mod reload;
mod stage;
mod tls;
