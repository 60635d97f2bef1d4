//! Answers of v3: JSON or nothing, an error with a code, all signed.

use std::sync::Arc;

use actix_web::HttpResponse;
use serde_json::{Value, json};

use crate::payment::sandbox::desk::Declined;
use crate::payment::sandbox::ledger::LedgerError;
use crate::payment::sandbox::numbers;
use crate::payment::sandbox::state::Sandbox;
use crate::payment::sandbox::wire::{CASHIER_HEADER, respond};
use crate::payment::wechat_v3::signing::{SIGNATURE, SIGNATURE_TYPE, Signer, TIMESTAMP};

/// A stale answer was signed so long ago.
const STALE_MS: i64 = 600_000;

/// What a request comes to.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
    /// Where the buyer pays; a header.
    pub(super) cashier_url: Option<String>,
}

/// Why it was not done.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) field: Option<&'static str>,
}

/// What every operation returns.
pub(super) type Outcome = Result<Answer, Problem>;

impl Answer {
    pub(super) const fn ok(body: Value) -> Self {
        Self { status: 200, body: Some(body), cashier_url: None }
    }

    pub(super) const fn empty(status: u16) -> Self {
        Self { status, body: None, cashier_url: None }
    }
}

impl Problem {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None }
    }

    /// A parameter that cannot be used.
    pub(super) fn parameter(field: &'static str, issue: &str) -> Self {
        let message = format!("参数错误 (parameter): {field}: {issue}");
        Self { field: Some(field), ..Self::new(400, "PARAM_ERROR", message) }
    }

    pub(super) fn system_error() -> Self {
        Self::new(500, "SYSTEM_ERROR", "系统异常 (system error)")
    }

    pub(super) fn rate_limited() -> Self {
        Self::new(429, "FREQUENCY_LIMITED", "频率超限 (too many requests)")
    }

    fn body(&self) -> Value {
        let mut body = json!({ "code": self.code, "message": self.message });
        if let Some(field) = self.field {
            body["detail"] = json!({ "field": field, "value": "", "issue": self.message, "location": "body" });
        }
        body
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        tracing::error!(%error, source = ?std::error::Error::source(&error), "the sandbox's ledger failed");
        Self::system_error()
    }
}

impl<R> From<Declined<R>> for Problem
where
    Problem: From<R>,
{
    fn from(declined: Declined<R>) -> Self {
        match declined {
            Declined::Refused(refusal) => refusal.into(),
            Declined::Failed(error) => error.into(),
        }
    }
}

/// How an answer's signature is spoilt.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spoilt {
    pub(super) is_wrong: bool,
    pub(super) is_stale: bool,
}

/// The signed response, and what it came to in a word.
pub(super) fn signed(
    sandbox: &Sandbox,
    signer: &Arc<Signer>,
    outcome: &Outcome,
    spoilt: Spoilt,
) -> (HttpResponse, String) {
    let (status, body, word) = match outcome {
        Ok(answer) => (answer.status, answer.body.as_ref().map(Value::to_string), answer.status.to_string()),
        Err(problem) => {
            (problem.status, Some(problem.body().to_string()), format!("{} {}", problem.status, problem.code))
        }
    };
    let body = body.unwrap_or_default();
    let now_ms = sandbox.clocks.wire_ms() - if spoilt.is_stale { STALE_MS } else { 0 };
    let mut response = respond(status);
    response.insert_header(("Request-ID", numbers::notice_id()));
    match signer.sign_body(body.as_bytes(), now_ms) {
        Ok(mut signature) => {
            if spoilt.is_wrong {
                signature.signature = spoil(&signature.signature);
            }
            let names_type = sandbox.knobs().names_signature_type;
            for (name, value) in signature.to_headers() {
                if names_type || name != SIGNATURE_TYPE {
                    response.insert_header((name, value.to_owned()));
                }
            }
        }
        Err(error) => {
            tracing::error!(%error, "an answer was not signed");
            response.insert_header((TIMESTAMP, "")).insert_header((SIGNATURE, ""));
        }
    }
    if let Ok(Answer { cashier_url: Some(url), .. }) = outcome {
        response.insert_header((CASHIER_HEADER, url.clone()));
    }
    let response = if body.is_empty() {
        response.finish()
    } else {
        response.content_type("application/json; charset=utf-8").body(body)
    };
    (response, word)
}

/// Another signature of the same length.
pub(in super::super) fn spoil(signature: &str) -> String {
    signature.chars().rev().collect::<String>().replace('=', "A")
}
