//! What gateways tell us, kept before it is answered and worked off afterwards; and the gateway's number of a refund.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use super::engine::Engine;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let engine = Engine::of(manager).await?;
        let notices = Table::create()
            .table("notices")
            .col(string_len("id", 160).primary_key())
            .col(string_len("order_no", 26))
            .col(engine.long_text("fact"))
            .col(string_len("state", 10))
            .col(integer("attempts").default(0))
            .col(big_integer("received_at_ms"))
            .col(big_integer("due_at_ms"))
            .col(big_integer("lease_until_ms").default(0))
            .col(small_integer("lease_slot").default(-1))
            .col(string_len("last_error", 255).default(""))
            .to_owned();
        let due = Index::create().name("notices_by_due").table("notices").col("state").col("due_at_ms").to_owned();
        engine.create(manager, vec![notices], vec![due]).await?;
        if !manager.has_column("refunds", "gateway_no").await? {
            let number =
                Table::alter().table("refunds").add_column(string_len("gateway_no", 64).default("")).to_owned();
            manager.alter_table(number).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("refunds").drop_column("gateway_no").to_owned()).await?;
        manager.drop_table(Table::drop().table("notices").to_owned()).await
    }
}
