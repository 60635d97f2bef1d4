//! A Merkle tree (RFC 6962, SHA-256) that is kept as the hashes of its complete subtrees.
//!
//! A subtree of `2^level` leaves is complete once its last leaf is there, and never changes again. Whatever a tree of any
//! size has as a node is one of them, or is folded of at most `log2(size)` of them at its right edge.

use ct_merkle::{
    ConsistencyProof, InclusionProof, RootHash, indices_for_consistency_proof, indices_for_inclusion_proof,
};
use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// A complete subtree: leaves `index << level` up to, not including, `(index + 1) << level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// 0 is a leaf.
    pub level: u32,
    /// From the left, among those of its level.
    pub index: u64,
}

impl Node {
    /// The leaf that completed it.
    #[must_use]
    pub const fn last_leaf(self) -> u64 {
        ((self.index + 1) << self.level) - 1
    }
}

/// The hash of a leaf.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

fn parent_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Complete subtrees side by side, largest first, that make up the leaves from `start` to `end`; `start` begins a
/// subtree that is at least as large as all of it.
fn complete(start: u64, end: u64) -> Vec<Node> {
    let (mut at, mut nodes) = (start, Vec::new());
    while at < end {
        let level = (end - at).ilog2();
        nodes.push(Node { level, index: at >> level });
        at += 1 << level;
    }
    nodes
}

/// The complete subtrees that a tree of `size` leaves is folded of.
#[must_use]
pub fn peaks(size: u64) -> Vec<Node> {
    complete(0, size)
}

/// The root over subtrees side by side, largest first; of an empty tree the hash of nothing.
#[must_use]
pub fn fold(hashes: &[Hash]) -> Hash {
    let mut hashes = hashes.iter().rev();
    let Some(last) = hashes.next() else { return Sha256::digest(b"").into() };
    hashes.fold(*last, |right, left| parent_hash(left, &right))
}

/// The right edge of a growing tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Of a tree of `size` leaves; `hashes` belong to its [`peaks`]. `None` if they are not as many.
    #[must_use]
    pub fn new(size: u64, hashes: Vec<Hash>) -> Option<Self> {
        (hashes.len() == size.count_ones() as usize).then_some(Self { size, peaks: hashes })
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold(&self.peaks)
    }

    /// Appends a leaf; answers the hashes of the subtrees of level 1, 2, … that it completes.
    pub fn push(&mut self, leaf: Hash) -> Vec<Hash> {
        let mut completed = Vec::new();
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = parent_hash(&left, &hash);
                completed.push(hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
        completed
    }
}

/// The hashes of a proof in their order, each as the subtrees that it is folded of.
pub type ProofPlan = Vec<Vec<Node>>;

fn plan(numbers: Vec<u64>, size: u64) -> ProofPlan {
    let of_number = |number: u64| {
        let level = number.trailing_ones();
        let start = ((number + 1) >> (level + 1)) << level;
        complete(start, size.min(start + (1 << level)))
    };
    numbers.into_iter().map(of_number).collect()
}

/// What proves that leaf `leaf_no` is in the tree of `size` leaves; `None` if it is not.
#[must_use]
pub fn inclusion(size: u64, leaf_no: u64) -> Option<ProofPlan> {
    (leaf_no < size && size <= i64::MAX.unsigned_abs()).then(|| plan(indices_for_inclusion_proof(size, leaf_no), size))
}

/// What proves that the tree of `to` leaves continues the one of `from`; `None` unless `1 <= from <= to`.
#[must_use]
pub fn consistency(from: u64, to: u64) -> Option<ProofPlan> {
    let is_possible = from >= 1 && from <= to && to <= i64::MAX.unsigned_abs();
    is_possible.then(|| plan(indices_for_consistency_proof(from, to - from), to))
}

fn root_of(root: &Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new((*root).into(), size)
}

/// True if `proof` shows that `leaf` is number `leaf_no` of the tree with that root and size.
#[must_use]
pub fn includes(root: &Hash, size: u64, leaf: &[u8], leaf_no: u64, proof: &[Hash]) -> bool {
    let Ok(proof) = InclusionProof::try_from_bytes(proof.concat()) else { return false };
    root_of(root, size).verify_inclusion(&leaf, leaf_no, &proof).is_ok()
}

/// True if `proof` shows that the tree `new` (root and size) is the tree `old` with leaves appended.
#[must_use]
pub fn continues(old: (&Hash, u64), new: (&Hash, u64), proof: &[Hash]) -> bool {
    let Ok(proof) = ConsistencyProof::try_from_bytes(proof.concat()) else { return false };
    root_of(new.0, new.1).verify_consistency(&root_of(old.0, old.1), &proof).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use ct_merkle::mem_backed_tree::MemoryBackedTree;

    use super::*;

    /// Every size up to this has every proof compared with the library's own tree.
    const SIZE_MAX: u64 = 70;

    fn leaf(number: u64) -> Vec<u8> {
        format!("leaf {number}").into_bytes()
    }

    fn proof(plan: ProofPlan, stored: &HashMap<Node, Hash>) -> Vec<Hash> {
        plan.iter().map(|parts| fold(&parts.iter().map(|node| stored[node]).collect::<Vec<_>>())).collect()
    }

    #[test]
    fn roots_and_proofs_are_those_of_the_library_for_every_size() {
        let (mut own, mut stored) = (Frontier::default(), HashMap::new());
        let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let mut roots = vec![own.root()];
        for size in 1..=SIZE_MAX {
            let hash = leaf_hash(&leaf(size - 1));
            stored.insert(Node { level: 0, index: size - 1 }, hash);
            for (level, hash) in (1..).zip(own.push(hash)) {
                let node = Node { level, index: (size - 1) >> level };
                assert_eq!(node.last_leaf(), size - 1);
                stored.insert(node, hash);
            }
            theirs.push(leaf(size - 1));
            assert_eq!(own.root(), <Hash>::from(*theirs.root().as_bytes()), "{size}");
            let peaks = peaks(size).iter().map(|node| stored[node]).collect();
            assert_eq!(Frontier::new(size, peaks), Some(own.clone()), "{size}");
            roots.push(own.root());
            for number in 0..size {
                let proof = proof(inclusion(size, number).unwrap(), &stored);
                assert_eq!(proof.concat(), theirs.prove_inclusion(number as usize).as_bytes(), "{number} of {size}");
                assert!(includes(&own.root(), size, &leaf(number), number, &proof));
                assert!(!includes(&own.root(), size, b"another leaf", number, &proof));
            }
            for from in 1..=size {
                let proof = proof(consistency(from, size).unwrap(), &stored);
                assert!(continues((&roots[from as usize], from), (&own.root(), size), &proof), "{from} of {size}");
                assert!(!continues((&[7; 32], from), (&own.root(), size), &proof), "{from} of {size}");
                if from < size {
                    let expected = theirs.prove_consistency((size - from) as usize);
                    assert_eq!(proof.concat(), expected.as_bytes(), "{from} of {size}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_proved_has_no_plan() {
        assert_eq!((inclusion(0, 0), inclusion(5, 5)), (None, None));
        assert_eq!((consistency(0, 5), consistency(6, 5)), (None, None));
        assert_eq!(Frontier::new(3, vec![[0; 32]]), None);
    }

    #[test]
    fn the_empty_tree_and_a_single_leaf_are_those_of_rfc_6962() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex::encode(Frontier::default().root()), empty);
        // the first leaf of the reference tests of Certificate Transparency: no bytes at all
        assert_eq!(hex::encode(leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }
}
