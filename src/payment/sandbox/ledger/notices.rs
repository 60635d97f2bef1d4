//! Notifications that are owed, and what became of them. Written in the commit of the change that they tell of.

use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::LedgerError;
use super::store::{run, typed};
use crate::payment::sandbox::rules::{RefundStatus, Wire};

/// What a notification tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "status")]
pub enum Event {
    /// A trade was paid.
    Paid,
    /// A refund ended so.
    Refund(RefundStatus),
}

/// A notification: where it goes and what it says. How it is signed and sealed is decided at each delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The provider's id; the same at each delivery.
    pub id: String,
    /// In which interface's words.
    pub wire: Wire,
    /// What it tells.
    pub event: Event,
    /// Of which trade.
    pub out_trade_no: String,
    /// Where it goes.
    pub url: String,
    /// Which key signs: see [`crate::payment::sandbox::rules::NewTrade::signed_by`].
    pub signed_by: String,
    /// What it says: the plaintext of the resource (v3), or the fields (v2, Alipay).
    pub facts: Value,
    /// When the change happened, unix ms.
    pub created_ms: i64,
}

/// A notification with what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct NoticeState {
    /// The notification.
    #[serde(flatten)]
    pub notice: Notice,
    /// When it will be delivered next, unix ms; `None`: never again.
    pub due_ms: Option<i64>,
    /// How often it was delivered.
    pub attempts: u32,
    /// When its receiver acknowledged it, unix ms.
    pub delivered_ms: Option<i64>,
    /// What the last delivery came to; empty before the first.
    pub last_status: String,
}

#[derive(FromQueryResult)]
struct Row {
    doc: String,
    due_ms: Option<i64>,
    attempts: i32,
    delivered_ms: Option<i64>,
    last_status: String,
}

impl Row {
    fn state(self) -> Result<NoticeState, LedgerError> {
        Ok(NoticeState {
            notice: serde_json::from_str(&self.doc)?,
            due_ms: self.due_ms,
            attempts: u32::try_from(self.attempts).unwrap_or_default(),
            delivered_ms: self.delivered_ms,
            last_status: self.last_status,
        })
    }
}

const COLUMNS: &str = "doc, due_ms, attempts, delivered_ms, last_status";

/// Owes a notification from `notice.created_ms` on.
///
/// # Errors
/// [`LedgerError`].
pub async fn add_notice(on: &impl ConnectionTrait, notice: &Notice) -> Result<(), LedgerError> {
    let sql = "INSERT INTO notices (id, out_trade_no, created_ms, due_ms, attempts, last_status, doc)
        VALUES (?, ?, ?, ?, 0, '', ?)";
    let values = vec![
        notice.id.clone().into(),
        notice.out_trade_no.clone().into(),
        notice.created_ms.into(),
        notice.created_ms.into(),
        serde_json::to_string(notice)?.into(),
    ];
    run(on, sql, values).await.map(drop)
}

/// Notifications that are due at `now_ms`, longest first.
///
/// # Errors
/// [`LedgerError`].
pub async fn due_notices(on: &impl ConnectionTrait, now_ms: i64, limit: u32) -> Result<Vec<NoticeState>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM notices WHERE due_ms <= ? ORDER BY due_ms, ordinal LIMIT ?");
    typed::<Row>(on, &sql, vec![now_ms.into(), limit.into()]).await?.into_iter().map(Row::state).collect()
}

/// This notification if it is due at `now_ms`: whoever listed it may have looked before its delivery ended.
///
/// # Errors
/// [`LedgerError`].
pub async fn due_notice(on: &impl ConnectionTrait, id: &str, now_ms: i64) -> Result<Option<NoticeState>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM notices WHERE id = ? AND due_ms <= ?");
    typed::<Row>(on, &sql, vec![id.into(), now_ms.into()]).await?.pop().map(Row::state).transpose()
}

/// The newest notifications, of one trade if named.
///
/// # Errors
/// [`LedgerError`].
pub async fn list_notices(
    on: &impl ConnectionTrait,
    out_trade_no: Option<&str>,
    limit: u32,
) -> Result<Vec<NoticeState>, LedgerError> {
    let rows: Vec<Row> = match out_trade_no {
        Some(number) => {
            let sql = format!("SELECT {COLUMNS} FROM notices WHERE out_trade_no = ? ORDER BY ordinal DESC LIMIT ?");
            typed(on, &sql, vec![number.into(), limit.into()]).await?
        }
        None => {
            typed(on, &format!("SELECT {COLUMNS} FROM notices ORDER BY ordinal DESC LIMIT ?"), vec![limit.into()])
                .await?
        }
    };
    rows.into_iter().map(Row::state).collect()
}

/// A delivery came to `status` and the next one is at `due_ms`; `attempts` counts it if it was one of the schedule.
/// `begun` is the notification as the delivery found it: whoever made it due since then is not forgotten.
///
/// # Errors
/// [`LedgerError`].
pub async fn postpone_notice(
    on: &impl ConnectionTrait,
    begun: &NoticeState,
    due_ms: Option<i64>,
    attempts: u32,
    status: &str,
) -> Result<(), LedgerError> {
    let sql = "UPDATE notices SET due_ms = CASE WHEN due_ms IS ? THEN ? ELSE due_ms END, attempts = ?, last_status = ?
        WHERE id = ?";
    let id = begun.notice.id.as_str();
    let values = vec![begun.due_ms.into(), due_ms.into(), attempts.into(), status.into(), id.into()];
    run(on, sql, values).await.map(drop)
}

/// A delivery was acknowledged: there will be no other, unless somebody made it due since it was `begun`.
///
/// # Errors
/// [`LedgerError`].
pub async fn finish_notice(
    on: &impl ConnectionTrait,
    begun: &NoticeState,
    delivered_ms: i64,
    status: &str,
) -> Result<(), LedgerError> {
    let sql = "UPDATE notices SET due_ms = CASE WHEN due_ms IS ? THEN NULL ELSE due_ms END, attempts = attempts + 1,
        delivered_ms = COALESCE(delivered_ms, ?), last_status = ? WHERE id = ?";
    let id = begun.notice.id.as_str();
    run(on, sql, vec![begun.due_ms.into(), delivered_ms.into(), status.into(), id.into()]).await.map(drop)
}

/// Makes a notification due at `now_ms`, whatever became of it; false if there is none with this id.
///
/// # Errors
/// [`LedgerError`].
pub async fn resend_notice(on: &impl ConnectionTrait, id: &str, now_ms: i64) -> Result<bool, LedgerError> {
    Ok(run(on, "UPDATE notices SET due_ms = ? WHERE id = ?", vec![now_ms.into(), id.into()]).await? > 0)
}
