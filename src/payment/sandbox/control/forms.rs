//! What the control API reads and how it answers: JSON both ways, errors as `{"error": …}`.

use actix_web::{HttpResponse, web};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::payment::sandbox::ledger::LedgerError;
use crate::payment::sandbox::rules::{Provider, RefundStatus, TradeState};

/// What a list is limited to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    pub(super) state: Option<TradeState>,
    pub(super) out_trade_no: Option<String>,
    pub(super) limit: Option<u32>,
}

/// Whose number it is; without it WeChat Pay is looked into first, then Alipay.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderQuery {
    pub(super) provider: Option<Provider>,
}

/// How a buyer pays.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PayForm {
    pub(super) payer: Option<String>,
    pub(super) coupon_fen: i64,
    pub(super) in_time: bool,
    pub(super) before_close: bool,
}

/// What a refund ends in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefundForm {
    pub(super) status: RefundStatus,
}

/// How far to travel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TravelForm {
    pub(super) by_ms: i64,
    #[serde(default)]
    pub(super) clock: WhichClock,
}

/// Which clock travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WhichClock {
    /// Of pay windows, schedules, refunds and bills.
    #[default]
    Ledger,
    /// Of signatures.
    Wire,
    /// Both.
    Both,
}

impl ListQuery {
    /// 100 unless said, 1,000 at most.
    pub(super) fn limit(&self) -> u32 {
        self.limit.unwrap_or(100).min(1_000)
    }
}

/// Reads a body, or says why not; an empty one is `{}`.
pub(super) fn read<T: DeserializeOwned>(body: &web::Bytes) -> Result<T, String> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

pub(super) fn done(value: impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(value)
}

pub(super) fn refused(status: u16, why: &str) -> HttpResponse {
    crate::payment::sandbox::wire::respond(status).json(json!({ "error": why }))
}

pub(super) fn not_found() -> HttpResponse {
    refused(404, "nothing has this number")
}

pub(super) fn failed(error: &LedgerError) -> HttpResponse {
    tracing::error!(%error, source = ?std::error::Error::source(error), "the sandbox's ledger failed");
    refused(500, "the ledger failed")
}

/// The answer to work that ran to its end.
pub(super) fn finished(outcome: Option<Result<HttpResponse, LedgerError>>) -> HttpResponse {
    match outcome {
        Some(Ok(response)) => response,
        Some(Err(error)) => failed(&error),
        None => refused(500, "the work panicked"),
    }
}
