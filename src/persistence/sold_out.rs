//! Products that an administrator has refused as sold out, until he takes it back: for the nodes that are there and for
//! those that start later. Units are not touched by it.

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};

use super::db::Db;
use super::error::StoreError;
use super::query;
use crate::domain::ProductId;

const TABLE: &str = "sold_out_flags";
const OPERATION: &str = "changing a sold-out flag";

#[derive(FromQueryResult)]
struct Row {
    set_at_ms: i64,
}

/// Sets the flag. One that is set stays as it is.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn set(db: &Db, product: ProductId, now_ms: i64) -> Result<(), StoreError> {
    let row = vec![product.0.into(), now_ms.into()];
    let keep = OnConflict::column("product_id").do_nothing_on(["product_id"]).to_owned();
    query::insert_rows(db.writer(), TABLE, &["product_id", "set_at_ms"], vec![row], Some(keep)).await
}

/// Takes the flag back. Repeating this changes nothing.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn clear(db: &Db, product: ProductId) -> Result<(), StoreError> {
    let delete = Query::delete().from_table(TABLE).and_where(Expr::col("product_id").eq(product.0)).to_owned();
    query::execute(db.writer(), &delete, OPERATION).await.map(|_| ())
}

/// Since when the flag is set, unix ms; `None` if it is not.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn since(db: &Db, product: ProductId) -> Result<Option<i64>, StoreError> {
    let select =
        Query::select().column("set_at_ms").from(TABLE).and_where(Expr::col("product_id").eq(product.0)).to_owned();
    let row: Option<Row> = query::one(db.reader(), &select, "reading a sold-out flag").await?;
    Ok(row.map(|row| row.set_at_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::testing::{NOW_MS, database};

    #[actix_rt::test]
    async fn a_flag_that_is_set_twice_is_one_and_keeps_its_time() {
        let (db, _own) = database().await;
        let (product, other) = (ProductId(1), ProductId(2));
        assert_eq!(since(&db, product).await.unwrap(), None);
        for later_ms in [0, 5] {
            set(&db, product, NOW_MS + later_ms).await.unwrap();
        }
        assert_eq!((since(&db, product).await.unwrap(), since(&db, other).await.unwrap()), (Some(NOW_MS), None));
        for _ in 0..2 {
            clear(&db, product).await.unwrap();
        }
        assert_eq!(since(&db, product).await.unwrap(), None);
    }
}
