//! A day's bill of a gateway beside our own books: what differs, and what the order concerned is to be told.
//!
//! The gateway's bill is the last word on what it took and gave back. Money that it has and we do not know of is a fact
//! that the order must hear ([`Remedy::Tell`] with the same commands as a notification); money that we know of and it has
//! not is for a human. Nothing here moves anything: an order decides by itself what it makes of a command.

mod compare;
mod day;
mod difference;
#[cfg(test)]
mod tests;

pub use compare::{BillEntry, OurPayment, OurRefund, Ours, RefundEntry, compare};
pub use day::{BillDay, DAY_MS, EIGHT_HOURS_MS, TimeOfDay};
pub use difference::{Difference, DifferenceKind, Remedy, payment_of};
