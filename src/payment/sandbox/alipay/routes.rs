//! The one path, and what every request goes through: verify, faults, work, sign, log.

use std::sync::Arc;

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};

use super::answer::{Answer, Manner, Outcome, Problem, signed};
use super::request::{Call, params};
use super::{bill, refunds, trades};
use crate::payment::sandbox::faults::{FaultKind, Operation};
use crate::payment::sandbox::rules::Wire;
use crate::payment::sandbox::state::Sandbox;
use crate::payment::sandbox::wire::{self, Instead, Shared, Struck};

const PAGE_PAY: &str = "alipay.trade.page.pay";
const BILL: &str = "alipay.data.dataservice.bill.downloadurl.query";

/// What a method works with: the sandbox, the call, and whether a fault takes its effect away.
pub(super) struct Task {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) call: Call,
    pub(super) is_void: bool,
    /// A trade is to be said to be closed that is not.
    pub(super) says_closed: bool,
}

/// Alipay's path, and where its bills lie.
pub(in super::super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/gateway.do", web::get().to(serve))
        .route("/gateway.do", web::post().to(serve))
        .route("/alipay/bill", web::get().to(bill::download));
}

async fn serve(sandbox: Shared, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let params = match params(&request, &body) {
        Ok(params) => params,
        Err(problem) => return refused(&sandbox, "", problem, false),
    };
    let names_certificate = Call::names_certificates(&params);
    let method = params.get("method").cloned().unwrap_or_default();
    let Some(operation) = operation_of(&method) else {
        let problem = Problem::of_gateway("isv.invalid-method", format!("不存在的方法名 (unknown method): {method}"));
        return refused(&sandbox, &method, problem, names_certificate);
    };
    let call = match Call::read(&sandbox, params) {
        Ok(call) => call,
        Err(problem) => return refused(&sandbox, &method, problem, names_certificate),
    };
    let number = call.optional("out_trade_no").unwrap_or_default().to_owned();
    let struck = match Struck::by(&sandbox, Wire::Alipay, operation, &number).await {
        Ok(struck) => struck,
        Err(error) => return refused(&sandbox, &method, error.into(), names_certificate),
    };
    let outcome = match struck.instead().await {
        Some(Instead::Silence) => return wire::broken(),
        Some(Instead::ServerError) => return wire::bare_error(),
        Some(Instead::SystemError) => Err(Problem::system_error()),
        Some(Instead::RateLimited) => Err(Problem::rate_limited()),
        None => {
            let (is_void, says_closed) = (struck.has(FaultKind::NoEffect), struck.has(FaultKind::SaysClosed));
            let task = Task { sandbox: Arc::clone(&sandbox), call, is_void, says_closed };
            wire::to_its_end(run(task)).await.unwrap_or_else(|| Err(Problem::system_error()))
        }
    };
    let manner = Manner { names_certificate, is_spoilt: struck.has(FaultKind::BadAnswerSignature) };
    let (response, word) = signed(&sandbox, &method, &outcome, manner);
    wire::log(&sandbox, Wire::Alipay, operation, &number, (word, struck.named()));
    if struck.silences().await {
        return wire::broken();
    }
    match outcome {
        // the buyer's browser is here, not the merchant's server
        Ok(Answer { cashier_url: Some(url), .. }) if method == PAGE_PAY => {
            HttpResponse::Found().insert_header((LOCATION, url)).finish()
        }
        _ => response,
    }
}

async fn run(task: Task) -> Outcome {
    match task.call.method.as_str() {
        "alipay.trade.precreate" => trades::precreate(&task).await,
        PAGE_PAY => trades::page_pay(&task).await,
        "alipay.trade.query" => trades::query(&task).await,
        "alipay.trade.close" => trades::close(&task).await,
        "alipay.trade.refund" => refunds::accept(&task).await,
        "alipay.trade.fastpay.refund.query" => refunds::query(&task).await,
        BILL => bill::offer(&task).await,
        _ => Ok(trades::certificate(&task)),
    }
}

fn operation_of(method: &str) -> Option<Operation> {
    match method {
        "alipay.trade.precreate" | PAGE_PAY => Some(Operation::Create),
        "alipay.trade.query" => Some(Operation::Query),
        "alipay.trade.close" => Some(Operation::Close),
        "alipay.trade.refund" => Some(Operation::Refund),
        "alipay.trade.fastpay.refund.query" => Some(Operation::RefundQuery),
        BILL => Some(Operation::Bill),
        "alipay.open.app.alipaycert.download" => Some(Operation::Certificates),
        _ => None,
    }
}

fn refused(sandbox: &Sandbox, method: &str, problem: Problem, names_certificate: bool) -> HttpResponse {
    let manner = Manner { names_certificate, is_spoilt: false };
    let (response, word) = signed(sandbox, method, &Err(problem), manner);
    let operation = operation_of(method).unwrap_or(Operation::Query);
    wire::log(sandbox, Wire::Alipay, operation, "", (word, String::new()));
    response
}
