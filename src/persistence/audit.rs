//! The audit log: who changed what in the shop, in which words, and what came of it. Rows are only ever added.

use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder as _, QuerySelect as _, Set};

use super::error::StoreError;
use super::{Db, Page};
use crate::domain::BuyerId;

mod entity {
    //! Table `audit_log`.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_log")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub at_ms: i64,
        pub actor_id: Option<i64>,
        pub actor_name: String,
        pub action: String,
        pub target: String,
        #[sea_orm(column_type = "Text")]
        pub detail: String,
        pub result: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{ActiveModel, Column, Entity, Model};

const NAME_CHARS_MAX: usize = 50;
const TARGET_CHARS_MAX: usize = 100;
const RESULT_CHARS_MAX: usize = 200;

/// One act of an administrator or of the shop itself.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Who; `None` for the command line and the shop itself.
    pub actor: Option<BuyerId>,
    /// His name then; cut to 50 characters.
    pub actor_name: String,
    /// Verb and noun, e.g. `product.update`; cut to 50 characters.
    pub action: String,
    /// What was acted upon, e.g. `product 7`; cut to 100 characters.
    pub target: String,
    /// What was asked for; no secrets.
    pub detail: serde_json::Value,
    /// `ok` or why not; cut to 200 characters.
    pub result: String,
}

/// An entry as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRecord {
    /// Positive, ascending.
    pub id: i64,
    /// When.
    pub at_ms: i64,
    /// What.
    pub entry: AuditEntry,
}

/// Adds an entry.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn append(db: &Db, entry: &AuditEntry, at_ms: i64) -> Result<(), StoreError> {
    db.write("writing the audit log", async |tx| append_in(tx, entry, at_ms).await).await
}

/// Adds an entry as part of a transaction, so that the act and its record stand or fall together.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn append_in(tx: &impl ConnectionTrait, entry: &AuditEntry, at_ms: i64) -> Result<(), StoreError> {
    let cut = |text: &str, chars_max: usize| text.chars().take(chars_max).collect::<String>();
    let row = ActiveModel {
        at_ms: Set(at_ms),
        actor_id: Set(entry.actor.map(|actor| actor.0)),
        actor_name: Set(cut(&entry.actor_name, NAME_CHARS_MAX)),
        action: Set(cut(&entry.action, NAME_CHARS_MAX)),
        target: Set(cut(&entry.target, TARGET_CHARS_MAX)),
        detail: Set(entry.detail.to_string()),
        result: Set(cut(&entry.result, RESULT_CHARS_MAX)),
        ..Default::default()
    };
    Entity::insert(row).exec_without_returning(tx).await.map_err(StoreError::during("writing the audit log"))?;
    Ok(())
}

/// Entries newest first, with their total number; of one action only, if it is not empty.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn list(db: &Db, page: Page, action: &str) -> Result<(Vec<AuditRecord>, u64), StoreError> {
    let failed = StoreError::during("reading the audit log");
    let mut query = Entity::find();
    if !action.is_empty() {
        query = query.filter(Column::Action.eq(action));
    }
    let total = query.clone().count(db.reader()).await.map_err(&failed)?;
    let rows = query
        .order_by_desc(Column::Id)
        .offset(page.offset())
        .limit(page.size())
        .all(db.reader())
        .await
        .map_err(&failed)?;
    Ok((rows.into_iter().map(read).collect(), total))
}

fn read(row: Model) -> AuditRecord {
    let entry = AuditEntry {
        actor: row.actor_id.map(BuyerId),
        actor_name: row.actor_name,
        action: row.action,
        target: row.target,
        detail: serde_json::from_str(&row.detail).unwrap_or(serde_json::Value::String(row.detail)),
        result: row.result,
    };
    AuditRecord { id: row.id, at_ms: row.at_ms, entry }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::testing::{NOW_MS, database};

    #[actix_rt::test]
    async fn entries_are_listed_newest_first_and_cut_to_size() {
        let (db, _dir) = database().await;
        for number in 1..=3 {
            let entry = AuditEntry {
                actor: Some(BuyerId(1)),
                actor_name: "root".to_owned(),
                action: if number == 2 { "user.update" } else { "product.update" }.to_owned(),
                target: "字".repeat(500),
                detail: serde_json::json!({"number": number}),
                result: "ok".to_owned(),
            };
            append(&db, &entry, NOW_MS).await.unwrap();
        }
        let (entries, total) = list(&db, Page::default(), "").await.unwrap();
        let numbers: Vec<i64> = entries.iter().filter_map(|record| record.entry.detail["number"].as_i64()).collect();
        assert_eq!((numbers, total), (vec![3, 2, 1], 3));
        assert_eq!(entries[0].entry.target.chars().count(), TARGET_CHARS_MAX);
        assert_eq!(list(&db, Page::default(), "user.update").await.unwrap().1, 1);
    }
}
