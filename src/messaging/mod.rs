//! Between the ledger and the order writer: tickets that owe an order.

pub mod in_process;
pub mod order_queue;
pub mod rabbitmq;
mod ticket_message;
pub mod trace_context;

pub use in_process::InProcessQueue;
pub use order_queue::{DeadMessage, Delivery, OrderQueue, QueueError, Receipt};
