//! What operators run beside the server: the command line, the demo catalogue, administrators, the check of the
//! invariants, the drill.

pub mod admin;
pub mod banner;
pub mod check;
pub mod check_report;
pub mod cli;
pub mod drill;
mod error;
pub mod healthcheck;
pub mod output;
pub mod seed;
pub mod settings;

pub use check::{CheckOptions, CheckReport, check};
pub use cli::Cli;
pub use error::OpsError;
