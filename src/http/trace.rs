//! The outermost middleware: gives each request its trace id, span, language, time limit and metrics, and turns every
//! error below it into the envelope.
//!
//! The trace id is the caller's (W3C `traceparent`) or a new one; it is the id of the exported trace, the `trace_id` of
//! the envelope and the `X-Request-ID` header, so that a buyer's screenshot leads to the trace.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceState};
use tracing::Instrument;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::envelope::REQUEST_ID;
use super::error::{ApiError, code_of_status};
use super::headers::Carried;
use super::i18n::Lang;
use super::state::AppState;
use crate::clock;
use crate::domain::codes::Code;

/// 32 lowercase hex characters, as in W3C Trace Context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 32]);

impl TraceId {
    fn new() -> Self {
        let mut text = [0_u8; 32];
        // Cannot fail: 16 bytes are 32 characters.
        let _ = hex::encode_to_slice(crate::random::bytes::<16>(), &mut text);
        Self(text)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What every answer needs to know of its request.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext {
    /// Leads to the trace.
    pub trace_id: TraceId,
    /// In which language to answer.
    pub lang: Lang,
}

impl Default for RequestContext {
    fn default() -> Self {
        Self { trace_id: TraceId::new(), lang: Lang::default() }
    }
}

impl RequestContext {
    /// The context that [`root`] gave the request.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().copied().unwrap_or_default()
    }
}

/// Longest that a request may take before its answer begins; put into the app's data.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimit(pub Duration);

/// The same for requests that bring files.
#[derive(Clone, Copy, Debug)]
pub struct UploadTimeLimit(pub Duration);

/// Below it are the requests that bring files.
const UPLOADS: &str = "/api/upload";

fn time_limit(request: &ServiceRequest) -> Duration {
    let usual = request.app_data::<web::Data<TimeLimit>>().map_or(Duration::from_secs(30), |limit| limit.0);
    let is_upload = request.method() == Method::POST && request.path().starts_with(UPLOADS);
    let longer = request.app_data::<web::Data<UploadTimeLimit>>().filter(|_| is_upload);
    longer.map_or(usual, |longer| usual.max(longer.0))
}

/// The caller's trace and span from `traceparent` (`00-{32 hex}-{16 hex}-{2 hex}`), if valid.
fn incoming(headers: &HeaderMap) -> Option<(TraceId, SpanId)> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let lower_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if version.len() != 2 || version == "ff" || !lower_hex(trace) || trace.bytes().all(|b| b == b'0') {
        return None;
    }
    let span = SpanId::from_hex(span).ok().filter(|span| *span != SpanId::INVALID)?;
    Some((TraceId(trace.as_bytes().try_into().ok()?), span))
}

/// Makes the exported trace carry the id that the buyer sees; nothing happens where no trace is exported.
fn link(span: &tracing::Span, trace_id: TraceId, caller: Option<SpanId>) {
    let Ok(trace) = opentelemetry::trace::TraceId::from_hex(trace_id.as_str()) else { return };
    let caller = caller.unwrap_or_else(|| SpanId::from_bytes(crate::random::bytes()));
    let remote = SpanContext::new(trace, caller, TraceFlags::SAMPLED, true, TraceState::NONE);
    let _no_exporter = span.set_parent(opentelemetry::Context::new().with_remote_span_context(remote));
}

/// The middleware; see the module.
///
/// # Errors
/// Only with the finished answer to a request that took too long.
pub async fn root(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = clock::monotonic();
    let lang = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let lang = lang.map(Lang::from_accept).unwrap_or_default();
    let caller = incoming(request.headers());
    let trace_id = caller.map_or_else(TraceId::new, |(trace_id, _)| trace_id);
    let context = RequestContext { trace_id, lang };
    request.extensions_mut().insert(context);

    let span = tracing::info_span!(
        "request",
        method = request.method().as_str(),
        path = request.path(),
        trace_id = trace_id.as_str(),
        "otel.kind" = "server",
        user_id = Empty,
        product_id = Empty,
        order_no = Empty,
        route = Empty,
        status = Empty,
    );
    link(&span, trace_id, caller.map(|(_, span)| span));
    let limit = time_limit(&request);
    let method = method_name(request.method());
    let carried = Carried::by_answer_to(&request);

    let outcome = tokio::time::timeout(limit, next.call(request).instrument(span.clone())).await;
    let answer = match outcome {
        Ok(Ok(response)) => Ok(with_goodbye(in_envelope(response.map_into_boxed_body(), context))),
        Ok(Err(error)) => Err(finished(&error, context, carried)),
        Err(_elapsed) => {
            tracing::warn!(parent: &span, limit_ms = limit.as_millis(), "request took too long");
            Err(finished(&ApiError::from(Code::UNAVAILABLE).into(), context, carried))
        }
    };
    let (status, route) = match &answer {
        Ok(response) => {
            if let Some(order_no) = response.request().match_info().get("order_no") {
                span.record("order_no", order_no);
            }
            (response.status(), response.request().match_pattern())
        }
        Err(error) => (error.as_response_error().status_code(), None),
    };
    let route = route.unwrap_or_else(|| "none".to_owned());
    span.record("status", status.as_u16());
    span.record("route", route.as_str());
    tracing::debug!(parent: &span, took_us = started.elapsed().as_micros(), "answered");
    metrics::histogram!("rushmall_http_request_seconds", "method" => method, "route" => route, "status" => class(status))
        .record(started.elapsed().as_secs_f64());
    answer
}

