//! The waiting room of one sale, for administrators: opened, closed and given another rate by hand, before the sale and
//! while it runs. The node that took the command knows at once, the others within a second.

use std::collections::HashMap;
use std::time::Duration;

use actix_web::web;
use futures::stream::{self, StreamExt as _};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::extract::{Body, from_path};
use super::fields::{Fields, FromFields};
use super::state::AppState;
use super::times::Time;
use crate::domain::SaleId;
use crate::domain::codes::Code;
use crate::domain::sale::SalePhase;
use crate::persistence::sale_rooms::{self, ADMISSIONS_PER_SECOND_MAX, SaleRoom};
use crate::persistence::sales::{self, Sale, SaleRefusal};
use crate::persistence::waiting_rooms::Fill;

/// Rooms that are looked into at the same time, and how long all of them may take.
const LOOKED_AT_ONCE: usize = 8;
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// What a sale's waiting room shall be.
#[derive(Debug, ToSchema)]
pub struct CommandRoom {
    /// Buyers admitted in a second, over all nodes, 0..=1,000,000; 0: nobody waits; absent or null: as the settings say.
    #[schema(value_type = Option<i64>)]
    admissions_per_second: Option<u32>,
}

impl FromFields for CommandRoom {
    const CODE: Code = Code::SECKILL_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { admissions_per_second: admissions(fields) }
    }
}

/// The field `admissions_per_second`; `None` if absent or wrong.
pub(super) fn admissions(fields: &mut Fields) -> Option<u32> {
    let rate = fields.whole_if("admissions_per_second", 0..=i64::from(ADMISSIONS_PER_SECOND_MAX));
    rate.and_then(|rate| u32::try_from(rate).ok())
}

/// The waiting room in front of a sale.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SaleRoomJson {
    /// Buyers admitted in a second, over all nodes; 0: nobody waits.
    pub admissions_per_second: u32,
    /// Said of this sale; false: as the settings say.
    pub is_own: bool,
    /// Turns that are still to come; null if it cannot be told.
    pub waiting: Option<u64>,
    /// When the last of them comes; null if none is to come, or it cannot be told.
    pub waiting_until: Option<Time>,
}

impl SaleRoomJson {
    fn new(state: &AppState, said: SaleRoom, fill: Option<Fill>) -> Self {
        Self {
            admissions_per_second: said.admits(state.shop.waiting_room.by_settings()),
            is_own: said.admissions_per_second.is_some(),
            waiting: fill.and_then(|fill| fill.waiting),
            waiting_until: fill.and_then(|fill| fill.last_at_us).map(|at_us| Time(at_us / 1_000)),
        }
    }
}

/// Gives one sale a waiting room of its own, closes it, or leaves it to the settings again. A changed rate holds for turns
/// that are given from then on; when a room closes, all who wait may buy at once.
///
/// # Errors
/// `SECKILL_NOT_FOUND`; `SECKILL_ENDED` for a sale that was closed.
#[utoipa::path(put, path = "/api/admin/sales/{id}/waiting-room", tag = "admin", security(("bearer" = [])),
    params(("id" = i64, Path)), request_body = CommandRoom, responses((status = 200, body = EnvelopeOf<SaleRoomJson>)))]
pub async fn command_room(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    path: web::Path<String>,
    Body(wanted): Body<CommandRoom>,
) -> ApiResult<SaleRoomJson> {
    let id = SaleId(from_path(&path, Code::SECKILL_NOT_FOUND)?);
    let (rooms, now_ms) = (&state.shop.waiting_room, state.clock.now_ms());
    let wanted = wanted.admissions_per_second;
    let changed = sale_rooms::command(&state.db, id, wanted, rooms.by_settings(), now_ms).await??;
    rooms.of_sales.refresh(&state.db, &state.clock).await;
    let before = changed.before.admissions_per_second;
    let detail = json!({"admissions_per_second": wanted, "before": before});
    state.record(&admin, "sale.waiting_room", format!("sale {id}"), detail).await?;
    let known = sales::find(&state.db, id).await?.ok_or(SaleRefusal::NotFound)?;
    let room = rooms_of(&state, &[known.sale], now_ms).await.pop();
    ok(room.unwrap_or_else(|| SaleRoomJson::new(&state, changed.now, None)))
}

/// The rooms of these sales, in their order. Only those that somebody may wait in now are looked into.
pub(super) async fn rooms_of(state: &AppState, sales: &[Sale], now_ms: i64) -> Vec<SaleRoomJson> {
    let by_settings = state.shop.waiting_room.by_settings();
    let has_room = |sale: &Sale| sale.terms.phase(now_ms) == SalePhase::Open && sale.room.admits(by_settings) > 0;
    let asked: Vec<Sale> = sales.iter().copied().filter(has_room).collect();
    let fills = fills(state, &asked).await;
    let nobody = Fill { waiting: Some(0), last_at_us: None };
    let room = |sale: &Sale| {
        let fill = if has_room(sale) { fills.get(&sale.terms.sale).copied() } else { Some(nobody) };
        SaleRoomJson::new(state, sale.room, fill)
    };
    sales.iter().map(room).collect()
}

/// How full rooms are; those that do not say it in time are left out.
async fn fills(state: &AppState, sales: &[Sale]) -> HashMap<SaleId, Fill> {
    let mut told = HashMap::new();
    let looks = stream::iter(sales.iter().copied()).map(async |sale: Sale| {
        let id = sale.terms.sale;
        (id, state.shop.waiting_room.fill(sale.product, id, sale.room).await)
    });
    let mut looks = std::pin::pin!(looks.buffer_unordered(LOOKED_AT_ONCE));
    let all = async {
        while let Some((sale, answer)) = looks.next().await {
            match answer {
                Ok(fill) => drop(told.insert(sale, fill)),
                Err(error) => tracing::debug!(%sale, %error, "a waiting room does not say how full it is"),
            }
        }
    };
    if tokio::time::timeout(LOOK_WITHIN, all).await.is_err() {
        tracing::debug!("not all waiting rooms said in time how full they are");
    }
    told
}
