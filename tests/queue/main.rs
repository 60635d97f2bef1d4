//! The order queue and the domain events: one contract for both queues, then RabbitMQ under everything that goes wrong.
//!
//! RabbitMQ is the one of `RUSHMALL_TEST_AMQP_URL`; without it those tests are not run and say so, and with
//! `RUSHMALL_TEST_SERVICES=1` they fail. Each test has queues of its own. Those that kill the broker or raise its alarm
//! start one of their own with scripts/services.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod broker;
mod contract;
mod events;
mod failures;
mod figures;
mod outages;
mod proxy;
mod shop;
mod traces;
