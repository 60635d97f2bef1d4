//! Who is let in: limits of addresses, users and sign-ins at the door, claims that waited too long, and waiting rooms, over
//! the wire. One node embedded; two nodes of a cluster where its servers are there.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod doors;
mod own_rooms;
mod rooms;
mod two_nodes;
