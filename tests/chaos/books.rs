//! The cluster's books, read straight from SQL, Redis and RabbitMQ past every proxy.
//!
//! Plain statements on purpose: a suite that asked the shop's own functions would share their mistakes.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use rushmall::persistence::Db;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use crate::journal::Row;

const READ_WITHIN: Duration = Duration::from_secs(20);

/// A pool of a product.
#[derive(Clone, Copy, Debug)]
pub struct Stock {
    pub product_id: i64,
    pub pool: i64,
    pub put_in: i64,
    pub free: i64,
    pub held: i64,
    pub sold: i64,
}

/// What is not finished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    pub outbox: i64,
    pub effects: i64,
    pub stock_moves: i64,
    /// Orders that are being written, unpaid, closing or being refunded.
    pub open_orders: i64,
    /// Tickets in Redis.
    pub tickets: i64,
    /// Messages in the order queue.
    pub messages: i64,
    /// Does not end by waiting.
    pub dead_tickets: i64,
    /// Does not end by waiting.
    pub dead_messages: i64,
    /// Does not end by waiting.
    pub reviews: i64,
}

impl Unfinished {
    /// True if waiting may help.
    pub fn is_moving(&self) -> bool {
        self.outbox + self.effects + self.stock_moves + self.open_orders + self.tickets + self.messages > 0
    }
}

fn text(row: &QueryResult, name: &str) -> Result<String, DbErr> {
    row.try_get("", name)
}

/// A column as a 64-bit number, whatever its type.
fn wide(db: &Db, column: &str) -> String {
    let kind = if db.backend() == DbBackend::MySql { "SIGNED" } else { "BIGINT" };
    let name = column.rsplit(['.', ' ']).next().unwrap_or(column);
    let column = column.split(' ').next().unwrap_or(column);
    format!("CAST({column} AS {kind}) AS {name}")
}

async fn select(db: &Db, columns: &[&str], rest: &str) -> Result<Vec<QueryResult>, DbErr> {
    let numbers: Vec<String> = columns.iter().map(|column| wide(db, column)).collect();
    let sql = format!("SELECT {} {rest}", numbers.join(", "));
    db.reader().query_all_raw(Statement::from_string(db.backend(), sql)).await
}

async fn count(db: &Db, from: &str) -> i64 {
    let sql = format!("FROM {from}");
    let rows = tokio::time::timeout(READ_WITHIN, select(db, &["COUNT(*) n"], &sql)).await.expect("in time");
    rows.expect("the books can be read")[0].try_get("", "n").expect("a number")
}

/// Which of these orders exist.
pub async fn existing(db: &Db, numbers: &[&str]) -> Result<Vec<String>, DbErr> {
    let list = numbers.iter().map(|number| format!("'{number}'")).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT order_no FROM orders WHERE order_no IN ({list})");
    let rows = db.reader().query_all_raw(Statement::from_string(db.backend(), sql)).await?;
    rows.iter().map(|row| text(row, "order_no")).collect()
}

/// Every order with its money.
pub async fn orders(db: &Db) -> Result<Vec<Row>, DbErr> {
    let mut captured: HashMap<String, i64> = HashMap::new();
    for row in select(db, &["amount_fen"], ", order_no FROM payments WHERE state = 'captured'").await? {
        *captured.entry(text(&row, "order_no")?).or_default() += row.try_get::<i64>("", "amount_fen")?;
    }
    let columns = ["user_id", "product_id", "pool", "quantity", "status", "refunded_fen"];
    let rows = select(db, &columns, ", order_no FROM orders ORDER BY order_no").await?;
    let order = |row: &QueryResult| {
        let order_no = text(row, "order_no")?;
        let number = |name: &str| row.try_get::<i64>("", name);
        Ok(Row {
            captured_fen: captured.remove(&order_no).unwrap_or_default(),
            order_no,
            user_id: number("user_id")?,
            product_id: number("product_id")?,
            pool: number("pool")?,
            quantity: number("quantity")?,
            status: number("status")?,
            refunded_fen: number("refunded_fen")?,
        })
    };
    rows.iter().map(order).collect()
}

/// Every pool.
pub async fn stock(db: &Db) -> Result<Vec<Stock>, DbErr> {
    let rows = select(db, &["product_id", "pool", "put_in", "free", "held", "sold"], "FROM stock").await?;
    let stock = |row: &QueryResult| {
        let number = |name: &str| row.try_get::<i64>("", name);
        Ok(Stock {
            product_id: number("product_id")?,
            pool: number("pool")?,
            put_in: number("put_in")?,
            free: number("free")?,
            held: number("held")?,
            sold: number("sold")?,
        })
    };
    rows.iter().map(stock).collect()
}

/// Units that one buyer may have, for each sale.
pub async fn limits(db: &Db) -> Result<HashMap<i64, i64>, DbErr> {
    let rows = select(db, &["id", "units_per_buyer_max"], "FROM sales").await?;
    rows.iter().map(|row| Ok((row.try_get("", "id")?, row.try_get("", "units_per_buyer_max")?))).collect()
}

/// What of the whole cluster is not finished; `queue` is the order queue's name.
pub async fn unfinished(db: &Db, redis: &redis::Client, amqp: &str, queue: &str) -> Unfinished {
    Unfinished {
        outbox: count(db, "outbox").await,
        effects: count(db, "effects").await,
        stock_moves: count(db, "stock_moves WHERE step < 3").await,
        open_orders: count(db, "orders WHERE status IN (0, 1, 6, 9)").await,
        tickets: tokio::time::timeout(READ_WITHIN, tickets(redis)).await.expect("in time").expect("Redis can be read"),
        messages: ready(amqp, queue).await,
        dead_tickets: count(db, "dead_tickets").await,
        dead_messages: ready(amqp, &format!("{queue}.dead")).await,
        reviews: count(db, "orders WHERE review <> ''").await,
    }
}

/// Tickets that Redis holds without a settled order.
async fn tickets(redis: &redis::Client) -> redis::RedisResult<i64> {
    let mut connection = redis.get_multiplexed_async_connection().await?;
    let mut keys: Vec<String> = Vec::new();
    {
        let mut found = redis::AsyncCommands::scan_match::<_, String>(&mut connection, "*:tickets").await?;
        while let Some(key) = found.next().await {
            keys.push(key?);
        }
    }
    let mut tickets = 0;
    for key in keys {
        tickets += redis::cmd("HLEN").arg(key).query_async::<i64>(&mut connection).await?;
    }
    Ok(tickets)
}

async fn ready(amqp: &str, queue: &str) -> i64 {
    tokio::time::timeout(READ_WITHIN, messages(amqp, queue)).await.expect("in time").expect("the queue is there")
}

/// Messages in a queue that are ready; those that a node works on come back when it ends.
async fn messages(amqp: &str, queue: &str) -> lapin::Result<i64> {
    let connection = Connection::connect(amqp, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let known = channel.queue_declare(queue.into(), passive, FieldTable::default()).await?;
    let messages = i64::from(known.message_count());
    connection.close(200, "done".into()).await?;
    Ok(messages)
}
