//! The mathematics of the transparency log of payments and refunds, without a database: the Merkle tree of RFC 6962 over
//! stored hashes, and its signed heads.
//!
//! Proofs and their verification are those of `ct-merkle`; here is what lets it work on hashes that lie in a table: which
//! subtrees a proof needs, and what appending a leaf adds to them. Memory is of the order of log2(leaves).

pub mod key_file;
pub mod note;
pub mod tree;

pub use note::{Checkpoint, HeadKey, HeadSigner, NoteError};
pub use tree::{Frontier, Hash, Node};
