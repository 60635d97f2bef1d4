//! Signed heads of the log: what somebody keeps to prove later that history was not rewritten.
//!
//! A node signs only what continues the latest head, as far as the stored hashes tell, and only with the key that signed it:
//! a log that was cut off or rewritten, or a node with a key of its own, gets no more heads.

use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query, SelectStatement};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{StoreError, nodes, size};
use crate::persistence::Db;
use crate::persistence::query;
use crate::transparency::tree::Hash;
use crate::transparency::{HeadSigner, NoteError};

const OPERATION: &str = "signing the money log";

/// A head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Leaves under it.
    pub tree_size: u64,
    /// Their root.
    pub root: Hash,
    /// When it was signed, in milliseconds since 1970.
    pub at_ms: i64,
    /// The signed note.
    pub note: String,
}

/// What became of the wish to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// There is a new head.
    New(Head),
    /// Nothing was added since the latest head, or it is too young.
    NotYet,
    /// The latest head is not by this key.
    OtherKey(NoteError),
}

#[derive(FromQueryResult)]
struct Row {
    tree_size: i64,
    root_hash: String,
    at_ms: i64,
    note: String,
}

impl Row {
    fn head(self) -> Result<Head, StoreError> {
        let what = || StoreError::Corrupt { what: format!("head over {} leaves", self.tree_size) };
        Ok(Head {
            tree_size: self.tree_size.try_into().map_err(|_| what())?,
            root: nodes::hash_from_hex(&self.root_hash).ok_or_else(what)?,
            at_ms: self.at_ms,
            note: self.note,
        })
    }
}

fn select() -> SelectStatement {
    Query::select().columns(["tree_size", "root_hash", "at_ms", "note"]).from("money_log_heads").to_owned()
}

pub(super) async fn latest_in(conn: &impl ConnectionTrait) -> Result<Option<Head>, StoreError> {
    let select = select().order_by("tree_size", Sort::Desc).limit(1).to_owned();
    query::one::<Row>(conn, &select, OPERATION).await?.map(Row::head).transpose()
}

/// The latest head.
///
/// # Errors
/// [`StoreError`].
pub async fn latest_head(db: &Db) -> Result<Option<Head>, StoreError> {
    latest_in(db.reader()).await
}

/// The head over exactly so many leaves.
///
/// # Errors
/// [`StoreError`].
pub async fn head_of(db: &Db, tree_size: u64) -> Result<Option<Head>, StoreError> {
    let Ok(tree_size) = i64::try_from(tree_size) else { return Ok(None) };
    let select = select().and_where(Expr::col("tree_size").eq(tree_size)).to_owned();
    query::one::<Row>(db.reader(), &select, OPERATION).await?.map(Row::head).transpose()
}

/// Up to `limit` heads over more than `after` leaves, smallest first; one that cannot be read as `Err` in its place.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn heads_after(
    conn: &impl ConnectionTrait,
    after: i64,
    limit: u64,
) -> Result<Vec<(i64, Result<Head, StoreError>)>, StoreError> {
    let select =
        select().and_where(Expr::col("tree_size").gt(after)).order_by("tree_size", Sort::Asc).limit(limit).to_owned();
    let rows: Vec<Row> = query::all(conn, &select, OPERATION).await?;
    Ok(rows.into_iter().map(|row| (row.tree_size, row.head())).collect())
}

/// Signs a head if something was added and the latest head is at least `every_ms` old.
///
/// # Errors
/// [`StoreError::Corrupt`] if the log does not continue its latest head; [`StoreError`].
pub async fn sign_head(db: &Db, signer: &HeadSigner, every_ms: i64, now_ms: i64) -> Result<Signed, StoreError> {
    let latest = latest_head(db).await?;
    let tree_size = size(db.reader()).await?;
    if let Some(latest) = &latest {
        if tree_size == latest.tree_size || (tree_size > latest.tree_size && now_ms - latest.at_ms < every_ms) {
            return Ok(Signed::NotYet);
        }
        if let Err(error) = signer.public().head(&latest.note) {
            return Ok(Signed::OtherKey(error));
        }
        let holds =
            tree_size > latest.tree_size && nodes::frontier(db.reader(), latest.tree_size).await?.root() == latest.root;
        if !holds {
            let what = format!("money log: it does not continue its head over {} leaves", latest.tree_size);
            return Err(StoreError::Corrupt { what });
        }
    }
    if tree_size == 0 {
        return Ok(Signed::NotYet);
    }
    let root = nodes::frontier(db.reader(), tree_size).await?.root();
    let head = Head { tree_size, root, at_ms: now_ms, note: signer.sign(tree_size, root, now_ms) };
    let row = vec![
        i64::try_from(tree_size).unwrap_or(i64::MAX).into(),
        hex::encode(root).into(),
        now_ms.into(),
        head.note.as_str().into(),
    ];
    let columns = ["tree_size", "root_hash", "at_ms", "note"];
    match query::insert_rows(db.writer(), "money_log_heads", &columns, vec![row], None).await {
        Err(error) if error.is_duplicate() => Ok(Signed::NotYet), // another node signed the same
        inserted => inserted.map(|()| Signed::New(head)),
    }
}
