//! The real binary, killed: at random in the middle of a sale, at every crash point, by SIGTERM; and panics inside it.
//!
//! docs/RELIABILITY.md lists what each test proves. Run with `--features failpoints`, as `make test` does.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "failpoints")]
mod carts;
#[cfg(feature = "failpoints")]
mod chapters;
#[cfg(feature = "failpoints")]
mod money;
#[cfg(feature = "failpoints")]
mod panics;
#[cfg(feature = "failpoints")]
mod points;
mod rush;
#[cfg(feature = "failpoints")]
mod script;
mod stop;
