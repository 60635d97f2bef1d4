//! Somebody who is told by HTTP: keeps what arrives, and answers as a test says.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// What was answered.
    pub status: u16,
}

impl Arrival {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    }
}

#[derive(Debug)]
struct Kept {
    arrivals: Mutex<Vec<Arrival>>,
    status: AtomicU16,
}

/// See the file's header.
pub struct Receiver {
    pub url: String,
    kept: Arc<Kept>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// One that answers with this status.
    pub fn open(status: u16) -> Self {
        let kept = Arc::new(Kept { arrivals: Mutex::default(), status: AtomicU16::new(status) });
        let data = web::Data::from(Arc::clone(&kept));
        let (report, started) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(take)))
                    .workers(1)
                    .shutdown_timeout(1)
                    .disable_signals()
                    .bind("127.0.0.1:0")
                    .expect("a free port");
                let url = format!("http://{}", server.addrs()[0]);
                let server = server.run();
                report.send((url, server.handle())).expect("the test waits");
                server.await.expect("served");
            });
        });
        let (url, handle) = started.recv().expect("it listens");
        Self { url, kept, handle, thread: Some(thread) }
    }

    /// From now on it answers so.
    pub fn answers(&self, status: u16) {
        self.kept.status.store(status, Ordering::SeqCst);
    }

    /// All that arrived, or only what was taken.
    pub fn arrivals(&self, only_taken: bool) -> Vec<Arrival> {
        let arrivals = self.kept.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.iter().filter(|arrival| !only_taken || arrival.status < 300).cloned().collect()
    }

    /// Waits for so many.
    pub async fn has(&self, count: usize) -> Vec<Arrival> {
        for _ in 0..500 {
            let arrivals = self.arrivals(false);
            if arrivals.len() >= count {
                return arrivals;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} arrived and not {count}", self.arrivals(false).len());
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.handle.stop(false)); // asked for at once, and not waited for
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn take(request: HttpRequest, body: web::Bytes, kept: web::Data<Kept>) -> HttpResponse {
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
    let status = kept.status.load(Ordering::SeqCst);
    let arrival = Arrival {
        path: request.path().to_owned(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
        status,
    };
    kept.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::OK)).finish()
}
