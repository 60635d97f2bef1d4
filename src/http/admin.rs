//! What administrators look at first: the shop in figures.

use std::collections::BTreeMap;

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::state::AppState;
use crate::domain::Money;
use crate::domain::money::Yuan;
use crate::domain::order::OrderStatus;
use crate::persistence::rehearsal::{self, Counted};

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

/// The shop in figures.
#[utoipa::path(get, path = "/api/admin/statistics", tag = "admin", security(("bearer" = [])),
    responses((status = 200, body = EnvelopeOf<Statistics>)))]
pub async fn statistics(state: web::Data<AppState>, _admin: Admin) -> ApiResult<Statistics> {
    let counts = rehearsal::orders_by_status(&state.db, Counted::All).await?;
    let earned = |status| matches!(status, OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Completed);
    let revenue =
        counts.iter().filter(|count| earned(count.status)).map(|count| Money::from_fen(count.total_fen)).sum();
    let mut actors = BTreeMap::new();
    for vitals in state.shop.controls.kinds.list(None, None) {
        *actors.entry(vitals.kind).or_insert(0) += 1;
    }
    ok(Statistics {
        users: rehearsal::rows_of(&state.db, "users").await?,
        products: rehearsal::rows_of(&state.db, "products").await?,
        orders: counts.iter().map(|count| (count.status.code(), count.orders)).collect(),
        revenue: Yuan(revenue),
        queue_depth: state.shop.queue.depth().await.ok(),
        dead_letters: state.shop.controls.host.dead_letters().total(),
        actors,
    })
}
