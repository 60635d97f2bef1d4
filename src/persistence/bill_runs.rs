//! The runs of the reconciliation: one row a channel and day, worked on by whoever has its lease.
//!
//! The number of attempts is the fence: it grows with every lease, and whoever was left behind (a pause longer than the
//! lease) writes nothing any more. A run that is asked for again is the same row, due again.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Order as Sort, Query, SelectStatement, UpdateStatement};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::db::Db;
use super::error::StoreError;
use super::leases::{self, Holders, Lease};
use super::page::Page;
use super::query;
use crate::domain::order::PayChannel;
use crate::domain::reconciliation::BillDay;

const OPERATION: &str = "keeping a run of the reconciliation";
const ERROR_CHARS_MAX: usize = 255;
const COLUMNS: [&str; 11] = [
    "id",
    "channel",
    "day",
    "state",
    "attempts",
    "due_at_ms",
    "lease_until_ms",
    "started_at_ms",
    "finished_at_ms",
    "lines_read",
    "lines_unknown",
];

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Due, or the bill is not there yet.
    Waiting,
    /// Compared to the end.
    Done,
    /// Compared to the end, but an order has not heard of a difference: compared again later.
    Open,
    /// Did not come to its end; tried again.
    Failed,
}

/// One channel's day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillRun {
    /// `wechat-2026-11-20`.
    pub id: String,
    /// Whose bill.
    pub channel: PayChannel,
    /// Of which day.
    pub day: BillDay,
    /// Where it stands.
    pub state: RunState,
    /// How often it was taken up.
    pub attempts: u32,
    /// When it is tried next, if it is not done.
    pub due_at_ms: i64,
    /// Somebody is at it until then.
    pub lease_until_ms: i64,
    /// When it was taken up last.
    pub started_at_ms: Option<i64>,
    /// When it was last compared to the end.
    pub finished_at_ms: Option<i64>,
    /// Lines of the bill.
    pub lines: u64,
    /// Lines with numbers that are none of this shop's.
    pub unknown: u64,
    /// Why it failed or waits; empty if it does not.
    pub error: String,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Compared to the end.
    Done {
        /// Lines of the bill.
        lines: u64,
        /// Lines with numbers that are none of this shop's.
        unknown: u64,
        /// When to compare again, because an order has not heard of something.
        again_at_ms: Option<i64>,
    },
    /// The bill is not there yet.
    Waiting {
        /// What the gateway said.
        why: String,
        /// When to ask again.
        due_at_ms: i64,
    },
    /// It could not be compared.
    Failed {
        /// Why.
        why: String,
        /// When to try again.
        due_at_ms: i64,
    },
}

impl RunState {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Open => "open",
            Self::Failed => "failed",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Done, Self::Open, Self::Failed].into_iter().find(|state| state.name() == name)
    }
}

/// The id of a channel's day.
#[must_use]
pub fn id(channel: PayChannel, day: BillDay) -> String {
    format!("{}-{day}", channel_name(channel))
}

/// The word for a channel in ids, paths and files.
#[must_use]
pub const fn channel_name(channel: PayChannel) -> &'static str {
    match channel {
        PayChannel::Alipay => "alipay",
        PayChannel::Wechat => "wechat",
        PayChannel::Card => "card",
        PayChannel::Simulated => "simulated",
    }
}

#[derive(FromQueryResult)]
struct Last {
    at_ms: Option<i64>,
}

#[derive(FromQueryResult)]
struct Row {
    id: String,
    channel: i16,
    day: String,
    state: String,
    attempts: i32,
    due_at_ms: i64,
    lease_until_ms: i64,
    started_at_ms: Option<i64>,
    finished_at_ms: Option<i64>,
    lines_read: i64,
    lines_unknown: i64,
    last_error: String,
}

impl Row {
    fn run(self) -> Result<BillRun, StoreError> {
        let unreadable = || StoreError::Corrupt { what: format!("run {} of the reconciliation", self.id) };
        Ok(BillRun {
            channel: PayChannel::from_code(self.channel.into()).ok_or_else(unreadable)?,
            day: self.day.parse().map_err(|_| unreadable())?,
            state: RunState::from_name(&self.state).ok_or_else(unreadable)?,
            attempts: query::unsigned(self.attempts, "attempts of a run")?,
            id: self.id,
            due_at_ms: self.due_at_ms,
            lease_until_ms: self.lease_until_ms,
            started_at_ms: self.started_at_ms,
            finished_at_ms: self.finished_at_ms,
            lines: self.lines_read.unsigned_abs(),
            unknown: self.lines_unknown.unsigned_abs(),
            error: self.last_error,
        })
    }
}

