//! What `rushmall actors` is asked to do. No secret stands in an argument: whoever lists processes reads those.

use clap::{Args, Subcommand};

use crate::ops::access::ServerArgs;

/// `rushmall actors …`.
#[derive(Clone, Debug, Subcommand)]
pub enum ActorsCommand {
    /// List actors with their vital signs, of all nodes
    List(ListArgs),
    /// Show one actor from outside and, if it answers within 50 ms, from inside
    Inspect(InspectArgs),
    /// Hold messages back up to the bound of the actor, then answer "busy"
    Pause(OrderArgs),
    /// Let the held messages through, in order
    Resume(OrderArgs),
    /// A fresh incarnation from durable state, also of a stopped actor; all of a drained node are ready again
    Restart(OrderArgs),
    /// End now: what waits and what is in flight becomes dead letters
    Stop(OrderArgs),
    /// Refuse new messages, finish those there are, then stop; with --node alone the whole node
    ///
    /// A node whose actors are all drained says so at /ready, so that balancers look elsewhere; its order writer goes on, and
    /// so do its sweeps. `restart` with the same selector ends it.
    Drain(OrderArgs),
    /// Keep down, and refuse messages, until lifted
    Quarantine(OrderArgs),
    /// End a quarantine
    Lift(OrderArgs),
    /// Ask the actors again what they did not handle (dead letters)
    Replay(ReplayArgs),
}

/// Which actors. `*` (in quotes) is any; what is left out is any as well.
#[derive(Clone, Debug, Default, Args)]
pub struct SelectorArgs {
    /// Kind: inventory, session, order_saga, order_writer
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Key: a product's or user's id, an order number
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Name of a node
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,
    /// State: starting, running, paused, draining, restarting, quarantined, stopped
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
}

impl SelectorArgs {
    /// True if nothing was said: then nobody is meant by accident.
    pub(super) const fn is_silent(&self) -> bool {
        self.kind.is_none() && self.key.is_none() && self.node.is_none() && self.state.is_none()
    }
}

/// Flags of `actors list`.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Which shop.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Which actors.
    #[command(flatten)]
    pub selector: SelectorArgs,
    /// Order: key, queued, handled, restarts
    #[arg(long, value_name = "BY", default_value = "queued", value_parser = ["key", "queued", "handled", "restarts"])]
    pub sort: String,
    /// Most actors shown
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub limit: u64,
    /// Show them again and again, as `top` does
    #[arg(long)]
    pub watch: bool,
    /// Pause between two looks of --watch
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub every_ms: u64,
    /// Looks of --watch; 0 goes on until it is interrupted
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub rounds: u64,
}

/// Flags of `actors inspect`.
#[derive(Clone, Debug, Args)]
pub struct InspectArgs {
    /// Which shop.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Kind: inventory, session, order_saga, order_writer
    #[arg(long, value_name = "KIND")]
    pub kind: String,
    /// Key: a product's or user's id, an order number
    #[arg(long, value_name = "KEY")]
    pub key: String,
    /// Only on the node of this name
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,
}

/// Flags of the orders. At least one selector must be given; `--kind '*'` means every actor in memory.
#[derive(Clone, Debug, Args)]
pub struct OrderArgs {
    /// Which shop.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Which actors.
    #[command(flatten)]
    pub selector: SelectorArgs,
}

/// Flags of `actors replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Which shop and actors.
    #[command(flatten)]
    pub order: OrderArgs,
    /// This letter only; its number is that of one node, so give --node too
    #[arg(long, value_name = "N", requires = "node")]
    pub id: Option<u64>,
}
