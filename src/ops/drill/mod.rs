//! `rushmall drill`: the rehearsal of a flash sale against any running shop.
//!
//! In order: `args` (what is asked) → `access` (who signs in) → `stage` (product, sale, buyers) → `sockets` (who
//! listens) → `arrivals` and `stampede` (the clicks, in an open model) → `aftermath` (paying, cancelling, looking every
//! order up) → `figures` (the verdict) → `report`. `rehearsal` runs them; `client` speaks HTTP.

mod access;
mod aftermath;
mod args;
mod arrivals;
mod figures;
mod rehearsal;
mod report;
mod sockets;
mod stage;
mod stampede;

use super::client;

pub use args::DrillArgs;
pub use figures::{Books, Figures, PoolUnits, Verdict};
pub use rehearsal::run;
