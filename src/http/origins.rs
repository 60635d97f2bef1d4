//! Which pages may open a WebSocket here, or use a guest's cookie. Browsers ask nobody before they open a socket to another
//! origin or send it a form, they only say from which page it comes; so the server has to look. The list is that of CORS
//! (`http.allowed_origins`).

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, ORIGIN};

use super::error::ApiError;
use super::state::AppState;
use crate::domain::codes::Code;

/// Lets programs pass (they send no `Origin`), pages of this host, and pages of the listed origins.
///
/// # Errors
/// `FORBIDDEN` for pages from elsewhere.
pub fn check(request: &HttpRequest, state: &AppState) -> Result<(), ApiError> {
    let mut origins = request.headers().get_all(ORIGIN);
    let Some(origin) = origins.next() else { return Ok(()) };
    let origin = origin.as_bytes();
    if origins.next().is_none() && (is_own(origin, request) || state.in_effect().allows_origin(origin)) {
        return Ok(());
    }
    tracing::info!(origin = %origin.escape_ascii(), "request of a page from elsewhere refused");
    Err(ApiError::from(Code::FORBIDDEN).with("reason", "origin"))
}

/// The page came from the host that is asked now. A proxy may have ended TLS, so the scheme says nothing here.
fn is_own(origin: &[u8], request: &HttpRequest) -> bool {
    let Some(host) = request.headers().get(HOST).map(|host| host.as_bytes()) else { return false };
    let authority = origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://"));
    authority.is_some_and(|authority| !host.is_empty() && authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_page_of_the_same_host_is_ours_whatever_ends_tls() {
        let own = |origin: &str, host: &str| {
            is_own(origin.as_bytes(), &TestRequest::get().insert_header((HOST, host)).to_http_request())
        };
        assert!(own("https://shop.example", "shop.example") && own("http://127.0.0.1:8080", "127.0.0.1:8080"));
        for (origin, host) in [
            ("https://evil.example", "shop.example"),
            ("https://shop.example.evil", "shop.example"),
            ("https://shop.example:8443", "shop.example"),
            ("file://shop.example", "shop.example"),
            ("null", "null"),
            ("https://", ""),
        ] {
            assert!(!own(origin, host), "{origin} at {host}");
        }
    }
}
