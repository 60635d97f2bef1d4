//! Many users at once: the list that administrators search, and names for other lists.

use std::collections::HashMap;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::ExprTrait as _;
use sea_orm::{QueryOrder as _, QuerySelect as _};

use super::entity::{Column, Entity};
use super::{STATUS_ACTIVE, User, read};
use crate::domain::BuyerId;
use crate::domain::user::Role;
use crate::persistence::{Db, Page, StoreError, contains};

/// Which users an administrator wants to see; what is absent leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Part of the username, email or phone; empty for all.
    pub keyword: String,
    /// With one role.
    pub role: Option<Role>,
    /// Those who may sign in, or those who may not.
    pub active: Option<bool>,
}

/// The names of these users; unknown ones are left out.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn names(db: &Db, ids: &[BuyerId]) -> Result<HashMap<BuyerId, String>, StoreError> {
    let rows: Vec<(i64, String)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Username])
        .filter(Column::Id.is_in(ids.iter().map(|id| id.0)))
        .into_tuple()
        .all(db.reader())
        .await
        .map_err(StoreError::during("finding users' names"))?;
    Ok(rows.into_iter().map(|(id, name)| (BuyerId(id), name)).collect())
}

/// Users newest first, with their total number.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn list(db: &Db, page: Page, filter: &UserFilter) -> Result<(Vec<User>, u64), StoreError> {
    let failed = StoreError::during("listing users");
    let (mut query, keyword) = (Entity::find(), filter.keyword.as_str());
    if let Some(role) = filter.role {
        query = query.filter(Column::Role.eq(i16::from(role)));
    }
    if let Some(active) = filter.active {
        query = query.filter(if active { Column::Status.eq(STATUS_ACTIVE) } else { Column::Status.ne(STATUS_ACTIVE) });
    }
    if !keyword.is_empty() {
        let has = |column| contains(column, keyword);
        query = query.filter(has(Column::Username).or(has(Column::Email)).or(has(Column::Phone)));
    }
    let total = query.clone().count(db.reader()).await.map_err(&failed)?;
    let rows = query
        .order_by_desc(Column::Id)
        .offset(page.offset())
        .limit(page.size())
        .all(db.reader())
        .await
        .map_err(&failed)?;
    let users: Result<Vec<User>, StoreError> = rows.into_iter().map(read).collect();
    Ok((users?, total))
}
