//! Where gateways tell of payments and refunds. The answer is the gateway's own form, not the envelope: success only after
//! the notification is stored, anything else makes the gateway come again.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};

use super::error::ApiError;
use super::state::AppState;
use crate::domain::codes::Code;
use crate::payment::notice::NOTICE_BYTES_MAX;
use crate::payment::{NoticeAnswer, RawNotice, Wire};

/// WeChat Pay v3: JSON, signed in its headers, its resource sealed.
#[utoipa::path(post, path = "/api/pay/wechat/v3/notify", tag = "gateway", request_body = String,
    responses((status = 204, description = "stored"), (status = "4XX", description = "not believed, or to come again")))]
pub async fn wechat_v3(
    state: web::Data<AppState>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, ApiError> {
    receive(&state, &request, body, Wire::WechatV3).await
}

/// WeChat Pay v2: signed XML.
#[utoipa::path(post, path = "/api/pay/wechat/notify", tag = "gateway", request_body = String,
    responses((status = 200, description = "return_code SUCCESS: stored; FAIL: not believed, or to come again")))]
pub async fn wechat_v2(
    state: web::Data<AppState>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, ApiError> {
    receive(&state, &request, body, Wire::WechatV2).await
}

/// Alipay: a signed form.
#[utoipa::path(post, path = "/api/pay/alipay/notify", tag = "gateway", request_body = String,
    responses((status = 200, description = "`success`: stored; anything else: not believed, or to come again")))]
pub async fn alipay(
    state: web::Data<AppState>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, ApiError> {
    receive(&state, &request, body, Wire::Alipay).await
}

async fn receive(
    state: &AppState,
    request: &HttpRequest,
    body: web::Payload,
    wire: Wire,
) -> Result<HttpResponse, ApiError> {
    let body = body.to_bytes_limited(NOTICE_BYTES_MAX).await.map_err(|_| ApiError::from(Code::PAYLOAD_TOO_LARGE))?;
    let body = body.map_err(|_| ApiError::from(Code::BAD_REQUEST))?.to_vec();
    let text = |value: &actix_web::http::header::HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers = request.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect();
    let received = state.shop.desk.receive(wire, &RawNotice { headers, body }).await;
    received.map(answered).map_err(|_| Code::NOT_FOUND.into())
}

fn answered(NoticeAnswer { status, content_type, body }: NoticeAnswer) -> HttpResponse {
    let mut answer = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    if let Some(content_type) = content_type {
        answer.insert_header((CONTENT_TYPE, content_type));
    }
    answer.body(body)
}
