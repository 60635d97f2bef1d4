//! Delivery addresses. A user who has any has exactly one default; every statement names the owner, so another user's
//! address cannot be read, changed or probed for.

use std::cell::RefCell;

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue, QueryOrder as _, QuerySelect as _, Set};

use super::error::StoreError;
use super::{Db, users};
use crate::domain::BuyerId;

mod entity {
    //! Table `addresses`.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "addresses")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub user_id: i64,
        pub receiver: String,
        pub phone: String,
        pub region: String,
        pub detail: String,
        pub is_default: bool,
        pub created_at_ms: i64,
        pub updated_at_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{ActiveModel, Column, Entity, Model};

/// Most addresses of one user.
pub const ADDRESSES_MAX: u64 = 50;

/// Where a parcel goes.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_debug_implementations, reason = "personal data does not belong in a log")]
pub struct Address {
    /// Positive.
    pub id: i64,
    /// Name on the parcel.
    pub receiver: String,
    /// Number of the receiver.
    pub phone: String,
    /// Province, city, district.
    pub region: String,
    /// Street, house, room.
    pub detail: String,
    /// The one offered first.
    pub is_default: bool,
    /// When it was added.
    pub created_at_ms: i64,
}

/// What an insert or update sets; `None` leaves a field as it is (on insert: empty, not default).
#[derive(Clone, Default, PartialEq, Eq)]
#[expect(missing_debug_implementations, reason = "personal data does not belong in a log")]
pub struct AddressChanges {
    /// At most 50 characters.
    pub receiver: Option<String>,
    /// At most 20 characters.
    pub phone: Option<String>,
    /// At most 100 characters.
    pub region: Option<String>,
    /// At most 200 characters.
    pub detail: Option<String>,
    /// True makes it the default in place of another; false changes nothing, since one must be.
    pub is_default: Option<bool>,
}

/// Why an address could not be added or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressRejection {
    /// The user has [`ADDRESSES_MAX`] already.
    TooMany,
    /// Not an address of this user.
    NotFound,
}

/// The addresses of `user`, the default first, then the newest.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn list(db: &Db, user: BuyerId) -> Result<Vec<Address>, StoreError> {
    let rows = Entity::find()
        .filter(Column::UserId.eq(user.0))
        .order_by_desc(Column::IsDefault)
        .order_by_desc(Column::Id)
        .all(db.reader())
        .await
        .map_err(StoreError::during("listing addresses"))?;
    Ok(rows.into_iter().map(read).collect())
}

/// The address `id` if it is one of `user`.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn find(db: &Db, user: BuyerId, id: i64) -> Result<Option<Address>, StoreError> {
    let row = own(user, id).one(db.reader()).await.map_err(StoreError::during("finding an address"))?;
    Ok(row.map(read))
}

/// Adds an address; the first one of a user is his default.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn insert(
    db: &Db,
    user: BuyerId,
    new: &AddressChanges,
    now_ms: i64,
) -> Result<Result<Address, AddressRejection>, StoreError> {
    let operation = "adding an address";
    let earlier: RefCell<Option<Model>> = RefCell::new(None);
    db.write(operation, async |tx| {
        let failed = StoreError::during(operation);
        lock_user(tx, user).await?;
        let earlier_model = earlier.borrow().clone();
        if let Some(model) = earlier_model {
            // The first try's commit may have come through without an answer.
            let stored = Entity::find_by_id(model.id).one(tx).await.map_err(&failed)?;
            if stored.is_some_and(|stored| stored == model) {
                return Ok(Ok(read(model)));
            }
        }
        let present = Entity::find().filter(Column::UserId.eq(user.0)).count(tx).await.map_err(&failed)?;
        if present >= ADDRESSES_MAX {
            return Ok(Err(AddressRejection::TooMany));
        }
        let is_default = present == 0 || new.is_default == Some(true);
        if is_default {
            clear_default(tx, user).await?;
        }
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let model = Model {
            id: 0,
            user_id: user.0,
            receiver: text(&new.receiver),
            phone: text(&new.phone),
            region: text(&new.region),
            detail: text(&new.detail),
            is_default,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
        };
        let row = ActiveModel { id: ActiveValue::NotSet, ..all_set(model.clone()) };
        let id = Entity::insert(row).exec(tx).await.map_err(&failed)?.last_insert_id;
        let model = Model { id, ..model };
        earlier.replace(Some(model.clone()));
        Ok(Ok(read(model)))
    })
    .await
}

