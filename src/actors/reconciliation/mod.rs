//! The last net under the money: every day the gateways' bills are compared with the books, and orders hear of what they
//! missed.

mod clerk;
mod look;
mod report;
mod rounds;
mod spool;

pub use clerk::{Clerk, ClerkTerms};
pub use look::{Findings, LookError};
pub use report::{ReportFormat, ReportLine, ReportWriter};
