//! The paths of v3, and what every one of them goes through: verify, faults, work, sign, log.

use std::future::Future;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::answer::{Outcome, Problem, Spoilt, signed};
use super::call::{Call, signer_for};
use super::{bills, certificates, orders, refunds};
use crate::payment::sandbox::desk::TradeRef;
use crate::payment::sandbox::faults::{FaultKind, Operation};
use crate::payment::sandbox::ledger::TradeKey;
use crate::payment::sandbox::rules::{Provider, TradeKind, Wire};
use crate::payment::sandbox::state::Sandbox;
use crate::payment::sandbox::wire::{self, Instead, Shared, Struck};

/// What an operation works with: the sandbox, the call, and whether a fault takes its effect away.
pub(super) struct Task {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) call: Call,
    pub(super) is_void: bool,
    /// A trade is to be said to be closed that is not.
    pub(super) says_closed: bool,
}

/// All paths of v3.
pub(in super::super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/v3/pay/transactions/{kind}", web::post().to(create))
        .route("/v3/pay/transactions/id/{number}", web::get().to(query_theirs))
        .route("/v3/pay/transactions/out-trade-no/{number}", web::get().to(query_ours))
        .route("/v3/pay/transactions/out-trade-no/{number}/close", web::post().to(close))
        .route("/v3/refund/domestic/refunds", web::post().to(refund))
        .route("/v3/refund/domestic/refunds/{number}", web::get().to(refund_query))
        .route("/v3/refund/domestic/refunds/{number}/apply-abnormal-refund", web::post().to(refund_again))
        .route("/v3/certificates", web::get().to(list_certificates))
        .route("/v3/bill/tradebill", web::get().to(trade_bill))
        .route("/v3/bill/fundflowbill", web::get().to(fund_flow_bill))
        .route("/v3/billdownload/file", web::get().to(download));
}

/// One request from its bytes to its signed answer.
async fn serve<F>(
    sandbox: Shared,
    request: HttpRequest,
    body: web::Bytes,
    operation: Operation,
    work: impl FnOnce(Task) -> F,
) -> HttpResponse
where
    F: Future<Output = Outcome> + 'static,
{
    let signer = signer_for(&sandbox, &request);
    let call = match Call::read(&sandbox, &request, &body, &signer) {
        Ok(call) => call,
        Err(problem) => {
            let (response, word) = signed(&sandbox, &signer, &Err(problem), Spoilt::default());
            wire::log(&sandbox, Wire::V3, operation, "", (word, String::new()));
            return response;
        }
    };
    let number = number_of(&request, &call);
    let struck = match Struck::by(&sandbox, Wire::V3, operation, &number).await {
        Ok(struck) => struck,
        Err(error) => return signed(&sandbox, &signer, &Err(error.into()), Spoilt::default()).0,
    };
    let outcome = match struck.instead().await {
        Some(Instead::Silence) => return wire::broken(),
        Some(Instead::ServerError) => return wire::bare_error(),
        Some(Instead::SystemError) => Err(Problem::system_error()),
        Some(Instead::RateLimited) => Err(Problem::rate_limited()),
        None => {
            let (is_void, says_closed) = (struck.has(FaultKind::NoEffect), struck.has(FaultKind::SaysClosed));
            let task = Task { sandbox: Arc::clone(&sandbox), call, is_void, says_closed };
            wire::to_its_end(work(task)).await.unwrap_or_else(|| Err(Problem::system_error()))
        }
    };
    let spoilt =
        Spoilt { is_wrong: struck.has(FaultKind::BadAnswerSignature), is_stale: struck.has(FaultKind::StaleAnswer) };
    let (response, word) = signed(&sandbox, &signer, &outcome, spoilt);
    wire::log(&sandbox, Wire::V3, operation, &number, (word, struck.named()));
    if struck.silences().await { wire::broken() } else { response }
}

/// The number that a fault may be aimed at: the trade's if the request names one.
fn number_of(request: &HttpRequest, call: &Call) -> String {
    let of_body = call.body.get("out_trade_no").and_then(Value::as_str);
    of_body.or_else(|| request.match_info().get("number")).unwrap_or_default().to_owned()
}

