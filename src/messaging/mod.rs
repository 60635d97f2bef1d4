//! What goes between the parts of a node and between nodes: tickets that owe an order, and news that others must hear.

pub mod broadcast;
pub mod in_process;
pub mod one_node;
pub mod redis_broadcast;
pub mod registry;
mod roster;

pub use broadcast::{Broadcast, BroadcastError, Heard, Hearing};
pub use in_process::{OrderQueue, TicketStream};
pub use registry::{NodeInfo, Nodes};
