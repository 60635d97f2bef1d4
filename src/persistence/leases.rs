//! Who may work on something, and for how long before another node takes it over.
//!
//! A node that dies leaves its leases behind. They end by themselves; but a process that takes a slot knows that the one
//! before it in that slot is dead (it has the lock of the data directory and the slot in the registry), so it ends what
//! that one had leased at its start, and nobody waits for it. To be wrong about this is harmless: leases keep nodes from
//! doing the same at once, and all that is done under one can be done twice.

/// A lease that a node takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// `node.slot` of the node.
    pub slot: u8,
    /// How long it holds, in milliseconds.
    pub ms: i64,
}

/// Whose leases are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holders {
    /// Everybody's: no other process uses the database.
    All,
    /// Those of the node in this slot.
    Slot(u8),
}
