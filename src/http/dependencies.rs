//! What a node stands on, asked when somebody wants to know: each at the same time and within a time of its own.
//!
//! The database and Redis are *required*: without either nothing can be sold, nor if one of them answers and takes no
//! writes. RabbitMQ is not: while it is away the node writes its orders itself. So a node must not be taken out of
//! service because RabbitMQ is slow to answer either, and its time is shorter than the second that balancers commonly
//! wait for a check.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde::Serialize;

use super::state::AppState;
use crate::clock;

/// Longest that what is required may take to answer.
const REQUIRED_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest that an actor that is on nothing may take.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest that RabbitMQ may take to answer.
const BROKER_TIMEOUT: Duration = Duration::from_millis(500);

/// It answers, and takes nothing.
const REFUSES_WRITES: &str = "refuses_writes";

/// One thing that the node needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Dependency {
    /// `database`; on a cluster also `redis` and `rabbitmq`.
    pub name: &'static str,
    /// `up` or `down`.
    pub status: &'static str,
    /// How long the probe took.
    pub latency_us: u64,
    /// True if nothing can be sold without it.
    pub required: bool,
    /// Why it is down: `timeout`, `unreachable`, `refuses_writes` (its disk or memory is full, or it is read-only) or
    /// `blocked` (it takes no messages).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

impl Dependency {
    /// True if it answered.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.reason.is_none()
    }

    async fn probe(
        name: &'static str,
        (required, limit): (bool, Duration),
        asking: impl Future<Output = Result<(), &'static str>>,
    ) -> Self {
        let started = clock::monotonic();
        let reason = tokio::time::timeout(limit, asking).await.unwrap_or(Err("timeout")).err();
        let status = if reason.is_none() { "up" } else { "down" };
        let latency_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Self { name, status, latency_us, required, reason }
    }
}

/// One kind of actors of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ActorKind {
    /// `session`, `inventory`, `order_writer` or `order_saga`.
    pub kind: &'static str,
    /// `up`, or `down` if none that is free answers.
    pub status: &'static str,
}

/// Why Redis did not take the write of a probe: no memory, no disk, too few replicas, or it is one itself.
fn outage(error: &redis::RedisError) -> &'static str {
    match error.code() {
        Some("OOM" | "MISCONF" | "NOREPLICAS" | "READONLY") => REFUSES_WRITES,
        _ => "unreachable",
    }
}

/// Asks every kind of actors for a sign of life, all at the same time.
pub async fn ping_actors(state: &AppState) -> Vec<ActorKind> {
    let asking = state.shop.controls.kinds.all().map(|kind| async move {
        let status = if kind.answers(PING_TIMEOUT).await { "up" } else { "down" };
        ActorKind { kind: kind.kind(), status }
    });
    futures::future::join_all(asking).await
}

/// Asks everything that this node stands on, the database first.
pub async fn probe_all(state: &AppState) -> Vec<Dependency> {
    let (required, optional) = ((true, REQUIRED_TIMEOUT), (false, BROKER_TIMEOUT));
    let shop = &state.shop;
    let database = Dependency::probe("database", required, async {
        state.db.reader().execute_unprepared("SELECT 1").await.map_err(|_| "unreachable")?;
        if state.db.takes_writes() { Ok(()) } else { Err(REFUSES_WRITES) }
    });
    let redis = async {
        let link = shop.redis.as_ref()?;
        let asking = async { link.probe().await.map_err(|error| outage(&error)) };
        Some(Dependency::probe("redis", required, asking).await)
    };
    let broker = async {
        // a queue inside the process is the process
        shop.queue.outlives_process().then_some(())?;
        let asking = async { shop.queue.probe().await.map_err(|error| error.outage()) };
        Some(Dependency::probe("rabbitmq", optional, asking).await)
    };
    let (database, redis, broker) = futures::join!(database, redis, broker);
    [Some(database), redis, broker].into_iter().flatten().collect()
}
