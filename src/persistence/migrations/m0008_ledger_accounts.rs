//! What the database remembers of the accounts that a ledger outside it has had. A product that is there before this
//! table may have had one: it counts as known, of epoch 0.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

use super::engine::Engine;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const KNOWN: &str = "INSERT INTO ledger_accounts (product_id, epoch, turn, built_at_ms) SELECT DISTINCT product_id, 0, '', 0 \
                     FROM stock WHERE product_id NOT IN (SELECT product_id FROM ledger_accounts)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let accounts = Table::create()
            .table("ledger_accounts")
            .col(big_integer("product_id").primary_key())
            .col(big_integer("epoch"))
            .col(string_len("turn", 100))
            .col(big_integer("built_at_ms"))
            .to_owned();
        Engine::of(manager).await?.create(manager, vec![accounts], Vec::new()).await?;
        manager.get_connection().execute_unprepared(KNOWN).await.map(|_| ())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("ledger_accounts").to_owned()).await
    }
}
