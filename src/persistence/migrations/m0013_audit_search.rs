//! The audit log says which node did it and under which trace, and is searched by action, actor and target.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use super::engine::Engine;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLE: &str = "audit_log";
const COLUMNS: [(&str, u32); 2] = [("node", 50), ("trace_id", 32)];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, length) in COLUMNS {
            if manager.has_column(TABLE, name).await? {
                continue; // a crash came before it was noted
            }
            let column = Table::alter().table(TABLE).add_column(string_len(name, length).default("")).to_owned();
            manager.alter_table(column).await?;
        }
        Engine::of(manager).await?.create(manager, Vec::new(), indexes()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in ["audit_log_by_action", "audit_log_by_actor", "audit_log_by_target"] {
            manager.drop_index(Index::drop().name(index).table(TABLE).to_owned()).await?;
        }
        for (name, _) in COLUMNS {
            manager.alter_table(Table::alter().table(TABLE).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn indexes() -> Vec<IndexCreateStatement> {
    let by = |name: &'static str, column: &'static str| {
        Index::create().name(name).table(TABLE).col(column).col("id").to_owned()
    };
    vec![by("audit_log_by_action", "action"), by("audit_log_by_actor", "actor_id"), by("audit_log_by_target", "target")]
}
