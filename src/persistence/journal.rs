//! The journal of every order, and the only way to change an order that exists.
//!
//! One commit writes, in one transaction: the order's row (compare-and-swap on its version), the events with their
//! hashes, the units in `stock`, payments and refunds, the effects owed, the product's sales, one outbox row. Two
//! writers of one order both build on a version; the second finds the row changed and gets [`CommitOutcome::Lost`].
//! No lock and no lease is needed for that. Rows are locked in this order: stock, order, the rest.

pub(crate) mod chain;
mod figures;
pub(crate) mod projection;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query};
use sea_orm::{DatabaseTransaction, FromQueryResult};

use super::db::Db;
use super::effects::{self, EffectKey};
use super::error::StoreError;
use super::outbox::{self, FeedEvent, OutboxPayload};
use super::positions::Position;
use super::stock::{self, StockDelta};
use super::{money_log, payments, query};
use crate::domain::order::{Event, Order, UnitsState, apply, owed_effects, replay};
use crate::domain::{BuyerId, OrderNo};
use crate::failpoint;
use chain::Entry;

const OPERATION: &str = "committing an order";

/// An order as its journal tells it, with what the next commit must build on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedOrder {
    /// The order after its last event.
    pub order: Order,
    /// Hash of its last event, 64 hex digits.
    pub last_hash: String,
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is stored.
    Committed {
        /// The order after it.
        loaded: LoadedOrder,
        /// Its number in the outbox.
        commit_no: i64,
    },
    /// Somebody else changed the order first: load it and decide again.
    Lost,
    /// A late payment wanted units again and the database has none.
    StockGone,
}

/// One stored event, for the order's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    /// 1, 2, … within the order.
    pub seq: u32,
    /// What happened.
    pub event: Event,
    /// When.
    pub at_ms: i64,
}

/// A past event with the commit it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEvent {
    /// The commit.
    pub commit_no: i64,
    /// The event, as the feed told it.
    pub event: FeedEvent,
}

/// One event between the order before and after it.
pub(crate) struct Step<'a> {
    pub(crate) before: Order,
    pub(crate) event: &'a Event,
    pub(crate) after: Order,
}

/// The order before and after each of `events`.
pub(crate) fn steps<'a>(order: &Order, events: &'a [Event], at_ms: i64) -> Vec<Step<'a>> {
    let mut before = order.clone();
    let mut steps = Vec::with_capacity(events.len());
    for event in events {
        let mut after = before.clone();
        apply(&mut after, event, at_ms);
        steps.push(Step { before: std::mem::replace(&mut before, after.clone()), event, after });
    }
    steps
}

/// The effects that `steps` owe, under their names.
pub(crate) fn effects_of(steps: &[Step<'_>]) -> Vec<(EffectKey, crate::domain::order::Effect)> {
    let mut owed = Vec::new();
    for step in steps {
        for (part, effect) in (0..).zip(owed_effects(&step.before, step.event, &step.after)) {
            owed.push((EffectKey { order_no: step.after.order_no, seq: step.after.version, part }, effect));
        }
    }
    owed
}

/// Replays an order from its journal; `None` if there is no such order.
///
/// # Errors
/// [`StoreError::Corrupt`] if the chain of hashes is broken or an event cannot be read.
pub async fn load(db: &Db, order_no: OrderNo) -> Result<Option<LoadedOrder>, StoreError> {
    let entries = chain::read(db.reader(), &[order_no.to_string()]).await?;
    let Some(last) = entries.last() else { return Ok(None) };
    if let Some(seq) = first_broken(&entries) {
        return Err(StoreError::Corrupt { what: format!("journal of order {order_no} at event {seq}") });
    }
    let events = entries.iter().map(Entry::event).collect::<Result<Vec<_>, _>>()?;
    let journal = events.iter().zip(entries.iter().map(|entry| entry.at_ms));
    let order = replay(journal).ok_or_else(|| StoreError::Corrupt { what: format!("journal of order {order_no}") })?;
    Ok(Some(LoadedOrder { order, last_hash: last.hash.clone() }))
}

/// The `seq` (as it should be) of the first row that does not fit.
pub(crate) fn first_broken(entries: &[Entry]) -> Option<u32> {
    let mut previous = None;
    for (seq, entry) in (1..).zip(entries) {
        if !entry.follows(previous) {
            return Some(seq);
        }
        previous = Some(entry);
    }
    None
}

/// One row of the journal as it is stored, for whoever has to judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// 1, 2, … within the order.
    pub seq: i32,
    /// E.g. `payment_captured`.
    pub kind: String,
    /// The event as JSON; also one that this version cannot read.
    pub payload: String,
    /// When.
    pub at_ms: i64,
    /// Of the commit, as the feed tells it.
    pub commit_no: i64,
    /// 64 hex digits.
    pub hash: String,
    /// It follows the row before it, and its hash is right.
    pub fits: bool,
}

