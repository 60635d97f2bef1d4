//! What waits for too long, and what runs out: the questions behind alerts. Counts and oldest rows only, each by an index or
//! over a table that is short in a healthy shop.

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query, SelectStatement};

use super::db::Db;
use super::error::StoreError;
use super::products::STATUS_ON_SHELF;
use super::query;
use crate::domain::ProductId;
use crate::domain::order::OrderStatus;
use crate::domain::stock::Pool;

#[derive(FromQueryResult)]
struct Moment {
    at_ms: i64,
}

/// When the oldest commit was made that was not told to everybody; `None` if all were.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn oldest_untold_ms(db: &Db) -> Result<Option<i64>, StoreError> {
    let select = Query::select()
        .expr_as(Expr::col("created_at_ms"), "at_ms")
        .from("outbox")
        .order_by("commit_no", Sort::Asc)
        .limit(1)
        .to_owned();
    let oldest: Option<Moment> = query::one(db.reader(), &select, "reading the oldest outbox row").await?;
    Ok(oldest.map(|row| row.at_ms))
}

/// Unpaid orders whose deadline was before `before_ms`.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn overdue_orders(db: &Db, before_ms: i64) -> Result<u64, StoreError> {
    let select = Query::select()
        .from("orders")
        .and_where(Expr::col("status").eq(OrderStatus::PendingPayment.code()))
        .and_where(Expr::col("pay_deadline_ms").lt(before_ms))
        .to_owned();
    query::count(db.reader(), select, "counting overdue orders").await
}

/// True for orders that wait for a human. Written out and not bound: an index of these rows alone serves it, and an engine
/// that plans without the values would not see that it may.
pub(super) fn in_review() -> Expr {
    Expr::cust("review <> ''")
}

/// Orders that wait for a human.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn reviews(db: &Db) -> Result<u64, StoreError> {
    query::count(db.reader(), select_reviews(), "counting reviews").await
}

fn select_reviews() -> SelectStatement {
    Query::select().from("orders").and_where(in_review()).to_owned()
}

/// Tickets that were given up.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn dead_tickets(db: &Db) -> Result<u64, StoreError> {
    query::count(db.reader(), Query::select().from("dead_tickets").to_owned(), "counting dead tickets").await
}

/// A pool that runs out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LowPool {
    /// Of which product.
    pub product: ProductId,
    /// Its name.
    pub name: String,
    /// Which pool.
    pub pool: Pool,
    /// What is left.
    pub free: i64,
}

#[derive(FromQueryResult)]
struct LowRow {
    product_id: i64,
    name: String,
    pool: i64,
    free: i64,
}

/// Pools that somebody can buy from now (the free pools of products on the shelf, the pools of open sales) and that had
/// more than `units` once, but have `units` or fewer left; fewest first.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn low_pools(db: &Db, units: i64, now_ms: i64, limit: u64) -> Result<Vec<LowPool>, StoreError> {
    let open_sales = Query::select()
        .column("id")
        .from("sales")
        .and_where(Expr::col("closed").eq(false))
        .and_where(Expr::col("opens_at_ms").lte(now_ms))
        .and_where(Expr::col("closes_at_ms").gt(now_ms))
        .to_owned();
    let pool = || Expr::col(("stock", "pool"));
    let select = Query::select()
        .columns([("stock", "product_id"), ("stock", "pool"), ("stock", "free"), ("products", "name")])
        .from("stock")
        .inner_join("products", Expr::col(("products", "id")).equals(("stock", "product_id")))
        .and_where(Expr::col(("products", "status")).eq(STATUS_ON_SHELF))
        .and_where(Expr::col(("stock", "free")).lte(units))
        .and_where(Expr::col(("stock", "put_in")).gt(units))
        .and_where(pool().eq(i64::from(Pool::Free)).or(pool().in_subquery(open_sales)))
        .order_by(("stock", "free"), Sort::Asc)
        .order_by(("stock", "product_id"), Sort::Asc)
        .limit(limit)
        .to_owned();
    let rows: Vec<LowRow> = query::all(db.reader(), &select, "looking for low stock").await?;
    let read = |row: LowRow| LowPool {
        product: ProductId(row.product_id),
        name: row.name,
        pool: Pool::from(row.pool),
        free: row.free,
    };
    Ok(rows.into_iter().map(read).collect())
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

    use super::*;
    use crate::config::DatabaseSettings;
    use crate::persistence::testing::{NOW_MS, database};

    #[actix_rt::test]
    async fn an_empty_shop_lags_nowhere() {
        let (db, _dir) = database().await;
        assert_eq!(oldest_untold_ms(&db).await.unwrap(), None);
        assert_eq!(overdue_orders(&db, NOW_MS).await.unwrap(), 0);
        assert_eq!((reviews(&db).await.unwrap(), dead_tickets(&db).await.unwrap()), (0, 0));
        assert_eq!(low_pools(&db, 10, NOW_MS, 50).await.unwrap(), []);
    }

    #[actix_rt::test]
    async fn what_waits_for_a_human_is_counted_without_the_other_orders() {
        let dir = tempfile::tempdir().unwrap();
        let db = &Db::connect(&DatabaseSettings::default(), dir.path()).await.unwrap();
        db.migrate().await.unwrap();
        let sql = select_reviews().expr(Expr::cust("COUNT(*)")).to_string(sea_orm::sea_query::SqliteQueryBuilder);
        let explained = Statement::from_string(DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = db.reader().query_all_raw(explained).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
        assert!(plan.iter().any(|step| step.contains("orders_by_review")), "{sql}: {plan:?}");
    }
}
