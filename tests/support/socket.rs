//! A buyer's WebSocket: subscribes, collects pushes, and comes back with the last sequence it saw.
//!
//! It is the client that the API asks for: on one connection an order's versions only go forward, and what a later
//! connection tells again it drops.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::client::Person;

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// One push about one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Of the commit: what a client resumes from.
    pub seq: i64,
    pub order_no: String,
    pub version: i64,
    pub status: i64,
}

/// Somebody who listens, over any number of connections.
pub struct Listener {
    who: Person,
    stream: Option<Stream>,
    /// As they came in, without what was told again.
    pub pushes: Vec<Push>,
    /// The version last told on this connection, by order.
    told: BTreeMap<String, i64>,
    /// The highest sequence seen, once a first connection said where the stream stands.
    pub last_seq: Option<i64>,
    /// How the last connection was closed by the server.
    pub closed_with: Option<CloseFrame>,
}

impl Listener {
    /// Connects and subscribes to all orders of `who`.
    pub async fn open(who: &Person) -> Self {
        let mut listener = Self {
            who: who.clone(),
            stream: None,
            pushes: Vec::new(),
            told: BTreeMap::new(),
            last_seq: None,
            closed_with: None,
        };
        listener.resume().await;
        listener
    }

    /// Connects (again) and asks for what happened since the last push.
    pub async fn resume(&mut self) {
        let url = format!("{}/ws", self.who.address.base().replacen("http", "ws", 1));
        let mut request = url.into_client_request().expect("a WebSocket URL");
        let token = format!("Bearer {}", self.who.token).parse().expect("a header value");
        request.headers_mut().insert(AUTHORIZATION, token);
        let (mut stream, _) = connect_async(request).await.expect("the socket opens");
        let mut subscribe = json!({ "type": "subscribe", "orders": "all" });
        if let Some(last_seq) = self.last_seq {
            subscribe["since"] = json!(last_seq);
        }
        stream.send(Message::text(subscribe.to_string())).await.expect("the subscription is sent");
        self.stream = Some(stream);
        self.told.clear();
        let until = Instant::now() + ANSWER_WITHIN;
        while Instant::now() < until {
            let Some(frame) = self.next_frame(ANSWER_WITHIN).await else { break };
            if frame["type"] == "snapshot" {
                return;
            }
        }
        panic!("the subscription was not answered");
    }

    /// Goes away without a word, as a phone does in a tunnel.
    pub fn vanish(&mut self) {
        self.stream = None;
    }

    /// Reads what arrives until nothing came for `quiet`, or the connection ended.
    pub async fn listen(&mut self, quiet: Duration) {
        while self.next_frame(quiet).await.is_some() {}
    }

    /// Reads until a push says that the order has this status.
    pub async fn wait_for(&mut self, order_no: &str, status: i64) {
        let until = Instant::now() + ANSWER_WITHIN;
        while !self.pushes.iter().any(|push| push.order_no == order_no && push.status == status) {
            assert!(Instant::now() < until, "{order_no} was never pushed with status {status}: {:?}", self.pushes);
            if self.next_frame(Duration::from_millis(200)).await.is_none() && self.stream.is_none() {
                panic!("the socket was closed ({:?}) before {order_no} had status {status}", self.closed_with);
            }
        }
    }

    /// Every version of the order was told, from 1 to `version`, in that order; a snapshot may leave some out.
    pub fn assert_saw(&self, order_no: &str, version: i64) {
        let pushes = self.pushes.iter().filter(|push| push.order_no == order_no);
        let seen: Vec<i64> = pushes.map(|push| push.version).collect();
        assert_eq!(seen, (1..=version).collect::<Vec<_>>(), "versions of {order_no} seen by {}", self.who.username);
    }

    /// What he knows of the order is how it is now.
    pub fn assert_knows(&self, order_no: &str, version: i64) {
        let known = self.version_of(order_no);
        assert_eq!(known, version, "{} knows an old {order_no}: {:?}", self.who.username, self.pushes);
    }

    /// The next frame; `None` when nothing came in time or the connection ended.
    async fn next_frame(&mut self, patience: Duration) -> Option<Value> {
        let stream = self.stream.as_mut()?;
        loop {
            match tokio::time::timeout(patience, stream.next()).await.ok()? {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
                    self.note(&frame);
                    return Some(frame);
                }
                Some(Ok(Message::Close(frame))) => {
                    self.closed_with = frame;
                    self.stream = None;
                    return None;
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    self.stream = None;
                    return None;
                }
            }
        }
    }

    fn note(&mut self, frame: &Value) {
        let seq = frame["seq"].as_i64();
        if frame["type"] == "welcome" {
            return; // where the stream stands is said again, with what was missed, by the snapshot
        }
        self.last_seq = self.last_seq.max(seq);
        let mut found = Vec::new();
        collect(frame, seq.unwrap_or(0), &mut found);
        for push in found {
            let told = self.told.insert(push.order_no.clone(), push.version).unwrap_or(-1); // 0: accepted, not written
            assert!(push.version > told, "{push:?} goes back: version {told} was told before");
            if push.version > self.version_of(&push.order_no) {
                self.pushes.push(push);
            }
        }
    }

    fn version_of(&self, order_no: &str) -> i64 {
        self.pushes.iter().filter(|push| push.order_no == order_no).map(|push| push.version).max().unwrap_or(0)
    }
}

/// Every order in a frame, wherever it stands in it.
fn collect(value: &Value, seq: i64, found: &mut Vec<Push>) {
    match value {
        Value::Object(fields) => {
            let seq = fields.get("seq").and_then(Value::as_i64).unwrap_or(seq);
            let number = |name: &str| fields.get(name).and_then(Value::as_i64);
            if let (Some(Value::String(order_no)), Some(version)) = (fields.get("order_no"), number("version")) {
                let status = number("status").unwrap_or(-1);
                found.push(Push { seq, order_no: order_no.clone(), version, status });
                return;
            }
            fields.values().for_each(|inner| collect(inner, seq, found));
        }
        Value::Array(values) => values.iter().for_each(|inner| collect(inner, seq, found)),
        _ => {}
    }
}
