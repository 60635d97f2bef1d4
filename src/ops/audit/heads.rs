//! Leaves in the order of their numbers: the tree is built anew, and every head compared with its root at that size. Only
//! the right edge of the tree is in memory.

use std::collections::VecDeque;

use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::AuditReport;
use crate::persistence::money_log::{self, Head, hash_from_hex};
use crate::persistence::{StoreError, query};
use crate::transparency::tree::{self, Frontier};
use crate::transparency::{Checkpoint, HeadKey};

const OPERATION: &str = "auditing the money log";
/// Leaves in memory at once.
const PAGE_LEAVES: u64 = 5_000;
const PAGE_HEADS: u64 = 500;

#[derive(FromQueryResult)]
struct Leaf {
    leaf_no: i64,
    leaf_hash: String,
    nodes: String,
}

/// The heads one after the other, smallest first.
struct Heads<'a> {
    key: &'a HeadKey,
    waiting: VecDeque<Head>,
    after: i64,
    previous: Option<Head>,
    saved: Option<&'a Checkpoint>,
}

pub(super) async fn verify(
    tx: &impl ConnectionTrait,
    report: &mut AuditReport,
    key: &HeadKey,
    saved: Option<&Checkpoint>,
) -> Result<(), StoreError> {
    let mut heads = Heads { key, waiting: VecDeque::new(), after: i64::MIN, previous: None, saved };
    let mut tree = Frontier::default();
    heads.reached(tx, &tree, report).await?;
    let mut after = -1_i64;
    loop {
        let leaves = page(tx, after).await?;
        let Some(last) = leaves.last() else { break };
        after = last.leaf_no;
        for leaf in leaves {
            if !append(&mut tree, &leaf, report) {
                return heads.unreachable(tx, &tree, report).await;
            }
            heads.reached(tx, &tree, report).await?;
        }
    }
    report.unsigned = tree.size().saturating_sub(heads.previous.as_ref().map_or(0, |head| head.tree_size));
    heads.unreachable(tx, &tree, report).await
}

async fn page(tx: &impl ConnectionTrait, after: i64) -> Result<Vec<Leaf>, StoreError> {
    let select = Query::select()
        .columns(["leaf_no", "leaf_hash", "nodes"])
        .from("money_log")
        .and_where(Expr::col("leaf_no").gt(after))
        .order_by("leaf_no", Sort::Asc)
        .limit(PAGE_LEAVES)
        .to_owned();
    query::all(tx, &select, OPERATION).await
}

/// Appends the leaf; false if none can follow: a number is missing, or a hash cannot be read.
fn append(tree: &mut Frontier, leaf: &Leaf, report: &mut AuditReport) -> bool {
    let expected = tree.size();
    if leaf.leaf_no.unsigned_abs() != expected || leaf.leaf_no < 0 {
        report.tree.expect(false, || format!("leaf {expected} is missing; the tree cannot be built beyond it"));
        return false;
    }
    let Some(hash) = hash_from_hex(&leaf.leaf_hash) else {
        report.tree.expect(false, || format!("leaf {expected}: its hash cannot be read"));
        return false;
    };
    let nodes = hex::encode(tree.push(hash).concat());
    report
        .tree
        .expect(nodes == leaf.nodes, || format!("leaf {expected}: the stored subtrees are not those of the leaves"));
    true
}

impl Heads<'_> {
    /// Looks at the heads that are over exactly the leaves of `tree`.
    async fn reached(
        &mut self,
        tx: &impl ConnectionTrait,
        tree: &Frontier,
        report: &mut AuditReport,
    ) -> Result<(), StoreError> {
        if let Some(saved) = self.saved.take_if(|saved| saved.tree_size == tree.size()) {
            let holds = saved.root == tree.root();
            report.saved.expect(holds, || {
                format!("the first {} leaves are not those that it was signed over", saved.tree_size)
            });
        }
        while self.next(tx, report).await?.is_some_and(|size| size <= tree.size()) {
            let Some(head) = self.waiting.pop_front() else { break };
            let size = head.tree_size;
            let holds = size == tree.size() && head.root == tree.root();
            report.heads.expect(holds, || format!("head over {size} leaves: not the root of these leaves"));
            let signed = self.key.head(&head.note);
            let says =
                Checkpoint { origin: self.key.name().to_owned(), tree_size: size, root: head.root, at_ms: head.at_ms };
            match signed {
                Ok(signed) if signed == says => {}
                Ok(_) => report.heads.violate(format!("head over {size} leaves: its row is not what was signed")),
                Err(error) => report.heads.violate(format!("head over {size} leaves: {error}")),
            }
            self.continued(tx, head, report).await?;
        }
        Ok(())
    }

    /// The size of the next head.
    async fn next(&mut self, tx: &impl ConnectionTrait, report: &mut AuditReport) -> Result<Option<u64>, StoreError> {
        while self.waiting.is_empty() && self.after < i64::MAX {
            let page = money_log::heads_after(tx, self.after, PAGE_HEADS).await?;
            self.after = page.last().map_or(i64::MAX, |(size, _)| *size);
            for (size, head) in page {
                match head {
                    Ok(head) => self.waiting.push_back(head),
                    Err(_) => report.heads.expect(false, || format!("head over {size} leaves: cannot be read")),
                }
            }
        }
        Ok(self.waiting.front().map(|head| head.tree_size))
    }

    /// That `head` continues the one before it, by the proof that anybody would be given.
    async fn continued(
        &mut self,
        tx: &impl ConnectionTrait,
        head: Head,
        report: &mut AuditReport,
    ) -> Result<(), StoreError> {
        if let Some(previous) = self.previous.as_ref().filter(|previous| previous.tree_size > 0) {
            let (old, new) = ((&previous.root, previous.tree_size), (&head.root, head.tree_size));
            let holds = match money_log::consistency(tx, old.1, new.1).await {
                Ok(proof) => proof.is_some_and(|proof| tree::continues(old, new, &proof)),
                Err(StoreError::Corrupt { .. }) => false,
                Err(error) => return Err(error),
            };
            report
                .continuity
                .expect(holds, || format!("head over {} leaves does not continue that over {}", new.1, old.1));
        }
        self.previous = Some(head);
        Ok(())
    }

    /// Heads over more leaves than can be read.
    async fn unreachable(
        &mut self,
        tx: &impl ConnectionTrait,
        tree: &Frontier,
        report: &mut AuditReport,
    ) -> Result<(), StoreError> {
        let size = tree.size();
        if let Some(saved) = self.saved.take() {
            report
                .saved
                .expect(false, || format!("it was signed over {} leaves, of which {size} are here", saved.tree_size));
        }
        while self.next(tx, report).await?.is_some() {
            let Some(head) = self.waiting.pop_front() else { break };
            report.heads.expect(false, || format!("head over {} leaves, of which {size} are here", head.tree_size));
        }
        Ok(())
    }
}