/// The order's journal as it is stored, oldest first, whether it is sound or not; empty if there is no such order.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn stored(db: &Db, order_no: OrderNo) -> Result<Vec<StoredEntry>, StoreError> {
    let entries = chain::read(db.reader(), &[order_no.to_string()]).await?;
    let mut previous = None;
    let mut stored = Vec::with_capacity(entries.len());
    for entry in &entries {
        let fits = entry.follows(previous);
        previous = Some(entry);
        let Entry { seq, kind, payload, at_ms, commit_no, hash, .. } = entry.clone();
        stored.push(StoredEntry { seq, kind, payload, at_ms, commit_no, hash, fits });
    }
    Ok(stored)
}

/// Appends `events` to the order as it was loaded, with everything they entail, in one transaction. No events change
/// nothing: the commit number is 0 then.
///
/// # Errors
/// [`StoreError`]; [`StoreError::TimedOut`] leaves open whether it happened: loading the order tells.
pub async fn commit(db: &Db, loaded: &LoadedOrder, events: &[Event], now_ms: i64) -> Result<CommitOutcome, StoreError> {
    if events.is_empty() {
        return Ok(CommitOutcome::Committed { loaded: loaded.clone(), commit_no: 0 });
    }
    failpoint::reach("journal.commit.before");
    let earlier = Cell::new(None);
    let outcome = db.write(OPERATION, async |tx| {
        if let Some(outcome) = found_committed(tx, loaded, events, now_ms, earlier.get()).await? {
            return Ok(outcome);
        }
        let outcome = commit_in(tx, loaded, events, now_ms).await?;
        if let CommitOutcome::Committed { commit_no, .. } = outcome {
            earlier.set(Some(commit_no)); // in case this try's commit is not answered
        }
        Ok(outcome)
    });
    let outcome = outcome.await?;
    if matches!(outcome, CommitOutcome::Committed { .. }) {
        figures::count(&steps(&loaded.order, events, now_ms));
    }
    failpoint::reach("journal.commit.after");
    Ok(outcome)
}

/// What an earlier try did whose commit was not answered: its events, under its number. Another writer's events have
/// another number, even if they say the same.
async fn found_committed(
    tx: &DatabaseTransaction,
    loaded: &LoadedOrder,
    events: &[Event],
    now_ms: i64,
    earlier: Option<i64>,
) -> Result<Option<CommitOutcome>, StoreError> {
    let (Some(commit_no), before) = (earlier, &loaded.order) else { return Ok(None) };
    let expected = chain::entries(before.order_no, before.version, &loaded.last_hash, events, now_ms)?;
    let stored = chain::read(tx, &[before.order_no.to_string()]).await?;
    let is_stored = |own: &Entry| {
        stored.iter().any(|entry| entry.seq == own.seq && entry.hash == own.hash && entry.commit_no == commit_no)
    };
    let (Some(last), true) = (expected.last(), expected.iter().all(is_stored)) else { return Ok(None) };
    let Some(step) = steps(before, events, now_ms).pop() else { return Ok(None) };
    let loaded = LoadedOrder { order: step.after, last_hash: last.hash.clone() };
    Ok(Some(CommitOutcome::Committed { loaded, commit_no }))
}

