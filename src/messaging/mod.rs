//! Between the ledger and the order writer: tickets that owe an order.

pub mod in_process;

pub use in_process::{OrderQueue, TicketStream};
