//! What was asked and delivered lately: for people who look, bounded, written behind. Nothing is decided by it.

use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use super::error::LedgerError;
use super::store::{docs, run};

/// Lines that are kept.
const LINES_MAX: i64 = 10_000;

/// A request that was answered, or a delivery of a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, unix ms.
    pub at_ms: i64,
    /// `wechat_v3`, `wechat_v2`, `alipay`.
    pub channel: String,
    /// `create`, `query`, … or `notify`.
    pub operation: String,
    /// Number of the trade, refund or notification; empty if it was not understood.
    pub number: String,
    /// What it came to: HTTP status, provider's code.
    pub outcome: String,
    /// The fault that had a hand in it; empty: none.
    pub fault: String,
}

/// Appends lines and forgets the oldest.
///
/// # Errors
/// [`LedgerError`].
pub async fn add_log_lines(on: &impl ConnectionTrait, lines: &[LogLine]) -> Result<(), LedgerError> {
    for line in lines {
        run(on, "INSERT INTO log (doc) VALUES (?)", vec![serde_json::to_string(line)?.into()]).await?;
    }
    let sql = "DELETE FROM log WHERE id <= (SELECT MAX(id) FROM log) - ?";
    run(on, sql, vec![LINES_MAX.into()]).await.map(drop)
}

/// The newest lines.
///
/// # Errors
/// [`LedgerError`].
pub async fn log_lines(on: &impl ConnectionTrait, limit: u32) -> Result<Vec<LogLine>, LedgerError> {
    docs(on, "SELECT doc FROM log ORDER BY id DESC LIMIT ?", vec![limit.into()]).await
}
