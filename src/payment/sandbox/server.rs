//! The sandbox as a process of its own.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::{App, HttpServer, web};

use super::error::SandboxError;
use super::service::{Background, scope, start_background};
use super::state::{Options, Sandbox};

const WORKERS: usize = 2;
const SHUTDOWN_TIMEOUT_S: u64 = 5;

/// A sandbox that listens.
pub struct Server {
    /// Where.
    pub address: SocketAddr,
    sandbox: Arc<Sandbox>,
    background: Background,
    server: actix_web::dev::Server,
}

impl Server {
    /// Opens the books and listens; port 0 takes a free one. An empty `public_url` becomes the address itself.
    ///
    /// # Errors
    /// [`SandboxError`].
    pub async fn open(host: &str, port: u16, mut options: Options) -> Result<Self, SandboxError> {
        let listening = |source| SandboxError::Io { action: format!("listen on {host}:{port}"), source };
        let listener = TcpListener::bind((host, port)).map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        if options.public_url.is_empty() {
            options.public_url = format!("http://{}", reachable(address));
        }
        options.public_url.truncate(options.public_url.trim_end_matches('/').len());
        let sandbox = web::Data::new(Sandbox::open(options).await?);
        let shared = sandbox.clone();
        let server = HttpServer::new(move || App::new().service(scope("", shared.clone())))
            .workers(WORKERS)
            .shutdown_timeout(SHUTDOWN_TIMEOUT_S)
            .listen(listener)
            .map_err(listening)?
            .run();
        let sandbox = sandbox.into_inner();
        let background = start_background(Arc::clone(&sandbox));
        Ok(Self { address, sandbox, background, server })
    }

    /// The sandbox itself.
    #[must_use]
    pub const fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// Stops it from outside.
    #[must_use]
    pub fn handle(&self) -> actix_web::dev::ServerHandle {
        self.server.handle()
    }

    /// Serves until SIGINT or SIGTERM, or until it is stopped by its handle.
    ///
    /// # Errors
    /// [`SandboxError::Io`].
    pub async fn run(self) -> Result<(), SandboxError> {
        let served = self.server.await;
        self.background.stop().await;
        self.sandbox.close().await;
        served.map_err(|source| SandboxError::Io { action: "serve".to_owned(), source })
    }
}

/// An address as a client can reach it.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address }
}
