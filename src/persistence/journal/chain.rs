//! Rows of `order_events` and the chain of hashes through them.
//!
//! `hash` = SHA-256 over previous hash, order number, `seq`, kind, payload and time, joined by line feeds; the first
//! event's previous hash is empty. Whoever changes a row must recompute all that follow, of which copies have been
//! told. A payload is hashed as it is stored, so a newer version that reads it otherwise cannot break the chain.

use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};
use sha2::{Digest, Sha256};

use crate::domain::OrderNo;
use crate::domain::order::Event;
use crate::persistence::error::StoreError;
use crate::persistence::query;

/// One row of the journal.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct Entry {
    pub(crate) order_no: String,
    pub(crate) seq: i32,
    pub(crate) kind: String,
    pub(crate) payload: String,
    pub(crate) at_ms: i64,
    pub(crate) commit_no: i64,
    pub(crate) prev_hash: String,
    pub(crate) hash: String,
}

const COLUMNS: [&str; 8] = ["order_no", "seq", "kind", "payload", "at_ms", "commit_no", "prev_hash", "hash"];

impl Entry {
    /// The hash that this row should have.
    pub(crate) fn expected_hash(&self) -> String {
        let mut hasher = Sha256::new();
        let (seq, at_ms) = (self.seq.to_string(), self.at_ms.to_string());
        let parts = [&self.prev_hash, &self.order_no, &seq, &self.kind, &self.payload, &at_ms];
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                hasher.update(b"\n");
            }
            hasher.update(part.as_bytes());
        }
        hex::encode(hasher.finalize())
    }

    /// True if this row follows `previous` (or begins a journal) and its hash is right.
    pub(crate) fn follows(&self, previous: Option<&Self>) -> bool {
        let (seq, prev_hash) = previous.map_or((0, ""), |previous| (previous.seq, previous.hash.as_str()));
        self.seq == seq + 1 && self.prev_hash == prev_hash && self.hash == self.expected_hash()
    }

    pub(crate) fn event(&self) -> Result<Event, StoreError> {
        query::from_json(&self.payload, || format!("event {} of order {}", self.seq, self.order_no))
    }
}

/// The rows for `events` after the one with `last_seq` and `last_hash` (0 and empty at first).
pub(crate) fn entries(
    order_no: OrderNo,
    last_seq: u32,
    last_hash: &str,
    events: &[Event],
    at_ms: i64,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries: Vec<Entry> = Vec::with_capacity(events.len());
    let last_seq =
        i32::try_from(last_seq).map_err(|_| StoreError::Corrupt { what: format!("version of {order_no}") })?;
    for (seq, event) in (last_seq + 1..).zip(events) {
        let prev_hash = entries.last().map_or(last_hash, |entry| entry.hash.as_str()).to_owned();
        let mut entry = Entry {
            order_no: order_no.to_string(),
            seq,
            kind: event.kind().to_owned(),
            payload: query::to_json(event, "event")?,
            at_ms,
            commit_no: 0,
            prev_hash,
            hash: String::new(),
        };
        entry.hash = entry.expected_hash();
        entries.push(entry);
    }
    Ok(entries)
}

/// Appends rows under the number of their commit.
pub(crate) async fn insert(tx: &impl ConnectionTrait, entries: Vec<Entry>, commit_no: i64) -> Result<(), StoreError> {
    let rows = entries
        .into_iter()
        .map(|entry| {
            vec![
                entry.order_no.into(),
                entry.seq.into(),
                entry.kind.into(),
                entry.payload.into(),
                entry.at_ms.into(),
                commit_no.into(),
                entry.prev_hash.into(),
                entry.hash.into(),
            ]
        })
        .collect();
    query::insert_rows(tx, "order_events", &COLUMNS, rows, None).await
}

/// The journals of these orders, each from its first event on, in the order of their numbers.
pub(crate) async fn read(conn: &impl ConnectionTrait, order_nos: &[String]) -> Result<Vec<Entry>, StoreError> {
    query::by_keys(conn, order_nos, "reading the journal", |keys| {
        Query::select()
            .columns(COLUMNS)
            .from("order_events")
            .and_where(Expr::col("order_no").is_in(keys))
            .order_by("order_no", Sort::Asc)
            .order_by("seq", Sort::Asc)
            .to_owned()
    })
    .await
}