#[derive(FromQueryResult)]
struct Version {
    version: i32,
}

async fn commit_in(
    tx: &DatabaseTransaction,
    loaded: &LoadedOrder,
    events: &[Event],
    now_ms: i64,
) -> Result<CommitOutcome, StoreError> {
    let before = &loaded.order;
    if version(tx, before.order_no).await? != Some(i64::from(before.version)) {
        return Ok(CommitOutcome::Lost);
    }
    let steps = steps(before, events, now_ms);
    let Some(after) = steps.last().map(|step| step.after.clone()) else { return Ok(CommitOutcome::Lost) };
    let delta = StockDelta::moved(before.units, after.units, before.quantity.units());
    if !stock::apply(tx, before.product, before.pool, delta).await? {
        return stock_refused(tx, before, &after).await;
    }
    if query::execute(tx, &projection::update(before, &steps, now_ms), OPERATION).await? != 1 {
        return Err(StoreError::Conflict { operation: OPERATION }); // tried again, and found lost then
    }
    let feed = steps.iter().map(|step| FeedEvent::new(&step.after, step.event, now_ms)).collect();
    let commit_no = outbox::insert(tx, &OutboxPayload::of_this_trace(feed, Vec::new()), now_ms).await?;
    let entries = chain::entries(before.order_no, before.version, &loaded.last_hash, events, now_ms)?;
    let last_hash = entries.last().map_or_else(String::new, |entry| entry.hash.clone());
    chain::insert(tx, entries, commit_no).await?;
    for step in &steps {
        payments::record(tx, &step.after, step.event, now_ms).await?;
        money_log::owe(tx, &step.after, step.event).await?;
    }
    effects::insert(tx, &effects_of(&steps), now_ms).await?;
    count_sales(tx, before, &after).await?;
    Ok(CommitOutcome::Committed { loaded: LoadedOrder { order: after, last_hash }, commit_no })
}

async fn version(tx: &DatabaseTransaction, order_no: OrderNo) -> Result<Option<i64>, StoreError> {
    let select = Query::select()
        .column("version")
        .from("orders")
        .and_where(Expr::col("order_no").eq(order_no.to_string()))
        .to_owned();
    Ok(query::one::<Version>(tx, &select, OPERATION).await?.map(|row| row.version.into()))
}

/// The winner of a race may have moved the units while this commit waited for their row. Else units can only be short
/// when they are taken again; anything else means that the stock row is wrong.
async fn stock_refused(tx: &DatabaseTransaction, before: &Order, after: &Order) -> Result<CommitOutcome, StoreError> {
    if version(tx, before.order_no).await? != Some(i64::from(before.version)) {
        return Ok(CommitOutcome::Lost);
    }
    match (before.units, after.units) {
        (UnitsState::Returned, UnitsState::Sold | UnitsState::Held) => Ok(CommitOutcome::StockGone),
        _ => Err(StoreError::Corrupt { what: format!("stock of product {} in {}", before.product, before.pool) }),
    }
}

async fn count_sales(tx: &DatabaseTransaction, before: &Order, after: &Order) -> Result<(), StoreError> {
    let units = match (before.units == UnitsState::Sold, after.units == UnitsState::Sold) {
        (false, true) => before.quantity.units(),
        (true, false) => -before.quantity.units(),
        _ => return Ok(()),
    };
    let update = Query::update()
        .table("products")
        .value("sales", Expr::col("sales").add(units))
        .and_where(Expr::col("id").eq(before.product.0))
        .to_owned();
    query::execute(tx, &update, OPERATION).await?;
    Ok(())
}

