//! Headers that every answer carries: what browsers must not guess, who may read it from another origin (CORS), what a page
//! may load (CSP), and that the shop is spoken to by TLS alone once it was (HSTS).

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use super::state::AppState;
use crate::config::ANY_ORIGIN;

/// Once seen over TLS, the host is asked over TLS for a year.
const TLS_ONLY: &str = "max-age=31536000";
/// Where Swagger's pages are; they style themselves in place.
const SWAGGER: &str = "/swagger/";
const SWAGGER_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Of a page that says nothing else: it loads nothing.
const BARE_POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the answer to one request shall carry, read from the request before it is given away.
#[derive(Debug)]
pub struct Carried {
    origin: Option<HeaderValue>,
    is_preflight: bool,
    is_swagger: bool,
    has_tls: bool,
}

impl Carried {
    /// What the answer to this request carries.
    #[must_use]
    pub fn by_answer_to(request: &ServiceRequest) -> Self {
        let is_preflight =
            request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let has_tls = request.app_data::<web::Data<AppState>>().is_some_and(|state| state.settings.has_tls());
        let is_swagger = request.path().starts_with(SWAGGER);
        Self { origin: allowed_origin(request), is_preflight, is_swagger, has_tls }
    }

    /// Adds it to the answer's headers.
    pub fn add_to(self, headers: &mut HeaderMap) {
        for (name, value) in
            [(X_CONTENT_TYPE_OPTIONS, "nosniff"), (X_FRAME_OPTIONS, "DENY"), (REFERRER_POLICY, "same-origin")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if self.has_tls {
            headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TLS_ONLY));
        }
        if is_page(headers) && !headers.contains_key(CONTENT_SECURITY_POLICY) {
            let policy = if self.is_swagger { SWAGGER_POLICY } else { BARE_POLICY };
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
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

fn is_page(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// The caller's origin if the settings allow it; `*` if they allow any.
fn allowed_origin(request: &ServiceRequest) -> Option<HeaderValue> {
    let origin = request.headers().get(ORIGIN)?;
    let settings = request.app_data::<web::Data<AppState>>()?.in_effect();
    if settings.allows_any_origin() {
        return Some(HeaderValue::from_static(ANY_ORIGIN));
    }
    settings.allows_origin(origin.as_bytes()).then(|| origin.clone())
}

fn share(headers: &mut HeaderMap, origin: HeaderValue, is_preflight: bool) {
    if origin != ANY_ORIGIN {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let exposed = "X-Request-ID, Retry-After, RateLimit-Limit, RateLimit-Policy, RateLimit-Remaining, RateLimit-Reset, \
                   Idempotent-Replayed, X-Cart-Token";
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    if is_preflight {
        let methods = HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS");
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        let asked = "Authorization, Content-Type, Idempotency-Key, Accept-Language, X-Cart-Token, traceparent";
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(asked));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}
