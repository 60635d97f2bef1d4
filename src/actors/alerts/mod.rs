//! What operators have to know: looked for in the process, told once, told again while it lasts, and told when it is over.
//!
//! `conditions` finds what is wrong now, `board` remembers what was told, `watch` runs both in a loop, `webhook` carries
//! it out of the house.

mod board;
mod conditions;
mod watch;
mod webhook;

pub use board::{Alert, AlertBoard, AlertKind, Condition, Severity, Telling, TellingKind};
pub use conditions::Look;
pub use watch::AlertWatch;
pub use webhook::{AlertWebhook, Webhook, signature};
