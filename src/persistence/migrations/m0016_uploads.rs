//! Pictures that users uploaded: in the database, because every node serves them and one backup holds all.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use super::engine::Engine;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLE: &str = "uploads";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let engine = Engine::of(manager).await?;
        let table = Table::create()
            .table(TABLE)
            .col(string_len("name", 40).primary_key())
            .col(big_integer("user_id"))
            .col(string_len("source_hash", 64))
            .col(big_integer("bytes"))
            .col(integer("width"))
            .col(integer("height"))
            .col(big_integer("created_at_ms"))
            .col(engine.long_blob("content"))
            .to_owned();
        let index = |name: &'static str, column: &'static str| {
            Index::create().name(name).table(TABLE).col("user_id").col(column).to_owned()
        };
        let indexes = vec![
            index("uploads_by_user", "bytes"),
            index("uploads_by_source", "source_hash"),
            Index::create().name("uploads_by_size").table(TABLE).col("bytes").to_owned(),
        ];
        engine.create(manager, vec![table], indexes).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TABLE).to_owned()).await
    }
}
