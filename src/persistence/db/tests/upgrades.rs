//! R63: nodes of the release before work on the schema of the next one.

use std::collections::BTreeMap;

use sea_orm_migration::MigratorTrait;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::persistence::Db;
use crate::persistence::migrations::Migrator;
use crate::persistence::testing::{database, empty_database};

/// The steps of the first release.
const FIRST_RELEASE: u32 = 4;

/// What a statement must know of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    kind: String,
    is_nullable: bool,
    has_default: bool,
}

/// Table and column, and its shape.
type Columns = BTreeMap<(String, String), Shape>;

async fn columns(db: &Db) -> Columns {
    let sql = match db.backend() {
        DbBackend::Sqlite => {
            "SELECT tables.name AS t, columns.name AS c, columns.type AS k, columns.\"notnull\" = 0 AS n, \
             columns.dflt_value IS NOT NULL AS d FROM sqlite_master tables JOIN pragma_table_info(tables.name) columns \
             WHERE tables.type = 'table'"
        }
        DbBackend::MySql => {
            "SELECT CAST(table_name AS CHAR) AS t, CAST(column_name AS CHAR) AS c, CAST(column_type AS CHAR) AS k, \
             is_nullable = 'YES' AS n, column_default IS NOT NULL AS d FROM information_schema.columns \
             WHERE table_schema = DATABASE()"
        }
        _ => {
            "SELECT table_name::text AS t, column_name::text AS c, \
             data_type || COALESCE(character_maximum_length::text, '') AS k, \
             (is_nullable = 'YES')::int AS n, (column_default IS NOT NULL)::int AS d \
             FROM information_schema.columns WHERE table_schema = 'public'"
        }
    };
    let rows = db.reader().query_all_raw(Statement::from_string(db.backend(), sql)).await.unwrap();
    let text = |row: &sea_orm::QueryResult, name: &str| row.try_get::<String>("", name).unwrap();
    let is_so = |row: &sea_orm::QueryResult, name: &str| row.try_get::<i32>("", name).unwrap() != 0;
    let shape = |row| Shape { kind: text(row, "k"), is_nullable: is_so(row, "n"), has_default: is_so(row, "d") };
    rows.iter().map(|row| ((text(row, "t"), text(row, "c")), shape(row))).collect()
}

async fn unique_indexes(db: &Db) -> i64 {
    let sql = match db.backend() {
        DbBackend::Sqlite => {
            "SELECT COUNT(*) AS n FROM sqlite_master tables JOIN pragma_index_list(tables.name) indexes \
             WHERE tables.type = 'table' AND indexes.\"unique\" = 1"
        }
        DbBackend::MySql => {
            "SELECT COUNT(*) AS n FROM information_schema.statistics WHERE table_schema = DATABASE() AND non_unique = 0"
        }
        _ => "SELECT COUNT(*) AS n FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE 'CREATE UNIQUE%'",
    };
    let row = db.reader().query_one_raw(Statement::from_string(db.backend(), sql)).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

#[tokio::test]
async fn r63_steps_after_the_first_release_only_add() {
    let (db, _own) = empty_database().await;
    let pool = db.writer().pool();
    Migrator::up(pool, Some(FIRST_RELEASE)).await.unwrap();
    for step in Migrator::migrations().iter().skip(FIRST_RELEASE as usize) {
        let (name, before, unique) = (step.name(), columns(&db).await, unique_indexes(&db).await);
        assert!(before.len() > 50, "the schema is read: {before:?}");
        Migrator::up(pool, Some(1)).await.unwrap();
        let after = columns(&db).await;
        for (column, shape) in &before {
            assert_eq!(after.get(column), Some(shape), "{name} changes {column:?}");
        }
        for ((table, column), shape) in after.iter().filter(|(added, _)| !before.contains_key(*added)) {
            let is_old_table = before.keys().any(|(known, _)| known == table);
            let may_be_left_out = shape.is_nullable || shape.has_default;
            assert!(!is_old_table || may_be_left_out, "{name}: older nodes do not know {table}.{column}: {shape:?}");
        }
        if !after.keys().any(|(table, _)| before.keys().all(|(known, _)| known != table)) {
            assert_eq!(unique_indexes(&db).await, unique, "{name}: older nodes do not know that rows are unique");
        }
    }
}

#[tokio::test]
async fn r63_rows_as_the_first_release_wrote_them_fit_the_schema() {
    let (db, _own) = database().await;
    for insert in [
        "INSERT INTO effects (order_no, seq, part, kind, payload, due_at_ms, attempts, lease_until_ms, last_error) \
         VALUES ('01HF7YAT00000000000000000A', 2, 0, 'release_stock', '{\"kind\":\"release_stock\"}', 1, 0, 0, '')",
        "INSERT INTO idempotency_keys (user_id, idempotency_key, fingerprint, order_nos, http_status, answer, \
         lease_until_ms, created_at_ms) VALUES (1, 'k', 'f', '', 0, '', 0, 1)",
        "INSERT INTO outbox (payload, created_at_ms) VALUES ('{\"events\":[]}', 1)",
    ] {
        db.writer().execute_unprepared(insert).await.unwrap();
    }
}

#[tokio::test]
async fn r63_a_schema_of_a_later_release_is_used_as_it_is_and_a_mixed_one_is_refused() {
    let (db, _own) = database().await;
    let later = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 1)";
    db.writer().execute_unprepared(later).await.unwrap();
    db.migrate().await.unwrap();
    let known = Migrator::migrations().last().unwrap().name().to_owned();
    let lost = format!("DELETE FROM seaql_migrations WHERE version = '{known}'");
    db.writer().execute_unprepared(&lost).await.unwrap();
    let refused = db.migrate().await.unwrap_err();
    assert!(format!("{refused:?}").contains("m9999_later"), "{refused:?}");
}
