//! What other systems are still to be told by HTTP, one row for each event and target.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use super::engine::Engine;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let engine = Engine::of(manager).await?;
        let deliveries = Table::create()
            .table("webhook_deliveries")
            .col(string_len("id", 160).primary_key())
            .col(string_len("target", 40))
            .col(string_len("event_id", 120))
            .col(string_len("kind", 40))
            .col(string_len("order_no", 26))
            .col(big_integer("place"))
            .col(engine.long_text("body"))
            .col(string_len("state", 10))
            .col(integer("attempts").default(0))
            .col(big_integer("created_at_ms"))
            .col(big_integer("due_at_ms"))
            .col(big_integer("lease_until_ms").default(0))
            .col(small_integer("lease_slot").default(-1))
            .col(string_len("last_error", 255).default(""))
            .to_owned();
        let index = |name: &str, columns: [&'static str; 3]| {
            let mut index = Index::create();
            index.name(name).table("webhook_deliveries");
            for column in columns {
                index.col(column);
            }
            index
        };
        let due = index("webhook_deliveries_by_due", ["target", "state", "due_at_ms"]);
        let by_order = index("webhook_deliveries_by_order", ["target", "order_no", "place"]);
        engine.create(manager, vec![deliveries], vec![due, by_order]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("webhook_deliveries").to_owned()).await
    }
}
