//! A TCP proxy that resets its connections or lets nothing through.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Lives as long as the test's runtime.
pub struct Proxy {
    pub url: String,
    cut: watch::Sender<u64>,
    is_black_hole: Arc<AtomicBool>,
}

impl Proxy {
    /// In front of the broker at `url`.
    pub async fn before(url: &str) -> Self {
        let address = url.rsplit_once('@').expect("user@host").1;
        let (target, vhost) = address.split_once('/').expect("host/vhost");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let front = listener.local_addr().expect("an address");
        let url = url.replace(&format!("@{target}/{vhost}"), &format!("@{front}/{vhost}"));
        let (cut, is_black_hole) = (watch::Sender::new(0), Arc::new(AtomicBool::new(false)));
        let (cuts, hole, target) = (cut.clone(), Arc::clone(&is_black_hole), target.to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&target).await else { continue };
                let (client, server) = (client.into_split(), server.into_split());
                tokio::spawn(carry(client.0, server.1, cuts.subscribe(), Arc::clone(&hole)));
                tokio::spawn(carry(server.0, client.1, cuts.subscribe(), Arc::clone(&hole)));
            }
        });
        Self { url, cut, is_black_hole }
    }

    /// Ends every connection in the middle of whatever it says.
    pub fn reset(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Connections stay, and new ones are taken, but nothing passes.
    pub fn swallow(&self, everything: bool) {
        self.is_black_hole.store(everything, Ordering::SeqCst);
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut cut: watch::Receiver<u64>, hole: Arc<AtomicBool>) {
    let mut buffer = vec![0_u8; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = cut.changed() => 0,
        };
        while hole.load(Ordering::SeqCst) && read > 0 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
                _ = cut.changed() => return,
            }
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
