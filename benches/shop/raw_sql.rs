//! The ceiling of the database: the very rows that the shop wrote for its orders, inserted once more into copies of its
//! tables, many rows a statement, without the shop.

use anyhow::{Context as _, ensure};
use rushmall::clock::monotonic;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement, TransactionTrait as _};

use super::stage::Sale;

/// Orders in one transaction, as the shop's batches at most.
const BATCH: usize = 256;
const ORDERS_MAX: usize = 100 * BATCH;
/// One row or more an order, by its number.
const TABLES: [&str; 3] = ["orders", "order_items", "order_events"];

/// Orders a second, on one connection as the shop's writer does.
pub async fn insert_again(db: &DatabaseConnection, sale: Sale) -> anyhow::Result<f64> {
    let backend = db.get_database_backend();
    let numbers =
        format!("SELECT order_no FROM orders WHERE product_id = {} ORDER BY order_no LIMIT {ORDERS_MAX}", sale.product);
    let rows = db.query_all_raw(Statement::from_string(backend, numbers)).await?;
    let numbers: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
    ensure!(!numbers.is_empty(), "no orders to write again");
    let mut batches: Vec<Vec<String>> = Vec::new();
    for table in TABLES {
        let columns = columns(db, table).await?;
        for sql in [format!("DROP TABLE IF EXISTS raw_{table}"), format!("CREATE TABLE raw_{table} LIKE {table}")] {
            db.execute_unprepared(&sql).await?;
        }
        for (place, chunk) in numbers.chunks(BATCH).enumerate() {
            let (first, last) = (chunk.first().context("empty")?, chunk.last().context("empty")?);
            // The values as literals, made by the server itself. Numbers rise with time and sales take turns, so that
            // no other sale's orders lie between these.
            let sql = format!(
                "SELECT CONCAT('(', CONCAT_WS(',', {columns}), ')') FROM {table} \
                 WHERE order_no BETWEEN '{first}' AND '{last}'"
            );
            let rows = db.query_all_raw(Statement::from_string(backend, sql)).await?;
            let values: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
            if batches.len() <= place {
                batches.push(Vec::new());
            }
            if !values.is_empty() {
                batches[place].push(format!("INSERT INTO raw_{table} VALUES {}", values.join(",")));
            }
        }
    }
    db.execute_unprepared("DROP TABLE IF EXISTS raw_stock").await?;
    db.execute_unprepared("CREATE TABLE raw_stock LIKE stock").await?;
    db.execute_unprepared("INSERT INTO raw_stock VALUES (1, 1, 10000000, 10000000, 0, 0)").await?;
    let take = format!("UPDATE raw_stock SET free = free - {BATCH}, held = held + {BATCH} WHERE free >= {BATCH}");
    let started = monotonic();
    for batch in &batches {
        let transaction = db.begin().await?;
        for insert in batch {
            transaction.execute_unprepared(insert).await?;
        }
        transaction.execute_unprepared(&take).await?;
        transaction.commit().await?;
    }
    Ok(numbers.len() as f64 / started.elapsed().as_secs_f64())
}

async fn columns(db: &DatabaseConnection, table: &str) -> anyhow::Result<String> {
    let sql = format!(
        "SELECT GROUP_CONCAT(CONCAT('QUOTE(`', column_name, '`)') ORDER BY ordinal_position) FROM \
         information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{table}'"
    );
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    Ok(row.context("no such table")?.try_get_by_index(0)?)
}
