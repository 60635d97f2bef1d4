//! The processes of a run, all private and on loopback: Redis, RabbitMQ, MariaDB, the shop and the bare server. They
//! end with the rig.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rushmall::clock::monotonic;
use rushmall::random;
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use tempfile::TempDir;

const READY_WITHIN: Duration = Duration::from_secs(60);
const SHOP: &str = env!("CARGO_BIN_EXE_rushmall");
const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// Everything that runs.
pub struct Rig {
    /// Of the shop.
    pub port: u16,
    /// Of the bare server.
    pub b0_port: u16,
    /// Of the Redis.
    pub redis_url: String,
    /// Of the administrator `admin`.
    pub admin_password: String,
    /// The shop's own database.
    pub db: DatabaseConnection,
    shop: Owned,
    b0: Owned,
    environment: BTreeMap<String, String>,
    services: Services,
    dir: TempDir,
}

/// A child that does not outlive us.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill(); // gone already is as good
        let _ = self.0.wait();
    }
}

struct Services {
    dir: PathBuf,
    urls: BTreeMap<String, String>,
}

impl Services {
    fn start(dir: &Path) -> anyhow::Result<Self> {
        let mut command = script();
        let output = command.args(["start", "--dir"]).arg(dir).args(["redis", "rabbitmq", "mariadb"]).output()?;
        let services = Self { dir: dir.to_owned(), urls: lines(&String::from_utf8_lossy(&output.stdout)) };
        ensure!(output.status.success(), "services: {}", String::from_utf8_lossy(&output.stderr));
        Ok(services)
    }

    fn url(&self, name: &str) -> anyhow::Result<&str> {
        self.urls.get(name).map(String::as_str).with_context(|| format!("no {name}"))
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        let _ = script().args(["stop", "--remove", "--dir"]).arg(&self.dir).output();
    }
}

fn script() -> Command {
    Command::new(Path::new(REPOSITORY).join("scripts/services"))
}

fn lines(text: &str) -> BTreeMap<String, String> {
    text.lines().filter_map(|line| line.split_once('=')).map(|(name, url)| (name.to_owned(), url.to_owned())).collect()
}

impl Rig {
    /// Starts everything and waits until it answers.
    pub async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("rushmall-bench").tempdir()?;
        let services = Services::start(&dir.path().join("services"))?;
        let redis_url = services.url("RUSHMALL_TEST_REDIS_URL")?.to_owned();
        let mysql_url = services.url("RUSHMALL_TEST_MYSQL_URL")?.to_owned();
        let server = Database::connect(format!("{mysql_url}/mysql")).await?;
        server.execute_unprepared("CREATE DATABASE rushmall CHARACTER SET utf8mb4").await?;
        let (secret, admin_password) = (random::token(), random::token());
        let (port, b0_port) = (free_port()?, free_port()?);
        let environment = environment(&services, &secret, port)?;
        prepare(&environment, dir.path(), &admin_password)?;
        let shop = serve(&environment, dir.path())?;
        let b0 = Command::new(std::env::current_exe()?).args(["b0", &b0_port.to_string(), &secret]).spawn()?;
        let db = Database::connect(format!("{mysql_url}/rushmall")).await?;
        let (shop, b0) = (Owned(shop), Owned(b0));
        let rig = Self { port, b0_port, redis_url, admin_password, db, shop, b0, environment, services, dir };
        rig.until_ready().await?;
        Ok(rig)
    }

    /// Where the shop is.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The processes by name; the clients are this process.
    pub fn pids(&self) -> anyhow::Result<Vec<(&'static str, u32)>> {
        let service = |name: &str| -> anyhow::Result<u32> {
            let text = std::fs::read_to_string(self.services.dir.join(name).join("pid"))?;
            Ok(text.split_whitespace().next().context("no pid")?.parse()?)
        };
        Ok(vec![
            ("shop", self.shop.0.id()),
            ("redis", service("redis")?),
            ("rabbitmq", service("rabbitmq")?),
            ("mariadb", service("mariadb")?),
            ("clients", std::process::id()),
        ])
    }

    /// The shop.
    pub fn shop_pid(&self) -> u32 {
        self.shop.0.id()
    }

    /// The bare server.
    pub fn b0_pid(&self) -> u32 {
        self.b0.0.id()
    }

    /// SIGKILL, and a new process at once.
    pub fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.shop.0.kill()?;
        self.shop.0.wait()?;
        self.shop = Owned(serve(&self.environment, self.dir.path())?);
        Ok(())
    }

    async fn until_ready(&self) -> anyhow::Result<()> {
        let (ready, until) = (format!("{}/ready", self.base()), monotonic() + READY_WITHIN);
        while !reqwest::get(&ready).await.is_ok_and(|answer| answer.status().is_success()) {
            let log = || std::fs::read_to_string(self.dir.path().join("shop.log")).unwrap_or_default();
            ensure!(monotonic() < until, "the shop does not become ready:\n{}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The settings of the shop: those of conf/default.toml but for what a few buyers who click for many would run into.
fn environment(services: &Services, secret: &str, port: u16) -> anyhow::Result<BTreeMap<String, String>> {
    let mysql = format!("{}/rushmall", services.url("RUSHMALL_TEST_MYSQL_URL")?);
    let pairs = [
        ("DATABASE__URL", mysql.as_str()),
        ("REDIS__URL", services.url("RUSHMALL_TEST_REDIS_URL")?),
        ("AMQP__URL", services.url("RUSHMALL_TEST_AMQP_URL")?),
        ("AUTH__JWT_SECRET", secret),
        ("AUTH__ACCESS_TOKEN_S", "86400"),
        ("LIMITS__SECKILL_PER_SECOND", "1000000"),
        ("LIMITS__SECKILL_BURST", "1000000"),
        ("ACTORS__IDLE_AFTER_MS", "3600000"),
        ("HTTP__PORT", &port.to_string()),
    ];
    Ok(pairs.map(|(name, value)| (format!("RUSHMALL__{name}"), value.to_owned())).into())
}

fn shop(environment: &BTreeMap<String, String>, dir: &Path, arguments: &[&str]) -> anyhow::Result<Command> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("shop.log"))?;
    let mut command = Command::new(SHOP);
    command.args(arguments).arg("--data-dir").arg(dir.join("data")).envs(environment);
    command.stdout(log.try_clone()?).stderr(log);
    Ok(command)
}

fn prepare(environment: &BTreeMap<String, String>, dir: &Path, admin_password: &str) -> anyhow::Result<()> {
    let log = || std::fs::read_to_string(dir.join("shop.log")).unwrap_or_default();
    ensure!(shop(environment, dir, &["migrate"])?.status()?.success(), "migrate failed:\n{}", log());
    let create = ["admin", "create", "--username", "admin", "--password-stdin"];
    let mut child = shop(environment, dir, &create)?.stdin(Stdio::piped()).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(format!("{admin_password}\n").as_bytes())?;
    ensure!(child.wait()?.success(), "admin create failed:\n{}", log());
    Ok(())
}

fn serve(environment: &BTreeMap<String, String>, dir: &Path) -> anyhow::Result<Child> {
    Ok(shop(environment, dir, &["serve", "--no-demo"])?.spawn()?)
}
