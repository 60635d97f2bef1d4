//! Forgets moves that ended long ago, and the ledger's memory of their steps.

use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::FIXED_ID_PREFIX;
use super::run::{DONE, IN_SQL, REFUSED, STARTED, UNDOING};
use crate::persistence::db::Db;
use crate::persistence::error::StoreError;
use crate::persistence::query;

/// See [`super::purge`].
pub(super) async fn purge(db: &Db, ended_before_ms: i64) -> Result<u64, StoreError> {
    const PURGING: &str = "forgetting moves";
    let pending = Query::select()
        .column("move_id")
        .from("stock_moves")
        .and_where(Expr::col("step").is_in([STARTED, IN_SQL, UNDOING]))
        .to_owned();
    let steps = Query::delete()
        .from_table("ledger_moves")
        .and_where(Expr::col("at_ms").lt(ended_before_ms))
        .and_where(Expr::cust("SUBSTR(step_id, 1, 26)").not_in_subquery(pending))
        .to_owned();
    let moves = Query::delete()
        .from_table("stock_moves")
        .and_where(Expr::col("step").is_in([DONE, REFUSED]))
        .and_where(Expr::col("updated_at_ms").lt(ended_before_ms))
        .and_where(Expr::col("move_id").not_like(format!("{FIXED_ID_PREFIX}%")))
        .to_owned();
    db.write(PURGING, async |tx| {
        Ok(query::execute(tx, &steps, PURGING).await? + query::execute(tx, &moves, PURGING).await?)
    })
    .await
}
