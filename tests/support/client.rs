//! People who talk to a shop over HTTP, and what they are answered.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// Longest wait for one answer: longer than the server's own.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// So long, and with such pauses, somebody patient repeats what is not done yet.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
pub(super) const PAUSE: Duration = Duration::from_millis(200);

/// Where the shop is; moves when it is started again. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Address(Arc<Mutex<String>>);

impl Address {
    /// The shop is at `base` (`http://host:port`) from now on.
    pub fn is_now(&self, base: &str) {
        base.clone_into(&mut self.0.lock().unwrap());
    }

    /// `http://host:port`.
    pub fn base(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

/// `code` of a name that somebody has.
const USER_EXISTS: i64 = 10002;
/// `code` of a request that found nobody to connect to: nothing can have happened.
pub const NEVER_SENT: i64 = -2;
/// `code` of a request whose connection broke, and of an answer without envelope.
const BROKEN: i64 = -1;

/// What the shop answered, or that it did not.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status; 0 if there was no answer.
    pub status: u16,
    /// The business code; [`BROKEN`] if there was no envelope, [`NEVER_SENT`] if there was nobody to ask.
    pub code: i64,
    pub message: String,
    pub data: Value,
    pub headers: HeaderMap,
    /// What was asked, for failures.
    pub asked: String,
}

impl Answer {
    fn lost(asked: String, why: &reqwest::Error) -> Self {
        let message = format!("no answer: {why}");
        let code = if why.is_connect() { NEVER_SENT } else { BROKEN };
        Self { status: 0, code, message, data: Value::Null, headers: HeaderMap::new(), asked }
    }

    /// False if the connection broke before an answer was read: what happened is unknown.
    pub fn was_heard(&self) -> bool {
        self.status != 0
    }

    /// True if it was not heard or says "not now": whoever waits may ask again.
    pub fn is_open(&self) -> bool {
        matches!(self.status, 0 | 503)
    }

    /// True if it was done.
    pub fn is_accepted(&self) -> bool {
        self.code == 0
    }

    /// What came with a success; anything else fails the test.
    #[track_caller]
    pub fn accepted(self) -> Value {
        assert_eq!(self.code, 0, "{} was not accepted: {} {} {}", self.asked, self.status, self.message, self.data);
        self.data
    }

    /// What came with the refusal `code`; anything else fails the test.
    #[track_caller]
    pub fn rejected(self, code: i64) -> Value {
        let said = format!("{} {} {}", self.status, self.message, self.data);
        assert_eq!(self.code, code, "{} was not refused with {code}: {said}", self.asked);
        self.data
    }

    /// The HTTP status is this one.
    #[track_caller]
    pub fn with_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {} {}", self.asked, self.code, self.message);
        self
    }

    /// `data.order_no`.
    #[track_caller]
    pub fn order_no(self) -> String {
        let data = self.accepted();
        data["order_no"].as_str().unwrap_or_else(|| panic!("no order_no in {data}")).to_owned()
    }
}

/// Somebody at the shop's door: a visitor, a buyer, an administrator. Clones are the same person.
#[derive(Clone, Debug)]
pub struct Person {
    pub address: Address,
    pub user_id: i64,
    pub username: String,
    pub token: String,
    http: reqwest::Client,
}

impl Person {
    /// Somebody who is not signed in.
    pub fn visitor(address: &Address) -> Self {
        Self::visitor_who_waits(address, ANSWER_WITHIN)
    }

    /// The same with another patience for one answer.
    pub fn visitor_who_waits(address: &Address, patience: Duration) -> Self {
        let http = reqwest::Client::builder().timeout(patience).no_proxy().build().expect("an HTTP client");
        Self { address: address.clone(), user_id: 0, username: String::new(), token: String::new(), http }
    }

    /// The same connection pool, signed in as somebody.
    pub fn signed_in(&self, user_id: i64, username: &str, token: &str) -> Self {
        Self { user_id, username: username.to_owned(), token: token.to_owned(), ..self.clone() }
    }

    /// The same person over connections of his own, as from another device.
    pub fn elsewhere(&self) -> Self {
        Self::visitor(&self.address).signed_in(self.user_id, &self.username, &self.token)
    }

    /// A body as it is, with its content type; none of what a well-behaved client would do.
    pub async fn send_raw(&self, method: Method, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let asked = format!("{method} {path} with a raw body");
        send(self.request(method, path).header("content-type", content_type).body(body.into()), asked).await
    }

