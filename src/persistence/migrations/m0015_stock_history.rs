//! What administrators and the shop moved into, out of and between a product's pools, for ever: `stock_moves` forgets
//! what ended a week ago.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use super::engine::Engine;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLE: &str = "stock_history";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(string_len("move_id", 26).primary_key())
            .col(big_integer("product_id"))
            .col(string_len("kind", 20))
            .col(big_integer_null("sale_id"))
            .col(big_integer("units"))
            .col(big_integer("free_after"))
            .col(big_integer_null("sale_left_after"))
            .col(big_integer("at_ms"))
            .col(big_integer_null("actor_id"))
            .col(string_len("actor_name", 50))
            .col(string_len("why", 200))
            .to_owned();
        let index = Index::create()
            .name("stock_history_by_product")
            .table(TABLE)
            .col("product_id")
            .col("at_ms")
            .col("move_id")
            .to_owned();
        Engine::of(manager).await?.create(manager, vec![table], vec![index]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TABLE).to_owned()).await
    }
}
