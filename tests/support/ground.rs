//! What a shop under test stands on, chosen by `RUSHMALL_TEST_BACKENDS`.
//!
//! Not set or `embedded`: a data directory is all. `cluster`: a database of its own on the server of
//! `RUSHMALL_TEST_MYSQL_URL` (`RUSHMALL_TEST_POSTGRES_URL` with `RUSHMALL_TEST_DATABASE=postgres`), a prefix of its own in
//! the Redis of `RUSHMALL_TEST_REDIS_URL` (`RUSHMALL_TEST_REDIS_CLUSTER_URL` with `RUSHMALL_TEST_REDIS=cluster`) and in the
//! RabbitMQ of `RUSHMALL_TEST_AMQP_URL`. A variable that is missing then fails the test.

use std::time::Duration;

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};
use rushmall::config::{AmqpSettings, DatabaseSettings, RedisSettings, Settings};
use rushmall::persistence::Db;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};

use super::services::{AMQP, MYSQL, POSTGRES, REDIS, REDIS_CLUSTER};

/// Longest that a server may take to let somebody in.
const PATIENCE: Duration = Duration::from_secs(30);
/// Signs the tokens of every node.
const SECRET: &str = "5c7d0f1e2d3c4b5a69788796a5b4c3d2-of-a-test";

/// True if the shops under test stand on Redis, RabbitMQ and a database server.
pub fn is_cluster() -> bool {
    match std::env::var("RUSHMALL_TEST_BACKENDS").as_deref() {
        Err(_) | Ok("" | "embedded") => false,
        Ok("cluster") => true,
        Ok(other) => panic!("RUSHMALL_TEST_BACKENDS={other}: it is embedded or cluster"),
    }
}

/// What one shop stands on; dropped, it is gone.
pub struct Ground {
    cluster: Option<Cluster>,
}

struct Cluster {
    schema: Schema,
    redis: RedisSettings,
    amqp: AmqpSettings,
}

impl Ground {
    /// As the environment says.
    pub async fn chosen() -> Self {
        Self { cluster: if is_cluster() { Some(Cluster::make().await) } else { None } }
    }

    /// The machine itself, whatever the environment says.
    pub const fn embedded() -> Self {
        Self { cluster: None }
    }

    /// Those servers, whatever the environment says; `database` is a URL without a database.
    pub async fn on(database: &str, redis: &str, amqp: &str) -> Self {
        Self { cluster: Some(Cluster::on(database, redis, amqp).await) }
    }

    /// Puts a shop with these settings on it.
    pub fn under(&self, settings: &mut Settings) {
        let Some(Cluster { schema, redis, amqp }) = &self.cluster else { return };
        settings.database.url = schema.settings().url;
        settings.redis = redis.clone();
        settings.amqp = amqp.clone();
        settings.auth.jwt_secret = SECRET.to_owned();
    }

    /// The same for a process: variables of its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let Some(Cluster { schema, redis, amqp }) = &self.cluster else { return Vec::new() };
        vec![
            ("RUSHMALL__DATABASE__URL", schema.settings().url),
            ("RUSHMALL__REDIS__URL", redis.url.clone()),
            ("RUSHMALL__REDIS__PREFIX", redis.prefix.clone()),
            ("RUSHMALL__REDIS__CONNECT_TIMEOUT_MS", redis.connect_timeout_ms.to_string()),
            ("RUSHMALL__REDIS__COMMAND_TIMEOUT_MS", redis.command_timeout_ms.to_string()),
            ("RUSHMALL__AMQP__URL", amqp.url.clone()),
            ("RUSHMALL__AMQP__PREFIX", amqp.prefix.clone()),
            ("RUSHMALL__AMQP__CONNECT_TIMEOUT_MS", amqp.connect_timeout_ms.to_string()),
            ("RUSHMALL__AMQP__CONFIRM_TIMEOUT_MS", amqp.confirm_timeout_ms.to_string()),
            ("RUSHMALL__AUTH__JWT_SECRET", SECRET.to_owned()),
        ]
    }
}

impl Cluster {
    async fn make() -> Self {
        let is = |name: &str, wanted: &str| std::env::var(name).is_ok_and(|value| value == wanted);
        let database = url(if is("RUSHMALL_TEST_DATABASE", "postgres") { POSTGRES } else { MYSQL });
        let redis = url(if is("RUSHMALL_TEST_REDIS", "cluster") { REDIS_CLUSTER } else { REDIS });
        Self::on(&database, &redis, &url(AMQP)).await
    }

