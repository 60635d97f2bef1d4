//! The buyers' WebSockets: opened and subscribed before the first click, then listening for pushes until the end. One
//! that breaks (its node was killed) is opened again, as a browser would, and resumes after the last sequence it saw.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use futures::{SinkExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::stage::Buyer;
use crate::random;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Sockets that are being opened at the same time.
const OPENING_MAX: usize = 64;
/// Longest wait for one socket to open and to answer its subscription.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before a socket is opened again, doubled up to the maximum; half of it is by chance, so that those of one node do
/// not all come back at the same moment.
const PAUSE_FIRST_MS: u64 = 100;
const PAUSE_MAX_MS: u64 = 2_000;

/// What all sockets heard.
#[derive(Default)]
struct Heard {
    /// How often each order was told, by its number; each version of it counts once.
    pushes: Mutex<HashMap<String, Told>>,
    /// Sockets that broke and are subscribed again.
    resumed: AtomicU64,
}

#[derive(Default)]
struct Told {
    times: u64,
    version: i64,
}

/// The open sockets; dropping it closes them.
pub(super) struct Sockets {
    /// Buyers 0..open listen.
    pub open: usize,
    /// Why the first one of those that failed did not open.
    pub failure: Option<String>,
    heard: Arc<Heard>,
    _listeners: JoinSet<()>,
}

/// One buyer's end of it, over any number of connections.
struct Listener {
    url: String,
    token: String,
    /// The last sequence that he saw.
    since: Option<i64>,
    heard: Arc<Heard>,
}

impl Sockets {
    /// Opens a socket for each of the first `count` buyers and subscribes it to all his orders.
    pub(super) async fn open(base: &str, buyers: &[Buyer], count: usize) -> Self {
        let heard = Arc::<Heard>::default();
        let mut listeners = JoinSet::new();
        let url = format!("{}/ws", base.replacen("http", "ws", 1));
        let opening = buyers.iter().take(count).map(|buyer| {
            let (url, token, heard) = (url.clone(), buyer.token.clone(), Arc::clone(&heard));
            let mut listener = Listener { url, token, since: None, heard };
            async move { listener.subscribe().await.map(|socket| (listener, socket)) }
        });
        let mut opened = stream::iter(opening).buffered(OPENING_MAX);
        let turns = Arc::new(Semaphore::new(OPENING_MAX));
        let (mut open, mut failure) = (0, None);
        // in the order of the buyers: the first that fails ends it, so that "buyers 0..open" stays true
        while let Some(outcome) = opened.next().await {
            match outcome {
                Ok((listener, socket)) => {
                    listeners.spawn(listener.listen(socket, Arc::clone(&turns)));
                    open += 1;
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        drop(opened);
        Self { open, failure, heard, _listeners: listeners }
    }

    /// True if a push about this order has arrived.
    pub(super) fn has_pushed(&self, order_no: &str) -> bool {
        self.heard.pushes.lock().unwrap_or_else(PoisonError::into_inner).contains_key(order_no)
    }

    /// How often a socket that had broken was subscribed again.
    pub(super) fn resumed(&self) -> u64 {
        self.heard.resumed.load(Ordering::Relaxed)
    }
}

impl Listener {
    /// Connects, subscribes, and waits until it is told how its orders are: then the subscription holds.
    async fn subscribe(&mut self) -> Result<Socket, String> {
        let subscribing = tokio::time::timeout(OPEN_TIMEOUT, self.try_subscribe()).await;
        subscribing.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())
    }

    async fn try_subscribe(&mut self) -> Result<Socket, Error> {
        let mut request = self.url.as_str().into_client_request()?;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.token))?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let (mut socket, _) = connect_async(request).await?;
        let mut subscribe = json!({ "type": "subscribe", "orders": "all" });
        if let Some(since) = self.since {
            subscribe["since"] = since.into();
        }
        socket.send(Message::text(subscribe.to_string())).await?;
        loop {
            match socket.try_next().await? {
                Some(Message::Text(text)) => match self.note(&text) {
                    Some("snapshot") => return Ok(socket),
                    Some("error") => return Err(Error::ConnectionClosed), // not now
                    _ => {}
                },
                Some(Message::Close(_)) | None => return Err(Error::ConnectionClosed),
                Some(_) => {}
            }
        }
    }

