//! The cluster under test: private engines, two nodes, and a fault proxy on every line between them.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rushmall::config::DatabaseSettings;
use rushmall::persistence::Db;
use sea_orm::ConnectionTrait;

use crate::nodes::Node;
use crate::plan::{ENGINES, Engine, NODES};
use crate::services::{Database, Services};
use crate::support::client::Person;

const ADMIN: &str = "boss";
const ADMIN_PASSWORD: &str = "boss-of-the-shop";
const NAME: &str = "rushmall_chaos";
/// The order queue, by the prefix.
pub const AMQP_QUEUE: &str = "rushmall_chaos.orders";
/// Time to pay: short, so that orders run into it while everything else goes wrong.
pub const PAY_DEADLINE: Duration = Duration::from_secs(12);
/// Longest that a node works at one request; a client waits a little longer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// Settings of every node beside names and addresses.
const SETTINGS: [(&str, &str); 14] = [
    ("HTTP__WORKERS", "2"),
    ("ACTORS__ARBITERS", "2"),
    ("ACTORS__ASK_TIMEOUT_MS", "3000"),
    ("AUTH__ACCESS_TOKEN_S", "86400"),
    ("AUTH__JWT_SECRET", "a secret of forty-two letters for the chaos"),
    ("LIMITS__SECKILL_PER_SECOND", "1000"),
    ("LIMITS__SECKILL_BURST", "1000"),
    ("DATABASE__ACQUIRE_TIMEOUT_MS", "2000"),
    ("DATABASE__TRANSACTION_TIMEOUT_MS", "4000"),
    ("ORDERS__TICKET_ORPHAN_AFTER_MS", "1500"),
    ("ORDERS__PREPARED_EXPIRES_MS", "8000"),
    ("REDIS__PREFIX", NAME),
    ("AMQP__PREFIX", NAME),
    ("TELEMETRY__LOG", "info"),
];

/// Everything that runs. Nodes are dropped before the engines.
pub struct Cluster {
    pub nodes: Vec<Arc<Node>>,
    /// The database, past every proxy.
    pub db: Db,
    /// Redis, past every proxy.
    pub redis: redis::Client,
    /// For commands beside the nodes: their settings, but no proxy between.
    beside: Node,
    pub services: Arc<Services>,
}

impl Cluster {
    /// Starts the engines, makes schema and administrator, starts the nodes.
    pub async fn start(database: Database) -> Self {
        let services = Services::start(database).await;
        let url = make_database(&services).await;
        let beside = prepare_node(NODES, &services, |_, engine| services.address(engine).to_string()).await;
        run(&beside, &["migrate"], "").await;
        run(&beside, &["admin", "create", "--username", ADMIN, "--password-stdin"], ADMIN_PASSWORD).await;
        let mut nodes = Vec::new();
        for number in 0..NODES {
            let through = |node: &Node, engine| node.link(engine).address.to_string();
            nodes.push(Arc::new(prepare_node(number, &services, through).await));
        }
        futures::future::join_all(nodes.iter().map(|node| node.start())).await;
        let settings = DatabaseSettings { url, connections_max: 4, ..Default::default() };
        let db = Db::connect(&settings, std::path::Path::new(".")).await.expect("the database opens");
        let redis = redis::Client::open(services.url(Engine::Redis)).expect("a Redis URL");
        Self { nodes, db, redis, beside, services }
    }

    /// The administrator, signed in.
    pub async fn admin(&self) -> Person {
        let patience = REQUEST_TIMEOUT + Duration::from_secs(2);
        Person::visitor_who_waits(&self.nodes[0].address, patience).log_in(ADMIN, ADMIN_PASSWORD).await
    }

    /// `rushmall check` with the nodes' settings.
    pub async fn check(&self) -> Output {
        let mut command = self.beside.binary.command(&["check"]);
        tokio::task::spawn_blocking(move || command.output().expect("the binary runs")).await.expect("it ends")
    }

