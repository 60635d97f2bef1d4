//! Refunds.

use sea_orm::{ConnectionTrait, Value};

use super::error::LedgerError;
use super::store::{doc, docs, rows, run, word};
use super::trades::TradeKey;
use crate::payment::sandbox::rules::{Provider, Refund};

/// Names a refund as its merchant does. WeChat Pay knows a refund by its number alone, Alipay within its trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundKey {
    /// In whose ledger.
    pub provider: Provider,
    /// Merchant number or app id.
    pub merchant: String,
    /// The merchant's number of the trade; only Alipay's refunds are told apart by it.
    pub out_trade_no: String,
    /// The merchant's number of the refund.
    pub out_refund_no: String,
}

impl RefundKey {
    fn scope(&self) -> String {
        match self.provider {
            Provider::Wechat => String::new(),
            Provider::Alipay => self.out_trade_no.clone(),
        }
    }
}

/// The refund with this number.
///
/// # Errors
/// [`LedgerError`].
pub async fn refund(on: &impl ConnectionTrait, key: &RefundKey) -> Result<Option<Refund>, LedgerError> {
    let sql = "SELECT doc FROM refunds WHERE provider = ? AND merchant = ? AND scope = ? AND out_refund_no = ?";
    let (merchant, scope) = (key.merchant.clone(), key.scope());
    let values = vec![word(&key.provider)?.into(), merchant.into(), scope.into(), key.out_refund_no.clone().into()];
    doc(on, sql, values).await
}

/// The refund with the provider's number, and whose it is.
///
/// # Errors
/// [`LedgerError`].
pub async fn refund_by_id(on: &impl ConnectionTrait, refund_id: &str) -> Result<Option<(String, Refund)>, LedgerError> {
    let sql = "SELECT merchant, doc FROM refunds WHERE refund_id = ?";
    Ok(owned(on, sql, vec![refund_id.into()]).await?.into_iter().next())
}

/// Refunds with the merchants whose they are.
async fn owned(on: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Result<Vec<(String, Refund)>, LedgerError> {
    let mut found = Vec::new();
    for row in rows(on, sql, values).await? {
        let refund = serde_json::from_str(&row.try_get::<String>("", "doc")?)?;
        found.push((row.try_get("", "merchant")?, refund));
    }
    Ok(found)
}

/// All refunds of a trade, oldest first.
///
/// # Errors
/// [`LedgerError`].
pub async fn refunds_of(on: &impl ConnectionTrait, trade: &TradeKey) -> Result<Vec<Refund>, LedgerError> {
    let sql = "SELECT doc FROM refunds WHERE provider = ? AND merchant = ? AND out_trade_no = ? ORDER BY id";
    let values = vec![word(&trade.provider)?.into(), trade.merchant.clone().into(), trade.out_trade_no.clone().into()];
    docs(on, sql, values).await
}

/// Writes a refund, new or changed, of a trade of `merchant`.
///
/// # Errors
/// [`LedgerError`].
pub async fn put_refund(on: &impl ConnectionTrait, merchant: &str, refund: &Refund) -> Result<(), LedgerError> {
    let key = RefundKey {
        provider: refund.asked.wire.provider(),
        merchant: merchant.to_owned(),
        out_trade_no: refund.out_trade_no.clone(),
        out_refund_no: refund.asked.out_refund_no.clone(),
    };
    let sql = "INSERT INTO refunds (provider, merchant, scope, out_refund_no, out_trade_no, refund_id, status,
            refund_fen, created_ms, settles_ms, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (provider, merchant, scope, out_refund_no) DO UPDATE SET status = excluded.status,
            settles_ms = excluded.settles_ms, doc = excluded.doc";
    let values = vec![
        word(&key.provider)?.into(),
        merchant.into(),
        key.scope().into(),
        key.out_refund_no.into(),
        key.out_trade_no.into(),
        refund.refund_id.clone().into(),
        word(&refund.status)?.into(),
        refund.asked.refund_fen.into(),
        refund.created_ms.into(),
        refund.settles_ms.into(),
        serde_json::to_string(refund)?.into(),
    ];
    run(on, sql, values).await.map(drop)
}

/// Refunds whose processing has ended by `now_ms`, longest first.
///
/// # Errors
/// [`LedgerError`].
pub async fn due_refunds(
    on: &impl ConnectionTrait,
    now_ms: i64,
    limit: u32,
) -> Result<Vec<(String, Refund)>, LedgerError> {
    let sql = "SELECT merchant, doc FROM refunds WHERE settles_ms <= ? ORDER BY settles_ms LIMIT ?";
    owned(on, sql, vec![now_ms.into(), limit.into()]).await
}

/// The refunds of a provider accepted in `from_ms..until_ms`, oldest first.
///
/// # Errors
/// [`LedgerError`].
pub async fn refunds_between(
    on: &impl ConnectionTrait,
    provider: Provider,
    (from_ms, until_ms): (i64, i64),
) -> Result<Vec<Refund>, LedgerError> {
    let sql = "SELECT doc FROM refunds WHERE provider = ? AND created_ms >= ? AND created_ms < ? ORDER BY id";
    docs(on, sql, vec![word(&provider)?.into(), from_ms.into(), until_ms.into()]).await
}

/// The newest refunds.
///
/// # Errors
/// [`LedgerError`].
pub async fn list_refunds(on: &impl ConnectionTrait, limit: u32) -> Result<Vec<Refund>, LedgerError> {
    docs(on, "SELECT doc FROM refunds ORDER BY id DESC LIMIT ?", vec![limit.into()]).await
}
