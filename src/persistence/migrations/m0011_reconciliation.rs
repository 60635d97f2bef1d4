//! Reconciliation with the gateways' daily bills: its runs, what it found, and the indexes by which a day is read.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use super::engine::Engine;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let engine = Engine::of(manager).await?;
        engine.create(manager, vec![runs(), differences()], indexes()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table) in [("payments_by_captured", "payments"), ("refunds_by_ended", "refunds")] {
            manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
        }
        for name in ["bill_differences", "bill_runs"] {
            manager.drop_table(Table::drop().table(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn runs() -> TableCreateStatement {
    Table::create()
        .table("bill_runs")
        .col(string_len("id", 30).primary_key())
        .col(small_integer("channel"))
        .col(string_len("day", 10))
        .col(string_len("state", 10))
        .col(integer("attempts").default(0))
        .col(big_integer("due_at_ms"))
        .col(big_integer("lease_until_ms").default(0))
        .col(small_integer("lease_slot").default(-1))
        .col(big_integer_null("started_at_ms"))
        .col(big_integer_null("finished_at_ms"))
        .col(big_integer("lines_read").default(0))
        .col(big_integer("lines_unknown").default(0))
        .col(string_len("last_error", 255).default(""))
        .to_owned()
}

fn differences() -> TableCreateStatement {
    Table::create()
        .table("bill_differences")
        .col(string_len("run_id", 30))
        .col(string_len("kind", 30))
        .col(string_len("number", 64))
        .col(string_len("order_no", 26).default(""))
        .col(string_len("payment_no", 64))
        .col(string_len("gateway_no", 64))
        .col(big_integer_null("ours_fen"))
        .col(big_integer_null("theirs_fen"))
        .col(string_len("our_state", 20))
        .col(string_len("their_state", 20))
        .col(string_len("state", 10))
        .col(string_len("note", 255).default(""))
        .col(integer("seen_attempt"))
        .col(big_integer("found_at_ms"))
        .col(big_integer_null("ended_at_ms"))
        .primary_key(Index::create().col("run_id").col("kind").col("number"))
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        Index::create().name("bill_runs_by_due").table("bill_runs").col("state").col("due_at_ms").to_owned(),
        Index::create().name("bill_differences_by_state").table("bill_differences").col("state").to_owned(),
        Index::create().name("payments_by_captured").table("payments").col("captured_at_ms").to_owned(),
        Index::create().name("refunds_by_ended").table("refunds").col("ended_at_ms").to_owned(),
    ]
}
