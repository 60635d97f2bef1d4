//! A request that was not met, as the caller sees it. The only file that knows HTTP status codes of refusals.
//!
//! A business refusal (sold out, wrong state) is answered 200 with its code, as old clients expect; what could not be
//! read or was not allowed gets its true status.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value};

use super::door;
use super::envelope::Unsent;
use super::fields::FieldError;
use super::i18n::{self, Lang, Words};
use super::trace::RequestContext;
use crate::actors::token_bucket::Standing;
use crate::domain::codes::Code;
use crate::passwords::PasswordError;
use crate::persistence::StoreError;

/// When a caller may come back if nobody knows better.
const RETRY_AFTER_DEFAULT_MS: u64 = 1_000;

/// A refusal or failure with its business code and details for `data`.
#[derive(Clone, Debug)]
pub struct ApiError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    words: Option<Words>,
    fields: Vec<FieldError>,
    data: Map<String, Value>,
    retry_after_ms: Option<u64>,
    is_spent: bool,
    standing: Option<Standing>,
}

impl From<Code> for ApiError {
    fn from(code: Code) -> Self {
        let (fields, data) = (Vec::new(), Map::new());
        Self(Box::new(Inner { code, words: None, fields, data, retry_after_ms: None, is_spent: false, standing: None }))
    }
}

impl ApiError {
    /// Input that breaks rules, one entry a field.
    #[must_use]
    pub fn fields(code: Code, fields: Vec<FieldError>) -> Self {
        let mut error = Self::from(code);
        error.0.fields = fields;
        error
    }

    /// Says it in these words instead of the code's, where the code alone would mislead.
    #[must_use]
    pub fn saying(mut self, words: Words) -> Self {
        self.0.words = Some(words);
        self
    }

    /// Adds a detail to `data`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.data.insert(key.to_owned(), value.into());
        self
    }

    /// Says when to try again: in `data.retry_after_ms` and, with 429 and 503, in the headers.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.0.retry_after_ms = Some(ms);
        self
    }

    /// Which limit was met: told in the headers.
    #[must_use]
    pub fn standing(mut self, standing: Standing) -> Self {
        self.0.standing = Some(standing);
        self
    }

    /// The units under the request's order numbers were given back: only other numbers can have an order.
    #[must_use]
    pub fn spent(mut self) -> Self {
        self.0.is_spent = true;
        self
    }

    /// True after [`ApiError::spent`].
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.0.is_spent
    }

    /// The business code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        status_of(self.0.code)
    }

    /// The text for people; names the first field that is wrong.
    #[must_use]
    pub fn message(&self, lang: Lang) -> String {
        let text = self.0.words.map_or_else(|| i18n::text(self.0.code, lang), |words| words.text(lang));
        match (self.0.fields.first(), lang) {
            (None, _) => text.to_owned(),
            (Some(first), Lang::Zh) => format!("{text}：{} {}", first.field, first.problem.text(lang)),
            (Some(first), Lang::En) => format!("{text}: {} {}", first.field, first.problem.text(lang)),
        }
    }

    /// Details for `data`; null if there are none.
    #[must_use]
    pub fn data(&self, lang: Lang) -> Value {
        let mut data = self.0.data.clone();
        if !self.0.fields.is_empty() {
            let errors: Vec<Value> = self.0.fields.iter().map(|error| error.json(lang)).collect();
            data.insert("errors".to_owned(), errors.into());
        }
        if let Some(ms) = self.announced_retry_ms() {
            data.insert("retry_after_ms".to_owned(), ms.into());
        }
        if data.is_empty() { Value::Null } else { Value::Object(data) }
    }

    fn announced_retry_ms(&self) -> Option<u64> {
        let refused_for_now = matches!(self.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        self.0.retry_after_ms.or(refused_for_now.then_some(RETRY_AFTER_DEFAULT_MS))
    }

    /// The whole answer under this request's trace id and in its language.
    #[must_use]
    pub fn render(&self, context: RequestContext) -> HttpResponse {
        let mut response = Unsent::refusal(self, context).send(context);
        if self.status().is_success() {
            return response;
        }
        if let Some(ms) = self.announced_retry_ms() {
            let seconds = HeaderValue::from(ms.div_ceil(1_000).max(1));
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, seconds.clone());
            headers.insert(HeaderName::from_static("ratelimit-remaining"), HeaderValue::from_static("0"));
            headers.insert(HeaderName::from_static("ratelimit-reset"), seconds);
        }
        if let Some(standing) = self.0.standing {
            door::tell(standing, response.headers_mut());
        }
        response
    }
}

