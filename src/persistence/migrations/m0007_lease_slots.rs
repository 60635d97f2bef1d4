//! A lease says which node took it, so that the node ends it when it comes back from the dead. -1: nobody knows.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: [&str; 2] = ["effects", "idempotency_keys"];
const COLUMN: &str = "lease_slot";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            if manager.has_column(table, COLUMN).await? {
                continue; // a crash came before it was noted
            }
            let slot = Table::alter().table(table).add_column(small_integer(COLUMN).default(-1)).to_owned();
            manager.alter_table(slot).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager.alter_table(Table::alter().table(table).drop_column(COLUMN).to_owned()).await?;
        }
        Ok(())
    }
}
