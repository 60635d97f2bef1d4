//! Nodes over one Redis and one database, and the services they stand on.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use rushmall::actors::shop::Shop;
use rushmall::clock::Clock;
use rushmall::config::{RedisSettings, Settings};
use rushmall::domain::user::FIRST_ADMIN;
use rushmall::persistence::Db;
use rushmall::redis_link::RedisLink;
use sea_orm::{ConnectionTrait, Statement};
use tempfile::TempDir;

use crate::support::client::{Address, Person};
use crate::support::ground::{Schema, cluster_amqp, cluster_redis, hex};
use crate::support::process::free_port;
use crate::support::shop::{Running, settings_for_tests, try_start};

const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0-of-all-nodes";

/// Where the services of the tests are.
#[derive(Clone, Debug)]
pub struct Services {
    pub redis: String,
    pub amqp: String,
    /// URL without a database.
    pub databases: Vec<String>,
}

/// The services, or `None` if there are none and none are demanded.
pub fn services() -> Option<Services> {
    let is_demanded = std::env::var("RUSHMALL_TEST_SERVICES").is_ok_and(|value| value == "1");
    let url = |name: &str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        assert!(value.is_some() || !is_demanded, "RUSHMALL_TEST_SERVICES=1, but {name} is not set");
        value
    };
    let (redis, amqp) = (url("RUSHMALL_TEST_REDIS_URL"), url("RUSHMALL_TEST_AMQP_URL"));
    let databases: Vec<String> =
        ["RUSHMALL_TEST_MYSQL_URL", "RUSHMALL_TEST_POSTGRES_URL"].into_iter().filter_map(url).collect();
    Some(Services { redis: redis?, amqp: amqp?, databases }).filter(|services| !services.databases.is_empty())
}

/// What all nodes of a shop share.
pub struct Shared {
    pub schema: Schema,
    pub redis: RedisSettings,
    pub amqp: String,
}

/// One node.
pub struct Node {
    pub address: Address,
    running: Option<Running>,
    settings: Settings,
    dir: TempDir,
}

/// Some nodes of one shop.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub shared: Shared,
    admin_password: String,
}

impl Shared {
    pub async fn new(services: &Services, database: &str) -> Self {
        let redis = cluster_redis(&services.redis, &format!("t{}", hex(6)));
        Self { schema: Schema::make(database).await, redis, amqp: services.amqp.clone() }
    }

    pub fn settings(&self, slot: u8) -> Settings {
        let mut settings = settings_for_tests();
        settings.node.name = format!("node-{slot}");
        settings.node.slot = slot;
        settings.database = self.schema.settings();
        settings.redis = self.redis.clone();
        settings.amqp = cluster_amqp(&self.amqp, &self.redis.prefix);
        settings.auth.jwt_secret = SECRET.to_owned();
        settings
    }

    pub async fn link(&self) -> RedisLink {
        RedisLink::connect(&self.redis).await.expect("Redis answers")
    }

    /// Publishes to the nodes what no node said.
    pub async fn forge(&self, life: &str, number: u64, messages: &[serde_json::Value]) {
        let envelope = serde_json::json!({
            "version": 1, "node": "forged", "life": life, "number": number, "messages": messages,
        });
        let link = self.link().await;
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(link.key("news")).arg(envelope.to_string());
        let heard: i64 = link.query(&publish).await.expect("published");
        assert!(heard > 0, "no node listens");
    }
}

impl Node {
    /// Opens it, or says why it cannot be.
    pub fn try_open(settings: Settings) -> anyhow::Result<(Self, Option<String>)> {
        let dir = tempfile::tempdir().expect("a directory for the node");
        let (running, started) = try_start(settings.clone(), dir.path().to_owned(), Clock::default())?;
        let address = Address::default();
        address.is_now(&started.base);
        Ok((Self { address, running: Some(running), settings, dir }, started.admin_password))
    }

    /// Stops it gracefully.
    pub fn stop(&mut self) {
        self.running.take().expect("the node is open").stop();
    }

