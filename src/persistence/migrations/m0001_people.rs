//! Users, their sessions and addresses, idempotency keys and the audit log.

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
        for name in ["audit_log", "idempotency_keys", "addresses", "sessions", "users"] {
            manager.drop_table(Table::drop().table(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn tables(engine: Engine) -> Vec<TableCreateStatement> {
    vec![users(), sessions(), addresses(), idempotency_keys(engine), audit_log(engine)]
}

fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(big_pk_auto("id"))
        .col(string_len_uniq("username", 50))
        .col(string_len_null("email", 190).unique_key())
        .col(string_len_null("phone", 20).unique_key())
        .col(string_len("nickname", 50))
        .col(string_len("avatar", 255))
        .col(string_len("password_hash", 255))
        .col(small_integer("role"))
        .col(small_integer("status"))
        .col(big_integer("token_epoch"))
        .col(big_integer("created_at_ms"))
        .col(big_integer("updated_at_ms"))
        .to_owned()
}

fn sessions() -> TableCreateStatement {
    Table::create()
        .table("sessions")
        .col(string_len("sid", 26).primary_key())
        .col(big_integer("user_id"))
        .col(string_len("refresh_hash", 64))
        .col(string_len("device", 200))
        .col(string_len("address", 45))
        .col(big_integer("created_at_ms"))
        .col(big_integer("last_seen_ms"))
        .col(big_integer("expires_at_ms"))
        .col(big_integer_null("revoked_at_ms"))
        .to_owned()
}

fn addresses() -> TableCreateStatement {
    Table::create()
        .table("addresses")
        .col(big_pk_auto("id"))
        .col(big_integer("user_id"))
        .col(string_len("receiver", 50))
        .col(string_len("phone", 20))
        .col(string_len("region", 100))
        .col(string_len("detail", 200))
        .col(boolean("is_default"))
        .col(big_integer("created_at_ms"))
        .col(big_integer("updated_at_ms"))
        .to_owned()
}

fn idempotency_keys(engine: Engine) -> TableCreateStatement {
    Table::create()
        .table("idempotency_keys")
        .col(big_integer("user_id"))
        .col(string_len("idempotency_key", 100))
        .col(string_len("fingerprint", 64))
        .col(engine.long_text("order_nos"))
        .col(small_integer("http_status"))
        .col(engine.long_text("answer"))
        .col(big_integer("lease_until_ms"))
        .col(big_integer("created_at_ms"))
        .primary_key(Index::create().col("user_id").col("idempotency_key"))
        .to_owned()
}

fn audit_log(engine: Engine) -> TableCreateStatement {
    Table::create()
        .table("audit_log")
        .col(big_pk_auto("id"))
        .col(big_integer("at_ms"))
        .col(big_integer_null("actor_id"))
        .col(string_len("actor_name", 50))
        .col(string_len("action", 50))
        .col(string_len("target", 100))
        .col(engine.long_text("detail"))
        .col(string_len("result", 200))
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        Index::create().name("sessions_by_user").table("sessions").col("user_id").to_owned(),
        Index::create().name("addresses_by_user").table("addresses").col("user_id").to_owned(),
        Index::create().name("idempotency_keys_by_age").table("idempotency_keys").col("created_at_ms").to_owned(),
        Index::create().name("audit_log_by_time").table("audit_log").col("at_ms").to_owned(),
    ]
}
