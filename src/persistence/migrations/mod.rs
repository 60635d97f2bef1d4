//! The schema, as numbered steps that SQLite, MySQL/MariaDB and PostgreSQL all take.
//!
//! Times are milliseconds since 1970 and money is fen, both `BIGINT`, so that no engine rounds or shifts them. MySQL
//! and MariaDB commit every `CREATE` by itself: a step that a crash cut short is run again, and finds what is there.
//!
//! Nodes of two releases use one schema while one after the other is upgraded. So a step after the first four only adds:
//! tables, indexes that are not unique, columns that may be left out of an `INSERT`.

use sea_orm_migration::prelude::*;

mod engine;
mod m0001_people;
mod m0002_catalogue;
mod m0003_stock;
mod m0004_orders;
mod m0005_outbox_legs;
mod m0006_orders_by_product;
mod m0007_lease_slots;
mod m0008_ledger_accounts;
mod m0009_notices;
mod m0010_money_log;
mod m0011_reconciliation;
mod m0012_webhooks;
mod m0013_audit_search;
mod m0014_payments_by_time;
mod m0015_stock_history;
mod m0016_uploads;
mod m0017_sale_rooms;
mod m0018_figures;
mod m0019_reviews;

/// All steps, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_people::Migration),
            Box::new(m0002_catalogue::Migration),
            Box::new(m0003_stock::Migration),
            Box::new(m0004_orders::Migration),
            Box::new(m0005_outbox_legs::Migration),
            Box::new(m0006_orders_by_product::Migration),
            Box::new(m0007_lease_slots::Migration),
            Box::new(m0008_ledger_accounts::Migration),
            Box::new(m0009_notices::Migration),
            Box::new(m0010_money_log::Migration),
            Box::new(m0011_reconciliation::Migration),
            Box::new(m0012_webhooks::Migration),
            Box::new(m0013_audit_search::Migration),
            Box::new(m0014_payments_by_time::Migration),
            Box::new(m0015_stock_history::Migration),
            Box::new(m0016_uploads::Migration),
            Box::new(m0017_sale_rooms::Migration),
            Box::new(m0018_figures::Migration),
            Box::new(m0019_reviews::Migration),
        ]
    }
}
