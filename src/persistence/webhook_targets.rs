//! When each webhook target took something last, and why it did not: what is left of deliveries that are forgotten.
//!
//! Every node writes here, so whoever asks is told of all of them, and after any restart. A clock that is behind moves nothing
//! back.

use std::collections::HashMap;

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};

use super::db::Db;
use super::error::StoreError;
use super::query;

const TABLE: &str = "webhook_targets";
const OPERATION: &str = "noting how a webhook target answered";
const ERROR_CHARS_MAX: usize = 255;

/// What became of the latest tries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastHeard {
    /// When the target took something last, unix ms.
    pub taken_at_ms: Option<i64>,
    /// When it did not, and why.
    pub refused: Option<(i64, String)>,
}

#[derive(FromQueryResult)]
struct Row {
    name: String,
    taken_at_ms: i64,
    refused_at_ms: i64,
    last_error: String,
}

/// It took something.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn took(db: &Db, name: &str, at_ms: i64) -> Result<(), StoreError> {
    note(db, name, "taken_at_ms", (at_ms, None)).await
}

/// It did not, because of that.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn refused(db: &Db, name: &str, at_ms: i64, error: &str) -> Result<(), StoreError> {
    note(db, name, "refused_at_ms", (at_ms, Some(error))).await
}

async fn note(
    db: &Db,
    name: &str,
    moment: &'static str,
    (at_ms, error): (i64, Option<&str>),
) -> Result<(), StoreError> {
    let mut update = Query::update();
    update
        .table(TABLE)
        .value(moment, at_ms)
        .and_where(Expr::col("name").eq(name))
        .and_where(Expr::col(moment).lt(at_ms));
    if let Some(error) = error {
        update.value("last_error", error.chars().take(ERROR_CHARS_MAX).collect::<String>());
    }
    if query::execute(db.writer(), &update, OPERATION).await? > 0 {
        return Ok(());
    }
    let keep = OnConflict::column("name").do_nothing_on(["name"]).to_owned(); // a later moment is noted
    query::insert_rows(db.writer(), TABLE, &["name"], vec![vec![name.into()]], Some(keep)).await?;
    query::execute(db.writer(), &update, OPERATION).await.map(|_| ())
}

/// What was noted of every target, by name.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn all(db: &Db) -> Result<HashMap<String, LastHeard>, StoreError> {
    let select = Query::select().columns(["name", "taken_at_ms", "refused_at_ms", "last_error"]).from(TABLE).to_owned();
    let rows: Vec<Row> = query::all(db.reader(), &select, "reading how webhook targets answered").await?;
    let heard = |row: Row| {
        let refused = (row.refused_at_ms > 0).then_some((row.refused_at_ms, row.last_error));
        (row.name, LastHeard { taken_at_ms: (row.taken_at_ms > 0).then_some(row.taken_at_ms), refused })
    };
    Ok(rows.into_iter().map(heard).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::testing::{NOW_MS, database};

    #[actix_rt::test]
    async fn the_latest_answer_of_each_target_is_kept_whoever_notes_it_last() {
        let (db, _own) = database().await;
        assert_eq!(all(&db).await.unwrap(), HashMap::new());
        took(&db, "a", NOW_MS).await.unwrap();
        refused(&db, "a", NOW_MS + 5, &"x".repeat(300)).await.unwrap();
        for at_ms in [NOW_MS - 1, NOW_MS + 9, NOW_MS + 3] {
            took(&db, "a", at_ms).await.unwrap(); // the last is of a node whose clock is behind
        }
        refused(&db, "a", NOW_MS + 4, "HTTP 500").await.unwrap();
        refused(&db, "b", NOW_MS, "HTTP 410").await.unwrap();
        refused(&db, "b", NOW_MS + 1, "no connection").await.unwrap();
        let a = LastHeard { taken_at_ms: Some(NOW_MS + 9), refused: Some((NOW_MS + 5, "x".repeat(255))) };
        let b = LastHeard { taken_at_ms: None, refused: Some((NOW_MS + 1, "no connection".to_owned())) };
        assert_eq!(all(&db).await.unwrap(), HashMap::from([("a".to_owned(), a), ("b".to_owned(), b)]));
    }
}
