//! Units: the authority (`stock`, `stock_moves`) and the SQL ledger in front of it (`ledger_*`).

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
        for name in
            ["dead_tickets", "ledger_moves", "ledger_buyers", "ledger_tickets", "ledger_pools", "stock_moves", "stock"]
        {
            manager.drop_table(Table::drop().table(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn tables(engine: Engine) -> Vec<TableCreateStatement> {
    vec![
        stock(),
        stock_moves(engine),
        ledger_pools(engine),
        ledger_tickets(engine),
        ledger_buyers(),
        ledger_moves(),
        dead_tickets(engine),
    ]
}

fn stock() -> TableCreateStatement {
    Table::create()
        .table("stock")
        .col(big_integer("product_id"))
        .col(big_integer("pool"))
        .col(big_integer("put_in"))
        .col(big_integer("free").check(Expr::col("free").gte(0)))
        .col(big_integer("held").check(Expr::col("held").gte(0)))
        .col(big_integer("sold").check(Expr::col("sold").gte(0)))
        .primary_key(Index::create().col("product_id").col("pool"))
        .to_owned()
}

fn stock_moves(engine: Engine) -> TableCreateStatement {
    Table::create()
        .table("stock_moves")
        .col(string_len("move_id", 26).primary_key())
        .col(big_integer("product_id"))
        .col(small_integer("step"))
        .col(engine.long_text("plan"))
        .col(string_len("refusal", 100))
        .col(big_integer("created_at_ms"))
        .col(big_integer("updated_at_ms"))
        .to_owned()
}

fn ledger_pools(engine: Engine) -> TableCreateStatement {
    Table::create()
        .table("ledger_pools")
        .col(big_integer("product_id"))
        .col(big_integer("pool"))
        .col(big_integer("free").check(Expr::col("free").gte(0)))
        .col(engine.long_text("terms"))
        .col(big_integer("epoch"))
        .primary_key(Index::create().col("product_id").col("pool"))
        .to_owned()
}

fn ledger_tickets(engine: Engine) -> TableCreateStatement {
    Table::create()
        .table("ledger_tickets")
        .col(string_len("order_no", 26).primary_key())
        .col(big_integer("product_id"))
        .col(big_integer("pool"))
        .col(big_integer("buyer_id"))
        .col(big_integer("quantity"))
        .col(big_integer("unit_price_fen"))
        .col(small_integer("state"))
        .col(engine.long_text("details"))
        .col(big_integer("accepted_at_ms"))
        .to_owned()
}

fn ledger_buyers() -> TableCreateStatement {
    Table::create()
        .table("ledger_buyers")
        .col(big_integer("product_id"))
        .col(big_integer("pool"))
        .col(big_integer("buyer_id"))
        .col(big_integer("units"))
        .col(string_len("latest_order_no", 26))
        .primary_key(Index::create().col("product_id").col("pool").col("buyer_id"))
        .to_owned()
}

fn ledger_moves() -> TableCreateStatement {
    Table::create()
        .table("ledger_moves")
        .col(string_len("step_id", 40).primary_key())
        .col(big_integer("units"))
        .col(big_integer("at_ms"))
        .to_owned()
}

fn dead_tickets(engine: Engine) -> TableCreateStatement {
    Table::create()
        .table("dead_tickets")
        .col(string_len("order_no", 26).primary_key())
        .col(big_integer("product_id"))
        .col(big_integer("buyer_id"))
        .col(engine.long_text("ticket"))
        .col(string_len("reason", 255))
        .col(integer("attempts"))
        .col(big_integer("at_ms"))
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        Index::create().name("stock_moves_by_step").table("stock_moves").col("step").to_owned(),
        Index::create().name("ledger_tickets_by_buyer").table("ledger_tickets").col("buyer_id").col("state").to_owned(),
        Index::create()
            .name("ledger_tickets_by_age")
            .table("ledger_tickets")
            .col("state")
            .col("accepted_at_ms")
            .to_owned(),
        Index::create().name("ledger_moves_by_age").table("ledger_moves").col("at_ms").to_owned(),
        Index::create().name("dead_tickets_by_time").table("dead_tickets").col("at_ms").to_owned(),
    ]
}
