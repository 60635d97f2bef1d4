//! `/api/upload` and `/uploads`: pictures of users. A file is judged by what is in it and written anew (`pictures.rs`); it lies
//! in the database, so every node serves it; its name is random, and its media type is one of two, whatever was sent.

mod reading;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH,
};
use actix_web::{HttpRequest, HttpResponse, web};
use moka::future::Cache;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::auth::Caller;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::Query;
use super::pages::{PageOf, PageQuery};
use super::state::AppState;
use super::times::Time;
use crate::config::UploadSettings;
use crate::domain::Role;
use crate::domain::codes::Code;
use crate::persistence::StoreError;
use crate::persistence::orders::Slice;
use crate::persistence::uploads::{self, NewUpload, Quota, Upload, UploadRefusal};
use crate::pictures::{Picture, PictureKind, PictureRefusal, Pictures};
use reading::Files;

/// Bytes of pictures that this node remembers, so that a page of a hot sale does not read them from the database.
const REMEMBERED_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// A picture that was deleted at another node may be served for so long.
const REMEMBERED_FOR: std::time::Duration = std::time::Duration::from_secs(60);
/// Letters of a name before its end.
const NAME_LETTERS: usize = 32;

/// What the handlers of uploads share on this node.
#[derive(Debug)]
pub struct UploadDesk {
    requests: Semaphore,
    pictures: Pictures,
    remembered: Cache<String, web::Bytes>,
}

impl UploadDesk {
    /// With the bounds of the settings.
    #[must_use]
    pub fn new(settings: &UploadSettings) -> Self {
        let weight = |_: &String, file: &web::Bytes| u32::try_from(file.len()).unwrap_or(u32::MAX);
        Self {
            requests: Semaphore::new(settings.requests_at_once),
            pictures: Pictures::new(settings.decoding_concurrency, settings.pixels_max),
            remembered: Cache::builder()
                .weigher(weight)
                .max_capacity(REMEMBERED_BYTES_MAX)
                .time_to_live(REMEMBERED_FOR)
                .build(),
        }
    }
}

/// A picture that was uploaded.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadJson {
    /// Where it is served, below this server: fit for `image_url` and `avatar`.
    pub url: String,
    /// The end of the URL.
    pub filename: String,
    /// Bytes of the file as it is kept.
    pub size: i64,
    /// In pixels.
    pub width: i32,
    /// In pixels.
    pub height: i32,
    /// When it came first.
    pub created_at: Time,
}

impl From<Upload> for UploadJson {
    fn from(upload: Upload) -> Self {
        Self {
            url: format!("/uploads/{}", upload.name),
            filename: upload.name,
            size: upload.bytes,
            width: upload.width,
            height: upload.height,
            created_at: Time(upload.created_at_ms),
        }
    }
}

/// The body of an upload, for the description.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read as a stream, described as this")]
pub struct UploadForm {
    /// JPEG, PNG, GIF or WebP, by its content.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// The body of an upload of several files, for the description.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read as a stream, described as this")]
pub struct UploadsForm {
    /// JPEG, PNG, GIF or WebP, by their content.
    #[schema(value_type = Vec<String>, format = Binary)]
    files: Vec<Vec<u8>>,
}

/// Keeps one picture. The same file of the same user is kept once, so the request may be repeated.
///
/// # Errors
/// `UPLOAD_EMPTY`, `UPLOAD_TOO_LARGE` (bytes or pixels), `UPLOAD_TYPE`, `UPLOAD_TOO_MANY`, `UPLOAD_PARAMETER` (no multipart body),
/// `UPLOAD_NOT_ALLOWED` (quota), `UNAVAILABLE` while too many bring files.
#[utoipa::path(post, path = "/api/upload", tag = "upload", security(("bearer" = [])),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 200, body = EnvelopeOf<UploadJson>)))]
pub async fn upload(
    state: web::Data<AppState>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult<UploadJson> {
    let mut kept = keep(&state, &caller, &request, payload, 1).await?;
    ok(kept.pop().ok_or(ApiError::from(Code::UPLOAD_EMPTY))?.into())
}

/// Keeps all of up to ten pictures, or none; answered in the order in which they were sent.
///
/// # Errors
/// As [`upload`].
#[utoipa::path(post, path = "/api/upload/multi", tag = "upload", security(("bearer" = [])),
    request_body(content = UploadsForm, content_type = "multipart/form-data"),
    responses((status = 200, body = EnvelopeOf<Vec<UploadJson>>)))]