    /// Ends what would survive this process.
    pub async fn end_everything(&self) {
        futures::future::join_all(self.nodes.iter().map(|node| node.kill())).await;
        self.services.stop();
    }

    /// What happened at the nodes that no fault explains: ends and panics.
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        for node in &self.nodes {
            troubles.append(&mut node.troubles.lock().unwrap().clone());
            let log = node.binary.log_text();
            let panics = log.lines().filter(|line| line.contains("panicked at"));
            troubles.extend(panics.map(|line| format!("node {}: {line}", node.number)));
        }
        troubles
    }

    /// How often each warning and error stands in the logs: what operators would see, most frequent first.
    pub fn complaints(&self) -> Vec<(u64, String)> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for node in &self.nodes {
            for line in node.binary.log_text().lines() {
                if let Some(complaint) = complaint(line) {
                    *counts.entry(complaint).or_default() += 1;
                }
            }
        }
        let mut counts: Vec<(u64, String)> = counts.into_iter().map(|(complaint, count)| (count, complaint)).collect();
        counts.sort_by(|a, b| b.cmp(a));
        counts
    }
}

/// Level, target and message of a warning or error, without its fields, colours and numbers.
fn complaint(line: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        rest = rest[at..].split_once('m').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    let at = plain.find(" WARN ").or_else(|| plain.find("ERROR "))?;
    let words = plain[at..].split_whitespace().take_while(|word| !word.contains('=')).take(16);
    Some(words.map(|word| word.replace(|c: char| c.is_ascii_digit(), "#")).collect::<Vec<_>>().join(" "))
}

/// A node with its settings; `address` says where it finds an engine.
async fn prepare_node(number: usize, services: &Services, address: impl Fn(&Node, Engine) -> String) -> Node {
    let engines = ENGINES.map(|engine| (engine, services.address(engine)));
    let mut node = Node::prepare(number, &engines.into_iter().collect()).await;
    for (engine, variable) in [
        (Engine::Redis, "RUSHMALL__REDIS__URL"),
        (Engine::Rabbitmq, "RUSHMALL__AMQP__URL"),
        (Engine::Database, "RUSHMALL__DATABASE__URL"),
    ] {
        let url = services.url(engine).replace(&services.address(engine).to_string(), &address(&node, engine));
        let path = if engine == Engine::Database { format!("/{NAME}") } else { String::new() };
        node.binary.set(variable, &format!("{url}{path}"));
    }
    for (name, value) in SETTINGS {
        node.binary.set(&format!("RUSHMALL__{name}"), value);
    }
    node.binary.set("RUSHMALL__HTTP__REQUEST_TIMEOUT_MS", &REQUEST_TIMEOUT.as_millis().to_string());
    node.binary.set("RUSHMALL__ORDERS__PAY_DEADLINE_MS", &PAY_DEADLINE.as_millis().to_string());
    node.binary.set("RUSHMALL__NODE__NAME", &format!("node-{number}"));
    node.binary.set("RUSHMALL__NODE__SLOT", &number.to_string());
    node
}

/// Makes the shop's database; its URL.
async fn make_database(services: &Services) -> String {
    let server = services.url(Engine::Database);
    let (entrance, kind) = match services.database {
        Database::Mariadb => (server.to_owned(), " CHARACTER SET utf8mb4"),
        Database::Postgres => (format!("{server}/postgres"), ""),
    };
    let connection = sea_orm::Database::connect(entrance).await.expect("the database server answers");
    connection.execute_unprepared(&format!("CREATE DATABASE {NAME}{kind}")).await.expect("a database is made");
    connection.close().await.expect("the connection closes");
    format!("{server}/{NAME}")
}

/// Runs a command of the shop to its good end.
async fn run(node: &Node, arguments: &[&str], input: &str) {
    let mut command = node.binary.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = format!("{input}\n");
    let ended = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("the binary runs");
        let _ = child.stdin.take().expect("its input").write_all(input.as_bytes()); // it may not want any
        child.wait_with_output().expect("it ends")
    });
    let output = ended.await.expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "rushmall {arguments:?}: {said}");
}
