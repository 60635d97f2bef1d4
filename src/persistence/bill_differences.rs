//! What the reconciliation found, one row a run, kind and number: found a second time it is the same row.
//!
//! | state | means | left by |
//! |---|---|---|
//! | open | the order has not heard of it: there is none, or it cannot be reached | a later attempt |
//! | in_review | a human is asked, at the order | the order's review being cleared |
//! | repaired | the order heard of it and has recorded it | |
//! | cleared | the human has looked | |
//! | settled | a later look at the bill did not find it again; also one that an order heard of when its node died | being found again |
//! | noted | nothing of ours | |

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Order as Sort, Query, SelectStatement};

use super::db::Db;
use super::error::StoreError;
use super::orders::{name, word};
use super::page::Page;
use super::query;
use crate::domain::Money;
use crate::domain::reconciliation::{Difference, DifferenceKind, Remedy};

const OPERATION: &str = "keeping a difference";
const NUMBER_CHARS_MAX: usize = 64;
const NOTE_CHARS_MAX: usize = 255;
/// Rows of one commit.
const PORTION: usize = 256;

/// What became of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DifferenceState {
    /// The order has not heard of it.
    Open,
    /// A human is asked.
    InReview,
    /// The order has recorded it.
    Repaired,
    /// A human has looked.
    Cleared,
    /// It is not so any more.
    Settled,
    /// Nothing of ours.
    Noted,
}

/// A difference as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDifference {
    /// The run that found it.
    pub run_id: String,
    /// What differs.
    pub difference: Difference,
    /// What became of it.
    pub state: DifferenceState,
    /// Why it is open, in words.
    pub note: String,
    /// When it was found first.
    pub found_at_ms: i64,
    /// When it ceased to be open.
    pub ended_at_ms: Option<i64>,
}

/// How many differences of a run are in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateCount {
    /// The run.
    pub run_id: String,
    /// The state.
    pub state: DifferenceState,
    /// How many.
    pub count: u64,
}

/// Which differences of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DifferenceFilter {
    /// Of this kind only.
    pub kind: Option<DifferenceKind>,
    /// Only those that somebody has to look after (true), or only the others.
    pub open: Option<bool>,
}

impl DifferenceState {
    /// Every state.
    pub const ALL: [Self; 6] = [Self::Open, Self::InReview, Self::Repaired, Self::Cleared, Self::Settled, Self::Noted];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InReview => "in_review",
            Self::Repaired => "repaired",
            Self::Cleared => "cleared",
            Self::Settled => "settled",
            Self::Noted => "noted",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// True if somebody has to look after it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::InReview)
    }
}

fn open_states() -> Vec<&'static str> {
    DifferenceState::ALL.into_iter().filter(|state| state.is_open()).map(DifferenceState::name).collect()
}

#[derive(FromQueryResult)]
struct Row {
    run_id: String,
    kind: String,
    number: String,
    payment_no: String,
    gateway_no: String,
    ours_fen: Option<i64>,
    theirs_fen: Option<i64>,
    our_state: String,
    their_state: String,
    state: String,
    note: String,
    found_at_ms: i64,
    ended_at_ms: Option<i64>,
}

const COLUMNS: [&str; 13] = [
    "run_id",
    "kind",
    "number",
    "payment_no",
    "gateway_no",
    "ours_fen",
    "theirs_fen",
    "our_state",
    "their_state",
    "state",
    "note",
    "found_at_ms",
    "ended_at_ms",
];

impl Row {
    fn stored(self) -> Result<StoredDifference, StoreError> {
        let unreadable = || StoreError::Corrupt { what: format!("difference {} of {}", self.number, self.run_id) };
        Ok(StoredDifference {
            difference: Difference {
                kind: DifferenceKind::from_name(&self.kind).ok_or_else(unreadable)?,
                ours: self.ours_fen.map(Money::from_fen),
                theirs: self.theirs_fen.map(Money::from_fen),
                our_state: word(&self.our_state, "state of a refund")?,
                their_state: word(&self.their_state, "state of a refund")?,
                number: self.number.clone(),
                payment_no: self.payment_no.clone(),
                gateway_no: self.gateway_no.clone(),
                asked_at_ms: None,
            },
            state: DifferenceState::from_name(&self.state).ok_or_else(unreadable)?,
            run_id: self.run_id,
            note: self.note,
            found_at_ms: self.found_at_ms,
            ended_at_ms: self.ended_at_ms,
        })
    }
}

#[derive(FromQueryResult)]
struct KeyRow {
    kind: String,
    number: String,
}

/// The number as it is kept: a foreign one may be longer.
fn kept(text: &str) -> String {
    text.chars().take(NUMBER_CHARS_MAX).collect()
}

