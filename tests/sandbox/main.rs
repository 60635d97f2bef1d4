//! The sandbox gateway from outside: signed requests over HTTP, deliveries to an endpoint, a process that is killed.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod alipay;
mod cashier;
mod clients;
mod control;
mod crash;
mod hook;
mod notices;
mod notices_v2_alipay;
mod requests;
mod stage;
mod v2;
mod v3;
mod v3_keys;
