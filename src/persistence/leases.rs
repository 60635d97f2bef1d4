//! Who may work on something, and for how long before another node takes it over.
//!
//! A node that dies leaves its leases behind. They end by themselves; but a process that takes a slot knows that the one
//! before it in that slot is dead (it has the lock of the data directory and the slot in the registry), so it ends what
//! that one had leased at its start, and nobody waits for it. To be wrong about this is harmless: leases keep nodes from
//! doing the same at once, and all that is done under one can be done twice.

use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::db::Db;
use super::error::StoreError;
use super::query;

const OPERATION: &str = "ending leases";

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

/// Ends the leases of processes that are dead, in one of the tables whose rows are leased.
///
/// # Errors
/// [`StoreError::Database`].
pub(super) async fn end(db: &Db, table: &'static str, of: Holders) -> Result<u64, StoreError> {
    let mut update = Query::update()
        .table(table)
        .value("lease_until_ms", 0_i64)
        .and_where(Expr::col("lease_until_ms").gt(0_i64))
        .to_owned();
    if let Holders::Slot(slot) = of {
        update.and_where(Expr::col("lease_slot").eq(i16::from(slot)));
    }
    // Other nodes may lease the same rows at this moment, in another order: of the two the one that loses tries again.
    db.write(OPERATION, async |tx| query::execute(tx, &update, OPERATION).await).await
}
