//! A merchant's endpoint: keeps what arrives, answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use rushmall::payment::crypto::ApiV3Key;
use rushmall::payment::wechat_v3::signing::{Signature, SignatureError};
use serde_json::Value;

use super::stage::{Stage, until};

/// A delivery as it arrived.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub headers: Vec<(String, String)>,
    pub body: String,
}

#[derive(Default)]
struct Kept {
    deliveries: Vec<Delivery>,
    answers: VecDeque<(u16, &'static str)>,
}

/// See the file's header.
pub struct Hook {
    pub url: String,
    kept: Arc<Mutex<Kept>>,
    handle: ServerHandle,
}

/// What v2 wants to hear.
pub const V2_SUCCESS: &str =
    "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>";

impl Hook {
    pub async fn open() -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let data = web::Data::from(Arc::clone(&kept));
        let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(take)))
            .workers(1)
            .disable_signals()
            .bind("127.0.0.1:0")
            .unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Self { url, kept, handle }
    }

    /// Where notifications of one wire go.
    pub fn path(&self, wire: &str) -> String {
        format!("{}/{wire}", self.url)
    }

    /// The next answers, before it becomes friendly again.
    pub fn will_answer(&self, answers: &[(u16, &'static str)]) {
        self.kept.lock().unwrap().answers.extend(answers);
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.kept.lock().unwrap().deliveries.clone()
    }

    /// Waits for so many.
    pub async fn wait_for(&self, count: usize) -> Vec<Delivery> {
        until(&format!("{count} deliveries"), async || Some(self.deliveries()).filter(|all| all.len() >= count)).await
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        let handle = self.handle.clone();
        actix_rt::spawn(async move { handle.stop(false).await });
    }
}

async fn take(request: HttpRequest, body: web::Bytes, kept: web::Data<Mutex<Kept>>) -> HttpResponse {
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
    let delivery = Delivery { headers: headers.collect(), body: String::from_utf8_lossy(&body).into_owned() };
    let mut kept = kept.lock().unwrap();
    kept.deliveries.push(delivery);
    let friendly = match request.path() {
        "/v2" => (200, V2_SUCCESS),
        "/alipay" => (200, "success"),
        _ => (204, ""),
    };
    let (status, text) = kept.answers.pop_front().unwrap_or(friendly);
    let mut response = HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap());
    if status == 302 {
        response.insert_header(("Location", "/elsewhere"));
    }
    response.body(text)
}

impl Delivery {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// What the check of a v3 signature says.
    pub fn check(&self, stage: &Stage) -> Result<(), SignatureError> {
        let signature = Signature::from_headers(|name| self.header(name))?;
        signature.verify(self.body.as_bytes(), &stage.platform_keys(), stage.clock.now_ms())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The opened resource of a v3 notification; `None` if it does not open.
    pub fn resource(&self, stage: &Stage) -> Option<Value> {
        let sealed = &self.json()["resource"];
        let text = |name: &str| sealed[name].as_str().unwrap().to_owned();
        assert_eq!(text("algorithm"), "AEAD_AES_256_GCM");
        let key = ApiV3Key::from_text(&stage.merchant.wechat.api_v3_key).unwrap();
        let associated_data = sealed["associated_data"].as_str().unwrap_or_default();
        let opened = key.open(&text("nonce"), associated_data, &text("ciphertext")).ok()?;
        serde_json::from_slice(&opened).ok()
    }
}
