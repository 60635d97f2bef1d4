//! The files of a `multipart/form-data` body, one after the other: only one is in memory at a time, and none beyond its bound.

use actix_multipart::{Multipart, MultipartError};
use actix_web::{HttpRequest, web};
use futures::StreamExt as _;

use crate::domain::codes::Code;
use crate::http::ApiError;

/// The names under which clients send files.
const FIELDS: [&str; 4] = ["file", "files", "files[]", "image"];
/// Other fields that are read past.
const OTHER_FIELDS_MAX: usize = 20;
/// Bytes of all other fields together.
const OTHER_BYTES_MAX: usize = 64 * 1024;

/// What is left to read of a body.
pub(super) struct Files {
    body: Multipart,
    files_left: usize,
    bytes_max: usize,
    other_fields: usize,
    other_bytes: usize,
}

impl Files {
    /// The files of this request: at most so many, none larger than that.
    pub(super) fn of(request: &HttpRequest, payload: web::Payload, files_max: usize, bytes_max: usize) -> Self {
        let body = Multipart::new(request.headers(), payload);
        Self { body, files_left: files_max, bytes_max, other_fields: 0, other_bytes: 0 }
    }

    /// The next file; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        while let Some(field) = self.body.next().await {
            let mut field = field.map_err(|error| unreadable(&error))?;
            let is_file = field.name().is_some_and(|name| FIELDS.contains(&name));
            if is_file && self.files_left == 0 {
                return Err(Code::UPLOAD_TOO_MANY.into());
            }
            let mut file = Vec::new();
            while let Some(chunk) = field.next().await {
                let chunk = chunk.map_err(|error| unreadable(&error))?;
                if !is_file {
                    self.other_bytes += chunk.len();
                    if self.other_bytes > OTHER_BYTES_MAX {
                        return Err(Code::UPLOAD_PARAMETER.into());
                    }
                    continue;
                }
                if file.len() + chunk.len() > self.bytes_max {
                    return Err(ApiError::from(Code::UPLOAD_TOO_LARGE).with("bytes_max", self.bytes_max));
                }
                file.extend_from_slice(&chunk);
            }
            if is_file {
                self.files_left -= 1;
                return if file.is_empty() { Err(Code::UPLOAD_EMPTY.into()) } else { Ok(Some(file)) };
            }
            self.other_fields += 1;
            if self.other_fields > OTHER_FIELDS_MAX {
                return Err(Code::UPLOAD_PARAMETER.into());
            }
        }
        Ok(None)
    }
}

/// A body that ends too early, or is none of this kind.
fn unreadable(error: &MultipartError) -> ApiError {
    ApiError::from(Code::UPLOAD_PARAMETER).with("reason", error.to_string())
}
