//! What operators see of a shop: figures, dashboards and alerts that agree with each other, traces at a real collector,
//! logs without secrets, and that none of it holds the shop up.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod collector;
mod figures;
mod full;
mod health;
mod logs;
mod traces;
