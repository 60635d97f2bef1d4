//! The HTTP contract from outside, resource by resource: what a request may say, what it is answered, and that a refused
//! one leaves no trace. Races stand in `tests/races`.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod bad_input;
mod cart;
mod language;
mod money;
mod office;
mod old_client;
mod operations;
mod orders;
mod pages;
mod people;
mod products;
mod refunds;
mod route_doors;
mod stock_push;
mod strangers;
mod tokens;
mod uploads;
mod websocket;
