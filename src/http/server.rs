//! The actix application: limits, middleware in their order, routes, documentation, the web client.

use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, web};
use utoipa::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use super::extract::BodyLimit;
use super::openapi::ApiDoc;
use super::routes::routes;
use super::state::AppState;
use super::trace::{TimeLimit, UploadTimeLimit};
use super::{door, headers, trace, web_client};
use crate::payment::sandbox::{self, Sandbox};

/// Where the sandbox gateway is mounted, if it is.
pub const SANDBOX: &str = "/sandbox";

/// One worker's application.
pub fn app(
    state: web::Data<AppState>,
    sandbox: Option<web::Data<Sandbox>>,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>,
> {
    let mount = |config: &mut web::ServiceConfig| {
        if let Some(sandbox) = sandbox {
            config.service(sandbox::scope(SANDBOX, sandbox));
        }
    };
    App::new()
        .configure(mount)
        .configure(|config| configure(config, state))
        .wrap(from_fn(door::keep))
        .wrap(from_fn(headers::add))
        .wrap(from_fn(trace::root))
}

/// Data, limits and routes; without the middleware.
pub fn configure(config: &mut web::ServiceConfig, state: web::Data<AppState>) {
    let http = &state.settings.http;
    config
        .app_data(web::Data::new(BodyLimit(http.body_bytes_max)))
        .app_data(web::Data::new(TimeLimit(Duration::from_millis(http.request_timeout_ms))))
        .app_data(web::Data::new(UploadTimeLimit(Duration::from_millis(state.settings.uploads.request_timeout_ms))))
        .app_data(state);
    routes().serve(config);
    #[cfg(feature = "failpoints")]
    super::failpoints::routes().serve(config);
    config
        .service(web::redirect("/swagger", "/swagger/"))
        .service(SwaggerUi::new("/swagger/{_:.*}").url("/openapi.json", ApiDoc::openapi()))
        .configure(web_client::configure);
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::http::header::{
        ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CONTENT_SECURITY_POLICY, ORIGIN, STRICT_TRANSPORT_SECURITY,
        X_CONTENT_TYPE_OPTIONS,
    };
    use actix_web::test::{TestRequest, call_service, init_service, read_body, read_body_json, try_call_service};
    use serde_json::Value;

    use super::*;
    use crate::http::state::for_tests;

    fn share_with_shop_example(state: &AppState) {
        let mut settings = state.settings.clone();
        settings.http.allowed_origins = Some(vec!["https://shop.example".to_owned()]);
        state.shop.in_effect.replace(settings);
    }

    #[actix_rt::test]
    async fn a_bare_server_answers_its_operators() {
        let (state, _dir) = for_tests().await;
        let app = init_service(app(web::Data::new(state), None)).await;
        for path in ["/health", "/ready", "/version", "/metrics", "/swagger/", "/openapi.json"] {
            let response = call_service(&app, TestRequest::get().uri(path).to_request()).await;
            assert_eq!(response.status(), 200, "{path}");
        }
        let response = call_service(&app, TestRequest::get().uri("/openapi.json").to_request()).await;
        let described: Value = serde_json::from_slice(&read_body(response).await).unwrap();
        assert_eq!(described["openapi"], "3.1.0");
    }

    #[actix_rt::test]
    async fn head_is_answered_where_get_is() {
        let (state, _dir) = for_tests().await;
        let app = init_service(app(web::Data::new(state), None)).await;
        let request = TestRequest::default().method(actix_web::http::Method::HEAD).uri("/version");
        assert_eq!(call_service(&app, request.to_request()).await.status(), 200);
    }

    #[actix_rt::test]
    async fn unknown_paths_and_wrong_methods_are_envelopes() {
        let (state, _dir) = for_tests().await;
        let app = init_service(app(web::Data::new(state), None)).await;
        let missing = call_service(&app, TestRequest::get().uri("/api/nowhere").to_request()).await;
        assert_eq!(missing.status(), 404);
        assert_eq!(read_body_json::<Value, _>(missing).await["code"], 404);
        let wrong = call_service(&app, TestRequest::delete().uri("/health").to_request()).await;
        assert_eq!(wrong.status(), 405);
        assert_eq!(wrong.headers().get(ALLOW).unwrap(), "GET");
        assert_eq!(read_body_json::<Value, _>(wrong).await["code"], 405);
    }

    #[actix_rt::test]
    async fn other_origins_may_read_what_the_settings_allow() {
        let (state, _dir) = for_tests().await;
        share_with_shop_example(&state);
        let app = init_service(app(web::Data::new(state), None)).await;
        // refusals as well: a browser shows its page none that it may not read
        for path in ["/version", "/nowhere", "/api/order", "/api/product/x"] {
            for (origin, allowed) in [("https://shop.example", true), ("https://evil.example", false)] {
                let request = TestRequest::get().uri(path).insert_header((ORIGIN, origin));
                let response = call_service(&app, request.to_request()).await;
                assert_eq!(response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), allowed, "{path} {origin}");
                assert_eq!(response.headers().get(X_CONTENT_TYPE_OPTIONS).unwrap(), "nosniff", "{path}");
            }
        }
    }

    #[actix_rt::test]
    async fn every_page_says_what_it_may_load_and_hsts_is_told_over_tls_only() {
        for has_tls in [false, true] {
            let (mut state, _dir) = for_tests().await;
            if has_tls {
                state.settings.http.tls_certificate_file = "shop.crt".to_owned();
            }
            let app = init_service(app(web::Data::new(state), None)).await;
            for path in ["/", "/swagger/", "/swagger/index.html", "/version"] {
                let response = call_service(&app, TestRequest::get().uri(path).to_request()).await;
                let headers = response.headers();
                let policy = headers.get(CONTENT_SECURITY_POLICY).map(|policy| policy.to_str().unwrap());
                assert_eq!(policy.is_some(), path != "/version", "{path}");
                let is_tight =
                    |policy: &str| policy.contains("default-src 'none'") && !policy.contains("script-src 'unsafe");
                assert!(policy.is_none_or(is_tight), "{path}: {policy:?}");
                let lasts = headers.get(STRICT_TRANSPORT_SECURITY).map(|lasts| lasts.to_str().unwrap());
                assert_eq!(lasts, has_tls.then_some("max-age=31536000"), "{path}");
            }
        }
    }

    #[actix_rt::test]
    async fn an_answer_at_the_time_limit_carries_what_every_answer_does() {
        let (mut state, _dir) = for_tests().await;
        share_with_shop_example(&state);
        state.settings.http.request_timeout_ms = 20;
        let endless = web::get().to(std::future::pending::<&'static str>);
        let app = init_service(app(web::Data::new(state), None).route("/endless", endless)).await;
        let request = TestRequest::get().uri("/endless").insert_header((ORIGIN, "https://shop.example"));
        let response = match try_call_service(&app, request.to_request()).await {
            Ok(response) => response.into_parts().1,
            Err(error) => error.error_response(),
        };
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(), "https://shop.example");
        assert_eq!(response.headers().get(X_CONTENT_TYPE_OPTIONS).unwrap(), "nosniff");
        let body: Value = serde_json::from_slice(&to_bytes(response.into_body()).await.unwrap()).unwrap();
        assert_eq!(body["code"], 503);
    }
}
