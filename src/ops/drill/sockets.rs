//! The buyers' WebSockets: opened and subscribed before the first click, then listening for pushes until the end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use futures::{SinkExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::stage::Buyer;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Sockets that are being opened at the same time.
const OPENING_MAX: usize = 64;
/// Longest wait for one socket to open and to answer its subscription.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How often each order was pushed, by its number.
type Pushes = Arc<Mutex<HashMap<String, u64>>>;

/// The open sockets; dropping it closes them.
pub(super) struct Sockets {
    /// Buyers 0..open listen.
    pub open: usize,
    /// Why the first one of those that failed did not open.
    pub failure: Option<String>,
    pushes: Pushes,
    _listeners: JoinSet<()>,
}

impl Sockets {
    /// Opens a socket for each of the first `count` buyers and subscribes it to all his orders.
    pub(super) async fn open(base: &str, buyers: &[Buyer], count: usize) -> Self {
        let pushes = Pushes::default();
        let mut listeners = JoinSet::new();
        let url = format!("{}/ws", base.replacen("http", "ws", 1));
        let opening = buyers.iter().take(count).map(|buyer| open_one(url.clone(), buyer.token.clone()));
        let mut opened = stream::iter(opening).buffered(OPENING_MAX);
        let (mut open, mut failure) = (0, None);
        // in the order of the buyers: the first that fails ends it, so that "buyers 0..open" stays true
        while let Some(outcome) = opened.next().await {
            match outcome {
                Ok((socket, early)) => {
                    note(&pushes, early.as_deref());
                    listeners.spawn(listen(socket, Arc::clone(&pushes)));
                    open += 1;
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        Self { open, failure, pushes, _listeners: listeners }
    }

    /// True if a push about this order has arrived.
    pub(super) fn has_pushed(&self, order_no: &str) -> bool {
        self.pushes.lock().unwrap_or_else(PoisonError::into_inner).contains_key(order_no)
    }
}

async fn open_one(url: String, token: String) -> Result<(Socket, Option<String>), String> {
    tokio::time::timeout(OPEN_TIMEOUT, subscribe(&url, &token))
        .await
        .map_err(|_| "no answer in time".to_owned())?
        .map_err(|error| error.to_string())
}

/// Connects, subscribes, and waits for the first frame: then the subscription holds.
async fn subscribe(url: &str, token: &str) -> Result<(Socket, Option<String>), Error> {
    let mut request = url.into_client_request()?;
    request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
    let (mut socket, _) = connect_async(request).await?;
    socket.send(Message::text(json!({ "type": "subscribe", "orders": "all" }).to_string())).await?;
    loop {
        match socket.try_next().await? {
            Some(Message::Text(text)) => return Ok((socket, Some(text.to_string()))),
            Some(Message::Close(_)) | None => return Err(Error::ConnectionClosed),
            Some(_) => {}
        }
    }
}

async fn listen(mut socket: Socket, pushes: Pushes) {
    while let Ok(Some(message)) = socket.try_next().await {
        if let Message::Text(text) = message {
            note(&pushes, Some(&text));
        }
    }
}

fn note(pushes: &Pushes, frame: Option<&str>) {
    let Some(frame) = frame.and_then(|text| serde_json::from_str::<Value>(text).ok()) else { return };
    let mut numbers = Vec::new();
    order_numbers(&frame, &mut numbers);
    let mut pushes = pushes.lock().unwrap_or_else(PoisonError::into_inner);
    for number in numbers {
        *pushes.entry(number).or_default() += 1;
    }
}

/// Every `order_no` in the frame, wherever it stands: one push, or several in one frame.
fn order_numbers(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(number) if name == "order_no" => found.push(number.clone()),
                    inner => order_numbers(inner, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| order_numbers(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_single_and_in_bundled_pushes() {
        let pushes = Pushes::default();
        note(&pushes, Some(r#"{"type":"order","order_no":"A","status":1}"#));
        note(&pushes, Some(r#"{"type":"orders","data":{"events":[{"order_no":"A"},{"order_no":"B"}]}}"#));
        note(&pushes, Some("not json"));
        let pushes = pushes.lock().unwrap();
        assert_eq!((pushes["A"], pushes["B"], pushes.len()), (2, 1, 2));
    }

    #[tokio::test]
    async fn a_shop_without_sockets_is_reported_and_not_fatal() {
        let buyers = vec![Buyer { token: "t".to_owned() }];
        let sockets = Sockets::open("http://127.0.0.1:1", &buyers, 1).await;
        assert_eq!(sockets.open, 0);
        assert!(sockets.failure.is_some());
    }
}
