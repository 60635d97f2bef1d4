//! A sandbox of its own for each test, and a merchant who signs with the keys that it made for him.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use reqwest::Method;
use rushmall::clock::Clock;
use rushmall::domain::reconciliation::BillDay;
use rushmall::payment::alipay::signing::{self as alipay_signing, Params};
use rushmall::payment::crypto::{Certificate, PrivateKey, PublicKey};
use rushmall::payment::keyring::PlatformKeys;
use rushmall::payment::sandbox::{Merchant, Options, Sandbox, Server, scope, start_background};
use rushmall::payment::times;
use rushmall::payment::wechat_v2::signing::{ApiV2Key, SignType};
use rushmall::payment::wechat_v2::xml::{self, Fields};
use rushmall::payment::wechat_v3::signing::{Request, SERIAL, Signature, SignatureError, Signer};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Days are long enough for retries to be seen within a test.
pub const TIME_SCALE: u32 = 100;

/// A sandbox that runs, and its merchant.
pub struct Stage {
    pub url: String,
    pub merchant: Merchant,
    pub clock: Clock,
    pub http: reqwest::Client,
    pub dir: TempDir,
    /// Before every path; signatures cover it.
    prefix: &'static str,
    handle: ServerHandle,
}

/// An answer of v3.
pub struct Answer {
    pub status: u16,
    pub body: String,
    pub headers: reqwest::header::HeaderMap,
    /// What the check of its signature said.
    pub signature: Result<(), SignatureError>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The body of a success whose signature was checked.
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.signature.as_ref().expect("the answer is signed");
        self.json()
    }

    /// A refusal whose signature was checked.
    pub fn refused(self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code.to_owned()), "{}", self.body);
        self.signature.as_ref().expect("refusals are signed too");
    }
}

/// Keys take a while to make: once for all tests.
fn keys() -> &'static Path {
    static KEYS: OnceLock<TempDir> = OnceLock::new();
    KEYS.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().to_owned();
        std::thread::spawn(move || {
            actix_rt::System::new().block_on(async { drop(Sandbox::open(options(&made)).await.unwrap()) })
        })
        .join()
        .unwrap();
        dir
    })
    .path()
}

fn options(data_dir: &Path) -> Options {
    Options {
        data_dir: data_dir.to_owned(),
        public_url: String::new(),
        time_scale: TIME_SCALE,
        control_token: None,
        shows_cashier: false,
        clock: Clock::default(),
    }
}

pub fn copy_keys(into: &Path) {
    for part in ["merchant", "platform"] {
        fs::create_dir_all(into.join(part)).unwrap();
        for file in fs::read_dir(keys().join(part)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), into.join(part).join(file.file_name())).unwrap();
        }
    }
}

impl Stage {
    pub async fn open() -> Self {
        Self::under(None).await
    }

    /// The same with a token for its control API.
    pub async fn guarded(token: &str) -> Self {
        Self::under(Some(token.to_owned())).await
    }

    async fn under(control_token: Option<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy_keys(dir.path());
        let options = Options { control_token, ..options(dir.path()) };
        let server = Server::open("127.0.0.1", 0, options).await.unwrap();
        let (url, merchant) = (format!("http://{}", server.address), server.sandbox().merchant().clone());
        let handle = server.handle();
        actix_rt::spawn(server.run());
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let http = http.tls_certs_only([]).build().unwrap();
        Self { url, merchant, clock: Clock::default(), http, dir, prefix: "", handle }
    }

