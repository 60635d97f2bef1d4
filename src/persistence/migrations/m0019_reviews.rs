//! Orders that wait for a human are counted every second somewhere, and there are hardly any: an index of those alone.
//!
//! MySQL has no indexes of some rows only; there all orders are in it, the empty ones side by side, and the few are a
//! stretch of it all the same.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::engine::Engine;
use crate::persistence::lags;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const NAME: &str = "orders_by_review";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut index = Index::create().name(NAME).table("orders").col("review").to_owned();
        if manager.get_database_backend() != DbBackend::MySql {
            index.and_where(lags::in_review());
        }
        Engine::of(manager).await?.create(manager, Vec::new(), vec![index]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(NAME).table("orders").to_owned()).await
    }
}
