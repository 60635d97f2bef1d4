//! A shop in a process of its own: the real binary, killed and started again on the same data.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use rushmall::config::{Settings, Setup};
use tempfile::TempDir;

use super::binary::Binary;
use super::books::Books;
use super::client::{Address, Person};
use super::ground::{Ground, aside};
use super::sandbox_process::SandboxProcess;

const READY_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const LOG_LINES_SHOWN: usize = 120;
const ADMIN: &str = "boss";
const ADMIN_PASSWORD: &str = "boss-of-the-shop";

/// A shop's data, and the process that serves it at the moment.
pub struct ShopProcess {
    pub address: Address,
    binary: Binary,
    child: Option<Child>,
    dir: TempDir,
    /// The last to go.
    ground: Arc<Ground>,
}

impl ShopProcess {
    /// Data for a shop that was never opened: schema and administrator are there, nothing runs yet.
    pub fn prepare() -> Self {
        Self::prepare_on(aside(async || Ground::chosen().await))
    }

    /// The same on chosen ground.
    pub fn prepare_on(ground: Ground) -> Self {
        let shop = Self::node(Arc::new(ground));
        let mut made = shop
            .binary
            .command(&["admin", "create", "--username", ADMIN, "--password-stdin"])
            .stdin(Stdio::piped())
            .stdout(shop.binary.log())
            .stderr(shop.binary.log())
            .spawn()
            .expect("the binary runs");
        writeln!(made.stdin.take().expect("its input"), "{ADMIN_PASSWORD}").expect("the password is written");
        assert!(made.wait().expect("it ends").success(), "administrator not made:\n{}", shop.log_text());
        shop
    }

    /// Another node of the same shop, which does not run yet.
    pub fn beside(&self, slot: u8) -> Self {
        let mut node = Self::node(Arc::clone(&self.ground));
        node.set("RUSHMALL__NODE__SLOT", &slot.to_string());
        node.set("RUSHMALL__NODE__NAME", &format!("node-{slot}"));
        node
    }

    fn node(ground: Arc<Ground>) -> Self {
        let dir = tempfile::tempdir().expect("a directory for the shop");
        let binary = Binary::on(dir.path().to_owned(), dir.path().join("test.log"));
        let mut shop = Self { address: Address::default(), binary, child: None, dir, ground };
        for (name, value) in shop.ground.environment() {
            shop.set(name, &value);
        }
        for (name, value) in [
            ("RUSHMALL__HTTP__WORKERS", "2"),
            ("RUSHMALL__ACTORS__ARBITERS", "2"),
            ("RUSHMALL__DATABASE__SYNCHRONOUS", "normal"),
            ("RUSHMALL__AUTH__ACCESS_TOKEN_S", "86400"),
            ("RUSHMALL__LIMITS__SECKILL_PER_SECOND", "1000"),
            ("RUSHMALL__LIMITS__SECKILL_BURST", "1000"),
            ("RUSHMALL__LIMITS__SIGN_INS_PER_MINUTE", "1000"),
            ("RUSHMALL__LIMITS__QUEUE_WAIT_MAX_MS", "10000"),
            ("RUSHMALL__ORDERS__SWEEP_INTERVAL_MS", "50"),
            ("RUSHMALL__ORDERS__TICKET_ORPHAN_AFTER_MS", "300"),
            ("RUSHMALL__ORDERS__PREPARED_EXPIRES_MS", "15000"),
        ] {
            shop.set(name, value);
        }
        shop
    }

    /// A new shop that answers.
    pub async fn open() -> Self {
        let mut shop = Self::prepare();
        shop.start().await;
        shop
    }

    /// A merchant of that sandbox, which reaches it at one port however often it is started.
    pub fn is_merchant_of(&mut self, sandbox: &SandboxProcess) {
        let port = free_port();
        self.binary.listen_at(port);
        for (name, value) in sandbox.account(&format!("http://127.0.0.1:{port}")) {
            self.set(&name, &value);
        }
    }

