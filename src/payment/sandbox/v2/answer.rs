//! Answers of v2: transport and business are told apart, and transport failures are not signed.

use actix_web::HttpResponse;

use crate::payment::sandbox::desk::Declined;
use crate::payment::sandbox::ledger::LedgerError;
use crate::payment::sandbox::state::Sandbox;
use crate::payment::sandbox::wire::{CASHIER_HEADER, respond};
use crate::payment::wechat_v2::signing::SignType;
use crate::payment::wechat_v2::xml::{self, Fields};
use crate::payment::wechat_v3::signing::nonce;

/// What a request comes to.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) fields: Fields,
    /// Where the buyer pays; a header.
    pub(super) cashier_url: Option<String>,
    /// A bill instead of XML.
    pub(super) file: Option<Vec<u8>>,
}

/// Why it was not done.
#[derive(Debug)]
pub(super) enum Problem {
    /// The request was not understood or not believed: `return_code=FAIL`, unsigned.
    Transport { code: &'static str, message: String },
    /// It was understood and refused: `result_code=FAIL`, signed.
    Business { code: &'static str, message: &'static str },
}

pub(super) type Outcome = Result<Answer, Problem>;

impl Problem {
    pub(super) fn transport(code: &'static str, message: impl Into<String>) -> Self {
        Self::Transport { code, message: message.into() }
    }

    pub(super) const fn business(code: &'static str, message: &'static str) -> Self {
        Self::Business { code, message }
    }

    pub(super) const fn system_error() -> Self {
        Self::business("SYSTEMERROR", "系统错误 (system error)")
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

/// `name: value` as fields of a message.
pub(super) fn fields<const N: usize>(pairs: [(&str, String); N]) -> Fields {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The response, signed as the request was, and what it came to in a word.
pub(super) fn signed(
    sandbox: &Sandbox,
    outcome: Outcome,
    sign_type: SignType,
    is_spoilt: bool,
) -> (HttpResponse, String) {
    let mut response = respond(200);
    let (mut message, word) = match outcome {
        Ok(Answer { file: Some(bytes), .. }) => {
            return (response.content_type("text/plain; charset=utf-8").body(bytes), "bill".to_owned());
        }
        Ok(answer) => {
            if let Some(url) = answer.cashier_url {
                response.insert_header((CASHIER_HEADER, url));
            }
            let mut fields = answer.fields;
            fields.insert("result_code".to_owned(), "SUCCESS".to_owned());
            (fields, "SUCCESS".to_owned())
        }
        Err(Problem::Transport { code, message }) => {
            let refusal =
                fields([("return_code", "FAIL".to_owned()), ("return_msg", message), ("error_code", code.to_owned())]);
            return (
                response.content_type("text/xml; charset=utf-8").body(xml::write("xml", &refusal)),
                code.to_owned(),
            );
        }
        Err(Problem::Business { code, message }) => {
            let refusal = fields([
                ("result_code", "FAIL".to_owned()),
                ("err_code", code.to_owned()),
                ("err_code_des", message.to_owned()),
            ]);
            (refusal, code.to_owned())
        }
    };
    let wechat = &sandbox.merchant().wechat;
    message.extend(fields([
        ("return_code", "SUCCESS".to_owned()),
        ("return_msg", "OK".to_owned()),
        ("appid", wechat.appid.clone()),
        ("mch_id", wechat.mchid.clone()),
        ("nonce_str", nonce()),
    ]));
    sandbox.keys.api_v2.sign(&mut message, sign_type);
    if is_spoilt {
        message.entry("sign".to_owned()).and_modify(|sign| *sign = sign.chars().rev().collect());
    }
    (response.content_type("text/xml; charset=utf-8").body(xml::write("xml", &message)), word)
}
