//! Hashes of complete subtrees, found in the rows of the leaves that completed them.

use std::collections::{BTreeSet, HashMap};

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{OPERATION, StoreError};
use crate::persistence::query;
use crate::transparency::tree::{self, Frontier, Hash, Node, ProofPlan};

/// Digits of a hash.
const HEX: usize = 64;

#[derive(FromQueryResult)]
struct Row {
    leaf_no: i64,
    leaf_hash: String,
    nodes: String,
}

/// A stored hash; `None` if it is none.
pub(crate) fn hash_from_hex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    hex::decode_to_slice(text, &mut hash).ok().map(|()| hash)
}

/// The stored hashes of `wanted`.
pub(super) async fn read(
    conn: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = Node>,
) -> Result<HashMap<Node, Hash>, StoreError> {
    let wanted: BTreeSet<Node> = wanted.into_iter().collect();
    let leaf_nos: BTreeSet<u64> = wanted.iter().map(|node| node.last_leaf()).collect();
    let keys: Vec<i64> = leaf_nos.into_iter().filter_map(|leaf_no| leaf_no.try_into().ok()).collect();
    let rows: Vec<Row> = query::by_keys(conn, &keys, OPERATION, |keys| {
        Query::select()
            .columns(["leaf_no", "leaf_hash", "nodes"])
            .from("money_log")
            .and_where(Expr::col("leaf_no").is_in(keys))
            .to_owned()
    })
    .await?;
    let rows: HashMap<u64, Row> = rows.into_iter().map(|row| (row.leaf_no.unsigned_abs(), row)).collect();
    let mut found = HashMap::with_capacity(wanted.len());
    for node in wanted {
        let hash = rows.get(&node.last_leaf()).and_then(|row| match node.level.checked_sub(1) {
            None => hash_from_hex(&row.leaf_hash),
            Some(above) => hash_from_hex(row.nodes.get(above as usize * HEX..(above as usize + 1) * HEX)?),
        });
        let what = || StoreError::Corrupt { what: format!("money log at leaf {}", node.last_leaf()) };
        found.insert(node, hash.ok_or_else(what)?);
    }
    Ok(found)
}

fn hashes(nodes: &[Node], stored: &HashMap<Node, Hash>) -> Vec<Hash> {
    nodes.iter().filter_map(|node| stored.get(node).copied()).collect()
}

/// The right edge of the tree of `size` leaves.
pub(super) async fn frontier(conn: &impl ConnectionTrait, size: u64) -> Result<Frontier, StoreError> {
    let peaks = tree::peaks(size);
    let stored = read(conn, peaks.iter().copied()).await?;
    let what = || StoreError::Corrupt { what: "money log".to_owned() };
    Frontier::new(size, hashes(&peaks, &stored)).ok_or_else(what)
}

/// The hashes of several proofs, read at once.
pub(super) async fn proofs(conn: &impl ConnectionTrait, plans: &[ProofPlan]) -> Result<Vec<Vec<Hash>>, StoreError> {
    let stored = read(conn, plans.iter().flatten().flatten().copied()).await?;
    let proof = |plan: &ProofPlan| plan.iter().map(|parts| tree::fold(&hashes(parts, &stored))).collect();
    Ok(plans.iter().map(proof).collect())
}
