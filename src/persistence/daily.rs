//! What happened on each of the latest days in Beijing, counted by the database.
//!
//! A figure belongs to the day on which the thing happened, not to what became of it since: an order that is paid today
//! and given back tomorrow is revenue of today and a refund of tomorrow, so the figures of a day that is over stay as they are.
//! Only the rows of the days asked for are read: orders by the time in their numbers, money by the indexes of payments and
//! refunds, which new orders need not pay for.

mod select;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement};

use super::db::Db;
use super::error::StoreError;
use super::query;
use crate::domain::reconciliation::BillDay;
use crate::domain::{Money, ProductId};
use select::Period;

/// Products that are told.
pub const TOP_PRODUCTS_MAX: u64 = 10;

/// One day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Which.
    pub day: BillDay,
    /// Orders that were accepted, whatever became of them.
    pub orders: u64,
    /// Orders whose money came.
    pub paid: u64,
    /// What those cost.
    pub revenue: Money,
    /// What went back of orders' own money, whenever it had come; payments too many are neither here nor in `revenue`.
    pub refunded: Money,
    /// Users who registered.
    pub new_users: u64,
}

/// A product that sold well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopProduct {
    /// Which.
    pub product: ProductId,
    /// As it is called now, or was when it was deleted.
    pub name: String,
    /// Units of orders whose money came.
    pub units: u64,
    /// What those orders cost.
    pub revenue: Money,
}

#[derive(FromQueryResult)]
struct DayRow {
    day_no: i64,
    counted: i64,
    fen: Option<i64>,
}

#[derive(FromQueryResult)]
struct ProductRow {
    product_id: i64,
    units: i64,
    fen: i64,
}

#[derive(FromQueryResult)]
struct NameRow {
    id: i64,
    name: String,
}

/// So many days until `last`, which is counted as far as it is gone; oldest first, none left out.
///
/// # Errors
/// [`StoreError`] if the database fails, or does not count that much in time.
pub async fn days(db: &Db, last: BillDay, days: u64) -> Result<Vec<Day>, StoreError> {
    let period = Period::until(last, days);
    let orders = by_day(db, &period.orders(db), "counting the orders of days").await?;
    let paid = by_day(db, &period.paid(db), "counting the payments of days").await?;
    let refunded = by_day(db, &period.refunded(db), "counting the refunds of days").await?;
    let users = by_day(db, &period.users(db), "counting the users of days").await?;
    let counted = |rows: &HashMap<i64, DayRow>, day: BillDay| {
        let row = rows.get(&day.number());
        row.map_or((0, Money::ZERO), |row| (row.counted.unsigned_abs(), Money::from_fen(row.fen.unwrap_or(0))))
    };
    let day = |ago: u64| {
        let day = last.earlier(ago);
        let (paid, revenue) = counted(&paid, day);
        let (_, refunded) = counted(&refunded, day);
        Day { day, orders: counted(&orders, day).0, paid, revenue, refunded, new_users: counted(&users, day).0 }
    };
    Ok((0..days).rev().map(day).collect())
}

async fn by_day(
    db: &Db,
    select: &SelectStatement,
    operation: &'static str,
) -> Result<HashMap<i64, DayRow>, StoreError> {
    let rows: Vec<DayRow> = query::all(db.reader(), select, operation).await?;
    Ok(rows.into_iter().map(|row| (row.day_no, row)).collect())
}

/// The products that orders paid in these days brought most for, at most [`TOP_PRODUCTS_MAX`].
///
/// # Errors
/// [`StoreError`] if the database fails, or does not count that much in time.
pub async fn top_products(db: &Db, last: BillDay, days: u64) -> Result<Vec<TopProduct>, StoreError> {
    let select = Period::until(last, days).products(db, TOP_PRODUCTS_MAX);
    let rows: Vec<ProductRow> = query::all(db.reader(), &select, "counting what products brought").await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.product_id).collect();
    let names: Vec<NameRow> = query::by_keys(db.reader(), &ids, "reading names of products", |ids| {
        Query::select().columns(["id", "name"]).from("products").and_where(Expr::col("id").is_in(ids)).to_owned()
    })
    .await?;
    let mut names: HashMap<i64, String> = names.into_iter().map(|row| (row.id, row.name)).collect();
    let product = |row: ProductRow| TopProduct {
        product: ProductId(row.product_id),
        name: names.remove(&row.product_id).unwrap_or_default(),
        units: row.units.unsigned_abs(),
        revenue: Money::from_fen(row.fen),
    };
    Ok(rows.into_iter().map(product).collect())
}
