//! Where the web client is served: its files, its page at each of its own addresses, and whatever nobody else answers.
//!
//! The interfaces for programs never answer with the page, however wrong their path: a client must not take HTML for JSON.

use std::sync::LazyLock;

use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};

use super::error::ApiError;
use super::web_files::{POLICY, WebFiles};
use crate::assets;
use crate::domain::codes::Code;

/// First parts of paths that belong to programs.
const NOT_PAGES: &[&str] = &[
    "api",
    "assets",
    "health",
    "metrics",
    "openapi.json",
    "photos",
    "ready",
    "sandbox",
    "swagger",
    "uploads",
    "version",
    "ws",
];

/// First parts of the client's own paths (web/src/app/routes.tsx).
const PAGES: &[&str] =
    &["", "account", "admin", "cart", "checkout", "flash", "orders", "products", "register", "sign-in"];

const NOT_BUILT: &str = include_str!("not_built.html");

/// Read once: embedded in a release, from `web/dist` in other builds.
static CLIENT: LazyLock<WebFiles> = LazyLock::new(|| WebFiles::from_parts(assets::web_files()));

/// Serves the client for all paths that have no route.
pub fn configure(config: &mut web::ServiceConfig) {
    config.default_service(web::to(|request: HttpRequest| async move { answer(&CLIENT, &request) }));
}

fn answer(client: &WebFiles, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let not_found = || ApiError::from(Code::NOT_FOUND);
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(not_found());
    }
    if let Some(file) = client.answer(request) {
        return Ok(file);
    }
    let first = request.path().trim_start_matches('/').split('/').next().unwrap_or_default();
    if !client.are_there() && first.is_empty() {
        return Ok(not_built());
    }
    if NOT_PAGES.contains(&first) {
        return Err(not_found());
    }
    let page = if PAGES.contains(&first) {
        client.page(request, StatusCode::OK)
    } else if wants_page(request) {
        client.page(request, StatusCode::NOT_FOUND)
    } else {
        None
    };
    page.ok_or_else(not_found)
}

/// A person in a browser rather than a program.
fn wants_page(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

fn not_built() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType::html())
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(NOT_BUILT)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::http::routes::routes;

    fn built() -> WebFiles {
        WebFiles::from_parts([(Cow::from("index.html"), Cow::from("<html>".as_bytes()))])
    }

    fn status(client: &WebFiles, path: &str, accept: &'static str) -> u16 {
        let request = TestRequest::get().uri(path).insert_header((ACCEPT, accept)).to_http_request();
        answer(client, &request).map_or(404, |answer| answer.status().as_u16())
    }

    #[test]
    fn every_address_of_the_client_has_the_page() {
        for path in ["/", "/products?page=2", "/products/1", "/flash", "/orders/01M/pay", "/admin/actors/order/1"] {
            assert_eq!(status(&built(), path, "*/*"), 200, "{path}");
        }
    }

    #[test]
    fn programs_are_never_told_html() {
        for path in ["/api", "/api/nowhere", "/ws/x", "/health/x", "/assets/old-1.js", "/sandbox/x", "/swagger/x"] {
            let request = TestRequest::get().uri(path).insert_header((ACCEPT, "text/html")).to_http_request();
            assert!(answer(&built(), &request).is_err(), "{path}");
        }
        for (_, path) in routes().list() {
            let first = path.trim_start_matches('/').split('/').next().unwrap();
            assert!(NOT_PAGES.contains(&first), "{path}");
        }
        let posted = TestRequest::post().uri("/cart").to_http_request();
        assert!(answer(&built(), &posted).is_err());
    }

    #[test]
    fn a_mistyped_address_is_not_found_in_the_words_of_who_asks() {
        let request = TestRequest::get().uri("/nowhere").insert_header((ACCEPT, "text/html,*/*")).to_http_request();
        assert_eq!(answer(&built(), &request).unwrap().status(), 404);
        let request = TestRequest::get().uri("/nowhere").insert_header((ACCEPT, "*/*")).to_http_request();
        assert!(answer(&built(), &request).is_err());
    }

    #[actix_rt::test]
    async fn a_shop_without_its_client_says_how_to_build_it() {
        let request = TestRequest::get().uri("/").to_http_request();
        let page = answer(&WebFiles::default(), &request).unwrap();
        assert!(to_bytes(page.into_body()).await.unwrap().windows(8).any(|window| window == b"make run"));
        assert_eq!(status(&WebFiles::default(), "/cart", "text/html"), 404);
    }
}
