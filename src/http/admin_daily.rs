//! The shop day by day, for administrators: what the statistics page draws.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::extract::Query;
use super::fields::{Fields, FromFields};
use super::state::AppState;
use crate::domain::codes::Code;
use crate::domain::money::Yuan;
use crate::domain::reconciliation::BillDay;
use crate::persistence::daily::{self, Day, TopProduct};

const DAYS_DEFAULT: i64 = 30;
const DAYS_MAX: i64 = 90;

/// How many days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HowManyDays {
    days: u64,
}

impl FromFields for HowManyDays {
    const CODE: Code = Code::BAD_REQUEST;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { days: fields.whole_or("days", DAYS_DEFAULT, 1..=DAYS_MAX).unsigned_abs() }
    }
}

/// One day in Beijing.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayJson {
    /// E.g. `2026-11-20`.
    #[schema(value_type = String)]
    pub date: BillDay,
    /// Orders that were accepted on it, whatever became of them.
    pub orders: u64,
    /// Orders whose money came on it, also if it went back later.
    pub paid: u64,
    /// What those cost, in yuan.
    #[schema(value_type = f64)]
    pub revenue: Yuan,
    /// Yuan of orders' own money that buyers had back on it, whenever it had come. Payments too many are counted nowhere.
    #[schema(value_type = f64)]
    pub refunded: Yuan,
    /// Users who registered on it.
    pub new_users: u64,
}

/// What a product sold in these days.
#[derive(Debug, Serialize, ToSchema)]
pub struct TopProductJson {
    /// Which.
    pub product_id: i64,
    /// As it is called now.
    pub name: String,
    /// Units of orders whose money came.
    pub units: u64,
    /// What those orders cost, in yuan.
    #[schema(value_type = f64)]
    pub revenue: Yuan,
}

/// The shop day by day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DailyStatistics {
    /// Every day, oldest first; the last is today, as far as it is gone.
    pub days: Vec<DayJson>,
    /// At most ten, those that brought most first.
    pub top_products: Vec<TopProductJson>,
}

impl From<Day> for DayJson {
    fn from(day: Day) -> Self {
        Self {
            date: day.day,
            orders: day.orders,
            paid: day.paid,
            revenue: Yuan(day.revenue),
            refunded: Yuan(day.refunded),
            new_users: day.new_users,
        }
    }
}

impl From<TopProduct> for TopProductJson {
    fn from(top: TopProduct) -> Self {
        Self { product_id: top.product.0, name: top.name, units: top.units, revenue: Yuan(top.revenue) }
    }
}

/// The shop on each of the latest days in Beijing: `days` 1 to 90, 30 if absent.
#[utoipa::path(get, path = "/api/admin/statistics/daily", tag = "admin", security(("bearer" = [])),
    params(("days" = Option<u64>, Query, minimum = 1, maximum = 90)),
    responses((status = 200, body = EnvelopeOf<DailyStatistics>)))]
pub async fn daily_statistics(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(HowManyDays { days }): Query<HowManyDays>,
) -> ApiResult<DailyStatistics> {
    let today = BillDay::of(state.clock.now_ms());
    let told = daily::days(&state.db, today, days).await?;
    let top = daily::top_products(&state.db, today, days).await?;
    ok(DailyStatistics {
        days: told.into_iter().map(DayJson::from).collect(),
        top_products: top.into_iter().map(TopProductJson::from).collect(),
    })
}