    /// Starts it again on its own data.
    pub fn start(&mut self) {
        let data_dir = self.dir.path().to_owned();
        let (running, started) =
            try_start(self.settings.clone(), data_dir, Clock::default()).expect("the node opens again");
        self.address.is_now(&started.base);
        self.running = Some(running);
    }

    /// What this node is made of.
    pub fn inside(&self) -> &Shop {
        &self.running.as_ref().expect("the node is open").shop
    }

    /// Somebody who talks to this node.
    pub fn visitor(&self) -> Person {
        Person::visitor(&self.address)
    }

    /// The same person at this node.
    pub fn meets(&self, who: &Person) -> Person {
        self.visitor().signed_in(who.user_id, &who.username, &who.token)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

impl Cluster {
    /// `count` nodes on this database and the common Redis.
    pub async fn open(services: &Services, database: &str, count: u8) -> Self {
        Self::on(Shared::new(services, database).await, count)
    }

    pub fn on(shared: Shared, count: u8) -> Self {
        Self::with(shared, count, |_| {})
    }

    /// The same after a change of every node's settings.
    pub fn with(shared: Shared, count: u8, change: impl Fn(&mut Settings)) -> Self {
        let mut admin_password = None;
        let nodes = (0..count).map(|slot| {
            let mut settings = shared.settings(slot);
            change(&mut settings);
            let (node, password) = Node::try_open(settings).expect("the node opens");
            admin_password = admin_password.take().or(password);
            node
        });
        let nodes = nodes.collect();
        Self::of(nodes, shared, admin_password.expect("the first node makes an administrator"))
    }

    /// Nodes that are open.
    pub const fn of(nodes: Vec<Node>, shared: Shared, admin_password: String) -> Self {
        Self { nodes, shared, admin_password }
    }

    /// The first administrator, at the first node.
    pub async fn admin(&self) -> Person {
        self.nodes[0].visitor().log_in(FIRST_ADMIN, &self.admin_password).await
    }

    /// Waits until the number that `sql` selects as `n` is `wanted`.
    pub async fn until(&self, db: &Db, sql: &str, wanted: i64) {
        let until = Instant::now() + Duration::from_secs(15);
        loop {
            let found = number(db, sql).await;
            if found == wanted {
                return;
            }
            assert!(Instant::now() < until, "{sql}: {found}, not {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The number that `sql` selects as `n`.
pub async fn number(db: &Db, sql: &str) -> i64 {
    let row = db.reader().query_one_raw(Statement::from_string(db.backend(), sql)).await.expect("the database answers");
    row.expect("a row").try_get("", "n").expect("a number called n")
}

/// Runs a writing statement beside the nodes.
pub async fn sql(db: &Db, statement: &str) {
    db.writer().execute_unprepared(statement).await.expect("the statement runs");
}

/// A Redis that a test may kill.
pub struct OwnRedis {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl OwnRedis {
    pub async fn start() -> Self {
        let port = free_port();
        let dir = tempfile::tempdir().expect("a directory for Redis");
        let redis = Self { child: Self::spawn(port, &dir), port, dir };
        redis.until_ready().await;
        redis
    }

    fn spawn(port: u16, dir: &TempDir) -> Child {
        Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .arg("--dir")
            .arg(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed")
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Forgets everything.
    pub fn flush(&self) {
        let client = redis::Client::open(self.url()).expect("a URL");
        let mut connection = client.get_connection().expect("Redis answers");
        redis::cmd("FLUSHALL").exec(&mut connection).expect("flushed");
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Again on the same port and data.
    pub async fn restart(&mut self) {
        self.child = Self::spawn(self.port, &self.dir);
        self.until_ready().await;
    }

    async fn until_ready(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        while RedisLink::connect(&RedisSettings { url: self.url(), ..Default::default() }).await.is_err() {
            assert!(Instant::now() < until, "Redis does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `test` on each database there is, one after the other.
pub async fn on_each_database<F>(test: impl Fn(Services, String) -> F)
where
    F: Future<Output = ()>,
{
    let Some(services) = services() else {
        return eprintln!("not run: RUSHMALL_TEST_REDIS_URL and its like are not set");
    };
    let databases = services.databases.clone();
    futures::stream::iter(databases).for_each(|database| test(services.clone(), database)).await;
}
