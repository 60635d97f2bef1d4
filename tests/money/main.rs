//! Money against the sandbox gateway, row by row of docs/RELIABILITY.md: real signatures, real HTTP, the gateway's moods.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod bills;
mod certificate;
mod closing;
mod directed;
mod hangs;
mod kills;
mod paying;
mod refunds;
mod stage;
mod storm;
mod telling;
mod webhooks;
