//! Users, for administrators: search, what one of them has ordered, where he is signed in. `users.rs` changes their access.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Query, from_path};
use super::fields::{Fields, FromFields};
use super::pages::{PageOf, PageQuery};
use super::sessions::SessionView;
use super::state::AppState;
use super::times::Time;
use super::users::UserView;
use crate::domain::codes::Code;
use crate::domain::money::{Money, Yuan};
use crate::domain::order::OrderStatus;
use crate::domain::{BuyerId, Role};
use crate::persistence::rehearsal::{self, Counted};
use crate::persistence::users::{self, User, UserFilter};
use crate::persistence::{Page, sessions};

/// Which users an administrator wants to see.
#[derive(Debug)]
pub struct ListUsers {
    page: PageQuery,
    filter: UserFilter,
}

impl FromFields for ListUsers {
    const CODE: Code = Code::USER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let filter = UserFilter {
            keyword: fields.text_if("keyword", 0..=100).unwrap_or_default(),
            role: fields.whole_if("role", 1..=2).map(|role| if role == 2 { Role::Admin } else { Role::User }),
            active: fields.whole_if("status", 0..=1).map(|status| status == 1),
        };
        Self { page: PageQuery::read(fields), filter }
    }
}

/// A user with what he has done.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminUserJson {
    /// As he sees himself.
    #[serde(flatten)]
    pub user: UserView,
    /// His orders, in whatever state.
    pub orders: u64,
    /// Those that are paid, shipped or completed.
    pub orders_paid: u64,
    /// What these cost, in yuan.
    #[schema(value_type = f64)]
    pub spent: Yuan,
    /// The latest sign-in that is still good; null if there is none.
    pub last_sign_in_at: Option<Time>,
    /// When one of his sign-ins was used last.
    pub last_seen_at: Option<Time>,
}

/// All users, newest first. `keyword` is a part of the username, e-mail address or phone number; `role` 1 user, 2 administrator;
/// `status` 1 active, 0 disabled.
///
/// # Errors
/// `NOT_ADMINISTRATOR`.
#[utoipa::path(get, path = "/api/admin/users", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query), ("keyword" = Option<String>, Query),
        ("role" = Option<i64>, Query), ("status" = Option<i64>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<UserView>>)))]
pub async fn list_users(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(query): Query<ListUsers>,
) -> ApiResult<PageOf<UserView>> {
    let page = Page::new(query.page.page, query.page.page_size);
    let (found, total) = users::list(&state.db, page, &query.filter).await?;
    ok(query.page.of(found.into_iter().map(UserView::from).collect(), total))
}

async fn found(state: &AppState, id: &str) -> Result<User, ApiError> {
    let id = BuyerId(from_path(id, Code::USER_NOT_FOUND)?);
    users::find(&state.db, id).await?.ok_or_else(|| Code::USER_NOT_FOUND.into())
}

/// One user.
///
/// # Errors
/// `USER_NOT_FOUND`.
#[utoipa::path(get, path = "/api/admin/users/{id}", params(("id" = i64, Path)), tag = "admin",
    responses((status = 200, body = EnvelopeOf<AdminUserJson>)), security(("bearer" = [])))]
pub async fn show_user(state: web::Data<AppState>, _admin: Admin, path: web::Path<String>) -> ApiResult<AdminUserJson> {
    let user = found(&state, &path).await?;
    let counts = rehearsal::orders_by_status(&state.db, Counted::Buyer(user.id)).await?;
    let is_paid = |status| matches!(status, OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Completed);
    let paid = || counts.iter().filter(|count| is_paid(count.status));
    let live = sessions::list(&state.db, user.id, state.clock.now_ms()).await?;
    ok(AdminUserJson {
        orders: counts.iter().map(|count| count.orders).sum(),
        orders_paid: paid().map(|count| count.orders).sum(),
        spent: Yuan(paid().map(|count| Money::from_fen(count.total_fen)).sum()),
        last_sign_in_at: live.iter().map(|session| session.created_at_ms).max().map(Time),
        last_seen_at: live.iter().map(|session| session.last_seen_ms).max().map(Time),
        user: user.into(),
    })
}

/// Where a user is signed in; `POST /api/admin/actors/session/{id}/revoke` ends one or all.
///
/// # Errors
/// `USER_NOT_FOUND`.
#[utoipa::path(get, path = "/api/admin/users/{id}/sessions", params(("id" = i64, Path)), tag = "admin",
    responses((status = 200, body = EnvelopeOf<Vec<SessionView>>)), security(("bearer" = [])))]
pub async fn list_sessions_of(
    state: web::Data<AppState>,
    _admin: Admin,
    path: web::Path<String>,
) -> ApiResult<Vec<SessionView>> {
    let user = found(&state, &path).await?;
    let live = sessions::list(&state.db, user.id, state.clock.now_ms()).await?;
    ok(live.into_iter().map(|session| SessionView::of(session, "")).collect())
}
