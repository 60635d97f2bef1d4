//! A database that belongs to one test and is gone when the test ends.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Database};
use tempfile::TempDir;

use crate::config::DatabaseSettings;
use crate::persistence::Db;

/// Names the server; see [`super`].
const SERVER: &str = "RUSHMALL_TEST_DATABASE_URL";

/// Keeps a test's database alive: the directory of the SQLite file, or the name on the server.
pub(crate) struct OwnDatabase {
    dir: TempDir,
    on_server: Option<(String, String)>,
}

impl OwnDatabase {
    /// Settings that open it once more, as another node would.
    pub(crate) fn settings(&self) -> DatabaseSettings {
        let url = self.on_server.as_ref().map_or_else(String::new, |(server, name)| format!("{server}/{name}"));
        DatabaseSettings { url, ..DatabaseSettings::default() }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Another node's view of it.
    pub(crate) async fn another(&self) -> Db {
        Db::connect(&self.settings(), self.dir.path()).await.unwrap()
    }

    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let Ok(server) = std::env::var(SERVER) else { return Self { dir, on_server: None } };
        let name = format!("test_{}", hex::encode(crate::random::bytes::<8>()));
        on_server(&server, &format!("CREATE DATABASE {name}")).await;
        Self { dir, on_server: Some((server, name)) }
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        let Some((server, name)) = self.on_server.take() else { return };
        let force = if server.starts_with("postgres") { " WITH (FORCE)" } else { "" };
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(on_server(&server, &format!("DROP DATABASE IF EXISTS {name}{force}")));
        });
        if dropping.join().is_err() && !std::thread::panicking() {
            panic!("the test's database could not be dropped");
        }
    }
}

async fn on_server(server: &str, sql: &str) {
    // PostgreSQL would look for a database that is called as the user is.
    let url = if server.starts_with("postgres") { format!("{server}/postgres") } else { server.to_owned() };
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1).acquire_timeout(Duration::from_secs(30)).sqlx_logging(false);
    let connection = Database::connect(options).await.unwrap();
    connection.execute_unprepared(sql).await.unwrap();
    connection.close().await.unwrap();
}

/// An empty database on the engine under test.
pub(crate) async fn empty_database() -> (Db, OwnDatabase) {
    let own = OwnDatabase::new().await;
    (own.another().await, own)
}

/// A migrated database on the engine under test.
pub(crate) async fn database() -> (Db, OwnDatabase) {
    database_with(|_| {}).await
}

/// The same with other settings.
pub(crate) async fn database_with(change: impl Fn(&mut DatabaseSettings)) -> (Db, OwnDatabase) {
    let own = OwnDatabase::new().await;
    let mut settings = own.settings();
    change(&mut settings);
    let db = Db::connect(&settings, own.path()).await.unwrap();
    db.migrate().await.unwrap();
    (db, own)
}
