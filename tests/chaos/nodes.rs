//! A node: the real binary in a process of its own, that reaches each engine, and is reached, through a fault proxy.
//!
//! Whoever wants a node up keeps it up, as a service manager would: a start that is refused because an engine is away is
//! repeated. A node that was open and ends by itself is a defect, and is remembered as one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::sync::Mutex as Turn;

use crate::plan::Engine;
use crate::support::binary::Binary;
use crate::support::client::Address;
use crate::support::fault_proxy::FaultProxy;

/// Longest that a node may take to open, repeated starts included.
const OPEN_WITHIN: Duration = Duration::from_secs(180);
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
    /// How it is started.
    pub binary: Binary,
    process: Mutex<Option<Child>>,
    /// Held by whoever starts or ends the process; `true`: it shall be up.
    wanted: Turn<bool>,
    dir: TempDir,
    /// Its directory stays for looking at it.
    is_kept: AtomicBool,
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
        let dir = tempfile::tempdir().expect("a directory for the node");
        Self {
            number,
            address,
            door,
            links,
            refused_starts: AtomicU64::new(0),
            troubles: Mutex::default(),
            binary: Binary::on(dir.path().join("data"), dir.path().join("log")),
            process: Mutex::new(None),
            wanted: Turn::new(false),
            dir,
            is_kept: AtomicBool::new(false),
        }
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
                let end = self.binary.log_tail(12);
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
            let log = || self.binary.log_tail(40);
            assert!(Instant::now() < until, "node {} did not open within {OPEN_WITHIN:?}:\n{}", self.number, log());
            tokio::time::sleep(START_AGAIN_AFTER).await;
        }
    }

    /// One start; where it listens, or `None` if it ended.
    async fn try_open(&self, until: Instant) -> Option<SocketAddr> {
        let (child, opened) = self.binary.serve();
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

    fn end(&self) {
        if let Some(mut child) = self.process.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Leaves its directory for looking at it; where it is.
    pub fn keep(&self) -> &Path {
        self.is_kept.store(true, Ordering::Relaxed);
        self.dir.path()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
        let is_kept = self.is_kept.load(Ordering::Relaxed);
        self.dir.disable_cleanup(is_kept || std::thread::panicking());
    }
}
