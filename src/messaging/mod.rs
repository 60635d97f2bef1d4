//! What goes between the parts of a node and between nodes: tickets that owe an order, and news that others must hear.

pub mod broadcast;
pub mod domain_event;
pub mod in_process;
pub mod one_node;
pub mod order_queue;
pub mod rabbitmq;
pub mod redis_broadcast;
pub mod registry;
mod roster;
mod ticket_message;

pub use broadcast::{Broadcast, BroadcastError, Heard, Hearing};
pub use in_process::InProcessQueue;
pub use order_queue::{DeadMessage, Delivery, OrderQueue, QueueError, Receipt};
pub use registry::{NodeInfo, Nodes};
