//! The outbox has two legs: to the nodes, then to other systems. `told` is 1 after the first.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.has_column("outbox", "told").await? {
            return Ok(()); // a crash came before it was noted
        }
        let told = Table::alter().table("outbox").add_column(small_integer("told").default(0)).to_owned();
        manager.alter_table(told).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("outbox").drop_column("told").to_owned()).await
    }
}
