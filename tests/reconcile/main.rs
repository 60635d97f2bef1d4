//! r67 on a whole shop: bills of a gateway on the loopback against the books.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod beside;
mod large;
mod peer;
mod repairs;
mod stage;
