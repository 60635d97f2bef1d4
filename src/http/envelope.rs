//! The envelope around every JSON answer: `{"code", "message", "data", "trace_id"}`, with `msg` beside `message` on an
//! error because old clients read that.
//!
//! The trace id stands last, so that a stored answer can be replayed under a new one ([`Unsent`]).

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;

use super::error::ApiError;
use super::trace::RequestContext;
use crate::domain::codes::Code;

/// Carries the trace id of the answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SUCCESS: &str = "success";

/// What a handler returns.
pub type ApiResult<T> = Result<Envelope<T>, ApiError>;

/// A successful answer with its data; status 200 unless said otherwise.
#[derive(Debug)]
pub struct Envelope<T> {
    data: T,
    status: StatusCode,
}

/// A successful answer.
///
/// # Errors
/// Never: the `Result` lets a handler end in `ok(data)`.
pub const fn ok<T: Serialize>(data: T) -> ApiResult<T> {
    Ok(Envelope { data, status: StatusCode::OK })
}

impl<T: Serialize> Responder for Envelope<T> {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match Unsent::success(self.status, &self.data) {
            Ok(unsent) => unsent.send(RequestContext::of(request)),
            Err(error) => HttpResponse::from_error(error),
        }
    }
}

/// How an [`Envelope`] of `T` looks on the wire, for the OpenAPI description.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EnvelopeOf<T> {
    /// 0.
    pub code: i32,
    /// `success`.
    pub message: String,
    /// What was asked for.
    pub data: T,
    /// 32 hex characters, also in `X-Request-ID`.
    pub trace_id: String,
}

#[derive(Serialize)]
struct Wire<'a, T> {
    code: i32,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    msg: Option<&'a str>,
    data: T,
}

/// An answer that lacks only its trace id: what `Idempotency-Key` stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// HTTP status.
    pub status: StatusCode,
    /// The envelope without its closing `,"trace_id":"…"}`.
    pub text: String,
}

impl Unsent {
    /// A successful answer.
    ///
    /// # Errors
    /// `INTERNAL` if the data cannot be written as JSON.
    pub fn success<T: Serialize>(status: StatusCode, data: &T) -> Result<Self, ApiError> {
        Self::write(status, &Wire { code: Code::OK.0, message: SUCCESS, msg: None, data })
    }

    /// A refusal in the caller's language.
    #[must_use]
    pub fn refusal(error: &ApiError, context: RequestContext) -> Self {
        let message = error.message(context.lang);
        let wire = Wire {
            code: error.code().0,
            message: &message,
            msg: Some(message.as_str()),
            data: error.data(context.lang),
        };
        Self::write(error.status(), &wire).unwrap_or_else(|_| Self { status: error.status(), text: "{".to_owned() })
    }

    fn write<T: Serialize>(status: StatusCode, wire: &Wire<'_, T>) -> Result<Self, ApiError> {
        let mut text = serde_json::to_string(wire).map_err(|error| {
            tracing::error!(%error, "answer could not be written");
            ApiError::from(Code::INTERNAL)
        })?;
        text.pop(); // the closing brace comes back with the trace id
        Ok(Self { status, text })
    }

    /// The answer under this request's trace id.
    #[must_use]
    pub fn send(self, context: RequestContext) -> HttpResponse {
        let mut text = self.text;
        text.push_str(",\"trace_id\":\"");
        text.push_str(context.trace_id.as_str());
        text.push_str("\"}");
        let mut response = HttpResponse::build(self.status);
        response.insert_header(ContentType::json());
        if let Ok(id) = HeaderValue::from_str(context.trace_id.as_str()) {
            response.insert_header((REQUEST_ID, id));
        }
        response.body(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_has_code_message_data_and_trace_id() {
        let context = RequestContext::default();
        let sent = Unsent::success(StatusCode::OK, &serde_json::json!({"id": 1})).unwrap();
        assert_eq!(sent.text, r#"{"code":0,"message":"success","data":{"id":1}"#);
        let response = sent.send(context);
        assert_eq!(response.headers().get(REQUEST_ID).unwrap().len(), 32);
    }

    #[test]
    fn a_refusal_repeats_its_message_for_old_clients() {
        let sent = Unsent::refusal(&ApiError::from(Code::SECKILL_SOLD_OUT), RequestContext::default());
        assert_eq!(sent.status, StatusCode::OK);
        assert_eq!(sent.text, r#"{"code":60003,"message":"商品已售罄","msg":"商品已售罄","data":null"#);
    }
}