/// The last answer on its connection, if the node stops or was drained.
fn with_goodbye(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let is_leaving = response.request().app_data::<web::Data<AppState>>().is_some_and(|state| state.is_leaving());
    if is_leaving && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

/// A label with few values, whatever callers invent.
fn method_name(method: &actix_web::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// An answer that comes from no service below.
fn finished(error: &Error, context: RequestContext, carried: Carried) -> Error {
    let mut api = match error.as_error::<ApiError>() {
        Some(api) => api.render(context),
        None => ApiError::from(code_of_status(error.as_response_error().status_code())).render(context),
    };
    carried.add_to(api.headers_mut());
    InternalError::from_response("answered in the envelope", api).into()
}

/// Errors of handlers and extractors, and the framework's own empty 404, 405 and 400, as envelopes, under the headers that
/// they had.
fn in_envelope(response: ServiceResponse<BoxBody>, context: RequestContext) -> ServiceResponse<BoxBody> {
    let rendered = match response.response().error() {
        Some(error) => match error.as_error::<ApiError>() {
            Some(error) => Some(error.render(context)),
            None => Some(ApiError::from(code_of_status(error.as_response_error().status_code())).render(context)),
        },
        None => {
            let bare = response.status().as_u16() >= 400 && !response.headers().contains_key(CONTENT_TYPE);
            bare.then(|| ApiError::from(code_of_status(response.status())).render(context))
        }
    };
    let mut response = match rendered {
        None => response,
        Some(mut rendered) => {
            let (request, bare) = response.into_parts();
            let headers = rendered.headers_mut();
            let missing: Vec<_> = bare.headers().iter().filter(|(name, _)| !headers.contains_key(*name)).collect();
            for (name, value) in missing {
                headers.append(name.clone(), value.clone());
            }
            ServiceResponse::new(request, rendered)
        }
    };
    if let Ok(id) = HeaderValue::from_str(context.trace_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse};
    use serde_json::Value;

    use super::*;
    use crate::http::envelope::ok;

    async fn answer(request: TestRequest) -> (StatusCode, HeaderMap, Value) {
        let sold_out = || async { Err::<HttpResponse, _>(ApiError::from(Code::SECKILL_SOLD_OUT)) };
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            "late"
        };
        let fine = || async { ok(7) };
        let app = App::new()
            .app_data(web::Data::new(TimeLimit(Duration::from_millis(20))))
            .service(web::resource("/fine").route(web::get().to(fine)))
            .service(web::resource("/sold-out").route(web::get().to(sold_out)))
            .service(web::resource("/slow").route(web::get().to(slow)))
            .wrap(from_fn(root));
        let response = match actix_web::test::try_call_service(&init_service(app).await, request.to_request()).await {
            Ok(response) => response.into_parts().1,
            Err(error) => error.error_response(),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        (status, headers, serde_json::from_slice(&bytes).unwrap())
    }

    #[actix_rt::test]
    async fn the_trace_id_is_in_the_body_and_in_the_header() {
        let (_, headers, body) = answer(TestRequest::get().uri("/fine")).await;
        assert_eq!(body["data"], 7);
        assert_eq!(headers.get(REQUEST_ID).unwrap().to_str().unwrap(), body["trace_id"]);
        assert_eq!(body["trace_id"].as_str().unwrap().len(), 32);
    }

    #[actix_rt::test]
    async fn a_callers_trace_is_continued_and_a_broken_one_is_not() {
        let name = HeaderName::from_static("traceparent");
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let (_, _, body) = answer(TestRequest::get().uri("/fine").insert_header((name.clone(), good))).await;
        assert_eq!(body["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in [
            "",
            "00-0-0-0",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-\"}4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            let (_, _, body) = answer(TestRequest::get().uri("/fine").insert_header((name.clone(), bad))).await;
            assert_ne!(body["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736", "{bad}");
            assert_eq!(body["trace_id"].as_str().unwrap().len(), 32, "{bad}");
        }
    }

    #[actix_rt::test]
    async fn every_error_is_an_envelope_in_the_callers_language() {
        let english = (ACCEPT_LANGUAGE, "en");
        for (request, status, code, message) in [
            (TestRequest::get().uri("/sold-out"), 200, 60003, "商品已售罄"),
            (TestRequest::get().uri("/sold-out").insert_header(english), 200, 60003, "sold out"),
            (TestRequest::get().uri("/nowhere"), 404, 404, "资源不存在"),
            (TestRequest::post().uri("/fine").insert_header((ACCEPT_LANGUAGE, "en")), 405, 405, "method not allowed"),
            (TestRequest::get().uri("/slow"), 503, 503, "服务暂时不可用，请稍后再试"),
        ] {
            let (got, headers, body) = answer(request).await;
            assert_eq!((got.as_u16(), &body["code"], &body["message"]), (status, &code.into(), &message.into()));
            assert_eq!(body["msg"], body["message"]);
            assert_eq!(headers.get(REQUEST_ID).unwrap().to_str().unwrap(), body["trace_id"]);
        }
    }

    #[actix_rt::test]
    async fn a_plain_answer_keeps_its_body() {
        let app = App::new().route("/x", web::get().to(|| async { "plain" })).wrap(from_fn(root));
        let response = call_service(&init_service(app).await, TestRequest::get().uri("/x").to_request()).await;
        assert!(response.headers().contains_key(REQUEST_ID));
        assert_eq!(actix_web::test::read_body(response).await, "plain");
    }
}
