//! The transparency log of payments and refunds: its leaves, its signed heads, and what is still to be appended.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use super::engine::Engine;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let engine = Engine::of(manager).await?;
        let leaves = Table::create()
            .table("money_log")
            .col(big_integer("leaf_no").primary_key())
            .col(string_len("order_no", 26))
            .col(integer("seq"))
            .col(string_len("leaf_hash", 64))
            .col(engine.long_text("nodes"))
            .col(big_integer("at_ms"))
            .to_owned();
        let heads = Table::create()
            .table("money_log_heads")
            .col(big_integer("tree_size").primary_key())
            .col(string_len("root_hash", 64))
            .col(big_integer("at_ms"))
            .col(engine.long_text("note"))
            .to_owned();
        let owed = Table::create()
            .table("money_log_owed")
            .col(string_len("order_no", 26))
            .col(integer("seq"))
            .primary_key(Index::create().col("order_no").col("seq"))
            .to_owned();
        let mut by_event = Index::create();
        by_event.name("money_log_by_event").table("money_log").col("order_no").col("seq").unique();
        engine.create(manager, vec![leaves, heads, owed], vec![by_event]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["money_log_owed", "money_log_heads", "money_log"] {
            manager.drop_table(Table::drop().table(name).to_owned()).await?;
        }
        Ok(())
    }
}
