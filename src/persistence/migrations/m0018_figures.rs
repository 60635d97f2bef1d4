//! What administrators are told and say: new users are counted day by day, of each webhook target it is kept when it took
//! something last and why it did not, and products can be refused as sold out.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use super::engine::Engine;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TARGETS: &str = "webhook_targets";
const FLAGS: &str = "sold_out_flags";
const USERS_BY_TIME: &str = "users_by_time";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let targets = Table::create()
            .table(TARGETS)
            .col(string_len("name", 40).primary_key())
            .col(big_integer("taken_at_ms").default(0))
            .col(big_integer("refused_at_ms").default(0))
            .col(string_len("last_error", 255).default(""))
            .to_owned();
        let flags = Table::create()
            .table(FLAGS)
            .col(big_integer("product_id").primary_key())
            .col(big_integer("set_at_ms"))
            .to_owned();
        let users = Index::create().name(USERS_BY_TIME).table("users").col("created_at_ms").to_owned();
        Engine::of(manager).await?.create(manager, vec![targets, flags], vec![users]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(USERS_BY_TIME).table("users").to_owned()).await?;
        for name in [FLAGS, TARGETS] {
            manager.drop_table(Table::drop().table(name).to_owned()).await?;
        }
        Ok(())
    }
}
