//! Failpoints of the running server, for tests: compiled and routed only with the cargo feature `failpoints`, which no
//! deployed build has.

use std::collections::BTreeMap;

use serde::Serialize;

use super::auth::Admin;
use super::envelope::{ApiResult, ok};
use super::error::ApiError;
use super::extract::Body;
use super::fields::{Fields, FromFields};
use super::route_table::RouteTable;
use crate::domain::codes::Code;
use crate::failpoint;

/// Apart from the API's own routes, which are all documented.
#[must_use]
pub fn routes() -> RouteTable {
    let mut routes = RouteTable::default();
    routes.get("/api/admin/failpoints", list); // a
    routes.post("/api/admin/failpoints", arm); // a
    routes
}

/// What shall happen where, e.g. `inventory.claim=panic@1`.
#[derive(Debug)]
pub struct ArmFailpoint {
    arm: String,
}

impl FromFields for ArmFailpoint {
    const CODE: Code = Code::BAD_REQUEST;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { arm: fields.text("arm", 1..=200) }
    }
}

/// How often each point was visited since the start, or since it was armed.
#[derive(Debug, Serialize)]
pub struct Visits {
    /// By point.
    pub visits: BTreeMap<&'static str, u64>,
}

/// `POST /api/admin/failpoints`: arms one point.
///
/// # Errors
/// `BAD_REQUEST` if the entry cannot be read.
pub async fn arm(_: Admin, Body(wanted): Body<ArmFailpoint>) -> ApiResult<Visits> {
    if !failpoint::arm(&wanted.arm) {
        return Err(ApiError::from(Code::BAD_REQUEST).with("arm", "point=kill|panic|delay(ms)[@visit]"));
    }
    visits().await
}

/// `GET /api/admin/failpoints`.
///
/// # Errors
/// None; the type is that of all handlers.
pub async fn list(_: Admin) -> ApiResult<Visits> {
    visits().await
}

async fn visits() -> ApiResult<Visits> {
    ok(Visits { visits: failpoint::visits().into_iter().collect() })
}
