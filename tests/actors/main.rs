//! Administrators at work on a shop that sells: every command to actors, over HTTP, WebSocket and the command line; what is
//! recorded of it; and the alerts that call them.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod alert_kinds;
mod alerts;
mod audit;
mod command_line;
mod directed;
mod drill;
mod held;
mod kinds;
mod live;
mod replays;
mod unheard;
