//! Speaks the shop's HTTP: the envelope, tokens, time limits. Knows nothing of the drill or of actors.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::OpsError;
use super::healthcheck::{cause, client};

/// Longest wait for one answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// What the shop answered: its business code and data.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::ops) struct Answer {
    /// 0 is success; the rest are the codes of the API.
    pub code: i32,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// Depends on the endpoint.
    #[serde(default)]
    pub data: Value,
}

/// No answer that can be read: whether the request was carried out is unknown.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::ops) struct NoAnswer(pub String);

/// A running shop.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Shop {
    http: reqwest::Client,
    base: String,
}

impl Shop {
    /// The shop at `base`, e.g. `http://127.0.0.1:8080`.
    pub(in crate::ops) fn at(base: &str) -> Result<Self, OpsError> {
        let base = base.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(OpsError::Usage(format!("--url {base}: expected a URL that begins with http:// or https://")));
        }
        let http = client(&base, REQUEST_TIMEOUT).map_err(|error| OpsError::Remote(cause(&error)))?;
        Ok(Self { http, base })
    }

    /// Its URL without a slash at the end.
    pub(in crate::ops) fn base(&self) -> &str {
        &self.base
    }

    /// `GET path`.
    pub(in crate::ops) async fn get(&self, path: &str, token: &str) -> Result<Answer, NoAnswer> {
        read(self.http.get(format!("{}{path}", self.base)).bearer_auth(token)).await
    }

    /// `POST path` with a JSON body; an empty token sends none.
    pub(in crate::ops) async fn post(&self, path: &str, token: &str, body: &Value) -> Result<Answer, NoAnswer> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        read(if token.is_empty() { request } else { request.bearer_auth(token) }).await
    }

    /// `PUT path` with a JSON body.
    pub(in crate::ops) async fn put(&self, path: &str, token: &str, body: &Value) -> Result<Answer, NoAnswer> {
        read(self.http.put(format!("{}{path}", self.base)).json(body).bearer_auth(token)).await
    }

    /// `DELETE path`.
    pub(in crate::ops) async fn delete(&self, path: &str, token: &str) -> Result<Answer, NoAnswer> {
        read(self.http.delete(format!("{}{path}", self.base)).bearer_auth(token)).await
    }

    /// `POST path` under an `Idempotency-Key`: sent again with the same key it is carried out once.
    pub(in crate::ops) async fn post_once(
        &self,
        path: &str,
        token: &str,
        body: &Value,
        key: &str,
    ) -> Result<Answer, NoAnswer> {
        let request = self.http.post(format!("{}{path}", self.base)).header("idempotency-key", key);
        read(request.json(body).bearer_auth(token)).await
    }

    /// The data of an answer that is no refusal.
    pub(in crate::ops) fn accepted(path: &str, answer: Result<Answer, NoAnswer>) -> Result<Value, OpsError> {
        match answer {
            Ok(Answer { code: 0, data, .. }) => Ok(data),
            Ok(Answer { code, message, .. }) => Err(OpsError::Remote(format!("{path}: refused with {code} {message}"))),
            Err(error) => Err(OpsError::Remote(format!("{path}: {error}"))),
        }
    }

    /// As [`Shop::post`], for steps without which nothing else can be done.
    pub(in crate::ops) async fn must_post(&self, path: &str, token: &str, body: &Value) -> Result<Value, OpsError> {
        Self::accepted(path, self.post(path, token, body).await)
    }

    /// As [`Shop::get`], for steps without which nothing else can be done.
    pub(in crate::ops) async fn must_get(&self, path: &str, token: &str) -> Result<Value, OpsError> {
        Self::accepted(path, self.get(path, token).await)
    }
}

async fn read(request: reqwest::RequestBuilder) -> Result<Answer, NoAnswer> {
    let unreadable = |error: reqwest::Error| NoAnswer(cause(&error));
    let response = request.send().await.map_err(unreadable)?;
    let status = response.status();
    let body = response.bytes().await.map_err(unreadable)?;
    serde_json::from_slice(&body).map_err(|_| NoAnswer(format!("HTTP {status} without the shop's envelope")))
}