    async fn on(database: &str, redis: &str, amqp: &str) -> Self {
        let prefix = format!("t{}", hex(6));
        let amqp = cluster_amqp(amqp, &prefix);
        let redis = cluster_redis(redis, &prefix);
        Self { schema: Schema::make(database).await, redis, amqp }
    }
}

/// A variable that must be there.
fn url(variable: &str) -> String {
    let url = std::env::var(variable).ok().filter(|url| !url.is_empty());
    url.unwrap_or_else(|| panic!("RUSHMALL_TEST_BACKENDS=cluster, but {variable} is not set"))
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let amqp = self.amqp.clone();
        let cleaned = aside(async move || delete_queues(&amqp).await);
        if !std::thread::panicking() {
            cleaned.expect("the queues are deleted");
        }
    }
}

async fn delete_queues(amqp: &AmqpSettings) -> lapin::Result<()> {
    let connection = Connection::connect(&amqp.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    for queue in ["orders", "orders.dead", "events.log"] {
        let name = format!("{}.{queue}", amqp.prefix);
        channel.queue_delete(name.into(), QueueDeleteOptions::default()).await?;
    }
    let exchange = format!("{}.events", amqp.prefix);
    channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await?;
    connection.close(200, "done".into()).await
}

/// A database of its own on a server, dropped with the value.
pub struct Schema {
    server: String,
    name: String,
}

impl Schema {
    /// Makes it, empty, on that server (a URL without a database).
    pub async fn make(server: &str) -> Self {
        let name = format!("rushmall_{}", hex(8));
        let schema = Self { server: server.trim_end_matches('/').to_owned(), name };
        let admin = schema.admin().await;
        let create = match schema.is_postgres() {
            true => format!("CREATE DATABASE {}", schema.name),
            false => format!("CREATE DATABASE {} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", schema.name),
        };
        admin.execute_unprepared(&create).await.expect("a database is made");
        admin.close().await.expect("closed");
        schema
    }

    /// True on PostgreSQL.
    fn is_postgres(&self) -> bool {
        self.server.starts_with("postgres")
    }

    async fn admin(&self) -> DatabaseConnection {
        let database = if self.is_postgres() { "/postgres" } else { "/mysql" };
        let mut options = ConnectOptions::new(format!("{}{database}", self.server));
        options.max_connections(1).connect_timeout(PATIENCE).acquire_timeout(PATIENCE);
        Database::connect(options).await.expect("the database server answers")
    }

    /// Where it is.
    pub fn settings(&self) -> DatabaseSettings {
        DatabaseSettings { url: format!("{}/{}", self.server, self.name), ..DatabaseSettings::default() }
    }

    /// Beside the nodes, with the schema in place.
    pub async fn db(&self) -> Db {
        let db = Db::connect(&self.settings(), std::path::Path::new("/nowhere")).await.expect("the database opens");
        db.migrate().await.expect("the schema is brought up to date");
        db
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let schema = std::mem::ManuallyDrop::new(Self { server: self.server.clone(), name: self.name.clone() });
        let dropped = aside(async move || {
            let force = if schema.is_postgres() { " WITH (FORCE)" } else { "" };
            let drop = format!("DROP DATABASE {}{force}", schema.name);
            schema.admin().await.execute_unprepared(&drop).await.map(|_| ())
        });
        if !std::thread::panicking() {
            dropped.expect("the database is dropped");
        }
    }
}

/// Runs `work` on a thread and a runtime of its own: `drop` cannot wait for the runtime that it runs on.
pub fn aside<T: Send + 'static>(work: impl AsyncFnOnce() -> T + Send + 'static) -> T {
    let working = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(work())
    });
    match working.join() {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The Redis of nodes, with time for a machine that does much at once.
pub fn cluster_redis(url: &str, prefix: &str) -> RedisSettings {
    RedisSettings {
        url: url.to_owned(),
        prefix: prefix.to_owned(),
        connect_timeout_ms: 5_000,
        command_timeout_ms: 3_000,
    }
}

/// The RabbitMQ of nodes, likewise.
pub fn cluster_amqp(url: &str, prefix: &str) -> AmqpSettings {
    let (url, prefix) = (url.to_owned(), prefix.to_owned());
    AmqpSettings { url, prefix, connect_timeout_ms: 15_000, confirm_timeout_ms: 10_000, ..AmqpSettings::default() }
}

/// So many random bytes in hex.
pub fn hex(bytes: usize) -> String {
    let token = rushmall::random::bytes::<32>();
    token.iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}
