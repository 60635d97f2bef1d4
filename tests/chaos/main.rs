//! A cluster in a storm: engines and nodes are killed, stopped and flushed, connections reset, delayed and swallowed,
//! while people buy, pay and cancel; then every promise that was made is looked for in the books.
//!
//! docs/CHAOS.md says what is injected, what is checked and how a run is repeated. `make chaos` runs it for minutes;
//! within `make test` it runs for one. Without `RUSHMALL_TEST_SERVICES=1` only the parts that need no services run.
#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

/// What a cluster of processes needs of the common support; a shop inside this process is not among it.
#[path = "../support"]
#[expect(dead_code, reason = "each test crate uses another part of it")]
mod support {
    pub mod binary;
    pub mod books;
    pub mod client;
    pub mod fault_proxy;
    pub mod load;
    pub mod verbs;
}

mod books;
mod cluster;
mod crowd;
mod inject;
mod journal;
mod nodes;
mod office;
mod plan;
mod proxy;
mod recovery;
mod report;
mod services;
mod storm;
mod verdict;
