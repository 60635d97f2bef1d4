//! The races of docs/RELIABILITY.md, row by row, against a running server: what many people do at the same moment, and
//! what of it must come out exactly once. `tests/crash` kills the process; here it lives.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod carts;
mod claims;
mod clocks;
mod counting;
mod delivery;
mod endings;
mod keys;
mod live;
mod mixing;
mod overload;
mod poison;
mod redis_carts;
mod secrets;
