//! Rows of the outbox are carried by one node at a time, and none is skipped or kept.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::join_all;
use rushmall::persistence::outbox::{self, Leg};
use rushmall::persistence::{Db, StoreError};
use sea_orm::{ConnectionTrait, Database, TransactionTrait};

use crate::cluster::{number, services, sql};
use crate::support::ground::Schema;

const ROWS: usize = 400;
const INSERT: &str = "INSERT INTO outbox (payload, created_at_ms) VALUES ('{\"events\":[]}', 1)";
const LEFT: &str = "SELECT COUNT(*) AS n FROM outbox";

async fn carried(db: &Db) -> Vec<i64> {
    let mut seen = Vec::new();
    let carrying = outbox::carry(db, Leg::Whole, 64, async |rows| {
        seen = rows.iter().map(|row| row.commit_no).collect();
        Ok(())
    });
    carrying.await.expect("carried");
    seen
}

#[tokio::test]
async fn two_relays_carry_each_row_once_though_carriers_fail() {
    let Some(services) = services() else { return eprintln!("not run: no services") };
    for server in &services.databases {
        let schema = Schema::make(server).await;
        let nodes = [schema.db().await, schema.db().await];
        for _ in 0..ROWS {
            sql(&nodes[0], INSERT).await;
        }
        let told: Mutex<BTreeMap<(bool, i64), usize>> = Mutex::default();
        let failures = Mutex::new(5_usize);
        let relay = async |db: &Db, leg: Leg| {
            let mut idle = 0;
            // the second leg waits for what the first one has told
            while idle < 3 || (leg == Leg::Second && number(db, LEFT).await > 0) {
                let outcome = outbox::carry(db, leg, 16, async |rows| {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    {
                        let mut failures = failures.lock().expect("no panic");
                        if *failures > 0 {
                            *failures -= 1;
                            return Err(StoreError::Corrupt { what: "the test's carrier".to_owned() });
                        }
                    }
                    let mut told = told.lock().expect("no panic");
                    rows.iter().for_each(|row| *told.entry((leg == Leg::First, row.commit_no)).or_default() += 1);
                    Ok(())
                });
                match outcome.await {
                    Ok(0) => {
                        idle += 1;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Ok(_) => idle = 0,
                    Err(StoreError::Corrupt { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        };
        let relays = join_all([
            relay(&nodes[0], Leg::First),
            relay(&nodes[1], Leg::First),
            relay(&nodes[0], Leg::Second),
            relay(&nodes[1], Leg::Second),
        ]);
        tokio::time::timeout(Duration::from_secs(120), relays).await.expect("they come to an end");
        let told = told.into_inner().expect("no panic");
        assert_eq!(told.len(), 2 * ROWS, "none is skipped on either leg");
        assert!(told.values().all(|times| *times == 1), "none is carried twice at the same time");
        assert_eq!(number(&nodes[0], LEFT).await, 0);
        for node in nodes {
            node.close().await;
        }
    }
}

#[tokio::test]
async fn a_lower_number_that_commits_later_is_carried_and_blocks_nobody() {
    let Some(services) = services() else { return eprintln!("not run: no services") };
    for server in &services.databases {
        let schema = Schema::make(server).await;
        let db = schema.db().await;
        let other = Database::connect(schema.settings().url).await.expect("a node of its own");
        let slow = other.begin().await.expect("a transaction");
        slow.execute_unprepared(INSERT).await.expect("inserted, not committed");
        sql(&db, INSERT).await;
        let first = carried(&db).await;
        assert_eq!(first.len(), 1, "the visible one does not wait for the other");
        // and while rows are carried others can be inserted
        let inserting = outbox::carry(&db, Leg::Whole, 64, async |_| Ok(()));
        inserting.await.expect("carried");
        slow.commit().await.expect("committed");
        let second = carried(&db).await;
        assert!(second.len() == 1 && second < first, "{second:?} was committed after {first:?}");
        sql(&db, INSERT).await;
        let held = outbox::carry(&db, Leg::Whole, 64, async |rows| {
            assert_eq!(rows.len(), 1);
            let insert = tokio::time::timeout(Duration::from_secs(6), sql(&db, INSERT)).await;
            insert.expect("a commit does not wait for a row that is being told");
            Ok(())
        });
        assert_eq!(held.await.expect("carried"), 1);
        assert_eq!(number(&db, LEFT).await, 1);
        other.close().await.expect("closed");
        db.close().await;
    }
}