    /// An environment variable of every later start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.binary.set(name, value);
    }

    /// No such variable at every later start.
    pub fn unset(&mut self, name: &str) {
        self.binary.unset(name);
    }

    /// What the next process does at failpoints, e.g. `ledger.reserve.after=kill@1`; empty: nothing.
    pub fn arm(&mut self, spec: &str) {
        self.set("RUSHMALL_FAILPOINTS", spec);
    }

    /// Its process can be told that its files are full, see [`Self::fill_files`].
    pub fn survive_full_files(&mut self) {
        self.binary.survive_full_files();
    }

    /// No line that a later process logs can be written.
    pub fn fill_log(&mut self) {
        self.binary.fill_log();
    }

    /// No file of the running process may be longer than so many bytes, as on a disk that is full; `None`: as long as
    /// there is room.
    pub fn fill_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let pid = self.child.as_ref().expect("a process runs").id().to_string();
        let limited = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={limit}:")]).status();
        assert!(limited.expect("prlimit is there").success(), "the limit is set");
    }

    /// Where its data lies.
    pub fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// First part of its keys in Redis; empty without one.
    pub fn redis_prefix(&self) -> String {
        let variables = self.ground.environment();
        let prefix = variables.into_iter().find(|(name, _)| *name == "RUSHMALL__REDIS__PREFIX");
        prefix.map(|(_, prefix)| prefix).unwrap_or_default()
    }

    /// Its books, beside it.
    pub async fn books(&self) -> Books {
        let mut settings = Settings::default();
        self.ground.under(&mut settings);
        Books::open(&Setup { settings, data_dir: self.data_dir().to_owned() }).await
    }

    /// Starts a process and waits until it answers; fails the test if it does not.
    pub async fn start(&mut self) {
        assert!(self.try_start().await, "the shop did not open:\n{}", self.log_text());
    }

    /// The same; false if the process ended before it answered.
    pub async fn try_start(&mut self) -> bool {
        assert!(self.child.is_none(), "one process at a time");
        let (child, opened) = self.binary.serve();
        self.child = Some(child);
        let (until, mut is_open) = (Instant::now() + READY_WITHIN, false);
        while Instant::now() < until {
            if let Ok(address) = opened.try_recv() {
                self.address.is_now(&format!("http://{address}"));
                is_open = true;
            }
            if is_open && Person::visitor(&self.address).get("/ready").await.status == 200 {
                return true;
            }
            if self.has_ended() {
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("the shop neither opened nor ended:\n{}", self.log_text());
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait();
    }

    /// Sends a signal.
    pub fn signal(&self, which: Signal) {
        let child = self.child.as_ref().expect("a process runs");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        let _ = signal::kill(pid, which); // it may have ended by itself
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.take().expect("a process runs").wait().expect("the process is ours")
    }

    /// Waits for the end, at most so long; `None` if it still runs then.
    pub async fn wait_for_end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.as_mut().expect("a process runs").try_wait().expect("it is ours") {
                self.child = None;
                return Some(status);
            }
            if Instant::now() > until {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// True if no process was started, or its end was seen.
    pub fn is_down(&self) -> bool {
        self.child.is_none()
    }

    /// True if no process runs any more.
    pub fn has_ended(&mut self) -> bool {
        match self.child.as_mut().map(|child| child.try_wait().expect("it is ours")) {
            Some(None) => false,
            Some(Some(_)) => {
                self.child = None;
                true
            }
            None => true,
        }
    }

    /// Kills it and starts it again on the same data.
    pub async fn kill_and_restart(&mut self) {
        self.kill();
        self.start().await;
    }

    /// Somebody who is not signed in.
    pub fn visitor(&self) -> Person {
        Person::visitor(&self.address)
    }

    /// The administrator, signed in.
    pub async fn admin(&self) -> Person {
        self.visitor().log_in(ADMIN, ADMIN_PASSWORD).await
    }

    /// A new buyer.
    pub async fn register(&self, username: &str) -> Person {
        self.visitor().register(username).await
    }

    /// The same person at this node.
    pub fn meets(&self, who: &Person) -> Person {
        self.visitor().signed_in(who.user_id, &who.username, &who.token)
    }

    /// A command of the shop on its data, with its settings.
    pub fn command(&self, arguments: &[&str]) -> std::process::Command {
        self.binary.command(arguments)
    }

    /// `rushmall check` on its data.
    pub fn check(&self) -> Output {
        self.binary.command(&["check"]).output().expect("the binary runs")
    }

    /// `rushmall` with these arguments on its data, beside it.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.binary.command(arguments).output().expect("the binary runs")
    }

    /// The same, beside the test as well.
    pub fn begin_run(&self, arguments: &[&str]) -> Child {
        let mut command = self.binary.command(arguments);
        command.stdout(self.binary.log()).stderr(self.binary.log()).spawn().expect("the binary runs")
    }

    /// At rest, nothing is unfinished, `rushmall check` finds nothing, and the books add up.
    pub async fn assert_clean(&self) {
        let books = self.books().await;
        let left = books.at_rest().await;
        assert_eq!(left, super::books::Unfinished::default(), "work that nobody does:\n{}", self.log_text());
        books.assert_conserved().await;
        books.close().await;
        let checked = self.check();
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "rushmall check: {said}{}", String::from_utf8_lossy(&checked.stderr));
    }

    /// What all its processes have printed.
    pub fn log_text(&self) -> String {
        self.binary.log_text()
    }
}

impl Drop for ShopProcess {
    fn drop(&mut self) {
        if let Some(child) = self.child.as_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            self.dir.disable_cleanup(true); // for looking at it
            eprintln!("data directory: {}", self.dir.path().display());
            let log = self.binary.log_tail(LOG_LINES_SHOWN);
            eprintln!("---- log of the shop ----\n{log}\n---- end of the log ----");
        }
    }
}

/// A port for a server that is started again and again: below those that the system gives to connections, so that nobody takes it
/// while the server is dead.
pub fn free_port() -> u16 {
    loop {
        let port = 20_000 + u16::try_from(rushmall::random::below(12_000)).expect("a small number");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// True if SIGKILL ended it.
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::SIGKILL as i32)
}
