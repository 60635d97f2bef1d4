//! Reads query strings and bodies into request types, with the size limit and the content types of api.md.
//!
//! Three extractors: [`Query`] (query string), [`Body`] (JSON or form body), [`Params`] (both, the body wins: old
//! clients send `product_id` and its like in either place). An `Idempotency-Key` request leaves its fingerprint behind.

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::BytesMut;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures::StreamExt;
use futures::future::{LocalBoxFuture, Ready, ready};
use sha2::{Digest, Sha256};

use super::error::ApiError;
use super::fields::{Fields, FromFields};
use crate::domain::codes::Code;

/// Header of a request that must be carried out at most once.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
const BODY_BYTES_DEFAULT: usize = 1024 * 1024;

/// Largest body in bytes; put into the app's data.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub usize);

/// SHA-256 in hex of method, path, query and body; left in the request's extensions if it has an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub String);

/// Parameters from the query string.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// Parameters from a JSON or form body; an empty body has none.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// Parameters from the body or the query string; the body wins.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<T: FromFields> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Fields::from_query(request.query_string()).parse().map(Self))
    }
}

impl<T: FromFields + 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let mut fields = read(&request, payload, Fields::default()).await?;
            if T::STRICT {
                fields.refuse_query(request.query_string());
            }
            fields.parse().map(Self)
        })
    }
}

impl<T: FromFields + 'static> FromRequest for Params<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let fields = Fields::from_query(request.query_string());
            read(&request, payload, fields).await?.parse().map(Self)
        })
    }
}

/// A piece of the path, e.g. an id or order number; what cannot be read cannot exist.
///
/// # Errors
/// `absent`, the resource's not-found code.
pub fn from_path<T: std::str::FromStr>(text: &str, absent: Code) -> Result<T, ApiError> {
    text.parse().map_err(|_| absent.into())
}

async fn read(request: &HttpRequest, payload: Payload, mut fields: Fields) -> Result<Fields, ApiError> {
    let body = collect(request, payload).await?;
    if request.headers().contains_key(IDEMPOTENCY_KEY) {
        request.extensions_mut().insert(fingerprint(request, &body));
    }
    if body.is_empty() {
        return Ok(fields);
    }
    match kind(request)? {
        BodyKind::Json => fields.add_json(&body),
        BodyKind::Form => fields.add_form(&String::from_utf8_lossy(&body)),
    }
    Ok(fields)
}

enum BodyKind {
    Json,
    Form,
}

fn kind(request: &HttpRequest) -> Result<BodyKind, ApiError> {
    let unsupported = || ApiError::from(Code::UNSUPPORTED_MEDIA_TYPE);
    let encoding = request.headers().get(CONTENT_ENCODING).map_or(Ok("identity"), |value| value.to_str());
    if !matches!(encoding, Ok("identity")) {
        return Err(unsupported());
    }
    let Some(content_type) = request.headers().get(CONTENT_TYPE) else { return Ok(BodyKind::Json) };
    let content_type = content_type.to_str().map_err(|_| unsupported())?;
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Ok(BodyKind::Json),
        "application/x-www-form-urlencoded" => Ok(BodyKind::Form),
        other if other.ends_with("+json") => Ok(BodyKind::Json),
        _ => Err(unsupported()),
    }
}

async fn collect(request: &HttpRequest, mut payload: Payload) -> Result<BytesMut, ApiError> {
    let bytes_max = request.app_data::<web::Data<BodyLimit>>().map_or(BODY_BYTES_DEFAULT, |limit| limit.0);
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(Code::PAYLOAD_TOO_LARGE.into());
    }
    let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(bytes_max));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::from(Code::BAD_REQUEST))?;
        if body.len() + chunk.len() > bytes_max {
            return Err(Code::PAYLOAD_TOO_LARGE.into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// For handlers that read no body.
#[must_use]
pub fn fingerprint_without_body(request: &HttpRequest) -> Fingerprint {
    fingerprint(request, b"")
}

/// For a command that is no HTTP request.
#[must_use]
pub fn fingerprint_of_text(content: &str) -> Fingerprint {
    Fingerprint(hex::encode(Sha256::digest(content.as_bytes())))
}

fn fingerprint(request: &HttpRequest, body: &[u8]) -> Fingerprint {
    let mut hash = Sha256::new();
    hash.update(request.method().as_str());
    hash.update(b"\n");
    hash.update(request.uri().path_and_query().map_or("", |path| path.as_str()));
    hash.update(b"\n");
    hash.update(body);
    Fingerprint(hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::domain::ProductId;

    #[derive(Debug, PartialEq)]
    struct Wanted(ProductId);

    impl FromFields for Wanted {
        const CODE: Code = Code::CART_PARAMETER;

        fn from_fields(fields: &mut Fields) -> Self {
            Self(fields.product("product_id"))
        }
    }

    async fn read(request: TestRequest) -> Result<Wanted, ApiError> {
        let (request, mut payload) = request.app_data(web::Data::new(BodyLimit(40))).to_http_parts();
        Params::<Wanted>::from_request(&request, &mut payload).await.map(|params| params.0)
    }

    fn post(body: &'static str, content_type: &str) -> TestRequest {
        TestRequest::post().insert_header((CONTENT_TYPE, content_type)).set_payload(body)
    }

    #[actix_rt::test]
    async fn query_json_and_form_are_all_read() {
        for request in [
            TestRequest::post().uri("/?product_id=7"),
            post(r#"{"product_id":7}"#, "application/json; charset=utf-8"),
            post("product_id=7", "application/x-www-form-urlencoded"),
            post(r#"{"product_id":7}"#, "application/problem+json").uri("/?product_id=8"),
            TestRequest::post().set_payload(r#"{"product_id":7}"#),
        ] {
            assert_eq!(read(request).await.unwrap(), Wanted(ProductId(7)));
        }
    }

    #[actix_rt::test]
    async fn bodies_that_cannot_be_read_have_their_true_status() {
        let long = r#"{"product_id":7,"x":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#;
        for (request, status) in [
            (post(long, "application/json"), 413),
            (post(r#"{"product_id":7}"#, "text/xml"), 415),
            (post(r#"{"product_id":7}"#, "application/json").insert_header((CONTENT_ENCODING, "gzip")), 415),
            (post(r#"{"product_id":7"#, "application/json"), 400),
            (post("", "application/json"), 400),
        ] {
            assert_eq!(read(request).await.unwrap_err().status().as_u16(), status);
        }
    }

    #[actix_rt::test]
    async fn the_fingerprint_covers_method_path_query_and_body() {
        let of = |uri: &str, body: &str| fingerprint(&TestRequest::post().uri(uri).to_http_request(), body.as_bytes());
        assert_eq!(of("/a?x=1", "{}"), of("/a?x=1", "{}"));
        assert_ne!(of("/a?x=1", "{}"), of("/a?x=2", "{}"));
        assert_ne!(of("/a?x=1", "{}"), of("/a?x=1", "{ }"));
        assert_eq!(of("/a", "").0.len(), 64);
    }
}
