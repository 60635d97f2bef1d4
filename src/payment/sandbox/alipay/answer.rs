//! Answers of Alipay: an inner object whose text is signed as it stands.

use actix_web::HttpResponse;
use serde_json::{Value, json};

use crate::payment::alipay::signing::{ERROR_RESPONSE, answer_name};
use crate::payment::sandbox::desk::Declined;
use crate::payment::sandbox::ledger::LedgerError;
use crate::payment::sandbox::state::Sandbox;
use crate::payment::sandbox::v3::spoil;
use crate::payment::sandbox::wire::{CASHIER_HEADER, respond};

/// What a request comes to.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Value,
    /// Where the buyer pays; a header, or where his browser is sent.
    pub(super) cashier_url: Option<String>,
}

/// Why it was not done.
#[derive(Debug)]
pub(super) struct Problem {
    code: &'static str,
    message: &'static str,
    pub(super) sub_code: &'static str,
    sub_message: String,
    /// The gateway did not even run the method.
    is_of_gateway: bool,
}

pub(super) type Outcome = Result<Answer, Problem>;

impl Answer {
    pub(super) fn ok(mut body: Value) -> Self {
        body["code"] = json!("10000");
        body["msg"] = json!("Success");
        Self { body, cashier_url: None }
    }
}

impl Problem {
    /// The method was run and said no.
    pub(super) fn business(sub_code: &'static str, sub_message: &str) -> Self {
        let sub_message = sub_message.to_owned();
        Self { code: "40004", message: "Business Failed", sub_code, sub_message, is_of_gateway: false }
    }

    /// The gateway refused the request.
    pub(super) fn of_gateway(sub_code: &'static str, sub_message: impl Into<String>) -> Self {
        let sub_message = sub_message.into();
        Self { code: "40002", message: "Invalid Arguments", sub_code, sub_message, is_of_gateway: true }
    }

    /// An argument of the method is missing.
    pub(super) fn missing(name: &str) -> Self {
        let sub_message = format!("参数缺失 (missing): {name}");
        let (message, sub_code) = ("Missing Required Arguments", "isv.missing-parameter");
        Self { code: "40001", message, sub_code, sub_message, is_of_gateway: false }
    }

    /// An argument of the method cannot be used.
    pub(super) fn invalid(name: &str) -> Self {
        Self {
            is_of_gateway: false,
            ..Self::of_gateway("isv.invalid-parameter", format!("参数无效 (invalid): {name}"))
        }
    }

    pub(super) fn system_error() -> Self {
        let sub_message = "系统繁忙 (system error)".to_owned();
        let (message, sub_code) = ("Service Currently Unavailable", "isp.unknow-error");
        Self { code: "20000", message, sub_code, sub_message, is_of_gateway: false }
    }

    pub(super) fn rate_limited() -> Self {
        let sub_message = "应用调用次数超限 (too many requests)".to_owned();
        let (message, sub_code) = ("Call Limited", "isv.app-call-limited");
        Self { code: "40005", message, sub_code, sub_message, is_of_gateway: false }
    }

    fn body(&self) -> Value {
        json!({ "code": self.code, "msg": self.message, "sub_code": self.sub_code, "sub_msg": self.sub_message })
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

/// How an answer is signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// The request named certificates, so the answer does.
    pub(super) names_certificate: bool,
    /// A fault spoils the signature.
    pub(super) is_spoilt: bool,
}

/// The signed response to `method`, and what it came to in a word.
pub(super) fn signed(sandbox: &Sandbox, method: &str, outcome: &Outcome, manner: Manner) -> (HttpResponse, String) {
    let (name, inner, word) = match outcome {
        Ok(answer) => (answer_name(method), answer.body.to_string(), "10000".to_owned()),
        Err(problem) => {
            let name = if problem.is_of_gateway { ERROR_RESPONSE.to_owned() } else { answer_name(method) };
            (name, problem.body().to_string(), format!("{} {}", problem.code, problem.sub_code))
        }
    };
    let alipay = &sandbox.keys.alipay;
    let mut signature = match alipay.own.sign(inner.as_bytes()) {
        Ok(signature) => signature,
        Err(error) => {
            tracing::error!(%error, "an answer was not signed");
            return (respond(500).finish(), "500".to_owned());
        }
    };
    if manner.is_spoilt {
        signature = spoil(&signature);
    }
    let certificate =
        if manner.names_certificate { format!("\"alipay_cert_sn\":\"{}\",", alipay.cert_sn) } else { String::new() };
    let body = format!("{{\"{name}\":{inner},{certificate}\"sign\":\"{signature}\"}}");
    let mut response = respond(200);
    if let Ok(Answer { cashier_url: Some(url), .. }) = outcome {
        response.insert_header((CASHIER_HEADER, url.clone()));
    }
    (response.content_type("application/json;charset=utf-8").body(body), word)
}