/// Puts down what an attempt found. What was found before stays what it became; what had settled is open again.
///
/// # Errors
/// [`StoreError`].
pub async fn found(
    db: &Db,
    (run_id, attempt): (&str, u32),
    differences: &[Difference],
    now_ms: i64,
) -> Result<(), StoreError> {
    let attempt = i32::try_from(attempt).unwrap_or(i32::MAX);
    for portion in differences.chunks(PORTION) {
        db.write("keeping differences", async |tx| {
            let numbers: Vec<String> = portion.iter().map(|difference| kept(&difference.number)).collect();
            let same = |portion: Vec<String>| {
                Query::select()
                    .columns(["kind", "number"])
                    .from("bill_differences")
                    .and_where(Expr::col("run_id").eq(run_id))
                    .and_where(Expr::col("number").is_in(portion))
                    .to_owned()
            };
            let known: Vec<KeyRow> = query::by_keys(tx, &numbers, OPERATION, same).await?;
            let is_known = |difference: &&Difference| {
                let number = kept(&difference.number);
                known.iter().any(|row| row.number == number && row.kind == difference.kind.name())
            };
            let (again, new): (Vec<&Difference>, Vec<&Difference>) = portion.iter().partition(is_known);
            let rows = new.into_iter().map(|difference| row(run_id, attempt, difference, now_ms)).collect();
            let keep = OnConflict::columns(["run_id", "kind", "number"])
                .do_nothing_on(["run_id", "kind", "number"])
                .to_owned();
            let columns: Vec<&str> = COLUMNS.into_iter().chain(["order_no", "seen_attempt"]).collect();
            query::insert_rows(tx, "bill_differences", &columns, rows, Some(keep)).await?;
            for difference in again {
                seen_again(tx, run_id, attempt, difference).await?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

fn row(run_id: &str, attempt: i32, difference: &Difference, now_ms: i64) -> Vec<Expr> {
    let (state, ended_at_ms) = match difference.remedy() {
        Remedy::Note => (DifferenceState::Noted, Some(now_ms)),
        Remedy::Tell(..) => (DifferenceState::Open, None),
    };
    vec![
        run_id.into(),
        difference.kind.name().into(),
        kept(&difference.number).into(),
        kept(&difference.payment_no).into(),
        kept(&difference.gateway_no).into(),
        difference.ours.map(Money::fen).into(),
        difference.theirs.map(Money::fen).into(),
        name(difference.our_state.as_ref()).into(),
        name(difference.their_state.as_ref()).into(),
        state.name().into(),
        "".into(),
        now_ms.into(),
        ended_at_ms.into(),
        difference.order_no().map_or_else(String::new, |order_no| order_no.to_string()).into(),
        attempt.into(),
    ]
}

async fn seen_again(
    tx: &impl sea_orm::ConnectionTrait,
    run_id: &str,
    attempt: i32,
    difference: &Difference,
) -> Result<(), StoreError> {
    let of_it = |values: Vec<(&'static str, Expr)>| {
        Query::update()
            .table("bill_differences")
            .values(values)
            .and_where(Expr::col("run_id").eq(run_id))
            .and_where(Expr::col("kind").eq(difference.kind.name()))
            .and_where(Expr::col("number").eq(kept(&difference.number)))
            .to_owned()
    };
    query::execute(tx, &of_it(vec![("seen_attempt", attempt.into())]), OPERATION).await?;
    let mut reopened = of_it(vec![
        ("state", DifferenceState::Open.name().into()),
        ("ended_at_ms", None::<i64>.into()),
        ("note", "".into()),
    ]);
    reopened.and_where(Expr::col("state").eq(DifferenceState::Settled.name()));
    query::execute(tx, &reopened, OPERATION).await?;
    Ok(())
}

/// What earlier attempts left open and this one did not find again has settled; how many.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn settle_unseen(db: &Db, run_id: &str, attempt: u32, now_ms: i64) -> Result<u64, StoreError> {
    let update = Query::update()
        .table("bill_differences")
        .value("state", DifferenceState::Settled.name())
        .value("ended_at_ms", now_ms)
        .and_where(Expr::col("run_id").eq(run_id))
        .and_where(Expr::col("state").is_in(open_states()))
        .and_where(Expr::col("seen_attempt").lt(i32::try_from(attempt).unwrap_or(i32::MAX)))
        .to_owned();
    query::execute(db.writer(), &update, OPERATION).await
}

/// Differences whose order has not heard of them, by kind and number behind `after`.
///
/// # Errors
/// [`StoreError`].
pub async fn open_of(
    db: &Db,
    run_id: &str,
    after: Option<&Difference>,
    limit: u64,
) -> Result<Vec<StoredDifference>, StoreError> {
    let mut select = of_run(run_id);
    select.and_where(Expr::col("state").eq(DifferenceState::Open.name()));
    if let Some(after) = after {
        let same_kind = Expr::col("kind").eq(after.kind.name()).and(Expr::col("number").gt(after.number.as_str()));
        select.and_where(Expr::col("kind").gt(after.kind.name()).or(same_kind));
    }
    select.columns(COLUMNS).order_by("kind", Sort::Asc).order_by("number", Sort::Asc).limit(limit);
    let rows: Vec<Row> = query::all(db.reader(), &select, "reading open differences").await?;
    rows.into_iter().map(Row::stored).collect()
}

/// Puts down what became of a difference; one that is not open any more stays as it is.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn became(
    db: &Db,
    stored: &StoredDifference,
    state: DifferenceState,
    note: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let ended_at_ms = (!state.is_open()).then_some(now_ms);
    let update = Query::update()
        .table("bill_differences")
        .value("state", state.name())
        .value("note", note.chars().take(NOTE_CHARS_MAX).collect::<String>())
        .value("ended_at_ms", ended_at_ms)
        .and_where(Expr::col("run_id").eq(stored.run_id.as_str()))
        .and_where(Expr::col("kind").eq(stored.difference.kind.name()))
        .and_where(Expr::col("number").eq(stored.difference.number.as_str()))
        .and_where(Expr::col("state").eq(DifferenceState::Open.name()))
        .to_owned();
    query::execute(db.writer(), &update, OPERATION).await?;
    Ok(())
}

/// Ends the differences whose orders no human is asked about any more; how many.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn clear_reviewed(db: &Db, now_ms: i64) -> Result<u64, StoreError> {
    if open_total(db, DifferenceState::InReview).await? == 0 {
        return Ok(0); // the usual case takes no write lock
    }
    let reviewed = Query::select().column("order_no").from("orders").and_where(Expr::col("review").eq("")).to_owned();
    let update = Query::update()
        .table("bill_differences")
        .value("state", DifferenceState::Cleared.name())
        .value("ended_at_ms", now_ms)
        .and_where(Expr::col("state").eq(DifferenceState::InReview.name()))
        .and_where(Expr::col("order_no").in_subquery(reviewed))
        .to_owned();
    query::execute(db.writer(), &update, OPERATION).await
}

/// How many differences of all runs are in that state.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn open_total(db: &Db, state: DifferenceState) -> Result<u64, StoreError> {
    let select = Query::select().from("bill_differences").and_where(Expr::col("state").eq(state.name())).to_owned();
    query::count(db.reader(), select, "counting differences").await
}

fn of_run(run_id: &str) -> SelectStatement {
    Query::select().from("bill_differences").and_where(Expr::col("run_id").eq(run_id)).to_owned()
}

/// Differences of a run by kind and number, with their total number.
///
/// # Errors
/// [`StoreError`].
pub async fn list(
    db: &Db,
    run_id: &str,
    filter: DifferenceFilter,
    page: Page,
) -> Result<(Vec<StoredDifference>, u64), StoreError> {
    let mut select = of_run(run_id);
    if let Some(kind) = filter.kind {
        select.and_where(Expr::col("kind").eq(kind.name()));
    }
    match filter.open {
        Some(true) => select.and_where(Expr::col("state").is_in(open_states())),
        Some(false) => select.and_where(Expr::col("state").is_not_in(open_states())),
        None => &mut select,
    };
    let total = query::count(db.reader(), select.clone(), "counting differences").await?;
    select.columns(COLUMNS).order_by("kind", Sort::Asc).order_by("number", Sort::Asc);
    select.offset(page.offset()).limit(page.size());
    let rows: Vec<Row> = query::all(db.reader(), &select, "reading differences").await?;
    Ok((rows.into_iter().map(Row::stored).collect::<Result<_, _>>()?, total))
}

#[derive(FromQueryResult)]
struct CountRow {
    run_id: String,
    state: String,
    rows_counted: i64,
}

/// How many differences of these runs are in which state.
///
/// # Errors
/// [`StoreError`].
pub async fn counts(db: &Db, run_ids: &[String]) -> Result<Vec<StateCount>, StoreError> {
    let select = |portion: Vec<String>| {
        Query::select()
            .columns(["run_id", "state"])
            .expr_as(Expr::cust("COUNT(*)"), "rows_counted")
            .from("bill_differences")
            .and_where(Expr::col("run_id").is_in(portion))
            .group_by_columns(["run_id", "state"])
            .to_owned()
    };
    let rows: Vec<CountRow> = query::by_keys(db.reader(), run_ids, "counting differences", select).await?;
    let counted = |row: CountRow| {
        let state = DifferenceState::from_name(&row.state);
        let state = state.ok_or_else(|| StoreError::Corrupt { what: format!("a difference of {}", row.run_id) })?;
        Ok(StateCount { run_id: row.run_id, state, count: row.rows_counted.unsigned_abs() })
    };
    rows.into_iter().map(counted).collect()
}

#[cfg(test)]
mod tests;
