//! A WebSocket as it is on the wire, for tests of the conversation itself; [`super::socket::Listener`] is the client
//! that only wants to know its orders.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::client::{Address, Person};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// An open socket.
pub struct Wire {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What came from the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A frame of JSON.
    Frame(Value),
    /// The answer to a WebSocket ping.
    Pong,
    /// Closed with this code; 1005 if it had none.
    Closed(u16),
    /// The connection ended without a word.
    Gone,
    /// Nothing, for as long as was waited.
    Silence,
}

impl Wire {
    /// Opens with the Authorization header.
    pub async fn open(who: &Person) -> Self {
        Self::try_open(who).await.expect("the socket opens")
    }

    /// The same, or the HTTP status of the refusal.
    pub async fn try_open(who: &Person) -> Result<Self, u16> {
        Self::try_open_at(who, "").await
    }

    /// The same for the socket of administrators.
    pub async fn try_admin(who: &Person) -> Result<Self, u16> {
        Self::try_open_at(who, "/admin").await
    }

    async fn try_open_at(who: &Person, rest: &str) -> Result<Self, u16> {
        let mut request = url(&who.address, rest).into_client_request().expect("a WebSocket URL");
        if !who.token.is_empty() {
            let token = format!("Bearer {}", who.token).parse().expect("a header value");
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        connect(request).await
    }

    /// Opens with a ticket in the URL, as browsers do.
    pub async fn try_ticket(address: &Address, ticket: &str) -> Result<Self, u16> {
        let url = url(address, &format!("?ticket={ticket}"));
        connect(url.into_client_request().expect("a WebSocket URL")).await
    }

    /// Opens what comes after `/ws`, without a header.
    pub async fn try_path(address: &Address, rest: &str) -> Result<Self, u16> {
        connect(url(address, rest).into_client_request().expect("a WebSocket URL")).await
    }

    /// Sends a text frame.
    pub async fn say(&mut self, text: impl Into<String>) {
        let _ = self.stream.send(Message::text(text.into())).await; // it may be closed: that is heard
    }

    /// Sends any message.
    pub async fn send(&mut self, message: Message) {
        let _ = self.stream.send(message).await; // it may be closed: that is heard
    }

    /// The next thing that comes.
    pub async fn hear(&mut self) -> Heard {
        self.hear_within(ANSWER_WITHIN).await
    }

    /// The same, with another patience.
    pub async fn hear_within(&mut self, patience: Duration) -> Heard {
        let until = tokio::time::Instant::now() + patience;
        loop {
            let Ok(message) = tokio::time::timeout_at(until, self.stream.next()).await else { return Heard::Silence };
            return match message {
                Some(Ok(Message::Text(text))) => Heard::Frame(serde_json::from_str(&text).expect("frames are JSON")),
                Some(Ok(Message::Close(frame))) => Heard::Closed(frame.map_or(1005, |frame| frame.code.into())),
                Some(Ok(Message::Pong(_))) => Heard::Pong,
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Heard::Gone,
            };
        }
    }

    /// The next frame of this type; others are passed over.
    #[track_caller]
    pub fn frame<'a>(&'a mut self, kind: &'a str) -> impl Future<Output = Value> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            loop {
                match self.hear().await {
                    Heard::Frame(frame) if frame["type"] == kind => return frame,
                    Heard::Frame(_) | Heard::Pong => {}
                    other => panic!("{caller}: no \"{kind}\" came, but {other:?}"),
                }
            }
        }
    }

    /// How the server closes it; frames before are passed over.
    pub async fn closing(&mut self) -> Heard {
        loop {
            match self.hear().await {
                Heard::Frame(_) | Heard::Pong => {}
                end => return end,
            }
        }
    }
}

fn url(address: &Address, query: &str) -> String {
    format!("{}/ws{query}", address.base().replacen("http", "ws", 1))
}

async fn connect(request: tokio_tungstenite::tungstenite::handshake::client::Request) -> Result<Wire, u16> {
    match connect_async(request).await {
        Ok((stream, _)) => Ok(Wire { stream }),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("no answer to the handshake: {error}"),
    }
}
