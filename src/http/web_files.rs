//! The files of the web client as they are sent: each in the encodings that the build left beside it, with its ETag.
//!
//! Names below `assets/` hold a hash of their content and may be kept for ever; all others are asked for each time.

use std::borrow::Cow;
use std::collections::HashMap;

use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_NONE_MATCH, VARY,
};
use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

const INDEX: &str = "index.html";
const HASHED: &str = "assets/";
/// Of a SHA-256, in an ETag.
const HASH_BYTES: usize = 10;
const FOREVER: &str = "public, max-age=31536000, immutable";
const ASK_EACH_TIME: &str = "no-cache";
/// Nothing but our own files runs or styles; pictures of products may lie elsewhere.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; \
    connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Brotli,
}

impl Packing {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "identity",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }
}

#[derive(Debug)]
struct WebFile {
    mime: &'static str,
    is_hashed: bool,
    hash: String,
    plain: Bytes,
    gzip: Option<Bytes>,
    brotli: Option<Bytes>,
}

/// The web client.
#[derive(Debug, Default)]
pub struct WebFiles {
    files: HashMap<String, WebFile>,
}

impl WebFiles {
    /// From paths and contents; `x.br` and `x.gz` are packings of `x`.
    pub fn from_parts(parts: impl IntoIterator<Item = (Cow<'static, str>, Cow<'static, [u8]>)>) -> Self {
        let mut contents: HashMap<String, Bytes> =
            parts.into_iter().map(|(path, content)| (path.into_owned(), bytes(content))).collect();
        let is_packing = |path: &str| path.strip_suffix(".br").or(path.strip_suffix(".gz")).is_some();
        let plain: Vec<String> = contents.keys().filter(|path| !is_packing(path)).cloned().collect();
        let mut files = HashMap::new();
        for path in plain {
            let (gzip, brotli) = (contents.remove(&format!("{path}.gz")), contents.remove(&format!("{path}.br")));
            let Some(content) = contents.remove(&path) else { continue };
            let hash = hex::encode(&Sha256::digest(&content)[..HASH_BYTES]);
            let (mime, is_hashed) = (mime_of(&path), path.starts_with(HASHED));
            files.insert(path, WebFile { mime, is_hashed, hash, plain: content, gzip, brotli });
        }
        Self { files }
    }

    /// True if the client was built.
    #[must_use]
    pub fn are_there(&self) -> bool {
        self.files.contains_key(INDEX)
    }

    /// The file at a path of the URL, e.g. `/assets/app-1a2b.js`; the page itself has none.
    #[must_use]
    pub fn answer(&self, request: &HttpRequest) -> Option<HttpResponse> {
        let path = request.path().strip_prefix('/').filter(|path| *path != INDEX)?;
        self.files.get(path).map(|file| file.answer(request.headers(), StatusCode::OK))
    }

    /// The page in which the client runs.
    #[must_use]
    pub fn page(&self, request: &HttpRequest, status: StatusCode) -> Option<HttpResponse> {
        let mut answer = self.files.get(INDEX)?.answer(request.headers(), status);
        let headers = answer.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        let opener = HeaderName::from_static("cross-origin-opener-policy");
        headers.insert(opener, HeaderValue::from_static("same-origin"));
        Some(answer)
    }
}

impl WebFile {
    fn answer(&self, asked: &HeaderMap, status: StatusCode) -> HttpResponse {
        let (packing, body) = self.packed(asked);
        let etag = format!("\"{}-{}\"", self.hash, packing.name());
        let is_known = asked.get_all(IF_NONE_MATCH).any(|known| names(known, &etag));
        let is_known = is_known && status == StatusCode::OK;
        let mut answer = HttpResponse::build(if is_known { StatusCode::NOT_MODIFIED } else { status });
        answer.insert_header((ETAG, etag)).insert_header((VARY, header::ACCEPT_ENCODING.as_str()));
        answer.insert_header((CACHE_CONTROL, if self.is_hashed { FOREVER } else { ASK_EACH_TIME }));
        if is_known {
            return answer.finish();
        }
        answer.insert_header((CONTENT_TYPE, self.mime));
        if packing != Packing::Plain {
            answer.insert_header((CONTENT_ENCODING, packing.name()));
        }
        answer.body(body)
    }

