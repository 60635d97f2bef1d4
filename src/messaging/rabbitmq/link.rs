//! One connection to RabbitMQ that is kept up: opened, watched, and opened anew after a pause when it is over.
//!
//! A [`Session`] is one life of the connection. It is over when the client reports an error, when the heartbeat stays
//! away, or when whoever uses it says so ([`Session::end`]: a confirm that did not come, a channel that the broker
//! closed). Nothing is carried from one session to the next; the broker gives unacknowledged messages out again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use lapin::protocol::AMQPErrorKind;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind, Event};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::topology::Names;
use crate::config::AmqpSettings;
use crate::random;

/// The broker and we say something at least this often; silence for twice as long ends the session.
const HEARTBEAT_S: u16 = 5;
const PAUSE_FIRST_MS: u64 = 50;
const PAUSE_MAX_MS: u64 = 2_000;
/// Longest that an orderly goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// With these bytes a client begins; only a broker that lives answers them.
const PROTOCOL_HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";

/// RabbitMQ cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// `amqp.url` is not an AMQP address.
    #[error("amqp.url cannot be read: {0}")]
    BadUrl(String),
    /// Nobody answers.
    #[error("no answer from RabbitMQ at {place} within {timeout_ms} ms")]
    TimedOut {
        /// Host and port.
        place: String,
        /// `amqp.connect_timeout_ms`.
        timeout_ms: u64,
    },
    /// It answered with an error, or could not be reached.
    #[error("RabbitMQ at {place} cannot be used")]
    Refused {
        /// Host and port.
        place: String,
        /// Why.
        #[source]
        source: lapin::Error,
    },
}

/// Opens what one kind of session works with.
pub(super) type Open<P> = for<'a> fn(&'a Connection, &'a Plan<P>) -> BoxFuture<'a, lapin::Result<P>>;

/// How to open a session.
pub(super) struct Plan<P> {
    /// Shown in the broker's list of connections, in logs and metrics.
    pub name: &'static str,
    pub node: String,
    pub names: Names,
    pub prefetch_messages: u16,
    uri: AMQPUri,
    connect_timeout: Duration,
    open: Open<P>,
}

/// One life of the connection.
pub(super) struct Session<P> {
    /// Tells it from earlier ones.
    pub number: u64,
    pub parts: P,
    pub connection: Connection,
    is_over: watch::Sender<bool>,
    /// Why the broker takes no messages, if so.
    blocked: watch::Sender<Option<String>>,
}

impl<P> Session<P> {
    /// Gives the session up; the supervisor opens the next.
    pub fn end(&self, reason: impl fmt::Display) {
        if !self.is_over.send_replace(true) {
            tracing::warn!(%reason, "session with the broker given up");
        }
    }

    /// Returns once the session is over.
    pub async fn ended(&self) {
        let _ = self.is_over.subscribe().wait_for(|is_over| *is_over).await;
    }

    /// Why the broker takes no messages now.
    pub fn blocked_reason(&self) -> Option<String> {
        self.blocked.borrow().clone()
    }

    /// Returns once the broker takes no messages, with its reason.
    pub async fn blocked(&self) -> String {
        let mut blocked = self.blocked.subscribe();
        let reason = blocked.wait_for(Option::is_some).await.map(|reason| reason.clone());
        match reason {
            Ok(reason) => reason.unwrap_or_default(),
            Err(_session_is_gone) => std::future::pending().await,
        }
    }
}

type Current<P> = watch::Receiver<Option<Arc<Session<P>>>>;

/// A connection that is kept up until it is closed or dropped.
pub(super) struct Link<P> {
    current: Current<P>,
    stop: watch::Sender<bool>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

impl<P: Send + Sync + 'static> Link<P> {
    /// Opens the first session; the rest happens in the background.
    pub async fn connect(
        name: &'static str,
        node: &str,
        settings: &AmqpSettings,
        open: Open<P>,
    ) -> Result<Self, BrokerError> {
        let mut uri: AMQPUri = settings.url.parse().map_err(BrokerError::BadUrl)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
        uri.query.connection_timeout = Some(settings.connect_timeout_ms);
        let (node, names) = (node.to_owned(), Names::new(&settings.prefix));
        let connect_timeout = Duration::from_millis(settings.connect_timeout_ms);
        let prefetch_messages = settings.prefetch_messages;
        let plan = Plan { name, node, names, prefetch_messages, uri, connect_timeout, open };
        let (session, events) = plan.session(1).await?;
        let (publish, current) = watch::channel(Some(Arc::clone(&session)));
        let (stop, stopped) = watch::channel(false);
        let supervisor = tokio::spawn(supervise(plan, session, events, publish, stopped));
        Ok(Self { current, stop, supervisor: Mutex::new(Some(supervisor)) })
    }

    /// The session of now; `None` while there is no connection.
    pub fn session(&self) -> Option<Arc<Session<P>>> {
        self.current.borrow().clone()
    }

    /// As [`Link::session`], after waiting for one up to `patience`.
    pub async fn wait(&self, patience: Duration) -> Option<Arc<Session<P>>> {
        let mut current = self.current.clone();
        let session = timeout(patience, current.wait_for(Option::is_some)).await.ok()?.ok()?;
        (*session).clone()
    }

    pub fn is_closed(&self) -> bool {
        *self.stop.borrow()
    }

    /// Says goodbye; repeating it changes nothing.
    pub async fn close(&self) {
        self.stop.send_replace(true);
        let supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(supervisor) = supervisor {
            let _ = timeout(CLOSE_TIMEOUT * 2, supervisor).await;
        }
    }
}