/// What the order's journal is worth: `Ok(events)` if every hash fits, else the first `seq` that does not.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn verify(db: &Db, order_no: OrderNo) -> Result<Result<u32, u32>, StoreError> {
    let entries = chain::read(db.reader(), &[order_no.to_string()]).await?;
    Ok(first_broken(&entries).map_or_else(|| Ok(u32::try_from(entries.len()).unwrap_or(u32::MAX)), Err))
}

#[derive(FromQueryResult)]
struct Recent {
    order_no: String,
}

/// The buyer's events that a reader at `from` may not have seen, by commit, up to `limit` (a WebSocket that resumes).
///
/// # Errors
/// [`StoreError`].
pub async fn events_since(db: &Db, buyer: BuyerId, from: Position, limit: u64) -> Result<Vec<PastEvent>, StoreError> {
    let mut is_new = Expr::col(("order_events", "commit_no")).gte(from.commit_no);
    if let Some(from_ms) = from.late_from_ms {
        is_new = is_new.or(Expr::col(("order_events", "at_ms")).gte(from_ms));
    }
    let select = Query::select()
        .column(("order_events", "order_no"))
        .from("orders")
        .inner_join("order_events", Expr::col(("order_events", "order_no")).equals(("orders", "order_no")))
        .and_where(Expr::col(("orders", "user_id")).eq(buyer.0))
        .and_where(is_new)
        .order_by(("order_events", "commit_no"), Sort::Asc)
        .order_by(("order_events", "order_no"), Sort::Asc)
        .order_by(("order_events", "seq"), Sort::Asc)
        .limit(limit)
        .to_owned();
    let recent: Vec<Recent> = query::all(db.reader(), &select, "reading past events").await?;
    let order_nos: BTreeMap<String, ()> = recent.into_iter().map(|row| (row.order_no, ())).collect();
    let entries = chain::read(db.reader(), &order_nos.into_keys().collect::<Vec<_>>()).await?;
    let mut past = told_again(&entries)?;
    past.retain(|past| from.includes(past.commit_no, past.event.at_ms));
    past.sort_by_key(|past| (past.commit_no, past.event.order_no, past.event.version));
    past.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(past)
}

/// One order's events after `version`, in order.
///
/// # Errors
/// [`StoreError`].
pub async fn events_after(db: &Db, order_no: OrderNo, version: u32) -> Result<Vec<PastEvent>, StoreError> {
    let mut past = told_again(&chain::read(db.reader(), &[order_no.to_string()]).await?)?;
    past.retain(|past| past.event.version > version);
    Ok(past)
}

/// Journal entries of whole orders as the feed told them.
fn told_again(entries: &[Entry]) -> Result<Vec<PastEvent>, StoreError> {
    let mut orders: HashMap<&str, Order> = HashMap::new();
    let mut past = Vec::with_capacity(entries.len());
    for entry in entries {
        let event = entry.event()?;
        match orders.get_mut(&*entry.order_no) {
            Some(order) => apply(order, &event, entry.at_ms),
            None => {
                let placed = replay([(&event, entry.at_ms)]);
                let what = || StoreError::Corrupt { what: format!("journal of order {}", entry.order_no) };
                orders.insert(&entry.order_no, placed.ok_or_else(what)?);
            }
        }
        if let Some(after) = orders.get(&*entry.order_no) {
            past.push(PastEvent { commit_no: entry.commit_no, event: FeedEvent::new(after, &event, entry.at_ms) });
        }
    }
    Ok(past)
}

/// The order's history, oldest first; empty if there is no such order.
///
/// # Errors
/// [`StoreError::Corrupt`] if an event cannot be read.
pub async fn timeline(db: &Db, order_no: OrderNo) -> Result<Vec<TimelineEntry>, StoreError> {
    let entries = chain::read(db.reader(), &[order_no.to_string()]).await?;
    entries
        .iter()
        .map(|entry| {
            let seq = query::unsigned(entry.seq, "seq of an event")?;
            Ok(TimelineEntry { seq, event: entry.event()?, at_ms: entry.at_ms })
        })
        .collect()
}

#[cfg(test)]
mod tests;
