//! Who may go back stage.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use reqwest::Url;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::payment::sandbox::notify::is_this_machine;
use crate::payment::sandbox::state::Sandbox;

/// Lets a request through or answers 403 with the reason.
pub(super) async fn check(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match refusal(&request) {
        None => Ok(next.call(request).await?.map_into_boxed_body()),
        Some(why) => {
            let body = HttpResponse::Forbidden().json(json!({ "error": why }));
            Ok(request.into_response(body))
        }
    }
}

fn refusal(request: &ServiceRequest) -> Option<&'static str> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let token = request.app_data::<web::Data<Sandbox>>().and_then(|sandbox| sandbox.options.control_token.clone());
    match token {
        Some(token) => {
            // the page itself holds nothing; it asks for the token
            let is_page = request.method() == Method::GET && request.path().ends_with("/control");
            let shown = header("Authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
            let fits: bool = shown.as_bytes().ct_eq(token.as_bytes()).into();
            if !fits && !is_page {
                return Some("the token of the control API is needed: Authorization: Bearer …");
            }
        }
        None => {
            if !request.peer_addr().is_some_and(|peer| peer.ip().is_loopback()) {
                return Some("only this machine may control the sandbox; start it with --control-token for others");
            }
            // a foreign name that resolves to this machine is somebody else's page
            let host = format!("http://{}", header("Host").unwrap_or_default());
            if !Url::parse(&host).is_ok_and(|host| is_this_machine(&host)) {
                return Some("the control API is reached as localhost or 127.0.0.1");
            }
        }
    }
    let origin_is_foreign = header("Origin")
        .is_some_and(|origin| host_of(origin) != host_of(&format!("http://{}", header("Host").unwrap_or_default())));
    if origin_is_foreign {
        return Some("pages of other origins may not control the sandbox");
    }
    None
}

fn host_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}
