//! One order as an administrator has to judge it: what the buyer sees, whose it is, its money, its journal as it is stored
//! with the verdict on its chain of hashes, and what is still owed. A journal that was tampered with is shown, not refused.

use actix_web::web;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::admin_payments::{PaymentRowJson, RefundRowJson};
use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::from_path;
use super::i18n::Lang;
use super::order_json::OrderJson;
use super::order_reads::{self, FoundOrder, Viewer};
use super::state::AppState;
use super::times::Time;
use crate::domain::codes::Code;
use crate::domain::order::ReviewReason;
use crate::domain::stock::Pool;
use crate::domain::{BuyerId, OrderNo};
use crate::persistence::effects::{self, OwedEffect};
use crate::persistence::journal::{self, StoredEntry};
use crate::persistence::{payments, products, users};

/// An order with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminOrderJson {
    /// What the buyer sees.
    #[serde(flatten)]
    pub order: OrderJson,
    /// The buyer's name; empty if he is gone.
    pub username: String,
    /// The sale; null for an ordinary order.
    pub sale_id: Option<i64>,
    /// 9 while it is closing, which buyers see as 1; else as `status`.
    pub true_status: i16,
    /// Why a human must look.
    #[schema(value_type = Option<String>)]
    pub review_reason: Option<ReviewReason>,
    /// Oldest first.
    pub payments: Vec<PaymentRowJson>,
    /// Oldest first.
    pub refunds: Vec<RefundRowJson>,
    /// Its history.
    pub journal: JournalJson,
    /// What is still to be done outside; in the order in which it was owed.
    pub owed: Vec<OwedJson>,
}

/// A journal and its verdict.
#[derive(Debug, Serialize, ToSchema)]
pub struct JournalJson {
    /// Every hash fits.
    pub intact: bool,
    /// The first `seq` that does not.
    pub broken_at: Option<u32>,
    /// Oldest first.
    pub entries: Vec<JournalEntryJson>,
}

/// One event as it is stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct JournalEntryJson {
    /// 1, 2, …
    pub seq: i32,
    /// E.g. `payment_captured`.
    pub event: String,
    /// When.
    pub at: Time,
    /// Of the commit; what the feed calls `seq`.
    pub commit_no: i64,
    /// Everything about it; amounts in fen.
    #[schema(value_type = Object)]
    pub detail: Value,
    /// SHA-256 over it and the hash before it.
    pub hash: String,
    /// It follows the entry before it, and its hash is right.
    pub fits: bool,
}

/// An action that is owed.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwedJson {
    /// Of the event that owes it.
    pub seq: u32,
    /// E.g. `refund`.
    pub kind: &'static str,
    /// Everything about it.
    #[schema(value_type = Object)]
    pub effect: Value,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it failed last; empty at first.
    pub last_error: String,
}

impl JournalJson {
    fn of(entries: Vec<StoredEntry>) -> Self {
        let first_broken = (1..).zip(&entries).find(|(_, entry)| !entry.fits).map(|(seq, _)| seq);
        let entry = |entry: StoredEntry| JournalEntryJson {
            seq: entry.seq,
            event: entry.kind,
            at: Time(entry.at_ms),
            commit_no: entry.commit_no,
            detail: serde_json::from_str(&entry.payload).unwrap_or(Value::String(entry.payload)),
            hash: entry.hash,
            fits: entry.fits,
        };
        let intact = first_broken.is_none();
        Self { intact, broken_at: first_broken, entries: entries.into_iter().map(entry).collect() }
    }
}

impl From<OwedEffect> for OwedJson {
    fn from(owed: OwedEffect) -> Self {
        Self {
            seq: owed.key.seq,
            kind: owed.effect.kind(),
            effect: serde_json::to_value(&owed.effect).unwrap_or_default(),
            attempts: owed.attempts,
            last_error: owed.last_error,
        }
    }
}

/// One order, also one that is accepted and not written yet (its journal is empty then).
#[utoipa::path(get, path = "/api/admin/orders/{order_no}", tag = "admin", security(("bearer" = [])),
    params(("order_no" = String, Path)), responses((status = 200, body = EnvelopeOf<AdminOrderJson>)))]
pub async fn show_order(
    state: web::Data<AppState>,
    _admin: Admin,
    lang: Lang,
    path: web::Path<String>,
) -> ApiResult<AdminOrderJson> {
    let order_no: OrderNo = from_path(&path, Code::ORDER_NOT_FOUND)?;
    let found = order_reads::find(&state, Viewer::Administrator, order_no).await?;
    let (order, pool, true_status, review_reason) = match found {
        Some(FoundOrder::Written(view)) => {
            let known = (view.pool, view.status.code(), view.review);
            (OrderJson::from_view(view, lang), known.0, known.1, known.2)
        }
        Some(FoundOrder::Accepted(ticket)) => {
            let (pool, card) = (ticket.claim.pool, products::card(&state.db, ticket.claim.product).await?);
            let order = OrderJson::from_ticket(ticket, card, lang);
            let status = order.status;
            (order, pool, status, None)
        }
        Some(FoundOrder::Withdrawn(_)) | None => return Err(ApiError::from(Code::ORDER_NOT_FOUND)),
    };
    let buyer = users::find(&state.db, BuyerId(order.user_id)).await?;
    let paid = payments::of_order(&state.db, order_no).await?;
    let returned = payments::refunds_of(&state.db, &[order_no]).await?;
    ok(AdminOrderJson {
        username: buyer.map(|buyer| buyer.username).unwrap_or_default(),
        sale_id: match pool {
            Pool::Free => None,
            Pool::Sale(sale) => Some(sale.0),
        },
        true_status,
        review_reason,
        refunds: returned.iter().map(|refund| RefundRowJson::new(refund.clone(), &paid)).collect(),
        payments: paid.into_iter().map(|row| PaymentRowJson::new(row, BuyerId(order.user_id), &returned)).collect(),
        journal: JournalJson::of(journal::stored(&state.db, order_no).await?),
        owed: effects::of_order(&state.db, order_no).await?.into_iter().map(Into::into).collect(),
        order,
    })
}
