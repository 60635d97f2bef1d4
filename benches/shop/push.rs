//! The WebSockets of a share of the buyers, on a thread of their own: what is pushed to them is counted by order.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures::{SinkExt as _, StreamExt as _};
use rushmall::clock::monotonic;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const PUSHED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Sockets of the first so many buyers; they close when it is dropped.
pub struct Listeners {
    /// How many.
    pub count: usize,
    pushed: Arc<Mutex<HashSet<String>>>,
    _stop: oneshot::Sender<()>,
}

impl Listeners {
    /// Opens and subscribes one socket for each token.
    pub async fn open(port: u16, tokens: &[String]) -> anyhow::Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = oneshot::channel();
        let pushed: Arc<Mutex<HashSet<String>>> = Arc::default();
        let (tokens, heard) = (tokens.to_vec(), Arc::clone(&pushed));
        let count = tokens.len();
        std::thread::Builder::new().name("listeners".to_owned()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async move {
                let opening = tokens.into_iter().map(|token| open_one(port, token));
                let sockets: Vec<_> = futures::stream::iter(opening).buffered(32).collect().await;
                match sockets.into_iter().collect::<anyhow::Result<Vec<Socket>>>() {
                    Ok(sockets) => {
                        for socket in sockets {
                            tokio::spawn(listen(socket, Arc::clone(&heard)));
                        }
                        let _ = ready.send(Ok(())); // whoever asked may have given up
                        let _ = stopped.await; // an error is the sender's end, which is what is waited for
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            });
        })?;
        is_ready.await.context("the listeners ended")??;
        Ok(Self { count, pushed, _stop: stop })
    }

    /// Waits for the pushes of the orders whose buyers listen: how many were to come, and how many came.
    pub async fn until_pushed(&self, accepted: &[(usize, String)]) -> (usize, usize) {
        let expected: Vec<&String> =
            accepted.iter().filter(|(buyer, _)| *buyer < self.count).map(|(_, number)| number).collect();
        let until = monotonic() + PUSHED_WITHIN;
        loop {
            let arrived = {
                let pushed = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
                expected.iter().filter(|number| pushed.contains(number.as_str())).count()
            };
            if arrived == expected.len() || monotonic() >= until {
                return (expected.len(), arrived);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open_one(port: u16, token: String) -> anyhow::Result<Socket> {
    let mut request = format!("ws://127.0.0.1:{port}/ws").into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
    let (mut socket, _) = connect_async(request).await.context("no socket")?;
    socket.send(Message::text("{\"type\":\"subscribe\",\"orders\":\"all\"}")).await?;
    // the first frame after it says that the subscription holds
    socket.next().await.context("socket closed")??;
    Ok(socket)
}

async fn listen(mut socket: Socket, pushed: Arc<Mutex<HashSet<String>>>) {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let numbers = text.split("\"order_no\":\"").skip(1).filter_map(|rest| rest.split('"').next());
        pushed.lock().unwrap_or_else(PoisonError::into_inner).extend(numbers.map(str::to_owned));
    }
}
