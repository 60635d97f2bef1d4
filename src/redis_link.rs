//! The connection to Redis, one server or a cluster, shared by all that stands on it: every command and every
//! connection attempt has a time limit, a lost connection is made again, every key has the shop's prefix.
//!
//! A command whose answer did not come in time may have run: what is sent must be repeatable by its own ids.

use std::borrow::Cow;
use std::time::Duration;

use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    Client, Cmd, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError, RedisFuture, ScriptInvocation, Value,
};

use tracing::Instrument as _;

use crate::config::RedisSettings;
use crate::{clock, trace_context};

/// Reconnection attempts for one command before it fails.
const RETRIES_MAX: usize = 2;

/// How long the key of a probe stays.
const PROBE_KEPT_MS: u64 = 10_000;

/// Handle to Redis; clones share the connection, on which commands are pipelined.
#[derive(Clone)]
pub struct RedisLink {
    connection: Connection,
    prefix: String,
    urls: Vec<String>,
    connect_timeout: Duration,
    command_timeout: Duration,
}

#[derive(Clone)]
enum Connection {
    Server(ConnectionManager),
    Cluster(ClusterConnection),
}

/// Packets are sent at once. The library's default lets the end of a long command wait until the server has acknowledged
/// its beginning, which a server that waits for the end does up to 40 ms later.
fn at_once() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn client(url: &str) -> Result<Client, RedisError> {
    Client::open(url.into_connection_info()?.set_tcp_settings(at_once()))
}

impl RedisLink {
    /// Connects to `settings.url`; with commas in it, to a Redis Cluster.
    ///
    /// # Errors
    /// [`RedisError`] if it cannot be reached within the connect timeout.
    pub async fn connect(settings: &RedisSettings) -> Result<Self, RedisError> {
        let urls: Vec<String> = settings.url.split(',').map(|url| url.trim().to_owned()).collect();
        let connect_timeout = Duration::from_millis(settings.connect_timeout_ms);
        let response_timeout = Duration::from_millis(settings.command_timeout_ms);
        let connection = match urls.as_slice() {
            [url] => {
                let config = ConnectionManagerConfig::new()
                    .set_connection_timeout(Some(connect_timeout))
                    .set_response_timeout(Some(response_timeout))
                    .set_number_of_retries(RETRIES_MAX);
                let connecting = ConnectionManager::new_with_config(client(url)?, config);
                Connection::Server(within(connect_timeout, connecting).await?)
            }
            seeds => {
                let client = ClusterClientBuilder::new(seeds.to_vec())
                    .connection_timeout(connect_timeout)
                    .response_timeout(response_timeout)
                    .retries(u32::try_from(RETRIES_MAX).unwrap_or(0))
                    .tcp_settings(at_once())
                    .build()?;
                Connection::Cluster(within(connect_timeout, client.get_async_connection()).await?)
            }
        };
        Ok(Self {
            connection,
            prefix: settings.prefix.clone(),
            urls,
            connect_timeout,
            command_timeout: response_timeout,
        })
    }

    /// `rest` under the shop's prefix. A part in braces decides the slot in a cluster.
    #[must_use]
    pub fn key(&self, rest: &str) -> String {
        format!("{}:{rest}", self.prefix)
    }

    /// True if it is a Redis Cluster: commands and pipelines must keep to one slot.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self.connection, Connection::Cluster(_))
    }

    /// Longest wait for the answer to one command.
    #[must_use]
    pub const fn command_timeout(&self) -> Duration {
        self.command_timeout
    }

    /// Runs one command.
    ///
    /// # Errors
    /// [`RedisError`]; after a timeout or a lost connection the command may have run.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let mut connection = self.connection.clone();
        counted(&name_of(command), command.query_async(&mut connection)).await
    }

    /// Sends commands together; in a cluster their keys must share a slot.
    ///
    /// # Errors
    /// As [`RedisLink::query`].
    pub async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, RedisError> {
        counted("pipeline", pipeline.query_async(&mut self.connection.clone())).await
    }

    /// Runs a script by its hash, loading it where it is not known (after a restart, a failover, `SCRIPT FLUSH`).
    ///
    /// # Errors
    /// As [`RedisLink::query`].
    pub async fn script<T: FromRedisValue>(&self, invocation: &ScriptInvocation<'_>) -> Result<T, RedisError> {
        counted("script", invocation.invoke_async(&mut self.connection.clone())).await
    }

    /// Whether Redis can be written to, by writing one short-lived key: a server that is full, cannot save or has lost
    /// its replicas still answers reads.
    ///
    /// # Errors
    /// As [`RedisLink::query`].
    pub async fn probe(&self) -> Result<(), RedisError> {
        let mut command = redis::cmd("SET");
        self.query(command.arg(self.key("probe")).arg(1).arg("PX").arg(PROBE_KEPT_MS)).await
    }

    /// A connection of its own to one server, for subscriptions, which block it. Any server of a cluster will do: all
    /// of them hear what is published to one. The seeds are tried in turn.
    ///
    /// # Errors
    /// [`RedisError`] of the last seed, if none can be reached within the connect timeout.
    pub async fn subscriber(&self) -> Result<redis::aio::PubSub, RedisError> {
        let mut failure = RedisError::from((redis::ErrorKind::Io, "no server to subscribe at"));
        for url in &self.urls {
            match within(self.connect_timeout, client(url)?.get_async_pubsub()).await {
                Ok(subscriber) => return Ok(subscriber),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// One call in the trace of whoever made it, and among the figures. Names come from this program alone.
async fn counted<T>(name: &str, call: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    let (began, span) = (clock::monotonic(), trace_context::call("redis", name));
    let outcome = call.instrument(span).await;
    let seconds = began.elapsed().as_secs_f64();
    metrics::histogram!("rushmall_redis_seconds", "command" => name.to_owned()).record(seconds);
    if outcome.is_err() {
        metrics::counter!("rushmall_redis_failures_total", "command" => name.to_owned()).increment(1);
    }
    outcome
}

/// `GET` of `GET key`.
fn name_of(command: &Cmd) -> Cow<'_, str> {
    match command.args_iter().next() {
        Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name),
        _ => Cow::Borrowed("command"),
    }
}

async fn within<T>(limit: Duration, connecting: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    let timed_out = |_| RedisError::from((redis::ErrorKind::Io, "no connection within redis.connect_timeout_ms"));
    tokio::time::timeout(limit, connecting).await.map_err(timed_out)?
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(server) => server.req_packed_command(command),
            Self::Cluster(cluster) => cluster.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(server) => server.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(server) => server.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}
