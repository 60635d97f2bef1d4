//! The engines, started, killed, stopped and brought back by `scripts/services` in a directory of their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::plan::Engine;

/// The SQL server under the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Mariadb,
    Postgres,
}

impl Database {
    /// As in `scripts/services`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mariadb => "mariadb",
            Self::Postgres => "postgres",
        }
    }
}

/// Running engines; dropping this stops them and removes their data, unless the test fails.
#[derive(Debug)]
pub struct Services {
    pub database: Database,
    urls: BTreeMap<String, String>,
    dir: TempDir,
    is_kept: AtomicBool,
}

impl Services {
    /// Starts Redis, RabbitMQ and the database, installing what is missing; waits until each answers. SIGKILL takes
    /// nothing from them, so that they need not wait for the disk.
    pub async fn start(database: Database) -> Arc<Self> {
        let dir = tempfile::Builder::new().prefix("rushmall-chaos.").tempdir_in("/tmp").expect("a directory");
        let path = dir.path().to_owned();
        let names = ["redis", "rabbitmq", database.name()];
        let started = in_background(move || run(&path, &["start", "--no-sync"], &names)).await;
        let said = String::from_utf8_lossy(&started.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&started.stderr).into_owned();
        // made before the check, so that what did start is stopped
        let lines = said.lines().filter_map(|line| line.split_once('='));
        let urls = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let services = Arc::new(Self { database, urls, dir, is_kept: AtomicBool::new(false) });
        assert!(started.status.success(), "the services did not start:\n{complaint}");
        services
    }

    /// The engine's own URL, past every proxy.
    pub fn url(&self, engine: Engine) -> &str {
        let variable = match (engine, self.database) {
            (Engine::Redis, _) => "RUSHMALL_TEST_REDIS_URL",
            (Engine::Rabbitmq, _) => "RUSHMALL_TEST_AMQP_URL",
            (Engine::Database, Database::Mariadb) => "RUSHMALL_TEST_MYSQL_URL",
            (Engine::Database, Database::Postgres) => "RUSHMALL_TEST_POSTGRES_URL",
        };
        self.urls.get(variable).unwrap_or_else(|| panic!("scripts/services did not say {variable}"))
    }

    /// Where it listens.
    pub fn address(&self, engine: Engine) -> SocketAddr {
        let url = self.url(engine);
        let from = url.find("127.0.0.1:").expect("services listen on the loopback");
        let end = url[from..].find('/').map_or(url.len(), |length| from + length);
        url[from..end].parse().expect("an address")
    }

    /// SIGKILL.
    pub async fn kill(self: &Arc<Self>, engine: Engine) {
        self.script(&["kill"], engine).await;
    }

    /// Starts what was killed, on the same port with the same data, and waits until it answers.
    pub async fn restart(self: &Arc<Self>, engine: Engine) {
        self.script(&["restart"], engine).await;
    }

    /// Sends a signal to the process.
    pub fn signal(&self, engine: Engine, which: Signal) {
        let pid_file = self.dir.path().join(self.name(engine)).join("pid");
        let remembered = std::fs::read_to_string(&pid_file).expect("the engine runs");
        let pid = remembered.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("a process id");
        let _ = signal::kill(Pid::from_raw(pid), which); // it may have ended
    }

    fn name(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Redis => "redis",
            Engine::Rabbitmq => "rabbitmq",
            Engine::Database => self.database.name(),
        }
    }

    /// Leaves their data for looking at it; where it is.
    pub fn keep(&self) -> &Path {
        self.is_kept.store(true, Ordering::Relaxed);
        self.dir.path()
    }

    /// Ends them all and removes their data.
    pub fn stop(&self) {
        run(self.dir.path(), &["stop", "--remove"], &[]);
    }

    async fn script(self: &Arc<Self>, command: &'static [&'static str], engine: Engine) {
        let (path, name) = (self.dir.path().to_owned(), self.name(engine));
        let done = in_background(move || run(&path, command, &[name])).await;
        assert!(done.status.success(), "{command:?} {name}:\n{}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        let failed = self.is_kept.load(Ordering::Relaxed) || std::thread::panicking();
        let remove: &[&str] = if failed { &["stop"] } else { &["stop", "--remove"] };
        let stopped = run(self.dir.path(), remove, &[]);
        self.dir.disable_cleanup(failed); // for looking at it
        if !stopped.status.success() {
            eprintln!("services not stopped: {}", String::from_utf8_lossy(&stopped.stderr));
        }
    }
}

fn run(dir: &Path, command: &[&str], names: &[&str]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services");
    Command::new(script).args(command).arg("--dir").arg(dir).args(names).output().expect("scripts/services runs")
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it does not panic")
}
