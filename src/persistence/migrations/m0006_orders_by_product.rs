//! Orders are looked up by product when a ledger's account is rebuilt.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const NAME: &str = "orders_by_product";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.has_index("orders", NAME).await? {
            return Ok(()); // a crash came before it was noted
        }
        let index = Index::create().name(NAME).table("orders").col("product_id").col("pool").to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(NAME).table("orders").to_owned()).await
    }
}
