//! `rushmall actors`: sees and controls the actors of a running shop, all nodes at once, over its HTTP API.
//!
//! `args` (what is asked) → `run` → `tables` (what is shown).

mod args;
mod run;
mod tables;

pub use args::{ActorsCommand, InspectArgs, ListArgs, OrderArgs, ReplayArgs};
pub use run::run;