    /// Listens until the end of the drill.
    async fn listen(mut self, mut socket: Socket, turns: Arc<Semaphore>) {
        loop {
            while let Ok(Some(message)) = socket.try_next().await {
                if let Message::Text(text) = message {
                    self.note(&text);
                }
            }
            let mut pause_ms = PAUSE_FIRST_MS;
            socket = loop {
                tokio::time::sleep(Duration::from_millis(pause_ms / 2 + random::below(pause_ms / 2))).await;
                pause_ms = (2 * pause_ms).min(PAUSE_MAX_MS);
                let Ok(_turn) = turns.acquire().await else { return };
                if let Ok(socket) = self.subscribe().await {
                    break socket;
                }
            };
            self.heard.resumed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts what a frame tells, and answers its type as far as it matters here.
    fn note(&mut self, frame: &str) -> Option<&'static str> {
        let frame = serde_json::from_str::<Value>(frame).ok()?;
        let kind = match frame["type"].as_str() {
            Some("welcome") => return Some("welcome"), // where the stream stands, not what was heard of it
            Some("snapshot") => Some("snapshot"),
            Some("error") => Some("error"),
            _ => None,
        };
        self.since = self.since.max(frame["seq"].as_i64());
        self.heard.note(&frame);
        kind
    }
}

impl Heard {
    fn note(&self, frame: &Value) {
        let mut orders = Vec::new();
        orders_in(frame, &mut orders);
        let mut pushes = self.pushes.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, version) in orders {
            let told = pushes.entry(number).or_default();
            if told.times == 0 || version > told.version {
                *told = Told { times: told.times + 1, version };
            }
        }
    }
}

/// Every order in the frame with its version, wherever it stands: one push, or several in one frame.
fn orders_in(value: &Value, found: &mut Vec<(String, i64)>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(number)) = fields.get("order_no") {
                found.push((number.clone(), fields.get("version").and_then(Value::as_i64).unwrap_or(0)));
            }
            fields.values().for_each(|inner| orders_in(inner, found));
        }
        Value::Array(values) => values.iter().for_each(|value| orders_in(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_tungstenite::accept_async;

    use super::*;

    fn times(heard: &Heard, number: &str) -> u64 {
        heard.pushes.lock().unwrap().get(number).map_or(0, |told| told.times)
    }

    #[test]
    fn orders_are_found_in_single_and_in_bundled_pushes_and_each_version_counts_once() {
        let heard = Heard::default();
        for frame in [
            json!({"type": "order", "order_no": "A", "version": 1}),
            json!({"type": "order", "order_no": "A", "version": 1}),
            json!({"type": "orders", "data": {"events": [{"order_no": "A", "version": 2}, {"order_no": "B"}]}}),
            json!("no order"),
        ] {
            heard.note(&frame);
        }
        assert_eq!((times(&heard, "A"), times(&heard, "B"), heard.pushes.lock().unwrap().len()), (2, 1, 2));
    }

    #[tokio::test]
    async fn a_shop_without_sockets_is_reported_and_not_fatal() {
        let buyers = vec![Buyer { token: "t".to_owned() }];
        let sockets = Sockets::open("http://127.0.0.1:1", &buyers, 1).await;
        assert_eq!(sockets.open, 0);
        assert!(sockets.failure.is_some());
    }

    /// Takes one socket, tells these frames once it has subscribed, and answers what it was asked for.
    async fn serve(shop: &TcpListener, frames: &[Value]) -> (WebSocketStream<TcpStream>, Value) {
        let (stream, _) = shop.accept().await.unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        socket.send(Message::text(json!({"type": "welcome", "seq": 900}).to_string())).await.unwrap();
        let asked = socket.next().await.unwrap().unwrap().into_text().unwrap();
        for frame in frames {
            socket.send(Message::text(frame.to_string())).await.unwrap();
        }
        (socket, serde_json::from_str(&asked).unwrap())
    }

    #[tokio::test]
    async fn a_socket_that_breaks_comes_back_and_resumes_where_it_was() {
        let shop = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", shop.local_addr().unwrap());
        let buyers = vec![Buyer { token: "t".to_owned() }];
        let first = [
            json!({"type": "snapshot", "seq": 5, "orders": []}),
            json!({"type": "order", "seq": 7, "order_no": "A", "version": 1}),
        ];
        let (sockets, (socket, asked)) = tokio::join!(Sockets::open(&base, &buyers, 1), serve(&shop, &first));
        assert_eq!((sockets.open, asked.get("since")), (1, None));
        drop(socket); // as by a node that is killed

        let (refused, asked) = serve(&shop, &[json!({"type": "error", "code": 503})]).await;
        assert_eq!(asked["since"], 7, "not what the welcome said");
        drop(refused);
        let second = [
            json!({"type": "snapshot", "seq": 8, "orders": [{"order_no": "A", "version": 1}]}),
            json!({"type": "order", "seq": 9, "order_no": "B", "version": 1}),
        ];
        let (_socket, asked) = serve(&shop, &second).await;
        assert_eq!(asked["since"], 7, "a subscription that was refused told nothing");
        while !sockets.has_pushed("B") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!((times(&sockets.heard, "A"), times(&sockets.heard, "B"), sockets.resumed()), (1, 1, 1));
    }
}
