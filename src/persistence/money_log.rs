//! The transparency log of payments and refunds: every money fact of the journal is a leaf of a Merkle tree (RFC 6962),
//! numbered without gaps over all nodes (docs/adr/0018).
//!
//! A commit that records a money fact leaves a row in `money_log_owed`, in its own transaction: a commit that becomes visible
//! late is still owed then, whatever was logged meanwhile. A loop on every node turns owed rows into leaves, a batch in a
//! transaction. Two nodes that take the same number meet in the primary key: one of them loses and looks again.
//!
//! A row of `money_log` has the hash of its leaf and, in `nodes`, those of the subtrees that the leaf completed, level 1
//! first. So a leaf costs two hashes on average, rows never change, and a proof over a million leaves reads some forty rows.

mod heads;
mod nodes;
mod proofs;

use std::collections::{HashMap, HashSet};

use sea_orm::sea_query::{Expr, ExprTrait, Func, OnConflict, Order as Sort, Query};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult};

use super::db::Db;
use super::error::StoreError;
use super::journal::chain::{self, Entry};
use super::query;
use crate::domain::order::{self, Event, JournalEvent, MoneyFact, money_facts};
use crate::failpoint;
use crate::transparency::tree::{self, Frontier, Hash};

pub use heads::{Head, Signed, head_of, heads_after, latest_head, sign_head};
pub(crate) use nodes::hash_from_hex;
pub use proofs::{LoggedFact, consistency, of_order};

const OPERATION: &str = "logging payments";
const OWED: [&str; 2] = ["order_no", "seq"];
const COLUMNS: [&str; 6] = ["leaf_no", "order_no", "seq", "leaf_hash", "nodes", "at_ms"];
/// Payments looked at in one step of catching up.
const CATCH_UP_PAYMENTS: u64 = 500;

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub(crate) struct LeafRow {
    pub(crate) leaf_no: i64,
    pub(crate) order_no: String,
    pub(crate) seq: i32,
    pub(crate) leaf_hash: String,
    pub(crate) nodes: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, FromQueryResult)]
pub(crate) struct Owed {
    pub(crate) order_no: String,
    pub(crate) seq: i32,
}

/// Notes in a commit that its event has to become a leaf, if it is a money fact; `after` is the order after it.
pub(super) async fn owe(tx: &impl ConnectionTrait, after: &order::Order, event: &Event) -> Result<(), StoreError> {
    if !event.is_money_fact() {
        return Ok(());
    }
    let seq = i32::try_from(after.version).map_err(|_| StoreError::Corrupt { what: "version".to_owned() })?;
    owe_all(tx, vec![Owed { order_no: after.order_no.to_string(), seq }]).await
}

async fn owe_all(conn: &impl ConnectionTrait, owed: Vec<Owed>) -> Result<(), StoreError> {
    let rows = owed.into_iter().map(|owed| vec![owed.order_no.into(), owed.seq.into()]).collect();
    let keep = OnConflict::columns(OWED).do_nothing_on(OWED).to_owned();
    query::insert_rows(conn, "money_log_owed", &OWED, rows, Some(keep)).await
}

/// The money facts in journals of whole orders, with the bytes that are hashed. An order whose events cannot be read has
/// none that anybody could check: it is told in the log of the server, and by `rushmall audit verify`.
pub(crate) fn facts(entries: &[Entry]) -> Result<Vec<(MoneyFact, String)>, StoreError> {
    let mut facts = Vec::new();
    for journal in entries.chunk_by(|one, other| one.order_no == other.order_no) {
        let Some(first) = journal.first() else { continue };
        let events: Vec<Event> = match journal.iter().map(Entry::event).collect() {
            Ok(events) => events,
            Err(error) => {
                tracing::error!(order_no = first.order_no, %error, "journal not read for the money log");
                continue;
            }
        };
        let rows = journal.iter().zip(&events);
        let rows = rows.map(|(row, event)| JournalEvent { seq: row.seq, event, at_ms: row.at_ms, hash: &row.hash });
        for fact in money_facts(&first.order_no, rows) {
            let leaf = query::to_json(&fact, "money fact")?;
            facts.push((fact, leaf));
        }
    }
    Ok(facts)
}

