//! The actor kit, from outside: what a caller and an administrator see when actors die, hang, fill up or go idle.
//!
//! One actor kind, [`support::Counter`], keeps a number in a "durable" map that outlives it. Every test has a host
//! with arbiters of its own. Nothing waits a fixed time: [`support::eventually`] polls up to a deadline.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bounds;
mod control;
mod life;
mod stuck;
mod supervision;
mod support;