pub async fn upload_multi(
    state: web::Data<AppState>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult<Vec<UploadJson>> {
    let files_max = state.settings.uploads.files_max;
    let kept = keep(&state, &caller, &request, payload, files_max).await?;
    ok(kept.into_iter().map(Into::into).collect())
}

async fn keep(
    state: &AppState,
    caller: &Caller,
    request: &HttpRequest,
    payload: web::Payload,
    files_max: usize,
) -> Result<Vec<Upload>, ApiError> {
    let desk = &state.uploads;
    // Files are in memory while they are read and worked on: few requests at a time may bring them.
    let _place = desk.requests.try_acquire().map_err(|_full| ApiError::from(Code::UNAVAILABLE))?;
    let mut files = Files::of(request, payload, files_max, state.settings.uploads.file_bytes_max);
    let mut new = Vec::new();
    while let Some(file) = files.next().await? {
        let source_hash = hex::encode(Sha256::digest(&file));
        let Picture { kind, bytes, width, height } = desk.pictures.renew(file).await?;
        let name = format!("{}.{}", hex::encode(crate::random::bytes::<{ NAME_LETTERS / 2 }>()), kind.suffix());
        new.push(NewUpload { name, source_hash, width, height, content: bytes });
    }
    if new.is_empty() {
        return Err(Code::UPLOAD_EMPTY.into());
    }
    let kept = uploads::keep(&state.db, caller.buyer, &new, quota(state, caller), state.clock.now_ms()).await;
    Ok(kept.map_err(|error| failed(error, Code::UPLOAD_SAVE))??)
}

fn quota(state: &AppState, caller: &Caller) -> Quota {
    let settings = &state.settings.uploads;
    let total_bytes = settings.total_bytes_max;
    if caller.role == Role::Admin {
        return Quota { user_files: u64::MAX, user_bytes: u64::MAX, total_bytes };
    }
    Quota { user_files: settings.user_files_max, user_bytes: settings.user_bytes_max, total_bytes }
}

/// A store that is not there for a moment is told as such; any other failure by this code of uploads.
fn failed(error: StoreError, code: Code) -> ApiError {
    let told = ApiError::from(error);
    if told.code() == Code::INTERNAL { code.into() } else { told }
}

impl From<PictureRefusal> for ApiError {
    fn from(refusal: PictureRefusal) -> Self {
        let code = match refusal {
            PictureRefusal::Type | PictureRefusal::Damaged => Code::UPLOAD_TYPE,
            PictureRefusal::TooLarge => Code::UPLOAD_TOO_LARGE,
            PictureRefusal::Failed => Code::UPLOAD_SERVER,
        };
        Self::from(code).with("reason", refusal.to_string())
    }
}

impl From<UploadRefusal> for ApiError {
    fn from(refusal: UploadRefusal) -> Self {
        Self::from(Code::UPLOAD_NOT_ALLOWED).with("reason", refusal.to_string())
    }
}

/// The caller's pictures, newest first.
#[utoipa::path(get, path = "/api/upload", tag = "upload", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<UploadJson>>)))]
pub async fn list_uploads(
    state: web::Data<AppState>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<PageOf<UploadJson>> {
    let slice = Slice { offset: page.offset(), limit: page.page_size };
    let (kept, total) = uploads::of_user(&state.db, caller.buyer, slice).await?;
    ok(page.of(kept.into_iter().map(Into::into).collect(), total))
}

/// Deletes one of the caller's pictures; administrators delete anybody's. Who shows it, shows a gap then.
///
/// # Errors
/// `UPLOAD_NOT_FOUND`, also for somebody else's; `UPLOAD_DELETE` if the database would not.
#[utoipa::path(delete, path = "/api/upload/{name}", tag = "upload", security(("bearer" = [])),
    params(("name" = String, Path)), responses((status = 200, description = "deleted")))]
pub async fn delete_upload(state: web::Data<AppState>, caller: Caller, name: web::Path<String>) -> ApiResult<()> {
    kind_of(&name).ok_or(ApiError::from(Code::UPLOAD_NOT_FOUND))?;
    let owner = (caller.role != Role::Admin).then_some(caller.buyer);
    if !uploads::remove(&state.db, &name, owner).await.map_err(|error| failed(error, Code::UPLOAD_DELETE))? {
        return Err(Code::UPLOAD_NOT_FOUND.into());
    }
    state.uploads.remembered.invalidate(name.as_str()).await;
    if owner.is_none() {
        state.record_done(&caller, "upload.delete", format!("upload {name}"), serde_json::Value::Null).await;
    }
    ok(())
}

/// A picture, with the media type that it was written in and no power to do anything else than be shown.
#[utoipa::path(get, path = "/uploads/{name}", tag = "upload", params(("name" = String, Path)),
    responses((status = 200, content_type = "image/jpeg"), (status = 304, description = "as the client has it"),
        (status = 404, description = "no such picture")))]
pub async fn serve_upload(
    state: web::Data<AppState>,
    request: HttpRequest,
    name: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let not_found = || ApiError::from(Code::UPLOAD_NOT_FOUND);
    let kind = kind_of(&name).ok_or_else(not_found)?;
    let remembered = &state.uploads.remembered;
    let file = match remembered.get(name.as_str()).await {
        Some(file) => file,
        None => {
            let file = web::Bytes::from(uploads::content(&state.db, &name).await?.ok_or_else(not_found)?);
            remembered.insert(name.clone(), file.clone()).await;
            file
        }
    };
    // A name stands for one content for ever.
    let tag = format!("\"{name}\"");
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((CONTENT_TYPE, HeaderValue::from_static(kind.media_type())))
        .insert_header((CONTENT_DISPOSITION, HeaderValue::from_static("inline")))
        .insert_header((CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")))
        .insert_header((ETAG, tag));
    Ok(if known { response.finish() } else { response.body(file) })
}

/// How the picture of that name is written; `None` if there can be none.
fn kind_of(name: &str) -> Option<PictureKind> {
    let (stem, suffix) = name.split_once('.')?;
    let is_name = stem.len() == NAME_LETTERS && stem.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    PictureKind::of_suffix(suffix).filter(|_| is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_were_given_lead_anywhere() {
        let stem = "0123456789abcdef".repeat(2);
        assert_eq!(kind_of(&format!("{stem}.jpg")), Some(PictureKind::Jpeg));
        assert_eq!(kind_of(&format!("{stem}.webp")), Some(PictureKind::Webp));
        for name in ["", "x.jpg", "../etc/passwd", &format!("{stem}.html"), &format!("{stem}.jpg.exe"), &stem] {
            assert_eq!(kind_of(name), None, "{name}");
        }
    }
}
