//! Notifications: what they say, when they are sent, how they are signed and sealed, and how they go wrong on request.

mod deliver;
mod envelope;
pub(super) mod facts;
mod hostile;
mod schedule;
mod targets;

pub(super) use deliver::{Held, deliver_due, deliveries_rest};
pub(super) use envelope::seal_nonce;
pub(super) use targets::{accepts_url, is_this_machine};
