//! What operators run beside the server: the command line, the demo catalogue, administrators, the check of the
//! invariants, the reconciliation, the drill.

pub mod access;
pub mod actors;
pub mod admin;
pub mod audit;
pub mod audit_export;
pub mod banner;
pub mod check;
pub mod check_report;
pub mod cli;
mod client;
pub mod drill;
mod error;
pub mod healthcheck;
pub mod output;
pub mod reconcile;
pub mod sale;
pub mod seed;
pub mod settings;

pub use check::{CheckOptions, CheckReport, check};
pub use cli::Cli;
pub use error::OpsError;
