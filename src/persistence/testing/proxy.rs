//! A TCP relay in front of the server under test that cuts a connection right around a commit.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::own::OwnDatabase;
use crate::persistence::Db;

/// How the statement stands on the wire, to both servers.
const COMMIT: &[u8] = b"COMMIT";

/// Where the next commit loses its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never hears of it.
    Before,
    /// The server has done it, its answer is lost.
    After,
}

/// Relays until it is dropped with its runtime.
pub(crate) struct Proxy {
    next: Arc<Mutex<Option<Cut>>>,
    server: Option<String>,
}

impl Proxy {
    /// Another node's view of the database, through a proxy. A SQLite file has no connection that could be cut: its
    /// commits are answered, and everything else must be the same.
    pub(crate) async fn to(own: &OwnDatabase) -> (Self, Db) {
        let mut settings = own.settings();
        let next = Arc::new(Mutex::new(None));
        let server = settings.url.split_once('@').map(|(_, place)| place.split('/').next().unwrap().to_owned());
        let proxy = Self { next, server };
        if let Some(server) = &proxy.server {
            let address = proxy.listen(server.clone()).await;
            settings.url = settings.url.replace(server, &address.to_string());
        }
        (proxy, Db::connect(&settings, own.path()).await.unwrap())
    }

    /// Arms it for one commit.
    pub(crate) fn cut(&self, cut: Cut) {
        *self.next.lock().unwrap() = Some(cut);
    }

    /// Whether the armed cut has happened (on SQLite it never does).
    pub(crate) fn has_cut(&self) -> bool {
        self.server.is_none() || self.next.lock().unwrap().is_none()
    }

    async fn listen(&self, server: String) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let next = Arc::clone(&self.next);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server.clone(), Arc::clone(&next)));
            }
        });
        address
    }
}

async fn relay(mut client: TcpStream, server: String, next: Arc<Mutex<Option<Cut>>>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let Ok(length @ 1..) = length else { return };
                let is_commit = asked[..length].windows(COMMIT.len()).any(|bytes| bytes == COMMIT);
                let cut = if is_commit { next.lock().unwrap().take() } else { None };
                if cut == Some(Cut::Before) || server.write_all(&asked[..length]).await.is_err() {
                    return;
                }
                if cut == Some(Cut::After) {
                    let _answer = server.read(&mut answered).await;
                    return;
                }
            }
            length = server.read(&mut answered) => {
                let Ok(length @ 1..) = length else { return };
                if client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
