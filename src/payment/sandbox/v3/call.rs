//! A request of v3 that was verified: who asks, what, and which key the answer is to be signed with.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::{HttpRequest, web};
use serde_json::Value;

use super::answer::Problem;
use crate::payment::alipay::signing::read_form;
use crate::payment::sandbox::knobs::AnswerKey;
use crate::payment::sandbox::state::Sandbox;
use crate::payment::sandbox::wire::header;
use crate::payment::wechat_v3::signing::{Authorization, Request, SERIAL, SignatureError, Signer};

/// See the file's header.
#[derive(Debug)]
pub(super) struct Call {
    /// The body; `Null` if there is none.
    pub(super) body: Value,
    /// The query.
    pub(super) query: BTreeMap<String, String>,
    /// Serial number of the key that the merchant expects: notifications are signed with it too.
    pub(super) signed_by: String,
}

impl Call {
    /// Verifies a request and reads it.
    pub(super) fn read(
        sandbox: &Sandbox,
        request: &HttpRequest,
        body: &web::Bytes,
        signer: &Signer,
    ) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|_| Problem::parameter("body", "not UTF-8"))?;
        verify(sandbox, request, text)?;
        let json = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(text).map_err(|_| Problem::parameter("body", "not JSON"))?
        };
        let query =
            read_form(request.query_string().as_bytes()).map_err(|_| Problem::parameter("query", "unreadable"))?;
        Ok(Self { body: json, query, signed_by: signer.serial.clone() })
    }

    /// Refuses the call unless this member of the body names the sandbox's merchant.
    pub(super) fn check_mchid(&self, sandbox: &Sandbox, given: Option<&str>) -> Result<(), Problem> {
        match given {
            Some(mchid) if mchid == sandbox.merchant().wechat.mchid => Ok(()),
            Some(_) => Err(Problem::new(400, "MCH_NOT_EXISTS", "商户号不存在 (unknown mchid)")),
            None => Err(Problem::parameter("mchid", "missing")),
        }
    }
}

/// Which key signs the answer to a request.
pub(super) fn signer_for(sandbox: &Sandbox, request: &HttpRequest) -> Arc<Signer> {
    let names_public_key = header(request, SERIAL).is_some_and(|serial| serial.starts_with("PUB_KEY_ID_"));
    match sandbox.knobs().answer_key {
        AnswerKey::PublicKey => sandbox.keys.public_mode(),
        AnswerKey::Auto if names_public_key => sandbox.keys.public_mode(),
        AnswerKey::Auto | AnswerKey::Certificate => sandbox.keys.certificate_mode(),
    }
}

fn verify(sandbox: &Sandbox, request: &HttpRequest, body: &str) -> Result<(), Problem> {
    let wrong = |why: &str| Problem::new(401, "SIGN_ERROR", format!("签名错误 (signature): {why}"));
    let authorization = header(request, "Authorization").ok_or_else(|| wrong("Authorization is missing"))?;
    let authorization = Authorization::parse(authorization).map_err(|error| wrong(&error.to_string()))?;
    if authorization.mchid != sandbox.merchant().wechat.mchid {
        return Err(wrong("unknown mchid"));
    }
    if header(request, "User-Agent").is_none_or(str::is_empty) {
        return Err(Problem::parameter("User-Agent", "missing"));
    }
    let path_and_query = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let signed = Request { method: request.method().as_str(), path_and_query, body };
    authorization.verify(signed, &sandbox.keys.merchants, sandbox.clocks.wire_ms()).map_err(|error| match error {
        SignatureError::Stale(_) => {
            wrong("Authorization 中的 timestamp 与发起请求的时间不得超过 5 分钟 (timestamp is stale)")
        }
        SignatureError::UnknownSerial(_) => wrong("商户证书序列号有误 (unknown serial_no)"),
        error => wrong(&error.to_string()),
    })
}
