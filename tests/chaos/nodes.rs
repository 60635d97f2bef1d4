//! A node: the real binary in a process of its own, that reaches each engine, and is reached, through a fault proxy.
//!
//! Whoever wants a node up keeps it up, as a service manager would: a start that is refused because an engine is away is
//! repeated. A node that was open and ends by itself is a defect, and is remembered as one.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::sync::Mutex as Turn;

use crate::plan::Engine;
use crate::support::client::Address;
use crate::support::fault_proxy::FaultProxy;

/// Longest that a node may take to open, repeated starts included.
const OPEN_WITHIN: Duration = Duration::from_secs(60);
const START_AGAIN_AFTER: Duration = Duration::from_millis(250);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A node and the proxies around it.
pub struct Node {
    pub number: usize,
    /// Where people find it; stays the same over its lives.
    pub address: Address,
    pub door: FaultProxy,
    pub links: BTreeMap<Engine, FaultProxy>,
    /// Starts that ended before the node was open.
    pub refused_starts: AtomicU64,
    /// What it did that no fault explains.
    pub troubles: Mutex<Vec<String>>,
    environment: Vec<(String, String)>,
    process: Mutex<Option<Child>>,
    /// Held by whoever starts or ends the process; `true`: it shall be up.
    wanted: Turn<bool>,
    dir: TempDir,
}

impl Node {
    /// A node that does not run yet; `environment` gets its settings, with the links' addresses for the engines.
    pub async fn prepare(number: usize, engines: &BTreeMap<Engine, SocketAddr>) -> Self {
        let mut links = BTreeMap::new();
        for (engine, target) in engines {
            links.insert(*engine, FaultProxy::open(*target).await);
        }
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9)); // nobody listens there until the node is open
        let door = FaultProxy::open(nowhere).await;
        let address = Address::default();
        address.is_now(&format!("http://{}", door.address));
        Self {
            number,
            address,
            door,
            links,
            refused_starts: AtomicU64::new(0),
            troubles: Mutex::default(),
            environment: Vec::new(),
            process: Mutex::new(None),
            wanted: Turn::new(false),
            dir: tempfile::tempdir().expect("a directory for the node"),
        }
    }

    /// An environment variable of every later start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The proxy at a place of this node.
    pub fn link(&self, engine: Engine) -> &FaultProxy {
        &self.links[&engine]
    }

    /// Starts it and waits until it is open.
    pub async fn start(&self) {
        let mut wanted = self.wanted.lock().await;
        *wanted = true;
        self.open().await;
    }

    /// SIGKILL; it stays down until it is started.
    pub async fn kill(&self) {
        let mut wanted = self.wanted.lock().await;
        *wanted = false;
        self.end();
    }

    /// Sends a signal, if it runs.
    pub fn signal(&self, which: Signal) {
        if let Some(child) = self.process.lock().unwrap().as_ref() {
            let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
            let _ = signal::kill(pid, which); // it may have ended by itself
        }
    }

    /// Starts it again whenever it ends though it shall be up.
    pub async fn keep_up(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY * 5).await;
            let wanted = self.wanted.lock().await;
            let ended = self.process.lock().unwrap().as_mut().and_then(|child| child.try_wait().expect("it is ours"));
            if let (true, Some(status)) = (*wanted, ended) {
                let end = tail(&self.log_text(), 12);
                let trouble = format!("node {} ended by itself with {status}:\n{end}", self.number);
                self.troubles.lock().unwrap().push(trouble);
                self.open().await;
            }
        }
    }

    /// Starts until it is open; the caller has the turn.
    async fn open(&self) {
        let until = Instant::now() + OPEN_WITHIN;
        loop {
            if let Some(address) = self.try_open(until).await {
                self.door.lead_to(address);
                return;
            }
            self.refused_starts.fetch_add(1, Ordering::Relaxed);
            let log = || tail(&self.log_text(), 40);
            assert!(Instant::now() < until, "node {} did not open within {OPEN_WITHIN:?}:\n{}", self.number, log());
            tokio::time::sleep(START_AGAIN_AFTER).await;
        }
    }

    /// One start; where it listens, or `None` if it ended.
    async fn try_open(&self, until: Instant) -> Option<SocketAddr> {
        let mut child = self
            .command(&["serve", "--port", "0", "--no-demo"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(self.log())
            .spawn()
            .expect("the binary runs");
        let opened = self.copy_output(BufReader::new(child.stdout.take().expect("its output")));
        *self.process.lock().unwrap() = Some(child);
        loop {
            if let Ok(address) = opened.try_recv() {
                return Some(address);
            }
            let ended = self.process.lock().unwrap().as_mut().expect("just started").try_wait().expect("it is ours");
            if ended.is_some() || Instant::now() > until {
                self.end();
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Copies standard output to the log, and finds the address in it.
    fn copy_output(&self, output: BufReader<impl std::io::Read + Send + 'static>) -> mpsc::Receiver<SocketAddr> {
        let (sender, opened) = mpsc::sync_channel(1);
        let mut log = self.log();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let address = line.split_once("is open at http://").map(|(_, rest)| rest.trim().parse());
                if let Some(Ok(address)) = address {
                    let _ = sender.try_send(address); // only the first is waited for
                }
                let _ = writeln!(log, "{line}");
            }
        });
        opened
    }

    fn end(&self) {
        if let Some(mut child) = self.process.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A command of the shop with this node's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rushmall"));
        command.args(arguments).arg("--data-dir").arg(self.dir.path().join("data"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What all its processes have printed.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(self.log_path()).expect("the log opens")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            self.dir.disable_cleanup(true); // for looking at it
            eprintln!("node {}: {}", self.number, self.dir.path().display());
        }
    }
}

/// The last lines.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
