//! Trades, and the codes that buyers scan.

use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::Serialize;

use super::error::LedgerError;
use super::store::{doc, docs, rows, run, typed, word};
use crate::payment::sandbox::rules::{Provider, Trade, TradeState};

/// Names a trade as its merchant does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradeKey {
    /// In whose ledger.
    pub provider: Provider,
    /// Merchant number or app id.
    pub merchant: String,
    /// The merchant's number.
    pub out_trade_no: String,
}

/// Sums over all trades of one provider, fen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromQueryResult)]
pub struct Totals {
    /// Whose.
    pub provider: String,
    /// How many trades there are.
    pub trades: i64,
    /// How many are paid.
    pub paid: i64,
    /// Captured, fen.
    pub captured_fen: i64,
    /// Refunded or being refunded, fen.
    pub refunded_fen: i64,
}

impl TradeKey {
    /// The key of a trade.
    #[must_use]
    pub fn of(trade: &Trade) -> Self {
        Self {
            provider: trade.order.wire.provider(),
            merchant: trade.order.merchant.clone(),
            out_trade_no: trade.order.out_trade_no.clone(),
        }
    }
}

/// The trade with this number.
///
/// # Errors
/// [`LedgerError`].
pub async fn trade(on: &impl ConnectionTrait, key: &TradeKey) -> Result<Option<Trade>, LedgerError> {
    let sql = "SELECT doc FROM trades WHERE provider = ? AND merchant = ? AND out_trade_no = ?";
    let values = vec![word(&key.provider)?.into(), key.merchant.clone().into(), key.out_trade_no.clone().into()];
    doc(on, sql, values).await
}

/// The trade with the provider's number.
///
/// # Errors
/// [`LedgerError`].
pub async fn trade_by_transaction(
    on: &impl ConnectionTrait,
    provider: Provider,
    transaction_id: &str,
) -> Result<Option<Trade>, LedgerError> {
    let sql = "SELECT doc FROM trades WHERE provider = ? AND transaction_id = ?";
    doc(on, sql, vec![word(&provider)?.into(), transaction_id.into()]).await
}

/// Writes a trade, new or changed.
///
/// # Errors
/// [`LedgerError`].
pub async fn put_trade(on: &impl ConnectionTrait, trade: &Trade) -> Result<(), LedgerError> {
    let key = TradeKey::of(trade);
    let sql = "INSERT INTO trades (provider, merchant, out_trade_no, transaction_id, state, total_fen, refunded_fen,
            paid_ms, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (provider, merchant, out_trade_no) DO UPDATE SET transaction_id = excluded.transaction_id,
            state = excluded.state, refunded_fen = excluded.refunded_fen, paid_ms = excluded.paid_ms, doc = excluded.doc";
    let values = vec![
        word(&key.provider)?.into(),
        key.merchant.into(),
        key.out_trade_no.into(),
        trade.transaction_id.clone().into(),
        word(&trade.state)?.into(),
        trade.order.total_fen.into(),
        trade.refunded_fen.into(),
        trade.payment.as_ref().map(|payment| payment.paid_ms).into(),
        serde_json::to_string(trade)?.into(),
    ];
    run(on, sql, values).await.map(drop)
}

/// Gives a trade one more code to scan, valid until `valid_until_ms`; earlier ones stay valid for their time.
///
/// # Errors
/// [`LedgerError`].
pub async fn add_code(
    on: &impl ConnectionTrait,
    code: &str,
    key: &TradeKey,
    valid_until_ms: i64,
) -> Result<(), LedgerError> {
    let sql = "INSERT INTO codes (code, provider, merchant, out_trade_no, valid_until_ms) VALUES (?, ?, ?, ?, ?)";
    let merchant = key.merchant.clone();
    let values = vec![
        code.into(),
        word(&key.provider)?.into(),
        merchant.into(),
        key.out_trade_no.clone().into(),
        valid_until_ms.into(),
    ];
    run(on, sql, values).await.map(drop)
}

/// The trade behind a code, and until when the code is valid, unix ms.
///
/// # Errors
/// [`LedgerError`].
pub async fn code(on: &impl ConnectionTrait, code: &str) -> Result<Option<(Trade, i64)>, LedgerError> {
    let sql = "SELECT t.doc AS doc, c.valid_until_ms AS valid_until_ms FROM codes c JOIN trades t
        USING (provider, merchant, out_trade_no) WHERE c.code = ?";
    let Some(row) = rows(on, sql, vec![code.into()]).await?.into_iter().next() else { return Ok(None) };
    let trade = serde_json::from_str(&row.try_get::<String>("", "doc")?)?;
    Ok(Some((trade, row.try_get("", "valid_until_ms")?)))
}

/// The newest trades, in one state if named.
///
/// # Errors
/// [`LedgerError`].
pub async fn list_trades(
    on: &impl ConnectionTrait,
    state: Option<TradeState>,
    limit: u32,
) -> Result<Vec<Trade>, LedgerError> {
    match state {
        Some(state) => {
            let sql = "SELECT doc FROM trades WHERE state = ? ORDER BY id DESC LIMIT ?";
            docs(on, sql, vec![word(&state)?.into(), limit.into()]).await
        }
        None => docs(on, "SELECT doc FROM trades ORDER BY id DESC LIMIT ?", vec![limit.into()]).await,
    }
}

/// The trades of a provider paid in `from_ms..until_ms`, oldest payment first.
///
/// # Errors
/// [`LedgerError`].
pub async fn trades_paid_between(
    on: &impl ConnectionTrait,
    provider: Provider,
    (from_ms, until_ms): (i64, i64),
) -> Result<Vec<Trade>, LedgerError> {
    let sql = "SELECT doc FROM trades WHERE provider = ? AND paid_ms >= ? AND paid_ms < ? ORDER BY paid_ms, id";
    docs(on, sql, vec![word(&provider)?.into(), from_ms.into(), until_ms.into()]).await
}

/// Sums for an audit.
///
/// # Errors
/// [`LedgerError`].
pub async fn totals(on: &impl ConnectionTrait) -> Result<Vec<Totals>, LedgerError> {
    let sql = "SELECT provider, COUNT(*) AS trades, COALESCE(SUM(state = 'paid'), 0) AS paid,
            COALESCE(SUM(CASE WHEN state = 'paid' THEN total_fen END), 0) AS captured_fen,
            COALESCE(SUM(refunded_fen), 0) AS refunded_fen
        FROM trades GROUP BY provider ORDER BY provider";
    typed(on, sql, Vec::new()).await
}