fn select() -> SelectStatement {
    Query::select().columns(COLUMNS).column("last_error").from("bill_runs").to_owned()
}

/// Makes the run of a day if it is not there; it is due at `due_at_ms`.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn ensure(db: &Db, channel: PayChannel, day: BillDay, due_at_ms: i64) -> Result<(), StoreError> {
    if find(db, &id(channel, day)).await?.is_some() {
        return Ok(()); // the usual case takes no write lock
    }
    let row = vec![
        id(channel, day).into(),
        channel.code().into(),
        day.to_string().into(),
        RunState::Waiting.name().into(),
        due_at_ms.into(),
    ];
    let keep = OnConflict::column("id").do_nothing_on(["id"]).to_owned();
    let columns = ["id", "channel", "day", "state", "due_at_ms"];
    query::insert_rows(db.writer(), "bill_runs", &columns, vec![row], Some(keep)).await
}

/// Makes the run of a day due at once, done or not; one that somebody is at stays as it is.
///
/// # Errors
/// [`StoreError`].
pub async fn ask(db: &Db, channel: PayChannel, day: BillDay, now_ms: i64) -> Result<BillRun, StoreError> {
    ensure(db, channel, day, now_ms).await?;
    let id = id(channel, day);
    let update = Query::update()
        .table("bill_runs")
        .value("state", RunState::Waiting.name())
        .value("due_at_ms", now_ms)
        .value("last_error", "")
        .and_where(Expr::col("id").eq(id.as_str()))
        .and_where(Expr::col("lease_until_ms").lte(now_ms))
        .to_owned();
    query::execute(db.writer(), &update, OPERATION).await?;
    find(db, &id).await?.ok_or(StoreError::Corrupt { what: format!("run {id} is not there") })
}

/// Leases the oldest due run to the caller.
///
/// # Errors
/// [`StoreError`].
pub async fn claim_due(db: &Db, now_ms: i64, terms: Lease) -> Result<Option<BillRun>, StoreError> {
    let due = select()
        .and_where(Expr::col("state").ne(RunState::Done.name()))
        .and_where(Expr::col("due_at_ms").lte(now_ms))
        .and_where(Expr::col("lease_until_ms").lte(now_ms))
        .order_by("day", Sort::Asc)
        .order_by("id", Sort::Asc)
        .limit(1)
        .to_owned();
    let seen: Option<Row> = query::one(db.reader(), &due, "reading due runs").await?;
    match seen {
        Some(row) => claim(db, &row.id, now_ms, terms).await,
        None => Ok(None),
    }
}

/// Leases this very run to the caller, due or not; `None` if somebody is at it.
///
/// # Errors
/// [`StoreError`].
pub async fn claim(db: &Db, id: &str, now_ms: i64, terms: Lease) -> Result<Option<BillRun>, StoreError> {
    let claimed = db.write("leasing a run of the reconciliation", async |tx| {
        let seen = query::locked(select().and_where(Expr::col("id").eq(id)).to_owned(), tx);
        let Some(row) = query::one::<Row>(tx, &seen, OPERATION).await? else { return Ok(None) };
        let run = row.run()?;
        if run.lease_until_ms > now_ms {
            return Ok(None);
        }
        let (attempts, lease_until_ms) = (run.attempts + 1, now_ms.saturating_add(terms.ms));
        let update = Query::update()
            .table("bill_runs")
            .value("attempts", i32::try_from(attempts).unwrap_or(i32::MAX))
            .value("lease_until_ms", lease_until_ms)
            .value("lease_slot", i16::from(terms.slot))
            .value("started_at_ms", now_ms)
            .and_where(Expr::col("id").eq(id))
            .to_owned();
        query::execute(tx, &update, OPERATION).await?;
        Ok(Some(BillRun { attempts, lease_until_ms, started_at_ms: Some(now_ms), ..run }))
    });
    claimed.await
}

/// Prolongs the lease; false if another has the run by now.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn renew(db: &Db, run: &BillRun, until_ms: i64) -> Result<bool, StoreError> {
    let update = held(run).value("lease_until_ms", until_ms).to_owned();
    Ok(query::execute(db.writer(), &update, OPERATION).await? == 1)
}

