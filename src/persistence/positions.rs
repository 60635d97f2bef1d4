//! Where a buyer's WebSocket stands in the stream of commits.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, Query};

use super::db::Db;
use super::error::StoreError;
use crate::domain::BuyerId;

/// The latest commit that touched an order of this buyer; 0 if there is none.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn latest_commit(db: &Db, buyer: BuyerId) -> Result<i64, StoreError> {
    let failed = StoreError::during("reading the latest commit of a buyer");
    let select = Query::select()
        .expr_as(Func::max(Expr::col(("order_events", "commit_no"))), "latest")
        .from("orders")
        .inner_join("order_events", Expr::col(("order_events", "order_no")).equals(("orders", "order_no")))
        .and_where(Expr::col(("orders", "user_id")).eq(buyer.0))
        .to_owned();
    let row = db.reader().query_one(&select).await.map_err(&failed)?;
    let latest: Option<Option<i64>> = row.map(|row| row.try_get("", "latest")).transpose().map_err(&failed)?;
    Ok(latest.flatten().unwrap_or(0))
}
