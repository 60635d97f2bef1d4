//! Categories, products, sales and carts.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use super::engine::Engine;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let engine = Engine::of(manager).await?;
        engine.create(manager, tables(engine), indexes()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["cart_items", "sales", "products", "categories"] {
            manager.drop_table(Table::drop().table(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn tables(engine: Engine) -> Vec<TableCreateStatement> {
    vec![categories(), products(engine), sales(), cart_items()]
}

fn categories() -> TableCreateStatement {
    Table::create()
        .table("categories")
        .col(big_pk_auto("id"))
        .col(big_integer_null("parent_id"))
        .col(string_len_uniq("name", 50))
        .col(integer("position"))
        .to_owned()
}

fn products(engine: Engine) -> TableCreateStatement {
    Table::create()
        .table("products")
        .col(big_pk_auto("id"))
        .col(string_len("name", 200))
        .col(engine.long_text("description"))
        .col(big_integer("category_id"))
        .col(big_integer("price_fen"))
        .col(string_len("image_url", 255))
        .col(engine.long_text("images"))
        .col(engine.long_text("attributes"))
        .col(big_integer("sales"))
        .col(integer("rating_hundredths"))
        .col(small_integer("status"))
        .col(big_integer("version"))
        .col(big_integer("created_at_ms"))
        .col(big_integer("updated_at_ms"))
        .to_owned()
}

fn sales() -> TableCreateStatement {
    Table::create()
        .table("sales")
        .col(big_pk_auto("id"))
        .col(big_integer("product_id"))
        .col(big_integer("price_fen"))
        .col(big_integer("units_planned"))
        .col(big_integer("units_per_buyer_max"))
        .col(big_integer("opens_at_ms"))
        .col(big_integer("closes_at_ms"))
        .col(boolean("closed"))
        .col(big_integer("created_at_ms"))
        .col(big_integer("updated_at_ms"))
        .to_owned()
}

fn cart_items() -> TableCreateStatement {
    Table::create()
        .table("cart_items")
        .col(string_len("owner", 64))
        .col(big_integer("product_id"))
        .col(big_integer("quantity"))
        .col(big_integer("added_at_ms"))
        .col(big_integer("expires_at_ms"))
        .primary_key(Index::create().col("owner").col("product_id"))
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        Index::create().name("products_by_category").table("products").col("category_id").col("id").to_owned(),
        Index::create().name("products_by_price").table("products").col("price_fen").col("id").to_owned(),
        Index::create().name("sales_by_product").table("sales").col("product_id").col("opens_at_ms").to_owned(),
        Index::create().name("cart_items_by_expiry").table("cart_items").col("expires_at_ms").to_owned(),
    ]
}
