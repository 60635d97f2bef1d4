//! What operators run beside the server: the command line, the demo catalogue, administrators, the drill.

pub mod admin;
pub mod banner;
pub mod cli;
pub mod drill;
mod error;
pub mod healthcheck;
pub mod photos;
pub mod seed;
pub mod settings;

pub use cli::Cli;
pub use error::OpsError;
//! What operators run beside the server: the check of the invariants.

pub mod check;

pub use check::{CheckOptions, CheckReport, check};
