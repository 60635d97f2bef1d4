//! Orders with their items, journal, payments, owed effects and the outbox.

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
        for name in ["refunds", "payments", "outbox", "effects", "order_events", "order_items", "orders"] {
            manager.drop_table(Table::drop().table(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn tables(engine: Engine) -> Vec<TableCreateStatement> {
    vec![orders(engine), order_items(), order_events(engine), effects(engine), outbox(engine), payments(), refunds()]
}

fn orders(engine: Engine) -> TableCreateStatement {
    Table::create()
        .table("orders")
        .col(string_len("order_no", 26).primary_key())
        .col(big_integer("user_id"))
        .col(big_integer("product_id"))
        .col(big_integer("pool"))
        .col(big_integer("quantity"))
        .col(big_integer("total_fen"))
        .col(small_integer("status"))
        .col(integer("version"))
        .col(small_integer("pay_type").default(0))
        .col(big_integer("pay_deadline_ms"))
        .col(engine.long_text("details"))
        .col(string_len("carrier", 50).default(""))
        .col(string_len("tracking_no", 50).default(""))
        .col(string_len("cancel_reason", 30).default(""))
        .col(string_len("review", 30).default(""))
        .col(big_integer("refunded_fen").default(0))
        .col(big_integer("created_at_ms"))
        .col(big_integer("updated_at_ms"))
        .col(big_integer_null("paid_at_ms"))
        .col(big_integer_null("shipped_at_ms"))
        .col(big_integer_null("completed_at_ms"))
        .to_owned()
}

fn order_items() -> TableCreateStatement {
    Table::create()
        .table("order_items")
        .col(string_len("order_no", 26))
        .col(small_integer("line_no"))
        .col(big_integer("product_id"))
        .col(string_len("product_name", 200))
        .col(string_len("product_image", 255))
        .col(big_integer("unit_price_fen"))
        .col(big_integer("quantity"))
        .primary_key(Index::create().col("order_no").col("line_no"))
        .to_owned()
}

fn order_events(engine: Engine) -> TableCreateStatement {
    Table::create()
        .table("order_events")
        .col(string_len("order_no", 26))
        .col(integer("seq"))
        .col(string_len("kind", 40))
        .col(engine.long_text("payload"))
        .col(big_integer("at_ms"))
        .col(big_integer("commit_no"))
        .col(string_len("prev_hash", 64))
        .col(string_len("hash", 64))
        .primary_key(Index::create().col("order_no").col("seq"))
        .to_owned()
}

fn effects(engine: Engine) -> TableCreateStatement {
    Table::create()
        .table("effects")
        .col(string_len("order_no", 26))
        .col(integer("seq"))
        .col(small_integer("part"))
        .col(string_len("kind", 30))
        .col(engine.long_text("payload"))
        .col(big_integer("due_at_ms"))
        .col(integer("attempts"))
        .col(big_integer("lease_until_ms"))
        .col(string_len("last_error", 255))
        .primary_key(Index::create().col("order_no").col("seq").col("part"))
        .to_owned()
}

fn outbox(engine: Engine) -> TableCreateStatement {
    Table::create()
        .table("outbox")
        .col(big_pk_auto("commit_no"))
        .col(engine.long_text("payload"))
        .col(big_integer("created_at_ms"))
        .to_owned()
}

fn payments() -> TableCreateStatement {
    Table::create()
        .table("payments")
        .col(string_len("payment_no", 32).primary_key())
        .col(string_len("order_no", 26))
        .col(small_integer("attempt"))
        .col(small_integer("channel"))
        .col(big_integer("amount_fen"))
        .col(string_len("state", 20))
        .col(string_len("transaction_id", 64))
        .col(big_integer("created_at_ms"))
        .col(big_integer_null("captured_at_ms"))
        .to_owned()
}

fn refunds() -> TableCreateStatement {
    Table::create()
        .table("refunds")
        .col(string_len("refund_no", 32).primary_key())
        .col(string_len("order_no", 26))
        .col(string_len("payment_no", 32))
        .col(big_integer("amount_fen"))
        .col(string_len("purpose", 10))
        .col(string_len("state", 20))
        .col(string_len("reason", 255))
        .col(big_integer("created_at_ms"))
        .col(big_integer_null("ended_at_ms"))
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        Index::create().name("orders_by_user").table("orders").col("user_id").col("order_no").to_owned(),
        Index::create().name("orders_by_deadline").table("orders").col("status").col("pay_deadline_ms").to_owned(),
        Index::create().name("effects_by_due").table("effects").col("due_at_ms").to_owned(),
        Index::create().name("payments_by_order").table("payments").col("order_no").to_owned(),
        Index::create().name("refunds_by_order").table("refunds").col("order_no").to_owned(),
    ]
}
