//! What the tests of the running server stand on: a shop in this process, a shop in a process of its own, people who
//! click, sockets that listen, and the books.
//!
//! A test file says `mod support;` (or `#[path = "../support/mod.rs"] mod support;`) and uses what it needs.
#![allow(dead_code, reason = "each test crate uses another part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

pub mod bills;
pub mod binary;
pub mod books;
pub mod client;
pub mod cut_wire;
pub mod fault_proxy;
pub mod gateway;
pub mod ground;
pub mod load;
pub mod pictures;
pub mod process;
pub mod receiver;
pub mod sandbox_process;
pub mod services;
pub mod shop;
pub mod socket;
pub mod verbs;
pub mod wire;