async fn create(sandbox: Shared, request: HttpRequest, body: web::Bytes, kind: web::Path<String>) -> HttpResponse {
    let kind = match kind.as_str() {
        "native" => TradeKind::Native,
        "jsapi" => TradeKind::Jsapi,
        "h5" => TradeKind::H5,
        "app" => TradeKind::App,
        _ => return HttpResponse::NotFound().finish(),
    };
    serve(sandbox, request, body, Operation::Create, |task| async move { orders::create(&task, kind).await }).await
}

async fn query_ours(
    sandbox: Shared,
    request: HttpRequest,
    body: web::Bytes,
    number: web::Path<String>,
) -> HttpResponse {
    let which = ours(&sandbox, &number);
    serve(sandbox, request, body, Operation::Query, |task| async move { orders::query(&task, &which).await }).await
}

async fn query_theirs(
    sandbox: Shared,
    request: HttpRequest,
    body: web::Bytes,
    number: web::Path<String>,
) -> HttpResponse {
    let which = TradeRef::Theirs {
        provider: Provider::Wechat,
        merchant: sandbox.merchant().wechat.mchid.clone(),
        transaction_id: number.into_inner(),
    };
    serve(sandbox, request, body, Operation::Query, |task| async move { orders::query(&task, &which).await }).await
}

async fn close(sandbox: Shared, request: HttpRequest, body: web::Bytes, number: web::Path<String>) -> HttpResponse {
    let which = ours(&sandbox, &number);
    serve(sandbox, request, body, Operation::Close, |task| async move { orders::close(&task, &which).await }).await
}

async fn refund(sandbox: Shared, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    serve(sandbox, request, body, Operation::Refund, |task| async move { refunds::accept(&task).await }).await
}

async fn refund_query(
    sandbox: Shared,
    request: HttpRequest,
    body: web::Bytes,
    number: web::Path<String>,
) -> HttpResponse {
    let number = number.into_inner();
    let work = |task| async move { refunds::query(&task, &number).await };
    serve(sandbox, request, body, Operation::RefundQuery, work).await
}

async fn refund_again(
    sandbox: Shared,
    request: HttpRequest,
    body: web::Bytes,
    number: web::Path<String>,
) -> HttpResponse {
    let number = number.into_inner();
    let work = |task| async move { refunds::send_again(&task, &number).await };
    serve(sandbox, request, body, Operation::Refund, work).await
}

async fn list_certificates(sandbox: Shared, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let work = |task| async move { certificates::list(&task) };
    serve(sandbox, request, body, Operation::Certificates, work).await
}

async fn trade_bill(sandbox: Shared, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let work = |task| async move { bills::offer(&task, bills::TRADES).await };
    serve(sandbox, request, body, Operation::Bill, work).await
}

async fn fund_flow_bill(sandbox: Shared, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let work = |task| async move { bills::offer(&task, bills::FUND_FLOW).await };
    serve(sandbox, request, body, Operation::Bill, work).await
}

/// The one answer of v3 that is not signed: a file is checked by its hash.
async fn download(sandbox: Shared, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let signer = signer_for(&sandbox, &request);
    let file = match Call::read(&sandbox, &request, &body, &signer) {
        Ok(call) => {
            let shared = Arc::clone(&sandbox);
            let work = async move { bills::file(&shared, &call).await };
            wire::to_its_end(work).await.unwrap_or_else(|| Err(Problem::system_error()))
        }
        Err(problem) => Err(problem),
    };
    match file {
        Ok(bytes) => HttpResponse::Ok().content_type("application/octet-stream").body(bytes),
        Err(problem) => signed(&sandbox, &signer, &Err(problem), Spoilt::default()).0,
    }
}

fn ours(sandbox: &Sandbox, number: &str) -> TradeRef {
    TradeRef::Ours(TradeKey {
        provider: Provider::Wechat,
        merchant: sandbox.merchant().wechat.mchid.clone(),
        out_trade_no: number.to_owned(),
    })
}
