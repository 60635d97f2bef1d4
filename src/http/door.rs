//! The door: who knocks too often is turned away before any work is done, and every answer says how much is left.
//!
//! Counted are, in this order, whatever an address asks for, sign-ins of an address, and calls of a user or, where nobody
//! is signed in, of the address. `/health` and `/ready` are never turned away, since a balancer would take the node for
//! lost; the gateways' notifications count for their address alone. The answer carries the closest limit: the
//! session's own for a flash-sale claim, else the last of those above. No such headers for exempt clients.

use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, web};

use super::auth;
use super::client_address::ClientAddress;
use super::error::ApiError;
use super::state::AppState;
use super::worker_lag;
use crate::actors::kit::AskError;
use crate::actors::rate_limits::{DoorClass, RateLimits};
use crate::actors::token_bucket::Standing;
use crate::clock;
use crate::domain::BuyerId;
use crate::domain::codes::Code;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Where passwords and tokens are tried.
const SIGN_INS: [&str; 4] =
    ["/api/user/login", "/api/user/register", "/api/auth/refresh-token", "/api/auth/change-password"];

/// What takes units: refused while it would only come too late.
const PURCHASES: [&str; 3] = ["/api/seckill", "/api/order", "/api/order/checkout"];

/// When a request came; left in its extensions.
#[derive(Clone, Copy, Debug)]
pub struct Arrived(Instant);

impl Arrived {
    /// Since when the client waits.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Instant {
        request.extensions().get::<Self>().map_or_else(clock::monotonic, |arrived| arrived.0)
    }
}

/// A closer limit that the request met behind the door; left in its extensions.
#[derive(Clone, Copy, Debug)]
pub struct Closer(pub Standing);

/// The middleware; see the module.
///
/// # Errors
/// `TOO_MANY_REQUESTS` in the envelope, and what the services below return.
pub async fn keep(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(state) = request.app_data::<web::Data<AppState>>().cloned() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let terms = state.shop.limits.now();
    let client = ClientAddress::find(request.peer_addr(), request.headers(), &terms);
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(Arrived(clock::monotonic()));
    let is_free = matches!(request.path(), "/health" | "/ready") || terms.is_exempt(client.0);
    let standing = if is_free { None } else { Some(knock(&request, client, &state.shop.rate_limits)?) };
    refuse_if_late(&request, terms.limits.queue_wait_max_ms)?;
    let mut response = next.call(request).await?.map_into_boxed_body();
    let closer = response.request().extensions().get::<Closer>().map(|closer| closer.0);
    if let Some(standing) = closer.or(standing) {
        tell(standing, response.headers_mut());
    }
    Ok(response)
}

/// How the client stands with the closest of its limits.
fn knock(
    request: &ServiceRequest,
    ClientAddress(address): ClientAddress,
    doors: &RateLimits,
) -> Result<Standing, ApiError> {
    let mut standing = passed(doors.of_address(DoorClass::Address, address))?;
    let path = request.path();
    if *request.method() == Method::POST && SIGN_INS.contains(&path) {
        standing = passed(doors.of_address(DoorClass::Login, address))?;
    }
    let is_call = path.starts_with("/api/") || path.starts_with("/ws");
    if is_call && !is_notification(path) {
        standing = passed(match user_of(request.request()) {
            Some(user) => doors.of_user(user),
            None if SIGN_INS.contains(&path) => return Ok(standing),
            None => doors.of_address(DoorClass::Visitor, address),
        })?;
    }
    Ok(standing)
}

/// A purchase that waited too long for its worker is refused: its buyer is about to give up.
fn refuse_if_late(request: &ServiceRequest, wait_max_ms: u64) -> Result<(), ApiError> {
    let lag = worker_lag::of_this_worker();
    let is_purchase = *request.method() == Method::POST && PURCHASES.contains(&request.path());
    if wait_max_ms == 0 || !is_purchase || lag <= Duration::from_millis(wait_max_ms) {
        return Ok(());
    }
    metrics::counter!("rushmall_shed_total", "at" => "worker").increment(1);
    Err(AskError::Busy { retry_after_ms: wait_max_ms }.into())
}

fn is_notification(path: &str) -> bool {
    path.starts_with("/api/pay/") && path.ends_with("/notify")
}

/// Whose good token the request has; the handler finds it verified.
fn user_of(request: &HttpRequest) -> Option<BuyerId> {
    auth::claims(request).ok().flatten().map(|claims| BuyerId(claims.user_id))
}

fn passed(standing: Standing) -> Result<Standing, ApiError> {
    if standing.is_let_in {
        return Ok(standing);
    }
    Err(ApiError::from(Code::TOO_MANY_REQUESTS).retry_after_ms(standing.reset_ms).standing(standing))
}

/// Says what is left: `RateLimit-Limit` is what may be asked at once, `RateLimit-Policy` also in how many seconds that is
/// refilled, `RateLimit-Reset` in how many seconds nothing of it is used.
pub fn tell(standing: Standing, headers: &mut HeaderMap) {
    let burst = standing.rate.burst.max(1);
    headers.insert(LIMIT, HeaderValue::from(burst));
    let window_s = u64::try_from(standing.rate.fills_in_ms()).unwrap_or(0).div_ceil(1_000);
    if let Ok(policy) = HeaderValue::from_str(&format!("{burst};w={window_s}")) {
        headers.insert(POLICY, policy);
    }
    if !headers.contains_key(REMAINING) {
        headers.insert(REMAINING, HeaderValue::from(standing.remaining));
        headers.insert(RESET, HeaderValue::from(standing.reset_ms.div_ceil(1_000)));
    }
}