async fn supervise<P: Send + Sync + 'static>(
    plan: Plan<P>,
    mut session: Arc<Session<P>>,
    mut events: BoxStream<'static, Event>,
    publish: watch::Sender<Option<Arc<Session<P>>>>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        metrics::gauge!("rushmall_amqp_connected", "link" => plan.name).set(1);
        tokio::select! {
            () = watch_over(&plan, &session, &mut events) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        publish.send_replace(None);
        session.is_over.send_replace(true);
        metrics::gauge!("rushmall_amqp_connected", "link" => plan.name).set(0);
        metrics::gauge!("rushmall_amqp_blocked", "link" => plan.name).set(0);
        if session.connection.status().connected() {
            let _ = timeout(CLOSE_TIMEOUT, session.connection.close(200, "bye".into())).await;
        }
        let number = session.number + 1;
        drop(session);
        let next = tokio::select! {
            next = reconnect(&plan, number) => next,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        session = next.0;
        events = next.1;
        metrics::counter!("rushmall_amqp_reconnects_total", "link" => plan.name).increment(1);
        publish.send_replace(Some(Arc::clone(&session)));
    }
}

/// Until the session is over.
async fn watch_over<P>(plan: &Plan<P>, session: &Session<P>, events: &mut BoxStream<'static, Event>) {
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = session.ended() => return,
        };
        match event {
            Some(Event::ConnectionBlocked(reason)) => {
                tracing::warn!(link = plan.name, reason, "the broker takes no messages");
                metrics::gauge!("rushmall_amqp_blocked", "link" => plan.name).set(1);
                session.blocked.send_replace(Some(reason));
            }
            Some(Event::ConnectionUnblocked) => {
                tracing::info!(link = plan.name, "the broker takes messages again");
                metrics::gauge!("rushmall_amqp_blocked", "link" => plan.name).set(0);
                session.blocked.send_replace(None);
            }
            Some(Event::Error(error)) if is_of_one_channel(&error) => {} // whoever uses the channel is told
            Some(Event::Error(error)) => return session.end(error),
            Some(_) => {}
            None => return session.end("the connection is gone"),
        }
    }
}

fn is_of_one_channel(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if matches!(error.kind(), AMQPErrorKind::Soft(_)))
}

type Opened<P> = (Arc<Session<P>>, BoxStream<'static, Event>);

/// Tries until it succeeds, with pauses that double.
async fn reconnect<P: Send + Sync>(plan: &Plan<P>, number: u64) -> Opened<P> {
    let mut pause_ms = PAUSE_FIRST_MS;
    loop {
        let attempt = async {
            plan.probe().await?;
            plan.session(number).await
        };
        match attempt.await {
            Ok((session, events)) => {
                tracing::info!(link = plan.name, "connected to the broker again");
                return (session, events);
            }
            Err(error) => tracing::warn!(link = plan.name, error = %chain(&error), "no connection to the broker"),
        }
        tokio::time::sleep(Duration::from_millis(pause_ms / 2 + random::below(pause_ms))).await;
        pause_ms = (pause_ms * 2).min(PAUSE_MAX_MS);
    }
}

fn chain(error: &BrokerError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

impl<P: Send + Sync> Plan<P> {
    fn place(&self) -> String {
        format!("{}:{}", self.uri.authority.host, self.uri.authority.port)
    }

    fn timed_out(&self) -> BrokerError {
        let timeout_ms = u64::try_from(self.connect_timeout.as_millis()).unwrap_or(u64::MAX);
        BrokerError::TimedOut { place: self.place(), timeout_ms }
    }

    fn refused(&self, source: lapin::Error) -> BrokerError {
        BrokerError::Refused { place: self.place(), source }
    }

    /// Looks whether a broker answers at all. The client's thread for a connection whose handshake is never answered
    /// stays for ever, so none is started in vain.
    async fn probe(&self) -> Result<(), BrokerError> {
        if self.uri.scheme == AMQPScheme::AMQPS {
            return Ok(());
        }
        let asking = async {
            let mut stream = TcpStream::connect((self.uri.authority.host.as_str(), self.uri.authority.port)).await?;
            stream.write_all(PROTOCOL_HEADER).await?;
            stream.read_exact(&mut [0_u8; 1]).await.map(|_| ())
        };
        let asked = timeout(self.connect_timeout, asking).await.map_err(|_| self.timed_out())?;
        asked.map_err(|error| self.refused(error.into()))
    }

    async fn session(&self, number: u64) -> Result<Opened<P>, BrokerError> {
        let properties = ConnectionProperties::default()
            .with_connection_name(format!("rushmall {} {}", self.node, self.name).into());
        let opening = async {
            let connection = Connection::connect_uri(self.uri.clone(), properties).await?;
            let events = connection.events_listener().boxed();
            let channel = connection.create_channel().await?;
            self.names.declare(&channel).await?;
            channel.close(200, "declared".into()).await?;
            let parts = (self.open)(&connection, self).await?;
            Ok((connection, events, parts))
        };
        let opened = timeout(self.connect_timeout, opening).await.map_err(|_| self.timed_out())?;
        let (connection, events, parts) = opened.map_err(|error| self.refused(error))?;
        let (is_over, blocked) = (watch::Sender::new(false), watch::Sender::new(None));
        Ok((Arc::new(Session { number, parts, connection, is_over, blocked }), events))
    }
}