#[derive(FromQueryResult)]
struct Last {
    leaf_no: Option<i64>,
}

/// How many leaves the log has.
///
/// # Errors
/// [`StoreError`].
pub async fn size(conn: &impl ConnectionTrait) -> Result<u64, StoreError> {
    let select = Query::select().expr_as(Func::max(Expr::col("leaf_no")), "leaf_no").from("money_log").to_owned();
    let last: Option<Last> = query::one(conn, &select, OPERATION).await?;
    Ok(last.and_then(|last| last.leaf_no).map_or(0, |last| last.unsigned_abs() + 1))
}

/// Makes leaves of what is owed, up to `limit`; answers how many rows were taken. 0 also if another node was faster.
///
/// # Errors
/// [`StoreError::Corrupt`] if leaves are gone that a head was signed over: nothing is appended then. [`StoreError`].
pub async fn append(db: &Db, now_ms: i64, limit: u64) -> Result<usize, StoreError> {
    if owed(db.reader(), 1).await?.is_empty() {
        return Ok(0); // the usual case takes no write lock
    }
    let appended = db.write(OPERATION, async |tx| {
        let owed = owed(tx, limit).await?;
        let leaves = leaves_of(tx, &owed).await?;
        let frontier = whole_frontier(tx).await?;
        insert(tx, leaves, frontier, now_ms).await?;
        failpoint::reach("money_log.append.before_remove");
        remove(tx, &owed).await?;
        Ok(owed.len())
    });
    match appended.await {
        Err(error) if error.is_duplicate() => Ok(0),
        appended => appended,
    }
}

pub(crate) async fn owed(conn: &impl ConnectionTrait, limit: u64) -> Result<Vec<Owed>, StoreError> {
    let select = Query::select()
        .columns(OWED)
        .from("money_log_owed")
        .order_by("order_no", Sort::Asc)
        .order_by("seq", Sort::Asc) // events of one order in their order
        .limit(limit)
        .to_owned();
    query::all(conn, &select, OPERATION).await
}

/// The rows of the log for these orders.
pub(crate) async fn rows_of(conn: &impl ConnectionTrait, order_nos: &[String]) -> Result<Vec<LeafRow>, StoreError> {
    query::by_keys(conn, order_nos, OPERATION, |keys| {
        Query::select().columns(COLUMNS).from("money_log").and_where(Expr::col("order_no").is_in(keys)).to_owned()
    })
    .await
}

/// What these orders still owe to the log.
pub(crate) async fn owed_of(conn: &impl ConnectionTrait, order_nos: &[String]) -> Result<Vec<Owed>, StoreError> {
    query::by_keys(conn, order_nos, OPERATION, |keys| {
        Query::select().columns(OWED).from("money_log_owed").and_where(Expr::col("order_no").is_in(keys)).to_owned()
    })
    .await
}

/// What of `owed` is a fact that has no leaf yet, in the order of `owed`.
async fn leaves_of(conn: &impl ConnectionTrait, owed: &[Owed]) -> Result<Vec<(Owed, Hash)>, StoreError> {
    let mut order_nos: Vec<String> = owed.iter().map(|owed| owed.order_no.clone()).collect();
    order_nos.dedup();
    let logged: HashSet<Owed> =
        rows_of(conn, &order_nos).await?.into_iter().map(|row| Owed { order_no: row.order_no, seq: row.seq }).collect();
    let mut facts: HashMap<Owed, Hash> = facts(&chain::read(conn, &order_nos).await?)?
        .into_iter()
        .map(|(fact, leaf)| (Owed { order_no: fact.order_no, seq: fact.seq }, tree::leaf_hash(leaf.as_bytes())))
        .collect();
    let mut leaves = Vec::with_capacity(owed.len());
    for owed in owed.iter().filter(|owed| !logged.contains(owed)) {
        match facts.remove(owed) {
            Some(hash) => leaves.push((owed.clone(), hash)),
            None => tracing::error!(order_no = owed.order_no, seq = owed.seq, "no money fact where one was committed"),
        }
    }
    Ok(leaves)
}