    /// The smallest packing that the client takes.
    fn packed(&self, asked: &HeaderMap) -> (Packing, Bytes) {
        for (packing, body) in [(Packing::Brotli, &self.brotli), (Packing::Gzip, &self.gzip)] {
            if let Some(body) = body
                && asked.get_all(ACCEPT_ENCODING).any(|accepted| takes(accepted, packing.name()))
            {
                return (packing, body.clone());
            }
        }
        (Packing::Plain, self.plain.clone())
    }
}

fn bytes(content: Cow<'static, [u8]>) -> Bytes {
    match content {
        Cow::Borrowed(content) => Bytes::from_static(content),
        Cow::Owned(content) => Bytes::from(content),
    }
}

/// True if `If-None-Match` names this tag; weak or strong is the same here.
fn names(known: &HeaderValue, etag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    known.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

/// True if `Accept-Encoding` has this coding, not at `q=0`.
fn takes(accepted: &HeaderValue, coding: &str) -> bool {
    accepted.to_str().unwrap_or_default().split(',').any(|entry| {
        let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case(coding) && weight.is_ok_and(|weight| weight > 0.0)
    })
}

fn mime_of(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;

    use super::*;

    fn built() -> WebFiles {
        let part = |path: &'static str, content: &'static str| (Cow::from(path), Cow::from(content.as_bytes()));
        WebFiles::from_parts([
            part("index.html", "<html>"),
            part("assets/app-1.js", "plain"),
            part("assets/app-1.js.br", "brotli"),
            part("assets/app-1.js.gz", "gzip"),
        ])
    }

    #[actix_rt::test]
    async fn a_client_gets_the_smallest_packing_that_it_takes() {
        let files = built();
        for (accepted, body) in [
            ("gzip, deflate, br, zstd", "brotli"),
            ("gzip, br;q=0", "gzip"),
            ("identity", "plain"),
            ("", "plain"),
            ("gzip;q=0.5", "gzip"),
        ] {
            let request = TestRequest::get().uri("/assets/app-1.js").insert_header((ACCEPT_ENCODING, accepted));
            let answer = files.answer(&request.to_http_request()).unwrap();
            assert_eq!(answer.headers().get(CACHE_CONTROL).unwrap(), FOREVER);
            assert_eq!(answer.headers().get(CONTENT_TYPE).unwrap(), "text/javascript; charset=utf-8");
            assert_eq!(answer.headers().get(VARY).unwrap(), "accept-encoding");
            assert_eq!(to_bytes(answer.into_body()).await.unwrap(), body, "{accepted}");
        }
    }

    #[actix_rt::test]
    async fn what_a_client_has_is_not_sent_again() {
        let files = built();
        let first = files.page(&TestRequest::get().to_http_request(), StatusCode::OK).unwrap();
        let etag = first.headers().get(ETAG).unwrap().to_str().unwrap().to_owned();
        let weak = format!("\"x\", W/{etag}");
        for (known, status) in [(etag.as_str(), 304), (weak.as_str(), 304), ("\"x\"", 200)] {
            let request = TestRequest::get().insert_header((IF_NONE_MATCH, known)).to_http_request();
            let answer = files.page(&request, StatusCode::OK).unwrap();
            assert_eq!(answer.status(), status, "{known}");
            assert_eq!(answer.headers().get(ETAG).unwrap(), etag.as_str());
            assert_eq!(answer.headers().get(CACHE_CONTROL).unwrap(), ASK_EACH_TIME);
        }
    }

    #[test]
    fn the_page_runs_nothing_that_stands_in_it() {
        let page = built().page(&TestRequest::get().to_http_request(), StatusCode::OK).unwrap();
        let policy = page.headers().get(CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap();
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn packings_have_no_address_of_their_own() {
        let files = built();
        for path in ["/assets/app-1.js.br", "/index.html", "/", "/assets/"] {
            assert!(files.answer(&TestRequest::get().uri(path).to_http_request()).is_none(), "{path}");
        }
    }
}
