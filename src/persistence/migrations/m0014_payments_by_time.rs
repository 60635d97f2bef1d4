//! Payments and refunds of all orders are listed by time, and found by the gateway's number.

use sea_orm_migration::prelude::*;

use super::engine::Engine;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const INDEXES: [(&str, &str, [&str; 2]); 3] = [
    ("payments_by_time", "payments", ["created_at_ms", "payment_no"]),
    ("payments_by_transaction", "payments", ["transaction_id", "payment_no"]),
    ("refunds_by_time", "refunds", ["created_at_ms", "refund_no"]),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let indexes = INDEXES.map(|(name, table, [first, second])| {
            Index::create().name(name).table(table).col(first).col(second).to_owned()
        });
        Engine::of(manager).await?.create(manager, Vec::new(), indexes.to_vec()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, _) in INDEXES {
            manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
        }
        Ok(())
    }
}
