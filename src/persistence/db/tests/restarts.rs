//! A server that is killed and started again, or stopped for a while: errors within the limits, then all is well.
//!
//! Each test starts a server of its own, of the engine under test. A SQLite file has no server: closing it and opening
//! it again is all that can happen to it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use tempfile::TempDir;

use crate::clock::monotonic;
use crate::config::DatabaseSettings;
use crate::persistence::testing::{database, named};
use crate::persistence::{Db, StoreError, rehearsal, users};

const NOW_MS: i64 = 1_795_000_000_000;

/// A server by `scripts/services`, gone when this is dropped.
struct Server {
    name: &'static str,
    dir: TempDir,
    _turn: tokio::sync::MutexGuard<'static, ()>,
}

/// Servers of these tests that are set up at once: the machine may be small.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

impl Server {
    /// Of the engine under test, used with these limits; `None` for SQLite.
    async fn start(limits: DatabaseSettings) -> Option<(Self, Db)> {
        let name = match database().await.0.backend() {
            DbBackend::Sqlite => return None,
            DbBackend::Postgres => "postgres",
            _ => "mariadb",
        };
        let dir = tempfile::Builder::new().prefix("engine").tempdir_in("/tmp").unwrap(); // postgres must reach it
        let server = Self { name, dir, _turn: TURN.lock().await };
        let printed = server.services(&["start", "--no-sync"]);
        let url = printed.lines().find_map(|line| line.split_once("_URL=")).unwrap().1.to_owned();
        let database = if name == "postgres" { "postgres" } else { "mysql" };
        let settings = DatabaseSettings { url: format!("{url}/{database}"), ..limits };
        let db = Db::connect(&settings, Path::new("")).await.unwrap();
        db.migrate().await.unwrap();
        Some((server, db))
    }

    fn services(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services"));
        script.args(arguments).arg("--dir").arg(self.dir.path()).arg(self.name);
        script
    }

    /// The server's process and its children.
    fn pids(&self) -> Vec<String> {
        let remembered = std::fs::read_to_string(self.dir.path().join(self.name).join("pid")).unwrap();
        let server = remembered.split_whitespace().next().unwrap().to_owned();
        let mut pids = vec![server.clone()];
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let path: PathBuf = process.path().join("stat");
            let stat = std::fs::read_to_string(path).unwrap_or_default();
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1).map(str::to_owned));
            if parent.as_deref() == Some(&server) {
                pids.push(process.file_name().into_string().unwrap());
            }
        }
        pids
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").arg(signal).args(self.pids()).status().unwrap().success());
    }

    /// Stops it, and waits until its last thread has stopped.
    async fn stop(&self) {
        self.signal("-STOP");
        while self.pids().iter().any(|pid| is_running(pid)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Whether a thread of that process is not stopped.
fn is_running(pid: &str) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    stats.into_iter().any(|stat| !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
}

impl Drop for Server {
    fn drop(&mut self) {
        let killed = self.command(&["kill"]).output(); // it may be dead already
        assert!(killed.is_ok() || std::thread::panicking());
    }
}

async fn read(db: &Db) -> Result<u64, StoreError> {
    rehearsal::rows_of(db, "users").await
}

async fn write(db: &Db, name: &str) -> Result<(), StoreError> {
    users::insert(db, &named(name), NOW_MS).await.map(|user| assert_eq!(user.unwrap().username, name))
}

/// Every connection of the pool has been in use.
async fn warm(db: &Db) {
    let reads = futures::future::join_all((0..16).map(|_| read(db))).await;
    assert!(reads.iter().all(Result::is_ok));
}

#[actix_rt::test]
async fn r60_a_server_that_was_killed_and_started_again_is_used_again() {
    let Some((server, db)) = Server::start(DatabaseSettings::default()).await else { return reopened().await };
    write(&db, "before").await.unwrap();
    warm(&db).await;
    server.services(&["kill"]);
    let start = monotonic();
    let failed = write(&db, "meanwhile").await.unwrap_err();
    assert!(failed.is_transient(), "{failed:?}");
    assert!(read(&db).await.unwrap_err().is_transient());
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    server.services(&["restart"]);
    // The very first read and write meet the dead connections and go through.
    assert_eq!(read(&db).await.unwrap(), 1);
    write(&db, "after").await.unwrap();
    warm(&db).await;
    assert_eq!(read(&db).await.unwrap(), 2);
}

#[actix_rt::test]
async fn a_busy_pool_survives_a_quick_restart() {
    let Some((server, db)) = Server::start(DatabaseSettings::default()).await else { return reopened().await };
    warm(&db).await;
    server.services(&["kill"]);
    server.services(&["restart"]);
    warm(&db).await;
    let writes = (0..16).map(|number| {
        let db = &db;
        async move { write(db, &format!("u{number}")).await }
    });
    assert!(futures::future::join_all(writes).await.iter().all(Result::is_ok));
}

#[actix_rt::test]
async fn a_stopped_server_hangs_nobody() {
    let transaction_timeout_ms = 8_000; // far from the wait for a connection
    let limits = DatabaseSettings { transaction_timeout_ms, acquire_timeout_ms: 60_000, ..DatabaseSettings::default() };
    let Some((server, db)) = Server::start(limits).await else { return reopened().await };
    warm(&db).await;
    server.stop().await;
    for _ in 0..2 {
        let start = monotonic();
        let (reading, writing) = futures::join!(read(&db), write(&db, "meanwhile"));
        assert!(reading.unwrap_err().is_transient());
        assert!(writing.unwrap_err().is_transient());
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }
    server.signal("-CONT");
    let start = monotonic();
    while read(&db).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(60), "the pool does not heal");
    }
    write(&db, "after").await.unwrap();
    warm(&db).await;
    // No connection came back in a transaction that nobody knows of: what is written is seen by all others.
    let single = Statement::from_string(db.backend(), "UPDATE users SET nickname = 'seen' WHERE username = 'after'");
    for _ in 0..16 {
        db.writer().execute_raw(single.clone()).await.unwrap();
    }
    let seen = Statement::from_string(db.backend(), "SELECT username FROM users WHERE nickname = 'seen'");
    let looks = futures::future::join_all((0..8).map(|_| db.reader().query_all_raw(seen.clone()))).await;
    assert!(looks.into_iter().all(|rows| rows.unwrap().len() == 1));
}

async fn reopened() {
    let (db, own) = database().await;
    write(&db, "before").await.unwrap();
    db.close().await;
    let db = own.another().await;
    assert_eq!(read(&db).await.unwrap(), 1);
    write(&db, "after").await.unwrap();
}
