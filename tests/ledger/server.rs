//! A Redis of a test's own, for what cannot be done to one that others use: losing it, killing it, stopping it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// In the server's directory. A port could be somebody else's when the server is started again.
const SOCKET: &str = "redis.sock";

/// A server process with its data; both go with it.
pub struct RedisServer {
    child: Child,
    dir: tempfile::TempDir,
}

impl RedisServer {
    /// `None`, with a word about it, where redis-server is not installed; `make test` says that it must be.
    pub async fn start() -> Option<Self> {
        let is_there = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
        let must_be = std::env::var("RUSHMALL_TEST_SERVICES").is_ok_and(|value| value == "1");
        assert!(is_there || !must_be, "RUSHMALL_TEST_SERVICES=1, but redis-server is not installed");
        if !is_there {
            eprintln!("redis-server is not installed: this test runs without it");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let server = Self { child: Self::spawn(dir.path()), dir };
        server.wait_until_ready().await;
        Some(server)
    }

    fn spawn(dir: &Path) -> Child {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--unixsocket"]).arg(dir.join(SOCKET));
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir"]).arg(dir);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    async fn wait_until_ready(&self) {
        for _ in 0..500 {
            if let Ok(mut connection) = redis::Client::open(self.url()).unwrap().get_connection()
                && redis::cmd("PING").query::<String>(&mut connection).is_ok()
            {
                return;
            }
            actix_rt::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("redis-server at {} does not answer", self.url());
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.dir.path().join(SOCKET).display())
    }

    /// Runs a command behind the ledger's back.
    pub fn run<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        redis::cmd(command[0]).arg(&command[1..]).query(&mut connection).unwrap()
    }

    /// `kill -9`, then a new process on the same data and socket.
    pub async fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::spawn(self.dir.path());
        self.wait_until_ready().await;
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill(); // also wakes a stopped one
        let _ = self.child.wait();
    }
}