/// Puts down how the attempt ended and gives the lease back; false if another has the run by now.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn conclude(db: &Db, run: &BillRun, ending: &Ending, now_ms: i64) -> Result<bool, StoreError> {
    let (state, why, due_at_ms) = match ending {
        Ending::Done { again_at_ms: None, .. } => (RunState::Done, "", None),
        Ending::Done { again_at_ms, .. } => (RunState::Open, "", *again_at_ms),
        Ending::Waiting { why, due_at_ms } => (RunState::Waiting, why.as_str(), Some(*due_at_ms)),
        Ending::Failed { why, due_at_ms } => (RunState::Failed, why.as_str(), Some(*due_at_ms)),
    };
    let mut update = held(run);
    update
        .value("state", state.name())
        .value("lease_until_ms", 0_i64)
        .value("last_error", why.chars().take(ERROR_CHARS_MAX).collect::<String>());
    if let Some(due_at_ms) = due_at_ms {
        update.value("due_at_ms", due_at_ms);
    }
    if let Ending::Done { lines, unknown, .. } = ending {
        update
            .value("finished_at_ms", now_ms)
            .value("lines_read", i64::try_from(*lines).unwrap_or(i64::MAX))
            .value("lines_unknown", i64::try_from(*unknown).unwrap_or(i64::MAX));
    }
    Ok(query::execute(db.writer(), &update, OPERATION).await? == 1)
}

fn held(run: &BillRun) -> UpdateStatement {
    Query::update()
        .table("bill_runs")
        .and_where(Expr::col("id").eq(run.id.as_str()))
        .and_where(Expr::col("attempts").eq(i32::try_from(run.attempts).unwrap_or(i32::MAX)))
        .and_where(Expr::col("lease_until_ms").gt(0_i64))
        .to_owned()
}

/// Ends the leases of processes that are dead.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn end_leases(db: &Db, of: Holders) -> Result<u64, StoreError> {
    leases::end(db, "bill_runs", of).await
}

/// The run of that id.
///
/// # Errors
/// [`StoreError`].
pub async fn find(db: &Db, id: &str) -> Result<Option<BillRun>, StoreError> {
    let select = select().and_where(Expr::col("id").eq(id)).to_owned();
    let row: Option<Row> = query::one(db.reader(), &select, "reading a run").await?;
    row.map(Row::run).transpose()
}

/// Runs, the latest day first, with their total number.
///
/// # Errors
/// [`StoreError`].
pub async fn list(db: &Db, page: Page) -> Result<(Vec<BillRun>, u64), StoreError> {
    let total = query::count(db.reader(), Query::select().from("bill_runs").to_owned(), "counting runs").await?;
    let select = select()
        .order_by("day", Sort::Desc)
        .order_by("id", Sort::Asc)
        .offset(page.offset())
        .limit(page.size())
        .to_owned();
    let rows: Vec<Row> = query::all(db.reader(), &select, "reading runs").await?;
    Ok((rows.into_iter().map(Row::run).collect::<Result<_, _>>()?, total))
}

/// The first day that a channel was ever reconciled for.
///
/// # Errors
/// [`StoreError`].
pub async fn first_day(db: &Db, channel: PayChannel) -> Result<Option<BillDay>, StoreError> {
    first(db.reader(), channel).await.map(|run| run.map(|run| run.day))
}

/// When a bill of the channel was last compared to the end, whatever its day; `None` if none ever was.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn last_finished_ms(db: &Db, channel: PayChannel) -> Result<Option<i64>, StoreError> {
    let select = Query::select()
        .expr_as(Expr::col("finished_at_ms").max(), "at_ms")
        .from("bill_runs")
        .and_where(Expr::col("channel").eq(channel.code()))
        .to_owned();
    let last: Option<Last> = query::one(db.reader(), &select, "reading when a bill was compared").await?;
    Ok(last.and_then(|last| last.at_ms))
}

async fn first(conn: &impl ConnectionTrait, channel: PayChannel) -> Result<Option<BillRun>, StoreError> {
    let select =
        select().and_where(Expr::col("channel").eq(channel.code())).order_by("day", Sort::Asc).limit(1).to_owned();
    let row: Option<Row> = query::one(conn, &select, "reading the first run").await?;
    row.map(Row::run).transpose()
}

#[cfg(test)]
mod tests;
