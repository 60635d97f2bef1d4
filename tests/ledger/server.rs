//! A Redis of a test's own, for what cannot be done to one that others use: losing it, killing it, stopping it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A server process with its data; both go with it.
pub struct RedisServer {
    child: Child,
    port: u16,
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
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { child: Self::spawn(port, dir.path()), port, dir };
        server.wait_until_ready().await;
        Some(server)
    }

    fn spawn(port: u16, dir: &std::path::Path) -> Child {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
        command.args(["--appendfsync", "always", "--dir"]).arg(dir);
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
        panic!("redis-server on port {} does not answer", self.port);
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Runs a command behind the ledger's back.
    pub fn run<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        redis::cmd(command[0]).arg(&command[1..]).query(&mut connection).unwrap()
    }

    /// `kill -9`, then a new process on the same data and port.
    pub async fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::spawn(self.port, self.dir.path());
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
