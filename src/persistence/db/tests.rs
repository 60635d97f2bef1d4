use sea_orm::ConnectionTrait;

use super::*;
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
