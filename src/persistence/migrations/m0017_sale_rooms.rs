//! A sale may have a waiting room of its own: how many it admits in a second, and how often its room was closed by hand.
//! Both are absent where nobody said anything. The index finds the sales that are not over, for those who ask every second.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use super::engine::Engine;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLE: &str = "sales";
const RATE: &str = "admissions_per_second";
const CLOSINGS: &str = "room_closings";
const BY_END: &str = "sales_by_end";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in [RATE, CLOSINGS] {
            if manager.has_column(TABLE, name).await? {
                continue; // a crash came before it was noted
            }
            manager.alter_table(Table::alter().table(TABLE).add_column(integer_null(name)).to_owned()).await?;
        }
        let index = Index::create().name(BY_END).table(TABLE).col("closed").col("closes_at_ms").to_owned();
        Engine::of(manager).await?.create(manager, Vec::new(), vec![index]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(BY_END).table(TABLE).to_owned()).await?;
        for name in [RATE, CLOSINGS] {
            manager.alter_table(Table::alter().table(TABLE).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}
