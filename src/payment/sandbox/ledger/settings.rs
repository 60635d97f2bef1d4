//! Knobs, faults and clocks that were set through the control API: they outlive the process like everything else.

use sea_orm::ConnectionTrait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::LedgerError;
use super::store::{doc, run};

/// What was written under `name`.
///
/// # Errors
/// [`LedgerError`].
pub async fn read_setting<T: DeserializeOwned>(
    on: &impl ConnectionTrait,
    name: &str,
) -> Result<Option<T>, LedgerError> {
    doc(on, "SELECT doc FROM settings WHERE name = ?", vec![name.into()]).await
}

/// Writes `value` under `name`.
///
/// # Errors
/// [`LedgerError`].
pub async fn write_setting(on: &impl ConnectionTrait, name: &str, value: &impl Serialize) -> Result<(), LedgerError> {
    let sql = "INSERT INTO settings (name, doc) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET doc = excluded.doc";
    run(on, sql, vec![name.into(), serde_json::to_string(value)?.into()]).await.map(drop)
}