    /// Makes an account; the password is `{username}-2026`.
    pub async fn register(&self, username: &str) -> Self {
        let password = format!("{username}-2026");
        let body = json!({ "username": username, "password": password });
        let first = self.post("/api/user/register", &body).await;
        if !first.is_open() {
            return self.enter(first);
        }
        let again = self.ask_until_heard(Method::POST, "/api/user/register", Some(&body)).await;
        // the account may have been made, unheard
        if again.code == USER_EXISTS { self.log_in(username, &password).await } else { self.enter(again) }
    }

    /// Signs in.
    pub async fn log_in(&self, username: &str, password: &str) -> Self {
        let body = json!({ "username": username, "password": password });
        self.enter(self.ask_until_heard(Method::POST, "/api/user/login", Some(&body)).await)
    }

    fn enter(&self, answer: Answer) -> Self {
        let data = answer.accepted();
        let user = &data["user"];
        let (id, name) = (user["id"].as_i64().expect("an id"), user["username"].as_str().expect("a name"));
        self.signed_in(id, name, data["token"].as_str().expect("a token"))
    }

    /// `GET path`; asked once more if the connection broke, as browsers do.
    pub async fn get(&self, path: &str) -> Answer {
        let first = self.ask(Method::GET, path, None, &[]).await;
        if !first.was_heard() && first.code == BROKEN { self.ask(Method::GET, path, None, &[]).await } else { first }
    }

    /// `POST path`.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(body), &[]).await
    }

    /// `POST path` under an `Idempotency-Key`.
    pub async fn post_once(&self, path: &str, body: &Value, key: &str) -> Answer {
        self.ask(Method::POST, path, Some(body), &[("Idempotency-Key", key)]).await
    }

    /// `POST path` under a key of its own, repeated while the shop is not heard or says "not now" or "still at it": for
    /// what a test only stands on, on a machine that may be too busy for the time limits of a shop.
    pub async fn post_patiently(&self, path: &str, body: &Value) -> Answer {
        let (key, until) = (rushmall::random::token(), Instant::now() + PATIENCE);
        loop {
            let answer = self.post_once(path, body, &key).await;
            if !matches!(answer.status, 0 | 409 | 503) || Instant::now() > until {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Any request, repeated while the shop is not heard or says "not now": for what may be done twice.
    pub async fn ask_until_heard(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(method.clone(), path, body, &[]).await;
            if !answer.is_open() || Instant::now() > until {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// `PUT path`.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, path, Some(body), &[]).await
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None, &[]).await
    }

    /// What `/ready` tells once it answers with this status.
    pub async fn sees_ready(&self, status: u16) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.get("/ready").await;
            if answer.status == status {
                return answer.data;
            }
            assert!(Instant::now() < until, "{answer:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A figure of this node by name and labels, as `/metrics` has them; `None` if it is not there.
    pub async fn figure(&self, series: &str) -> Option<f64> {
        let page = self.request(Method::GET, "/metrics").send().await.expect("an answer").text().await.expect("a page");
        let of_series = |line: &str| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned);
        page.lines().find_map(of_series).map(|value| value.parse().expect("a number"))
    }

    /// Waits until the figure is as it should be.
    pub async fn sees_figure(&self, series: &str, fits: impl Fn(f64) -> bool) -> f64 {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.figure(series).await;
            if let Some(value) = found.filter(|value| fits(*value)) {
                return value;
            }
            assert!(Instant::now() < until, "{series} is {found:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Any request.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Answer {
        let asked = format!("{method} {path} by {}", if self.token.is_empty() { "a visitor" } else { &self.username });
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request, asked).await
    }

    /// A request that is not sent yet, with the person's token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.address.base()));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }
}

/// Sends a request and reads the envelope of its answer.
pub async fn send(request: RequestBuilder, asked: String) -> Answer {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Answer::lost(asked, &error),
    };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(error) => return Answer::lost(asked, &error),
    };
    let envelope: Value = serde_json::from_slice(&body).unwrap_or_default();
    Answer {
        status,
        code: envelope["code"].as_i64().unwrap_or(BROKEN),
        message: envelope["message"].as_str().unwrap_or_default().to_owned(),
        data: envelope["data"].clone(),
        headers,
        asked,
    }
}
