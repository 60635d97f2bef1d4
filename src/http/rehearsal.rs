//! For the drill only (`features.rehearsal`, off in production unless switched on): buyers in bulk, and the books of one
//! product to compare its figures with. Where it is off these routes do not exist.

use std::collections::BTreeMap;

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Admin, Subject};
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Body, Query};
use super::fields::{Fields, FromFields};
use super::problem::Problem;
use super::state::AppState;
use crate::domain::codes::Code;
use crate::domain::user::is_username;
use crate::domain::{BuyerId, ProductId, Role};
use crate::persistence::rehearsal::Counted;
use crate::persistence::users::NewUser;
use crate::persistence::{rehearsal, stock, users};

const BUYERS_MAX: i64 = 20_000;
/// Sessions of rehearsal buyers end by themselves.
const SESSION_MS: i64 = 24 * 3_600_000;

/// Buyers to make.
#[derive(Debug, ToSchema)]
pub struct MakeBuyers {
    /// 1..=20,000.
    count: i64,
    /// Their names are `{prefix}{n}`; no such user may exist.
    prefix: String,
}

impl FromFields for MakeBuyers {
    const CODE: Code = Code::USER_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        let made = Self { count: fields.whole("count", 1..=BUYERS_MAX), prefix: fields.text("prefix", 3..=40) };
        if !is_username(&made.prefix) {
            fields.refuse("prefix", Problem::Malformed);
        }
        made
    }
}

/// A buyer, signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeBuyer {
    /// His id.
    pub user_id: i64,
    /// His name.
    pub username: String,
    /// An access token of the usual life.
    pub token: String,
}

/// Buyers, signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeBuyers {
    /// As many as were asked for.
    pub buyers: Vec<MadeBuyer>,
    /// Life of the tokens in seconds.
    pub expires_in: i64,
}

/// Which product's books.
#[derive(Debug)]
pub struct WhichProduct {
    product_id: ProductId,
}

impl FromFields for WhichProduct {
    const CODE: Code = Code::PRODUCT_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { product_id: fields.product("product_id") }
    }
}

/// Where a product's units are, by every account.
#[derive(Debug, Serialize, ToSchema)]
pub struct Books {
    /// The database.
    pub stock: Vec<StockBook>,
    /// The ledger.
    pub ledger: Vec<LedgerBook>,
    /// Units under tickets whose order is not settled yet.
    pub unsettled: i64,
    /// Orders by status name.
    pub orders: BTreeMap<String, u64>,
    /// Buyers with at least one order.
    pub distinct_buyers: u64,
}

/// A pool in the database.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockBook {
    /// 0 the free pool, else the sale's id.
    pub pool: i64,
    /// Ever put in, less what was taken out.
    pub put_in: i64,
    /// For sale.
    pub free: i64,
    /// Under unpaid orders.
    pub held: i64,
    /// Under paid orders.
    pub sold: i64,
}

/// A pool in the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerBook {
    /// 0 the free pool, else the sale's id.
    pub pool: i64,
    /// Units that can be claimed.
    pub free: i64,
    /// Units under unsettled tickets.
    pub unsettled: i64,
}

fn must_be_on(state: &AppState) -> Result<(), ApiError> {
    if state.in_effect().rehearsal() { Ok(()) } else { Err(Code::NOT_FOUND.into()) }
}

/// Makes buyers with access tokens; they share one password that nobody knows.
#[utoipa::path(post, path = "/api/admin/rehearsal/buyers", tag = "rehearsal", security(("bearer" = [])),
    request_body = MakeBuyers, responses((status = 200, body = EnvelopeOf<MadeBuyers>)))]
pub async fn make_buyers(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    Body(wanted): Body<MakeBuyers>,
) -> ApiResult<MadeBuyers> {
    must_be_on(&state)?;
    let names: Vec<String> = (0..wanted.count).map(|n| format!("{}{n}", wanted.prefix)).collect();
    if !rehearsal::ids_of(&state.db, &names).await?.is_empty() {
        return Err(Code::USER_EXISTS.into()); // never a token for somebody's account
    }
    let now_ms = state.clock.now_ms();
    let password_hash = state.passwords.hash(crate::random::token()).await?;
    let new = |username: &String| NewUser {
        username: username.clone(),
        email: None,
        phone: None,
        password_hash: password_hash.clone(),
        role: Role::User,
    };
    users::bulk_insert(&state.db, &names.iter().map(new).collect::<Vec<_>>(), now_ms).await?;
    let made = rehearsal::ids_of(&state.db, &names).await?;
    let ids: Vec<BuyerId> = made.iter().map(|(id, _)| *id).collect();
    let sids: Vec<String> = ids.iter().map(|_| state.shop.numbers.next().to_string()).collect();
    rehearsal::open_sessions(&state.db, &ids, &sids, now_ms, now_ms + SESSION_MS).await?;
    let detail = serde_json::json!({"count": wanted.count, "prefix": wanted.prefix});
    state.record(&admin, "rehearsal.buyers", wanted.prefix, detail).await?;
    let sign = |((buyer, username), sid): ((BuyerId, String), String)| {
        let subject = Subject { buyer, username: username.clone(), role: Role::User, sid };
        Ok(MadeBuyer { user_id: buyer.0, username, token: state.tokens.mint(&subject, now_ms)? })
    };
    let buyers: Result<Vec<MadeBuyer>, ApiError> = made.into_iter().zip(sids).map(sign).collect();
    ok(MadeBuyers { buyers: buyers?, expires_in: state.tokens.life_s() })
}

/// The books of one product.
#[utoipa::path(get, path = "/api/admin/rehearsal/reconciliation", tag = "rehearsal", security(("bearer" = [])),
    params(("product_id" = i64, Query)), responses((status = 200, body = EnvelopeOf<Books>)))]
pub async fn reconcile(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(WhichProduct { product_id: product }): Query<WhichProduct>,
) -> ApiResult<Books> {
    must_be_on(&state)?;
    let snapshot = state.shop.ledger.snapshot(product).await?;
    let ledger: Vec<LedgerBook> = snapshot
        .pools
        .iter()
        .map(|pool| LedgerBook { pool: pool.pool.into(), free: pool.free, unsettled: pool.unsettled })
        .collect();
    let stock = stock::of_product(&state.db, product).await?;
    let counts = rehearsal::orders_by_status(&state.db, Counted::Product(product)).await?;
    let name = |status| serde_json::to_value(status).ok().and_then(|name| name.as_str().map(str::to_owned));
    ok(Books {
        unsettled: ledger.iter().map(|pool| pool.unsettled).sum(),
        ledger,
        stock: stock
            .into_iter()
            .map(|row| StockBook {
                pool: row.pool.into(),
                put_in: row.put_in,
                free: row.free,
                held: row.held,
                sold: row.sold,
            })
            .collect(),
        orders: counts.into_iter().filter_map(|count| Some((name(count.status)?, count.orders))).collect(),
        distinct_buyers: rehearsal::distinct_buyers(&state.db, product).await?,
    })
}
