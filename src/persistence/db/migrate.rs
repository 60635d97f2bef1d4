//! Migrating while other nodes may be doing the same: on a server one of them at a time, under an advisory lock that
//! belongs to the connection, so that a node that dies gives it back.
//!
//! In a rolling upgrade a node of the release before may be started again when the schema is of the next one already.
//! Steps only ever add what older statements need not name, so it works on that schema as it is.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, TransactionTrait};
use sea_orm_migration::{IntoSchemaManagerConnection, MigratorTrait};

use crate::persistence::error::StoreError;
use crate::persistence::migrations::Migrator;

/// Longest wait for another node that is migrating.
const LOCK_WAIT: Duration = Duration::from_secs(60);
/// Longest time for all steps, the wait included.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(300);
/// PostgreSQL's name for the lock: "rushmall" in ASCII.
const POSTGRES_LOCK: i64 = 0x7275_7368_6d61_6c6c;
const OPERATION: &str = "migrating the schema";

/// A file has one writer.
pub(super) async fn file(pool: &DatabaseConnection) -> Result<(), StoreError> {
    up(pool).await.map_err(StoreError::during(OPERATION))
}

/// Takes the steps that are missing; none on a schema that has all of this release and some of a later one.
async fn up<'c, C>(conn: &'c C) -> Result<(), DbErr>
where
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    Migrator::install(conn).await?;
    let own: Vec<String> = Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
    let taken = Migrator::get_migration_models(conn).await?;
    let later = taken.iter().filter(|step| !own.contains(&step.version)).count();
    if later > 0 && own.iter().all(|name| taken.iter().any(|step| step.version == *name)) {
        tracing::info!(later, "the schema is of a later release, used as it is");
        return Ok(());
    }
    Migrator::up(conn, None).await
}

/// `own` has one connection, and is closed at the end: with it the lock goes, whatever happened.
pub(super) async fn server(own: DatabaseConnection) -> Result<(), StoreError> {
    let timeout_ms = u64::try_from(MIGRATION_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
    let outcome = tokio::time::timeout(MIGRATION_TIMEOUT, under_lock(&own)).await;
    if let Err(error) = own.close().await {
        tracing::warn!(%error, "the migrating connection did not close cleanly");
    }
    match outcome {
        Ok(outcome) => outcome.map_err(StoreError::during(OPERATION)),
        Err(_) => Err(StoreError::TimedOut { operation: OPERATION, timeout_ms }),
    }
}

/// In one transaction, which keeps all statements on the connection that has the lock (and on PostgreSQL makes all
/// steps one).
async fn under_lock(own: &DatabaseConnection) -> Result<(), DbErr> {
    let tx = own.begin().await?;
    match tx.get_database_backend() {
        DbBackend::Postgres => {
            tx.execute_unprepared(&format!("SET LOCAL lock_timeout = {}", LOCK_WAIT.as_millis())).await?;
            tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({POSTGRES_LOCK})")).await?;
        }
        backend => {
            // Named after the database: others on the same server may migrate meanwhile.
            let sql = format!("SELECT GET_LOCK(CONCAT('rushmall.', MD5(DATABASE())), {}) AS got", LOCK_WAIT.as_secs());
            let row = tx.query_one_raw(Statement::from_string(backend, sql)).await?;
            let got: Option<i64> = row.map_or(Ok(None), |row| row.try_get("", "got"))?;
            if got != Some(1) {
                return Err(DbErr::Custom(format!("another node has been migrating for {} s", LOCK_WAIT.as_secs())));
            }
        }
    }
    up(&tx).await?;
    tx.commit().await
}
