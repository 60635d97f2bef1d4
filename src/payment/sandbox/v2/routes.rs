//! The paths of v2, and what every one of them goes through: read, verify, faults, work, sign, log.

use std::future::Future;
use std::sync::Arc;

use actix_web::{HttpResponse, web};

use super::answer::{Outcome, Problem, signed};
use super::{bill, orders, refunds};
use crate::payment::sandbox::faults::{FaultKind, Operation};
use crate::payment::sandbox::rules::Wire;
use crate::payment::sandbox::state::Sandbox;
use crate::payment::sandbox::wire::{self, Instead, Shared, Struck};
use crate::payment::wechat_v2::signing::SignType;
use crate::payment::wechat_v2::xml::{self, Fields};

/// What an operation works with: the sandbox, the request, and whether a fault takes its effect away.
pub(super) struct Task {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) fields: Fields,
    pub(super) sign_type: SignType,
    pub(super) is_void: bool,
    /// A trade is to be said to be closed that is not.
    pub(super) says_closed: bool,
}

/// All paths of v2.
pub(in super::super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/pay/unifiedorder", web::post().to(create))
        .route("/pay/orderquery", web::post().to(query))
        .route("/pay/closeorder", web::post().to(close))
        .route("/secapi/pay/refund", web::post().to(refund))
        .route("/pay/refundquery", web::post().to(refund_query))
        .route("/pay/downloadbill", web::post().to(download));
}

impl Task {
    /// A field that is there and not empty.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The same, refused without it.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, Problem> {
        self.optional(name).ok_or_else(|| Problem::transport("LACK_PARAMS", format!("缺少参数 (missing): {name}")))
    }
}

async fn serve<F>(sandbox: Shared, body: web::Bytes, operation: Operation, work: impl FnOnce(Task) -> F) -> HttpResponse
where
    F: Future<Output = Outcome> + 'static,
{
    let (fields, sign_type) = match read(&sandbox, &body) {
        Ok(read) => read,
        Err(problem) => {
            let (response, word) = signed(&sandbox, Err(problem), SignType::Md5, false);
            wire::log(&sandbox, Wire::V2, operation, "", (word, String::new()));
            return response;
        }
    };
    let number = fields.get("out_trade_no").cloned().unwrap_or_default();
    let struck = match Struck::by(&sandbox, Wire::V2, operation, &number).await {
        Ok(struck) => struck,
        Err(error) => return signed(&sandbox, Err(error.into()), sign_type, false).0,
    };
    let outcome = match struck.instead().await {
        Some(Instead::Silence) => return wire::broken(),
        Some(Instead::ServerError) => return wire::bare_error(),
        Some(Instead::SystemError) => Err(Problem::system_error()),
        Some(Instead::RateLimited) => Err(Problem::business("FREQUENCY_LIMITED", "频率限制 (too many requests)")),
        None => {
            let (is_void, says_closed) = (struck.has(FaultKind::NoEffect), struck.has(FaultKind::SaysClosed));
            let task = Task { sandbox: Arc::clone(&sandbox), fields, sign_type, is_void, says_closed };
            wire::to_its_end(work(task)).await.unwrap_or_else(|| Err(Problem::system_error()))
        }
    };
    let (response, word) = signed(&sandbox, outcome, sign_type, struck.has(FaultKind::BadAnswerSignature));
    wire::log(&sandbox, Wire::V2, operation, &number, (word, struck.named()));
    if struck.silences().await { wire::broken() } else { response }
}

/// The request if it is signed by the sandbox's merchant.
fn read(sandbox: &Sandbox, body: &[u8]) -> Result<(Fields, SignType), Problem> {
    if body.is_empty() {
        return Err(Problem::transport("POST_DATA_EMPTY", "post数据为空 (empty body)"));
    }
    if std::str::from_utf8(body).is_err() {
        return Err(Problem::transport("NOT_UTF8", "编码格式错误 (not UTF-8)"));
    }
    let fields =
        xml::read(body).map_err(|error| Problem::transport("XML_FORMAT_ERROR", format!("XML格式错误 ({error})")))?;
    let sign_type = sandbox.keys.api_v2.verify(&fields);
    let sign_type = sign_type.map_err(|_| Problem::transport("SIGNERROR", "签名错误 (wrong signature)"))?;
    let (wechat, of) = (&sandbox.merchant().wechat, |name: &str| fields.get(name).map(String::as_str));
    if of("mch_id") != Some(&wechat.mchid) {
        return Err(Problem::transport("MCHID_NOT_EXIST", "mch_id不存在 (unknown mch_id)"));
    }
    if of("appid") != Some(&wechat.appid) {
        return Err(Problem::transport("APPID_NOT_EXIST", "appid不存在 (unknown appid)"));
    }
    if of("nonce_str").is_none_or(|nonce| nonce.is_empty() || nonce.len() > 32) {
        return Err(Problem::transport("LACK_PARAMS", "缺少参数 (missing): nonce_str"));
    }
    Ok((fields, sign_type))
}

async fn create(sandbox: Shared, body: web::Bytes) -> HttpResponse {
    serve(sandbox, body, Operation::Create, |task| async move { orders::create(&task).await }).await
}

async fn query(sandbox: Shared, body: web::Bytes) -> HttpResponse {
    serve(sandbox, body, Operation::Query, |task| async move { orders::query(&task).await }).await
}

async fn close(sandbox: Shared, body: web::Bytes) -> HttpResponse {
    serve(sandbox, body, Operation::Close, |task| async move { orders::close(&task).await }).await
}

async fn refund(sandbox: Shared, body: web::Bytes) -> HttpResponse {
    serve(sandbox, body, Operation::Refund, |task| async move { refunds::accept(&task).await }).await
}

async fn refund_query(sandbox: Shared, body: web::Bytes) -> HttpResponse {
    serve(sandbox, body, Operation::RefundQuery, |task| async move { refunds::query(&task).await }).await
}

async fn download(sandbox: Shared, body: web::Bytes) -> HttpResponse {
    serve(sandbox, body, Operation::Bill, |task| async move { bill::download(&task).await }).await
}