/// The one place where a code becomes an HTTP status.
const fn status_of(code: Code) -> StatusCode {
    match code {
        Code::TOKEN_EXPIRED | Code::TOKEN_INVALID | Code::SIGN_IN_NEEDED | Code::UNAUTHORIZED => {
            StatusCode::UNAUTHORIZED
        }
        Code::FORBIDDEN
        | Code::NO_PERMISSION
        | Code::NOT_ADMINISTRATOR
        | Code::USER_DISABLED
        | Code::UPLOAD_NOT_ALLOWED => StatusCode::FORBIDDEN,
        Code::NOT_FOUND
        | Code::USER_NOT_FOUND
        | Code::PRODUCT_NOT_FOUND
        | Code::ORDER_NOT_FOUND
        | Code::PAYMENT_NOT_FOUND
        | Code::CART_ITEM_MISSING
        | Code::CART_PRODUCT_MISSING
        | Code::SECKILL_NOT_FOUND
        | Code::UPLOAD_NOT_FOUND => StatusCode::NOT_FOUND,
        Code::BAD_REQUEST
        | Code::USER_PARAMETER
        | Code::PRODUCT_PARAMETER
        | Code::PRODUCT_CATEGORY
        | Code::ORDER_PARAMETER
        | Code::ORDER_PAY_METHOD
        | Code::PAYMENT_PARAMETER
        | Code::PAYMENT_SIGNATURE
        | Code::CART_PARAMETER
        | Code::SECKILL_PARAMETER
        | Code::UPLOAD_EMPTY
        | Code::UPLOAD_TOO_MANY
        | Code::UPLOAD_PARAMETER => StatusCode::BAD_REQUEST,
        Code::METHOD_NOT_ALLOWED => StatusCode::METHOD_NOT_ALLOWED,
        Code::CONFLICT => StatusCode::CONFLICT,
        Code::PAYLOAD_TOO_LARGE | Code::UPLOAD_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UNSUPPORTED_MEDIA_TYPE | Code::UPLOAD_TYPE => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::UNPROCESSABLE => StatusCode::UNPROCESSABLE_ENTITY,
        Code::TOO_MANY_REQUESTS | Code::SECKILL_TOO_FREQUENT | Code::SECKILL_WAITING => StatusCode::TOO_MANY_REQUESTS,
        Code::INTERNAL | Code::UPLOAD_SAVE | Code::UPLOAD_DELETE | Code::UPLOAD_SERVER => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        Code::UNAVAILABLE | Code::SECKILL_BUSY => StatusCode::SERVICE_UNAVAILABLE,
        // Success and business refusals. WRONG_CREDENTIALS is one: old clients take any 401 for an ended session.
        _ => StatusCode::OK,
    }
}

/// The system code for an answer that the framework made itself (no route, wrong method, unreadable path).
#[must_use]
pub fn code_of_status(status: StatusCode) -> Code {
    match status.as_u16() {
        400..=599 => Code::ALL
            .iter()
            .copied()
            .find(|code| code.0 == i32::from(status.as_u16()))
            .unwrap_or(if status.is_client_error() { Code::BAD_REQUEST } else { Code::INTERNAL }),
        _ => Code::OK,
    }
}

impl From<StoreError> for ApiError {
    /// Logged here, once: callers see only whether trying again may help.
    fn from(error: StoreError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        if error.is_transient() || error.refuses_writes() {
            tracing::warn!(%error, cause, "store is not available");
            return Self::from(Code::UNAVAILABLE);
        }
        tracing::error!(%error, cause, "store failed");
        Self::from(Code::INTERNAL)
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(%error, cause, "password not worked on");
        Self::from(Code::INTERNAL)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message(Lang::En))
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    /// Replaced by the trace middleware, which knows the caller's language and trace id.
    fn error_response(&self) -> HttpResponse {
        self.render(RequestContext::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::fields::Problem;

    #[test]
    fn business_refusals_are_200_and_the_rest_has_its_true_status() {
        for (code, status) in [
            (Code::SECKILL_SOLD_OUT, 200),
            (Code::SECKILL_ALREADY_BOUGHT, 200),
            (Code::ORDER_STATE, 200),
            (Code::WRONG_CREDENTIALS, 200),
            (Code::SECKILL_PARAMETER, 400),
            (Code::TOKEN_EXPIRED, 401),
            (Code::SIGN_IN_NEEDED, 401),
            (Code::NOT_ADMINISTRATOR, 403),
            (Code::ORDER_NOT_FOUND, 404),
            (Code::SECKILL_TOO_FREQUENT, 429),
            (Code::SECKILL_BUSY, 503),
        ] {
            assert_eq!(ApiError::from(code).status().as_u16(), status, "{}", code.0);
        }
        for code in Code::ALL.iter().filter(|code| (400..600).contains(&code.0)) {
            assert_eq!(i32::from(status_of(*code).as_u16()), code.0);
            assert_eq!(code_of_status(status_of(*code)), *code);
        }
    }

    #[test]
    fn a_busy_answer_says_when_to_come_back_in_whole_seconds() {
        let response =
            ApiError::from(Code::SECKILL_TOO_FREQUENT).retry_after_ms(1_200).render(RequestContext::default());
        assert_eq!(response.headers().get("retry-after").unwrap(), "2");
        assert_eq!(response.headers().get("ratelimit-remaining").unwrap(), "0");
        let unknown = ApiError::from(Code::UNAVAILABLE).render(RequestContext::default());
        assert_eq!(unknown.headers().get("retry-after").unwrap(), "1");
    }

    #[test]
    fn field_errors_are_told_in_the_message_and_listed_in_data() {
        let error = ApiError::fields(
            Code::SECKILL_PARAMETER,
            vec![FieldError::new("quantity", Problem::NotInRange { min: 1, max: 999 })],
        );
        assert!(error.message(Lang::En).contains("quantity must be a whole number from 1 to 999"));
        assert_eq!(error.data(Lang::Zh)["errors"][0]["field"], "quantity");
    }
}
