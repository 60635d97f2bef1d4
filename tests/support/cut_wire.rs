//! A wire to a server that a test can cut: connections refused and dropped, or held without an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const WHOLE: u8 = 0;
const CUT: u8 = 1;
const SILENT: u8 = 2;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A port that leads to a server.
pub struct CutWire {
    /// The URL of the server through this wire.
    pub url: String,
    state: Arc<AtomicU8>,
}

impl CutWire {
    /// A wire to the server of `url` (`redis://host:port`).
    pub async fn to(url: &str) -> Self {
        let server = url.rsplit("//").next().expect("a URL").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("redis://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(AtomicU8::new(WHOLE));
        let seen = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(listener.into_std().expect("a socket"), server, seen));
        });
        Self { url, state }
    }

    /// Connections break and new ones are closed at once.
    pub fn cut(&self) {
        self.state.store(CUT, Ordering::SeqCst);
    }

    /// What is sent arrives only when the wire is mended.
    pub fn silence(&self) {
        self.state.store(SILENT, Ordering::SeqCst);
    }

    /// All is well again.
    pub fn mend(&self) {
        self.state.store(WHOLE, Ordering::SeqCst);
    }
}

async fn serve(listener: std::net::TcpListener, server: String, state: Arc<AtomicU8>) {
    let listener = TcpListener::from_std(listener).expect("a socket");
    while let Ok((client, _)) = listener.accept().await {
        if state.load(Ordering::SeqCst) == CUT {
            continue; // dropped
        }
        let (server, state) = (server.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let Ok(upstream) = TcpStream::connect(server).await else { return };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = upstream.into_split();
            let there = tokio::spawn(carry(from_client, to_server, Arc::clone(&state)));
            carry(from_server, to_client, state).await;
            there.abort();
        });
    }
}

async fn carry(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, state: Arc<AtomicU8>) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read,
            () = tokio::time::sleep(LOOK_EVERY) => {
                if state.load(Ordering::SeqCst) == CUT { return }
                continue;
            }
        };
        let Ok(count @ 1..) = read else { return };
        while state.load(Ordering::SeqCst) == SILENT {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if state.load(Ordering::SeqCst) == CUT || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
