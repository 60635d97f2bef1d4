//! What the log proves: that an order's money facts are in it, and that a later log continues an earlier one.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use super::heads::Head;
use super::{StoreError, facts, nodes, rows_of};
use crate::domain::OrderNo;
use crate::persistence::Db;
use crate::persistence::journal::chain;
use crate::transparency::tree::{self, Hash, ProofPlan};

/// A money fact of an order and where it is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedFact {
    /// The bytes of the leaf.
    pub leaf: String,
    /// Its number; `None` while it is not appended.
    pub leaf_no: Option<u64>,
    /// Proof that it is under the head; `None` while no head is over it.
    pub proof: Option<Vec<Hash>>,
}

/// The order's money facts, each proved under `head` as far as it is under it.
///
/// # Errors
/// [`StoreError`].
pub async fn of_order(db: &Db, order_no: OrderNo, head: Option<&Head>) -> Result<Vec<LoggedFact>, StoreError> {
    let order_nos = [order_no.to_string()];
    let leaf_nos: HashMap<i32, u64> =
        rows_of(db.reader(), &order_nos).await?.into_iter().map(|row| (row.seq, row.leaf_no.unsigned_abs())).collect();
    let size = head.map_or(0, |head| head.tree_size);
    let mut logged: Vec<LoggedFact> = Vec::new();
    let mut plans: Vec<ProofPlan> = Vec::new();
    for (fact, leaf) in facts(&chain::read(db.reader(), &order_nos).await?)? {
        let leaf_no = leaf_nos.get(&fact.seq).copied();
        let plan = leaf_no.and_then(|leaf_no| tree::inclusion(size, leaf_no));
        logged.push(LoggedFact { leaf, leaf_no, proof: plan.as_ref().map(|_| Vec::new()) });
        plans.extend(plan);
    }
    let proofs = nodes::proofs(db.reader(), &plans).await?;
    let proved = logged.iter_mut().filter(|fact| fact.proof.is_some());
    proved.zip(proofs).for_each(|(fact, proof)| fact.proof = Some(proof));
    Ok(logged)
}

/// Proof that the log of `to` leaves continues the one of `from`; `None` unless `1 <= from <= to` .
///
/// # Errors
/// [`StoreError`].
pub async fn consistency(conn: &impl ConnectionTrait, from: u64, to: u64) -> Result<Option<Vec<Hash>>, StoreError> {
    let Some(plan) = tree::consistency(from, to) else { return Ok(None) };
    Ok(nodes::proofs(conn, &[plan]).await?.pop())
}
