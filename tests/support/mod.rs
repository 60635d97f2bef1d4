//! What the tests of the running server stand on: a shop in this process, a shop in a process of its own, people who
//! click, sockets that listen, and the books.
//!
//! A test file says `mod support;` (or `#[path = "../support/mod.rs"] mod support;`) and uses what it needs.
#![expect(clippy::allow_attributes, reason = "whether something here is unused differs from test to test")]
#![allow(dead_code, reason = "no test needs all of it")]

pub mod books;
pub mod client;
pub mod load;
pub mod process;
pub mod shop;
pub mod socket;
pub mod verbs;
pub mod wire;
