//! What operators run beside the server: the check of the invariants.

pub mod check;

pub use check::{CheckOptions, CheckReport, check};
