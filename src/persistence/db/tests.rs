//! The pools, the schema's steps, and what happens when the server is away.

mod lost_commits;
mod restarts;
mod upgrades;

use sea_orm::ConnectionTrait;
use sea_orm_migration::MigratorTrait;

use super::*;
use crate::persistence::migrations::Migrator;
use crate::persistence::testing::database;

#[actix_rt::test]
async fn migrating_twice_changes_nothing() {
    let (db, _own) = database().await;
    db.migrate().await.unwrap();
    let rows = db.reader().query_all_raw(sea_orm::Statement::from_string(db.backend(), "SELECT * FROM outbox")).await;
    assert!(rows.unwrap().is_empty());
    db.close().await;
}

#[actix_rt::test]
async fn a_failed_transaction_leaves_nothing() {
    let (db, _own) = database().await;
    let outcome: Result<(), StoreError> = db
        .write("testing", async |tx| {
            tx.execute_unprepared("INSERT INTO outbox (payload, created_at_ms) VALUES ('x', 1)")
                .await
                .map_err(StoreError::during("testing"))?;
            Err(StoreError::Corrupt { what: "the test".to_owned() })
        })
        .await;
    assert!(outcome.is_err());
    let rows = db.reader().query_all_raw(sea_orm::Statement::from_string(db.backend(), "SELECT * FROM outbox")).await;
    assert!(rows.unwrap().is_empty());
}

#[actix_rt::test]
async fn r61_what_is_committed_after_a_transaction_that_the_database_ended_is_there() {
    let (db, _own) = database().await;
    let insert = "INSERT INTO outbox (payload, created_at_ms) VALUES ('x', 1)";
    let failing = async |statement: &str| {
        let outcome: Result<(), StoreError> = db
            .write("testing", async |tx| {
                for sql in [insert, statement] {
                    tx.execute_unprepared(sql).await.map_err(StoreError::during("testing"))?;
                }
                Err(StoreError::Corrupt { what: "the test".to_owned() })
            })
            .await;
        outcome.unwrap_err();
    };
    failing("ROLLBACK").await; // as SQLite does when it cannot write: nobody tells the driver
    failing(insert).await;
    let kept: Result<_, StoreError> = db
        .write("testing", async |tx| tx.execute_unprepared(insert).await.map_err(StoreError::during("testing")))
        .await;
    kept.unwrap();
    let rows = db.reader().query_all_raw(sea_orm::Statement::from_string(db.backend(), "SELECT * FROM outbox")).await;
    assert_eq!(rows.unwrap().len(), 1, "the one that was committed, and it alone");
}

#[actix_rt::test]
async fn nodes_that_start_at_once_migrate_once() {
    let (_, own) = database().await;
    for table in ["outbox", "orders", "seaql_migrations"] {
        let drop = format!("DROP TABLE {table}");
        own.another().await.writer().execute_unprepared(&drop).await.unwrap();
    }
    let nodes = [own.another().await, own.another().await, own.another().await];
    let migrating = nodes.iter().map(|node| async { node.migrate().await });
    if own.settings().url.is_empty() {
        // A file belongs to one node, which migrates it again after a crash that left half of a step.
        for node in &nodes {
            node.migrate().await.unwrap();
        }
    } else {
        futures::future::join_all(migrating).await.into_iter().for_each(|outcome| outcome.unwrap());
    }
    let steps = sea_orm::Statement::from_string(nodes[0].backend(), "SELECT version FROM seaql_migrations");
    assert_eq!(nodes[0].reader().query_all_raw(steps).await.unwrap().len(), Migrator::migrations().len());
}

#[actix_rt::test]
async fn a_database_that_is_not_there_is_refused_at_once_and_named() {
    let (db, own) = database().await;
    let patient = DatabaseSettings { acquire_timeout_ms: 60_000, ..own.settings() };
    let settings = match db.backend() {
        DbBackend::Sqlite => DatabaseSettings { url: "sqlite:///no/such/dir/x.db".to_owned(), ..patient },
        _ => {
            let url = own.settings().url;
            let (scheme, user) = url.split_once('@').unwrap().0.split_once("://").unwrap();
            // A port of the machine on which nobody listens.
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            DatabaseSettings { url: format!("{scheme}://{user}:secret@{free}/shop"), ..patient }
        }
    };
    let start = crate::clock::monotonic();
    let refused = Db::connect(&settings, own.path()).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(30));
    let told = format!("{refused}: {:?}", std::error::Error::source(&refused));
    assert!(told.starts_with("cannot open the database at") && !told.contains("secret"), "{told}");
    if db.backend() != DbBackend::Sqlite {
        assert!(told.contains("ConnectionRefused"), "{told}");
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap(); // takes connections and says nothing
        let place = settings.url.split_once('@').unwrap().1;
        let url = settings.url.replace(place, &format!("{}/shop", silent.local_addr().unwrap()));
        let settings = DatabaseSettings { url, acquire_timeout_ms: 300, ..settings };
        let start = crate::clock::monotonic();
        let refused = Db::connect(&settings, own.path()).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(10));
        let told = format!("{:?}", std::error::Error::source(&refused));
        assert!(told.contains("no answer in 300 ms"), "{told}");
    }
}

#[actix_rt::test]
async fn a_replica_that_is_away_is_replaced_by_the_primary() {
    let (_, own) = database().await;
    let mut settings = own.settings();
    if !settings.url.is_empty() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (before, after) = settings.url.split_once('@').unwrap();
        settings.read_url = format!("{before}@{free}/{}", after.split_once('/').unwrap().1);
    }
    // a replica is waited for a fifth of that
    (settings.acquire_timeout_ms, settings.read_timeout_ms) = (15_000, 20_000);
    let db = Db::connect(&settings, own.path()).await.unwrap();
    let rows = sea_orm::Statement::from_string(db.backend(), "SELECT * FROM outbox");
    for _ in 0..2 {
        assert!(db.replica().query_all_raw(rows.clone()).await.unwrap().is_empty());
    }
    let start = crate::clock::monotonic();
    assert!(db.replica().query_all_raw(rows).await.unwrap().is_empty());
    assert!(start.elapsed() < Duration::from_secs(2), "the replica is left alone for a while");
}
