//! Where the engines differ in what a table is made of.
//!
//! Texts are compared byte by byte everywhere (order numbers, usernames, keys), as SQLite and PostgreSQL do by
//! themselves: MySQL would otherwise find `Li` for `li` and `a` for `a `. A `TEXT` of MySQL ends at 64 KiB, which an
//! outbox row of a full batch exceeds; its `LONGTEXT` does not.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{blob, text};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, Statement};

/// An engine, as far as the schema must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// SQLite or PostgreSQL.
    Plain,
    /// Has a collation without padding under a name of its own.
    MariaDb,
    /// Has it under another one.
    MySql,
}

impl Engine {
    pub(super) async fn of(manager: &SchemaManager<'_>) -> Result<Self, DbErr> {
        if manager.get_database_backend() != DbBackend::MySql {
            return Ok(Self::Plain);
        }
        let version = Statement::from_string(DbBackend::MySql, "SELECT VERSION() AS version");
        let row = manager.get_connection().query_one_raw(version).await?;
        let version: String = row.map_or(Ok(String::new()), |row| row.try_get("", "version"))?;
        Ok(if version.contains("MariaDB") { Self::MariaDb } else { Self::MySql })
    }

    /// A text of any length.
    pub(super) fn long_text(self, name: &'static str) -> ColumnDef {
        match self {
            Self::Plain => text(name),
            Self::MariaDb | Self::MySql => ColumnDef::new(name).custom("longtext").not_null().take(),
        }
    }

    /// Bytes of any length.
    pub(super) fn long_blob(self, name: &'static str) -> ColumnDef {
        match self {
            Self::Plain => blob(name),
            Self::MariaDb | Self::MySql => ColumnDef::new(name).custom("longblob").not_null().take(),
        }
    }

    /// Creates what is missing of these tables and indexes.
    pub(super) async fn create(
        self,
        manager: &SchemaManager<'_>,
        tables: Vec<TableCreateStatement>,
        indexes: Vec<IndexCreateStatement>,
    ) -> Result<(), DbErr> {
        for mut table in tables {
            table.if_not_exists();
            if let Some(collation) = self.collation() {
                table.engine("InnoDB").character_set("utf8mb4").collate(collation);
            }
            manager.create_table(table).await?;
        }
        for index in indexes {
            if !self.has(manager, &index).await? {
                manager.create_index(index).await?;
            }
        }
        Ok(())
    }

    const fn collation(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::MariaDb => Some("utf8mb4_nopad_bin"),
            Self::MySql => Some("utf8mb4_0900_bin"),
        }
    }

    /// Whether a run of this step that was cut short made the index already. It is named `{table}_by_{what}`.
    async fn has(self, manager: &SchemaManager<'_>, index: &IndexCreateStatement) -> Result<bool, DbErr> {
        let name = index.get_index_spec().get_name().unwrap_or_default();
        let (table, _) = name.split_once("_by_").ok_or_else(|| DbErr::Custom(format!("index {name} of no table")))?;
        manager.has_index(table, name).await
    }
}
