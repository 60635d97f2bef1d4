//! What administrators look at first: the shop in figures, and who did what.

use std::collections::BTreeMap;

use actix_web::web;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::extract::Query;
use super::fields::{Fields, FromFields};
use super::pages::{PageOf, PageQuery};
use super::state::AppState;
use super::times::Time;
use crate::domain::Money;
use crate::domain::codes::Code;
use crate::domain::money::Yuan;
use crate::domain::order::OrderStatus;
use crate::persistence::audit::{self, AuditRecord};
use crate::persistence::{Page, rehearsal};

/// The shop in figures.
#[derive(Debug, Serialize, ToSchema)]
pub struct Statistics {
    /// Registered users.
    pub users: u64,
    /// Products, deleted ones too.
    pub products: u64,
    /// Orders by status code.
    pub orders: BTreeMap<i16, u64>,
    /// Of paid, shipped and completed orders, in yuan.
    #[schema(value_type = f64)]
    pub revenue: Yuan,
    /// Batches of tickets on their way to the order writer; null while the broker cannot be asked.
    pub queue_depth: Option<u64>,
    /// Messages that no actor of this node handled.
    pub dead_letters: u64,
    /// Live actors of this node by kind.
    pub actors: BTreeMap<&'static str, u64>,
}

/// An act of an administrator or of the shop.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditJson {
    /// Ascending.
    pub id: i64,
    /// When.
    pub at: Time,
    /// Who; null for the command line and the shop.
    pub actor_id: Option<i64>,
    /// His name then.
    pub actor_name: String,
    /// E.g. `sale.plan`.
    pub action: String,
    /// E.g. `sale 7`.
    pub target: String,
    /// What was asked for.
    #[schema(value_type = Object)]
    pub detail: Value,
    /// `ok` or why not.
    pub result: String,
}

impl From<AuditRecord> for AuditJson {
    fn from(record: AuditRecord) -> Self {
        let entry = record.entry;
        Self {
            id: record.id,
            at: Time(record.at_ms),
            actor_id: entry.actor.map(|actor| actor.0),
            actor_name: entry.actor_name,
            action: entry.action,
            target: entry.target,
            detail: entry.detail,
            result: entry.result,
        }
    }
}

/// Which acts.
#[derive(Debug)]
pub struct WhichActs {
    page: PageQuery,
    action: String,
}

impl FromFields for WhichActs {
    const CODE: Code = Code::BAD_REQUEST;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { page: PageQuery::read(fields), action: fields.text_if("action", 1..=50).unwrap_or_default() }
    }
}

/// The shop in figures.
#[utoipa::path(get, path = "/api/admin/statistics", tag = "admin", security(("bearer" = [])),
    responses((status = 200, body = EnvelopeOf<Statistics>)))]
pub async fn statistics(state: web::Data<AppState>, _admin: Admin) -> ApiResult<Statistics> {
    let counts = rehearsal::orders_by_status(&state.db, None).await?;
    let earned = |status| matches!(status, OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Completed);
    let revenue =
        counts.iter().filter(|count| earned(count.status)).map(|count| Money::from_fen(count.total_fen)).sum();
    let mut actors = BTreeMap::new();
    for vitals in state.shop.kinds.list(None, None) {
        *actors.entry(vitals.kind).or_insert(0) += 1;
    }
    ok(Statistics {
        users: rehearsal::rows_of(&state.db, "users").await?,
        products: rehearsal::rows_of(&state.db, "products").await?,
        orders: counts.iter().map(|count| (count.status.code(), count.orders)).collect(),
        revenue: Yuan(revenue),
        queue_depth: state.shop.queue.depth().await.ok(),
        dead_letters: state.shop.host.dead_letters().total(),
        actors,
    })
}

/// Who did what, newest first.
#[utoipa::path(get, path = "/api/admin/audit", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query), ("action" = Option<String>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<AuditJson>>)))]
pub async fn list_acts(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(wanted): Query<WhichActs>,
) -> ApiResult<PageOf<AuditJson>> {
    let page = Page::new(wanted.page.page, wanted.page.page_size);
    let (records, total) = audit::list(&state.db, page, &wanted.action).await?;
    ok(wanted.page.of(records.into_iter().map(Into::into).collect(), total))
}