/// The right edge of the log, which has at least the leaves of its latest head.
async fn whole_frontier(conn: &impl ConnectionTrait) -> Result<Frontier, StoreError> {
    let size = size(conn).await?;
    if let Some(head) = heads::latest_in(conn).await?.filter(|head| head.tree_size > size) {
        let what = format!("money log: {size} leaves, while a head was signed over {}", head.tree_size);
        return Err(StoreError::Corrupt { what });
    }
    nodes::frontier(conn, size).await
}

async fn insert(
    tx: &impl ConnectionTrait,
    leaves: Vec<(Owed, Hash)>,
    mut frontier: Frontier,
    now_ms: i64,
) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(leaves.len());
    for (owed, hash) in leaves {
        let leaf_no = i64::try_from(frontier.size()).map_err(|_| StoreError::Corrupt { what: OPERATION.to_owned() })?;
        let nodes = hex::encode(frontier.push(hash).concat());
        let leaf_hash = hex::encode(hash);
        rows.push(vec![
            leaf_no.into(),
            owed.order_no.into(),
            owed.seq.into(),
            leaf_hash.into(),
            nodes.into(),
            now_ms.into(),
        ]);
    }
    query::insert_rows(tx, "money_log", &COLUMNS, rows, None).await
}

async fn remove(tx: &impl ConnectionTrait, owed: &[Owed]) -> Result<(), StoreError> {
    // For a list of keys in a small table MariaDB reads the whole table and waits for rows of commits under way.
    let at_once = if tx.get_database_backend() == DbBackend::MySql { 1 } else { 256 };
    for portion in owed.chunks(at_once) {
        let mut keys = sea_orm::Condition::any();
        for owed in portion {
            let is_it = Expr::col("order_no").eq(owed.order_no.as_str()).and(Expr::col("seq").eq(owed.seq));
            keys = keys.add(is_it);
        }
        let delete = Query::delete().from_table("money_log_owed").cond_where(keys).to_owned();
        query::execute(tx, &delete, OPERATION).await?;
    }
    Ok(())
}

#[derive(FromQueryResult)]
struct PaymentNo {
    payment_no: String,
    order_no: String,
}

/// Owes the facts of a page of payments that were committed where this log was not known: before it existed, or by a node
/// of an older release. Answers after which payment to go on; `None` at the end.
///
/// # Errors
/// [`StoreError`].
pub async fn catch_up(db: &Db, after: &str) -> Result<Option<String>, StoreError> {
    let select = Query::select()
        .columns(["payment_no", "order_no"])
        .from("payments")
        .and_where(Expr::col("payment_no").gt(after))
        .and_where(Expr::col("captured_at_ms").is_not_null())
        .order_by("payment_no", Sort::Asc)
        .limit(CATCH_UP_PAYMENTS)
        .to_owned();
    let payments: Vec<PaymentNo> = query::all(db.reader(), &select, "catching up with payments").await?;
    let mut order_nos: Vec<String> = payments.iter().map(|payment| payment.order_no.clone()).collect();
    order_nos.dedup();
    let logged: HashSet<Owed> = rows_of(db.reader(), &order_nos)
        .await?
        .into_iter()
        .map(|row| Owed { order_no: row.order_no, seq: row.seq })
        .collect();
    let facts = facts(&chain::read(db.reader(), &order_nos).await?)?;
    let missing = facts.into_iter().map(|(fact, _)| Owed { order_no: fact.order_no, seq: fact.seq });
    let missing: Vec<Owed> = missing.filter(|owed| !logged.contains(owed)).collect();
    if !missing.is_empty() {
        db.write("catching up with payments", async |tx| owe_all(tx, missing.clone()).await).await?;
    }
    Ok(payments.into_iter().next_back().map(|last| last.payment_no))
}

#[cfg(test)]
mod tests;