    /// The same as a part of another server, under a prefix.
    pub async fn mounted() -> Self {
        let prefix = "/sandbox";
        let dir = tempfile::tempdir().unwrap();
        copy_keys(dir.path());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}{prefix}", listener.local_addr().unwrap());
        let options = Options { public_url: url.clone(), shows_cashier: true, ..options(dir.path()) };
        let sandbox = web::Data::new(Sandbox::open(options).await.unwrap());
        let (merchant, shared) = (sandbox.merchant().clone(), sandbox.clone());
        let server = HttpServer::new(move || App::new().service(scope(prefix, shared.clone()))).workers(1);
        let server = server.disable_signals().listen(listener).unwrap().run();
        let (handle, background) = (server.handle(), start_background(sandbox.into_inner()));
        actix_rt::spawn(async move {
            let _ = server.await;
            background.stop().await;
        });
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self { url, merchant, clock: Clock::default(), http, dir, prefix, handle }
    }

    pub fn merchant_file(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join("merchant").join(name)).unwrap()
    }

    pub fn signer(&self) -> Signer {
        let key = PrivateKey::from_pem(&self.merchant_file(&self.merchant.wechat.private_key_file)).unwrap();
        Signer { serial: self.merchant.wechat.certificate_serial.clone(), key }
    }

    /// Both keys of the platform, as `merchant.json` names them at this moment.
    pub fn platform_keys(&self) -> PlatformKeys {
        let wechat = &self.merchant.wechat;
        let mut keys = PlatformKeys::new();
        let public = PublicKey::from_pem(&self.merchant_file(&wechat.public_key_file)).unwrap();
        keys.add_key(&wechat.public_key_id, public);
        let certificate = self.merchant_file(&wechat.platform_certificate_file);
        keys.add_certificate(&Certificate::from_pem(&certificate).unwrap()).unwrap();
        keys
    }

    /// A signed request of v3 in public-key mode.
    pub async fn v3(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let serial = self.merchant.wechat.public_key_id.clone();
        self.try_v3(method, path, body, Some(&serial)).await.expect("an answer")
    }

    /// The same with the serial number that the answer is wanted under; an error if there is no answer.
    pub async fn try_v3(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        serial: Option<&str>,
    ) -> Result<Answer, reqwest::Error> {
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let path_and_query = &format!("{}{path}", self.prefix);
        let request = Request { method: method.as_str(), path_and_query, body: &text };
        let signed = self.signer().sign_request(&self.merchant.wechat.mchid, request, self.clock.now_ms()).unwrap();
        self.send_v3(method.clone(), path, text.clone(), (&signed.to_header(), serial)).await
    }

    /// The bytes of a file.
    pub async fn v3_bytes(&self, path: &str) -> Vec<u8> {
        let request = Request { method: "GET", path_and_query: path, body: "" };
        let signed = self.signer().sign_request(&self.merchant.wechat.mchid, request, self.clock.now_ms()).unwrap();
        let request = self.http.get(format!("{}{path}", self.url)).header("User-Agent", "tests");
        let answer = request.header("Authorization", signed.to_header()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap().to_vec()
    }

    /// A request with any `Authorization`.
    pub async fn send_v3(
        &self,
        method: Method,
        path: &str,
        text: String,
        (authorization, serial): (&str, Option<&str>),
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .header("Authorization", authorization)
            .header("Accept", "application/json")
            .header("Content-Type", "application/json")
            .header("User-Agent", "tests");
        if let Some(serial) = serial {
            request = request.header(SERIAL, serial);
        }
        let answer = request.body(text).send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.text().await?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signature = Signature::from_headers(header)
            .and_then(|signature| signature.verify(body.as_bytes(), &self.platform_keys(), self.clock.now_ms()));
        Ok(Answer { status, body, headers, signature })
    }

    /// The body of a native order over v3.
    pub fn order(&self, number: &str, total_fen: i64, notify_url: &str) -> Value {
        json!({
            "appid": self.merchant.wechat.appid, "mchid": self.merchant.wechat.mchid, "description": "台灯 <lamp>",
            "out_trade_no": number, "notify_url": notify_url, "attach": "a=1&b=2",
            "time_expire": times::rfc3339(self.clock.now_ms() / 1_000 * 1_000 + 1_800_000),
            "amount": { "total": total_fen, "currency": "CNY" },
        })
    }

    /// Creates a native trade.
    pub async fn create(&self, number: &str, total_fen: i64, notify_url: &str) {
        let order = self.order(number, total_fen, notify_url);
        self.v3(Method::POST, "/v3/pay/transactions/native", Some(order)).await.ok();
    }

    /// The state that a query tells.
    pub async fn query(&self, number: &str) -> Value {
        let path = format!("/v3/pay/transactions/out-trade-no/{number}?mchid={}", self.merchant.wechat.mchid);
        self.v3(Method::GET, &path, None).await.ok()
    }

    /// Asks for a refund.
    pub async fn refund(&self, number: &str, refund_no: &str, fen: (i64, i64), notify_url: &str) -> Answer {
        let body = json!({ "out_trade_no": number, "out_refund_no": refund_no, "reason": "变了主意", "notify_url": notify_url,
            "amount": { "refund": fen.0, "total": fen.1, "currency": "CNY" } });
        self.v3(Method::POST, "/v3/refund/domestic/refunds", Some(body)).await
    }

    /// A signed request of v2; the answer's signature is checked unless it is a transport failure.
    pub async fn v2(&self, path: &str, pairs: &[(&str, &str)], sign_type: SignType) -> Fields {
        let key = ApiV2Key::from_text(&self.merchant.wechat.api_v2_key).unwrap();
        let mut fields: Fields = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        fields.insert("appid".to_owned(), self.merchant.wechat.appid.clone());
        fields.insert("mch_id".to_owned(), self.merchant.wechat.mchid.clone());
        fields.insert("nonce_str".to_owned(), rushmall::payment::wechat_v3::signing::nonce());
        key.sign(&mut fields, sign_type);
        let answer = self.post(path, xml::write("xml", &fields)).await;
        let fields = xml::read(answer.as_bytes()).unwrap_or_else(|_| panic!("not XML: {answer}"));
        if fields["return_code"] == "SUCCESS" {
            assert_eq!(key.verify(&fields), Ok(sign_type), "answers are signed as requests are");
        }
        fields
    }

    /// Bytes to a path.
    pub async fn post(&self, path: &str, body: String) -> String {
        self.http.post(format!("{}{path}", self.url)).body(body).send().await.unwrap().text().await.unwrap()
    }

    /// A signed request of Alipay: in the query (`in_query`) or in the form. The inner object of the checked answer.
    pub async fn alipay(&self, method: &str, content: Value, notify_url: &str, in_query: bool) -> Value {
        let params = self.alipay_params(method, &content, notify_url);
        let form = alipay_signing::write_form(&params);
        let url = format!("{}/gateway.do", self.url);
        let request = if in_query {
            self.http.get(format!("{url}?{form}"))
        } else {
            let content_type = "application/x-www-form-urlencoded;charset=utf-8";
            self.http.post(url).header("Content-Type", content_type).body(form)
        };
        let body = request.send().await.unwrap().text().await.unwrap();
        self.believed(&body, method)
    }

    /// The inner object of an answer, its signature checked.
    pub fn believed(&self, body: &str, method: &str) -> Value {
        let answer = alipay_signing::read_answer(body, method).unwrap_or_else(|_| panic!("not an answer: {body}"));
        answer.verify(&self.alipay_key()).expect("the answer is signed");
        serde_json::from_str(answer.text).unwrap()
    }

    pub fn alipay_key(&self) -> PublicKey {
        PublicKey::from_pem(&self.merchant_file(&self.merchant.alipay.alipay_public_key_file)).unwrap()
    }

    pub fn alipay_params(&self, method: &str, content: &Value, notify_url: &str) -> Params {
        let mut params: Params = [
            ("app_id", self.merchant.alipay.app_id.clone()),
            ("method", method.to_owned()),
            ("format", "JSON".to_owned()),
            ("charset", "utf-8".to_owned()),
            ("version", "1.0".to_owned()),
            ("timestamp", times::spaced(self.clock.now_ms())),
            ("notify_url", notify_url.to_owned()),
            ("biz_content", content.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let key = PrivateKey::from_pem(&self.merchant_file(&self.merchant.alipay.private_key_file)).unwrap();
        alipay_signing::sign_request(&mut params, &key).unwrap();
        params
    }

    /// A call of the control API that works.
    pub async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_control(method, path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub async fn try_control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method, format!("{}/control{path}", self.url));
        let request = request.header("Content-Type", "application/json").body(body.to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    /// The buyer pays.
    pub async fn pay(&self, number: &str) {
        self.control(Method::POST, &format!("/trades/{number}/pay"), json!({})).await;
    }

    pub async fn fault(&self, fault: Value) {
        self.control(Method::POST, "/faults", fault).await;
    }

    pub async fn knob(&self, patch: Value) {
        self.control(Method::PATCH, "/knobs", patch).await;
    }

    /// The newest notification of a trade as the control API lists it.
    pub async fn notice(&self, number: &str) -> Value {
        let path = format!("/notifications?out_trade_no={number}");
        self.control(Method::GET, &path, json!({})).await[0].clone()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let handle = self.handle.clone();
        actix_rt::spawn(async move { handle.stop(false).await });
    }
}

/// A day of the bills that does not end within a minute.
pub async fn within_a_day() {
    let now_ms = Clock::default().now_ms();
    let left_ms = u64::try_from(BillDay::of(now_ms).ends_ms() - now_ms).unwrap();
    if left_ms < 60_000 {
        tokio::time::sleep(std::time::Duration::from_millis(left_ms)).await;
    }
}

/// Looks until it is so, ten seconds at most.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..500 {
        if let Some(seen) = look().await {
            return seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("never seen: {what}")
}