/// Changes an address of `user`.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn update(
    db: &Db,
    user: BuyerId,
    id: i64,
    changes: &AddressChanges,
    now_ms: i64,
) -> Result<Result<Address, AddressRejection>, StoreError> {
    let operation = "changing an address";
    db.write(operation, async |tx| {
        let failed = StoreError::during(operation);
        lock_user(tx, user).await?;
        let Some(before) = own(user, id).one(tx).await.map_err(&failed)? else {
            return Ok(Err(AddressRejection::NotFound));
        };
        let becomes_default = changes.is_default == Some(true) && !before.is_default;
        if becomes_default {
            clear_default(tx, user).await?;
        }
        let text = |field: &Option<String>, old: String| field.clone().unwrap_or(old);
        let after = Model {
            receiver: text(&changes.receiver, before.receiver),
            phone: text(&changes.phone, before.phone),
            region: text(&changes.region, before.region),
            detail: text(&changes.detail, before.detail),
            is_default: before.is_default || becomes_default,
            updated_at_ms: now_ms,
            ..before
        };
        let row = ActiveModel { id: ActiveValue::NotSet, ..all_set(after.clone()) };
        Entity::update_many().set(row).filter(Column::Id.eq(id)).exec(tx).await.map_err(&failed)?;
        Ok(Ok(read(after)))
    })
    .await
}

/// Removes an address of `user`; if it was the default, the newest other one becomes it. False: not his.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn delete(db: &Db, user: BuyerId, id: i64) -> Result<bool, StoreError> {
    let operation = "removing an address";
    db.write(operation, async |tx| {
        let failed = StoreError::during(operation);
        lock_user(tx, user).await?;
        let Some(row) = own(user, id).one(tx).await.map_err(&failed)? else { return Ok(false) };
        Entity::delete_by_id(id).exec(tx).await.map_err(&failed)?;
        if !row.is_default {
            return Ok(true);
        }
        let heir = Entity::find()
            .filter(Column::UserId.eq(user.0))
            .order_by_desc(Column::Id)
            .one(tx)
            .await
            .map_err(&failed)?;
        if let Some(heir) = heir {
            Entity::update_many()
                .col_expr(Column::IsDefault, Expr::value(true))
                .filter(Column::Id.eq(heir.id))
                .exec(tx)
                .await
                .map_err(&failed)?;
        }
        Ok(true)
    })
    .await
}

fn own(user: BuyerId, id: i64) -> Select<Entity> {
    Entity::find_by_id(id).filter(Column::UserId.eq(user.0))
}

/// Makes changes to one user's addresses wait for each other.
async fn lock_user(tx: &impl ConnectionTrait, user: BuyerId) -> Result<(), StoreError> {
    let _: Option<i64> = users::entity::Entity::find_by_id(user.0)
        .select_only()
        .column(users::entity::Column::Id)
        .lock_exclusive()
        .into_tuple()
        .one(tx)
        .await
        .map_err(StoreError::during("locking a user"))?;
    Ok(())
}

async fn clear_default(tx: &impl ConnectionTrait, user: BuyerId) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::IsDefault, Expr::value(false))
        .filter(Column::UserId.eq(user.0))
        .exec(tx)
        .await
        .map_err(StoreError::during("clearing the default address"))?;
    Ok(())
}

