//! Settings of uploads: how large, how many, how many at the same time.

use serde::{Deserialize, Serialize};

/// Pictures that users upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UploadSettings {
    /// Largest file, bytes.
    pub file_bytes_max: usize,
    /// Files of one request.
    pub files_max: usize,
    /// Pixels of one picture.
    pub pixels_max: u64,
    /// Pictures of one user; administrators are exempt.
    pub user_files_max: u64,
    /// Bytes of one user's pictures as they are kept; administrators are exempt.
    pub user_bytes_max: u64,
    /// Bytes of everybody's pictures.
    pub total_bytes_max: u64,
    /// Requests that bring files at the same time; one more is answered "busy".
    pub requests_at_once: usize,
    /// Longest that such a request may take, if it is longer than `http.request_timeout_ms`.
    pub request_timeout_ms: u64,
    /// Pictures decoded at the same time (each takes a core, and memory for its pixels).
    pub decoding_concurrency: usize,
}

impl Default for UploadSettings {
    fn default() -> Self {
        Self {
            file_bytes_max: 10 * 1024 * 1024,
            files_max: 10,
            pixels_max: 24_000_000,
            user_files_max: 200,
            user_bytes_max: 50 * 1024 * 1024,
            total_bytes_max: 5 * 1024 * 1024 * 1024,
            requests_at_once: 8,
            request_timeout_ms: 30_000,
            decoding_concurrency: 1,
        }
    }
}
