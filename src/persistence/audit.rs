//! The audit log: who changed what in the shop, in which words, and what came of it. Rows are only ever added.

mod export;

use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder as _, QuerySelect as _, Set};

use super::error::StoreError;
use super::{Db, Page};
use crate::domain::BuyerId;
pub use export::ExportFormat;

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
        pub node: String,
        pub trace_id: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{ActiveModel, Column, Entity, Model};

const NAME_CHARS_MAX: usize = 50;
const TARGET_CHARS_MAX: usize = 100;
const RESULT_CHARS_MAX: usize = 200;
const TRACE_CHARS_MAX: usize = 32;

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
    /// The node that was asked; cut to 50 characters. Empty in rows of earlier releases.
    pub node: String,
    /// Of the request; empty if there was none.
    pub trace_id: String,
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
        node: Set(cut(&entry.node, NAME_CHARS_MAX)),
        trace_id: Set(cut(&entry.trace_id, TRACE_CHARS_MAX)),
        ..Default::default()
    };
    Entity::insert(row).exec_without_returning(tx).await.map_err(StoreError::during("writing the audit log"))?;
    Ok(())
}

/// Which entries. What is absent leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of one action (`order.refund`), or of all that begin alike (`order.*`).
    pub action: Option<String>,
    /// Of this administrator.
    pub actor: Option<BuyerId>,
    /// On this target, e.g. `order 01M…`.
    pub target: Option<String>,
    /// From then on, in milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Before then.
    pub to_ms: Option<i64>,
    /// Only what was refused or failed.
    pub failures: bool,
}

impl AuditFilter {
    fn select(&self) -> sea_orm::Select<Entity> {
        let action = self.action.as_deref().map(|action| match action.strip_suffix('*') {
            Some(start) => Column::Action.starts_with(start),
            None => Column::Action.eq(action),
        });
        let conditions = [
            action,
            self.actor.map(|actor| Column::ActorId.eq(actor.0)),
            self.target.as_deref().map(|target| Column::Target.eq(target)),
            self.from_ms.map(|from_ms| Column::AtMs.gte(from_ms)),
            self.to_ms.map(|to_ms| Column::AtMs.lt(to_ms)),
            self.failures.then(|| Column::Result.ne("ok")),
        ];
        conditions.into_iter().flatten().fold(Entity::find(), |select, condition| select.filter(condition))
    }
}

/// Entries newest first, with their total number.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn list(db: &Db, page: Page, filter: &AuditFilter) -> Result<(Vec<AuditRecord>, u64), StoreError> {
    let failed = StoreError::during("reading the audit log");
    let query = filter.select();
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

/// Up to `limit` entries after `after_id`, oldest first: an export goes from portion to portion.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn portion(db: &Db, filter: &AuditFilter, after_id: i64, limit: u64) -> Result<Vec<AuditRecord>, StoreError> {
    let rows = filter
        .select()
        .filter(Column::Id.gt(after_id))
        .order_by_asc(Column::Id)
        .limit(limit)
        .all(db.reader())
        .await
        .map_err(StoreError::during("exporting the audit log"))?;
    Ok(rows.into_iter().map(read).collect())
}

fn read(row: Model) -> AuditRecord {
    let entry = AuditEntry {
        actor: row.actor_id.map(BuyerId),
        actor_name: row.actor_name,
        action: row.action,
        target: row.target,
        detail: serde_json::from_str(&row.detail).unwrap_or(serde_json::Value::String(row.detail)),
        result: row.result,
        node: row.node,
        trace_id: row.trace_id,
    };
    AuditRecord { id: row.id, at_ms: row.at_ms, entry }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::testing::{NOW_MS, database};

    fn entry(number: i64, action: &str, result: &str) -> AuditEntry {
        AuditEntry {
            actor: Some(BuyerId(number % 2)),
            actor_name: "root".to_owned(),
            action: action.to_owned(),
            target: "字".repeat(500),
            detail: serde_json::json!({"number": number}),
            result: result.to_owned(),
            node: "node-0".to_owned(),
            trace_id: "t".to_owned(),
        }
    }

    fn numbers(records: &[AuditRecord]) -> Vec<i64> {
        records.iter().filter_map(|record| record.entry.detail["number"].as_i64()).collect()
    }

    #[actix_rt::test]
    async fn entries_are_found_newest_first_and_cut_to_size() {
        let (db, _dir) = database().await;
        let rows = [("product.update", "ok"), ("user.update", "ok"), ("product.add", "refused"), ("productx", "ok")];
        for (number, (action, result)) in (1..).zip(rows) {
            append(&db, &entry(number, action, result), NOW_MS + number).await.unwrap();
        }
        let find = async |filter: AuditFilter| numbers(&list(&db, Page::default(), &filter).await.unwrap().0);
        let (entries, total) = list(&db, Page::default(), &AuditFilter::default()).await.unwrap();
        assert_eq!((numbers(&entries), total), (vec![4, 3, 2, 1], 4));
        assert_eq!(entries[0].entry.target.chars().count(), TARGET_CHARS_MAX);
        assert_eq!((entries[0].entry.node.as_str(), entries[0].entry.trace_id.as_str()), ("node-0", "t"));
        let action = |action: &str| AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
        assert_eq!(find(action("user.update")).await, [2]);
        assert_eq!(find(action("product.*")).await, [3, 1]);
        assert_eq!(find(AuditFilter { actor: Some(BuyerId(1)), ..AuditFilter::default() }).await, [3, 1]);
        assert_eq!(find(AuditFilter { failures: true, ..AuditFilter::default() }).await, [3]);
        let (from_ms, to_ms) = (Some(NOW_MS + 2), Some(NOW_MS + 4));
        assert_eq!(find(AuditFilter { from_ms, to_ms, ..AuditFilter::default() }).await, [3, 2]);
    }

    #[actix_rt::test]
    async fn an_export_goes_from_portion_to_portion() {
        let (db, _dir) = database().await;
        for number in 1..=5 {
            append(&db, &entry(number, "a.b", "ok"), NOW_MS).await.unwrap();
        }
        let (mut seen, mut after) = (Vec::new(), 0);
        loop {
            let some = portion(&db, &AuditFilter::default(), after, 2).await.unwrap();
            let Some(last) = some.last() else { break };
            after = last.id;
            seen.extend(numbers(&some));
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }
}