fn all_set(model: Model) -> ActiveModel {
    ActiveModel {
        id: Set(model.id),
        user_id: Set(model.user_id),
        receiver: Set(model.receiver),
        phone: Set(model.phone),
        region: Set(model.region),
        detail: Set(model.detail),
        is_default: Set(model.is_default),
        created_at_ms: Set(model.created_at_ms),
        updated_at_ms: Set(model.updated_at_ms),
    }
}

fn read(row: Model) -> Address {
    Address {
        id: row.id,
        receiver: row.receiver,
        phone: row.phone,
        region: row.region,
        detail: row.detail,
        is_default: row.is_default,
        created_at_ms: row.created_at_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::testing::{NOW_MS, database, user};

    fn in_city(region: &str) -> AddressChanges {
        AddressChanges { region: Some(region.to_owned()), ..AddressChanges::default() }
    }

    async fn add(db: &Db, user: BuyerId, new: &AddressChanges) -> Address {
        insert(db, user, new, NOW_MS).await.unwrap().ok().unwrap()
    }

    async fn defaults(db: &Db, user: BuyerId) -> Vec<i64> {
        let own = list(db, user).await.unwrap();
        own.into_iter().filter(|address| address.is_default).map(|address| address.id).collect()
    }

    #[actix_rt::test]
    async fn exactly_one_address_is_the_default() {
        let (db, _dir) = database().await;
        let user = user(&db, "li").await.id;
        let first = add(&db, user, &in_city("北京")).await;
        let second = add(&db, user, &in_city("上海")).await;
        assert_eq!(defaults(&db, user).await, [first.id]);
        let third = add(&db, user, &AddressChanges { is_default: Some(true), ..in_city("广州") }).await;
        assert_eq!(defaults(&db, user).await, [third.id]);
        let make_default = AddressChanges { is_default: Some(true), ..AddressChanges::default() };
        let changed = update(&db, user, second.id, &make_default, NOW_MS).await.unwrap().ok().unwrap();
        assert_eq!((changed.region.as_str(), changed.is_default), ("上海", true));
        let unmake = AddressChanges { is_default: Some(false), ..AddressChanges::default() };
        assert!(update(&db, user, second.id, &unmake, NOW_MS).await.unwrap().is_ok());
        assert_eq!(defaults(&db, user).await, [second.id]);
        assert!(delete(&db, user, second.id).await.unwrap());
        assert_eq!(defaults(&db, user).await, [third.id]);
    }

    #[actix_rt::test]
    async fn addresses_added_at_the_same_instant_leave_one_default() {
        let (db, _dir) = database().await;
        let user = user(&db, "li").await.id;
        let new = AddressChanges { is_default: Some(true), ..in_city("北京") };
        futures::future::join_all((0..8).map(|_| insert(&db, user, &new, NOW_MS))).await;
        assert_eq!((list(&db, user).await.unwrap().len(), defaults(&db, user).await.len()), (8, 1));
    }

    #[actix_rt::test]
    async fn t16_another_users_address_does_not_exist_for_me() {
        let (db, _dir) = database().await;
        let (li, wang) = (user(&db, "li").await.id, user(&db, "wang").await.id);
        let address = add(&db, li, &in_city("北京")).await;
        assert!(find(&db, wang, address.id).await.unwrap().is_none());
        let stolen = update(&db, wang, address.id, &in_city("上海"), NOW_MS).await.unwrap();
        assert_eq!(stolen.err(), Some(AddressRejection::NotFound));
        assert!(!delete(&db, wang, address.id).await.unwrap());
        assert!(find(&db, li, address.id).await.unwrap().is_some_and(|address| address.region == "北京"));
    }

    #[actix_rt::test]
    async fn the_fifty_first_address_is_refused() {
        let (db, _dir) = database().await;
        let user = user(&db, "li").await.id;
        for _ in 0..ADDRESSES_MAX {
            add(&db, user, &in_city("北京")).await;
        }
        let refused = insert(&db, user, &in_city("北京"), NOW_MS).await.unwrap();
        assert_eq!(refused.err(), Some(AddressRejection::TooMany));
    }
}
