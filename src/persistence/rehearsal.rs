//! What a rehearsal needs of the database: sign-ins in bulk, and the books of one product; basic statistics beside.

use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{DbBackend, FromQueryResult};

use super::db::Db;
use super::error::StoreError;
use super::query;
use crate::domain::order::OrderStatus;
use crate::domain::{BuyerId, ProductId, SaleId};

/// Columns of `sessions`, as [`open_sessions`] fills them.
const SESSION_COLUMNS: [&str; 8] =
    ["sid", "user_id", "refresh_hash", "device", "address", "created_at_ms", "last_seen_ms", "expires_at_ms"];

#[derive(FromQueryResult)]
struct UserRow {
    id: i64,
    username: String,
}

#[derive(FromQueryResult)]
struct StatusRow {
    status: i16,
    orders: i64,
    total_fen: Option<i64>,
}

/// Orders in one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusCount {
    /// Which.
    pub status: OrderStatus,
    /// How many orders.
    pub orders: u64,
    /// What they cost together, in fen.
    pub total_fen: i64,
}

/// The ids of these usernames, with the names; unknown names are left out.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn ids_of(db: &Db, usernames: &[String]) -> Result<Vec<(BuyerId, String)>, StoreError> {
    let rows: Vec<UserRow> = query::by_keys(db.writer(), usernames, "finding users by name", |names| {
        Query::select()
            .columns(["id", "username"])
            .from("users")
            .and_where(Expr::col("username").is_in(names))
            .to_owned()
    })
    .await?;
    Ok(rows.into_iter().map(|row| (BuyerId(row.id), row.username)).collect())
}

/// Opens one session for each user, without a refresh token; `sids` (26 characters each) in the same order.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn open_sessions(
    db: &Db,
    users: &[BuyerId],
    sids: &[String],
    now_ms: i64,
    expires_at_ms: i64,
) -> Result<(), StoreError> {
    db.write("opening sessions in bulk", async |tx| {
        let row = |(user, sid): (&BuyerId, &String)| -> Vec<Expr> {
            let unusable = hex::encode(crate::random::bytes::<32>());
            vec![
                sid.as_str().into(),
                user.0.into(),
                unusable.into(),
                "rehearsal".into(),
                "".into(),
                now_ms.into(),
                now_ms.into(),
                expires_at_ms.into(),
            ]
        };
        let rows = users.iter().zip(sids).map(row).collect();
        let keep = OnConflict::column("sid").do_nothing_on(["sid"]).to_owned(); // a repeat
        query::insert_rows(tx, "sessions", &SESSION_COLUMNS, rows, Some(keep)).await
    })
    .await
}

/// Whose orders are counted, or of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Everybody's.
    All,
    /// Of one product.
    Product(ProductId),
    /// In one sale of a product.
    Sale(ProductId, SaleId),
    /// One buyer's.
    Buyer(BuyerId),
}

/// Orders by status.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn orders_by_status(db: &Db, which: Counted) -> Result<Vec<StatusCount>, StoreError> {
    // A sum of BIGINT is a decimal to MySQL and PostgreSQL.
    let sum = match db.backend() {
        DbBackend::MySql => "CAST(SUM(total_fen) AS SIGNED)",
        _ => "CAST(SUM(total_fen) AS BIGINT)",
    };
    let mut select = Query::select();
    select
        .column("status")
        .expr_as(Expr::cust("COUNT(*)"), "orders")
        .expr_as(Expr::cust(sum), "total_fen")
        .from("orders")
        .group_by_col("status");
    let (product, sale, buyer) = match which {
        Counted::All => (None, None, None),
        Counted::Product(product) => (Some(product.0), None, None),
        Counted::Sale(product, sale) => (Some(product.0), Some(sale.0), None),
        Counted::Buyer(buyer) => (None, None, Some(buyer.0)),
    };
    for (column, value) in [("product_id", product), ("pool", sale), ("user_id", buyer)] {
        select.and_where_option(value.map(|value| Expr::col(column).eq(value)));
    }
    let rows: Vec<StatusRow> = query::all(db.reader(), &select, "counting orders by status").await?;
    let count = |row: StatusRow| {
        let status = OrderStatus::from_code(row.status)
            .ok_or_else(|| StoreError::Corrupt { what: format!("order status {}", row.status) })?;
        Ok(StatusCount { status, orders: row.orders.unsigned_abs(), total_fen: row.total_fen.unwrap_or(0) })
    };
    rows.into_iter().map(count).collect()
}

#[derive(FromQueryResult)]
struct Count {
    counted: i64,
}

/// Buyers with at least one order of a product.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn distinct_buyers(db: &Db, product: ProductId) -> Result<u64, StoreError> {
    let select = Query::select()
        .expr_as(Expr::cust("COUNT(DISTINCT user_id)"), "counted")
        .from("orders")
        .and_where(Expr::col("product_id").eq(product.0))
        .to_owned();
    let row: Option<Count> = query::one(db.reader(), &select, "counting the buyers of a product").await?;
    Ok(row.map_or(0, |row| row.counted.unsigned_abs()))
}

/// Rows of a table.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn rows_of(db: &Db, table: &'static str) -> Result<u64, StoreError> {
    query::count(db.reader(), Query::select().from(table).to_owned(), "counting rows").await
}
