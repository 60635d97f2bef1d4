//! Headers that every answer carries: what browsers must not guess, and who may read it from another origin (CORS).

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use super::state::AppState;

const ANY_ORIGIN: &str = "*";

/// What the answer to one request shall carry, read from the request before it is given away.
#[derive(Debug)]
pub struct Carried {
    origin: Option<HeaderValue>,
    is_preflight: bool,
}

impl Carried {
    /// What the answer to this request carries.
    #[must_use]
    pub fn by_answer_to(request: &ServiceRequest) -> Self {
        let is_preflight =
            request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        Self { origin: allowed_origin(request), is_preflight }
    }

    /// Adds it to the answer's headers.
    pub fn add_to(self, headers: &mut HeaderMap) {
        for (name, value) in
            [(X_CONTENT_TYPE_OPTIONS, "nosniff"), (X_FRAME_OPTIONS, "DENY"), (REFERRER_POLICY, "same-origin")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(origin) = self.origin {
            share(headers, origin, self.is_preflight);
        }
    }
}

/// The middleware; see the module. An answer that is made outside of it adds [`Carried`] by itself.
///
/// # Errors
/// What the services below return.
pub async fn add(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let carried = Carried::by_answer_to(&request);
    let mut response = if carried.is_preflight {
        request.into_response(HttpResponse::NoContent().finish())
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    carried.add_to(response.headers_mut());
    Ok(response)
}

/// The caller's origin if the settings allow it; `*` if they allow any.
fn allowed_origin(request: &ServiceRequest) -> Option<HeaderValue> {
    let origin = request.headers().get(ORIGIN)?;
    let allowed = &request.app_data::<web::Data<AppState>>()?.settings.http.allowed_origins;
    if allowed.iter().any(|allowed| allowed == ANY_ORIGIN) {
        return Some(HeaderValue::from_static(ANY_ORIGIN));
    }
    allowed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

fn share(headers: &mut HeaderMap, origin: HeaderValue, is_preflight: bool) {
    if origin != ANY_ORIGIN {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let exposed = "X-Request-ID, Retry-After, RateLimit-Remaining, RateLimit-Reset, Idempotent-Replayed, X-Cart-Token";
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    if is_preflight {
        let methods = HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS");
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        let asked = "Authorization, Content-Type, Idempotency-Key, Accept-Language, X-Cart-Token, traceparent";
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(asked));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}
