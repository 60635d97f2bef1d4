//! Users: one row each, unique by username, email and mobile number, so that two registrations at the same instant
//! cannot both win. Nobody becomes an administrator by registering, not even the first one.

mod lists;

use std::cell::Cell;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::ExprTrait as _;
use sea_orm::{QuerySelect as _, Set};

use super::Db;
use super::error::StoreError;
use super::sessions;
use crate::domain::BuyerId;
use crate::domain::user::{Login, Role};

pub(super) mod entity {
    //! Table `users`.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "users")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub username: String,
        pub email: Option<String>,
        pub phone: Option<String>,
        pub nickname: String,
        pub avatar: String,
        pub password_hash: String,
        pub role: i16,
        pub status: i16,
        pub token_epoch: i64,
        pub created_at_ms: i64,
        pub updated_at_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{ActiveModel, Column, Entity, Model};
pub use lists::{UserFilter, list, names};

/// Rows of one multi-row insert; far below the bind variables that any engine allows.
const ROWS_PER_INSERT: usize = 500;

/// A user who may sign in.
pub const STATUS_ACTIVE: i16 = 1;
/// A user who may not.
pub const STATUS_DISABLED: i16 = 0;

/// A user as stored. `Debug` leaves the password hash out.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Positive.
    pub id: BuyerId,
    /// Unique.
    pub username: String,
    /// Unique, lower case.
    pub email: Option<String>,
    /// Unique, 11 digits.
    pub phone: Option<String>,
    /// Shown to others; may be empty.
    pub nickname: String,
    /// URL; may be empty.
    pub avatar: String,
    /// Argon2id in PHC form.
    pub password_hash: String,
    /// What he may do.
    pub role: Role,
    /// False: disabled by an administrator.
    pub active: bool,
    /// Grows whenever all his tokens become worthless.
    pub token_epoch: i64,
    /// When he registered.
    pub created_at_ms: i64,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// A registration, already checked by `domain::user`. No `Debug`: it holds a password hash and personal data.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "nothing of it belongs in a log")]
pub struct NewUser {
    /// Valid by `is_username`.
    pub username: String,
    /// Lower case.
    pub email: Option<String>,
    /// Valid by `is_mobile`.
    pub phone: Option<String>,
    /// Argon2id in PHC form.
    pub password_hash: String,
    /// [`Role::Admin`] only from the command line.
    pub role: Role,
}

/// Why a user could not be inserted or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRejection {
    /// Another user has the name.
    UsernameTaken,
    /// Another user has the address.
    EmailTaken,
    /// Another user has the number.
    PhoneTaken,
    /// No such user.
    NotFound,
}

/// What a profile update changes; `None` leaves it as it is, `Some(None)` clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChanges {
    /// Lower case.
    pub email: Option<Option<String>>,
    /// Valid by `is_mobile`.
    pub phone: Option<Option<String>>,
    /// At most 50 characters.
    pub nickname: Option<String>,
    /// At most 255 characters.
    pub avatar: Option<String>,
}

/// Inserts a user. Two of the same name at the same instant: one wins by the unique key.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn insert(db: &Db, new: &NewUser, now_ms: i64) -> Result<Result<User, UserRejection>, StoreError> {
    let operation = "registering a user";
    let row = new_row(new, now_ms);
    let is_repeat = Cell::new(false);
    let inserted = db.write(operation, async |tx| {
        let failed = StoreError::during(operation);
        if is_repeat.replace(true) {
            // The first try's commit may have come through without an answer. No other row has this salted hash.
            let own = Entity::find()
                .filter(Column::Username.eq(&new.username))
                .filter(Column::PasswordHash.eq(&new.password_hash))
                .filter(Column::CreatedAtMs.eq(now_ms));
            if let Some(own) = own.one(tx).await.map_err(&failed)? {
                return Ok(own.id);
            }
        }
        Ok(Entity::insert(row.clone()).exec(tx).await.map_err(&failed)?.last_insert_id)
    });
    match inserted.await {
        Ok(id) => find(db, BuyerId(id)).await.map(|user| user.ok_or(UserRejection::NotFound)),
        Err(error) if error.is_duplicate() => {
            let taken =
                taken_by_other(db, None, Some(&new.username), new.email.as_deref(), new.phone.as_deref()).await?;
            Ok(Err(taken.unwrap_or(UserRejection::UsernameTaken)))
        }
        Err(error) => Err(error),
    }
}

/// Inserts many users at once (rehearsals); names that exist already are left as they are. Returns how many rows
/// were new.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn bulk_insert(db: &Db, users: &[NewUser], now_ms: i64) -> Result<u64, StoreError> {
    let operation = "registering users in bulk";
    db.write(operation, async |tx| {
        let mut inserted = 0;
        for chunk in users.chunks(ROWS_PER_INSERT) {
            let names = chunk.iter().map(|new| new.username.as_str());
            let present: Vec<String> = Entity::find()
                .select_only()
                .column(Column::Username)
                .filter(Column::Username.is_in(names))
                .into_tuple()
                .all(tx)
                .await
                .map_err(StoreError::during(operation))?;
            let rows: Vec<ActiveModel> =
                chunk.iter().filter(|new| !present.contains(&new.username)).map(|new| new_row(new, now_ms)).collect();
            if !rows.is_empty() {
                inserted += rows.len() as u64;
                Entity::insert_many(rows).exec_without_returning(tx).await.map_err(StoreError::during(operation))?;
            }
        }
        Ok(inserted)
    })
    .await
}

/// The user with this id.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn find(db: &Db, id: BuyerId) -> Result<Option<User>, StoreError> {
    let row = Entity::find_by_id(id.0).one(db.reader()).await.map_err(StoreError::during("finding a user"))?;
    row.map(read).transpose()
}

/// The user who signs in as `login`. A mobile number is first looked for among the numbers, then among the names.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn find_by_login(db: &Db, login: &Login) -> Result<Option<User>, StoreError> {
    let by = async |column: Column, text: &str| {
        let row = Entity::find().filter(column.eq(text)).one(db.reader()).await;
        row.map_err(StoreError::during("finding a user by login"))?.map(read).transpose()
    };
    match login {
        Login::Email(email) => by(Column::Email, email).await,
        Login::Username(name) => by(Column::Username, name).await,
        Login::Mobile(number) => match by(Column::Phone, number).await? {
            Some(user) => Ok(Some(user)),
            None => by(Column::Username, number).await,
        },
    }
}

/// Changes a profile and returns the user as he is then.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn update_profile(
    db: &Db,
    id: BuyerId,
    changes: &ProfileChanges,
    now_ms: i64,
) -> Result<Result<User, UserRejection>, StoreError> {
    let operation = "updating a profile";
    let mut row = ActiveModel { updated_at_ms: Set(now_ms), ..Default::default() };
    if let Some(email) = &changes.email {
        row.email = Set(email.clone());
    }
    if let Some(phone) = &changes.phone {
        row.phone = Set(phone.clone());
    }
    if let Some(nickname) = &changes.nickname {
        row.nickname = Set(nickname.clone());
    }
    if let Some(avatar) = &changes.avatar {
        row.avatar = Set(avatar.clone());
    }
    let update = Entity::update_many().set(row).filter(Column::Id.eq(id.0));
    let updated =
        db.write(operation, async |tx| update.clone().exec(tx).await.map_err(StoreError::during(operation))).await;
    match updated {
        Ok(_) => find(db, id).await.map(|user| user.ok_or(UserRejection::NotFound)),
        Err(error) if error.is_duplicate() => {
            let (email, phone) = (changes.email.clone().flatten(), changes.phone.clone().flatten());
            let taken = taken_by_other(db, Some(id), None, email.as_deref(), phone.as_deref()).await?;
            Ok(Err(taken.unwrap_or(UserRejection::EmailTaken)))
        }
        Err(error) => Err(error),
    }
}

/// Replaces the password, if it is still the one that was verified (`old_hash`), and ends all sessions of the user
/// in the same transaction. False if the password was changed in between.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn change_password(
    db: &Db,
    id: BuyerId,
    old_hash: &str,
    new_hash: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let operation = "changing a password";
    db.write(operation, async |tx| {
        let updated = Entity::update_many()
            .col_expr(Column::PasswordHash, Expr::value(new_hash))
            .col_expr(Column::TokenEpoch, Expr::col(Column::TokenEpoch).add(1_i64))
            .col_expr(Column::UpdatedAtMs, Expr::value(now_ms))
            .filter(Column::Id.eq(id.0))
            .filter(Column::PasswordHash.eq(old_hash))
            .exec(tx)
            .await
            .map_err(StoreError::during(operation))?;
        if updated.rows_affected == 1 {
            sessions::revoke_all_in(tx, id, now_ms).await?;
            return Ok(true);
        }
        // Ours already, if the first try's commit was not answered: hashes are salted.
        let ours = Entity::find_by_id(id.0).filter(Column::PasswordHash.eq(new_hash));
        Ok(ours.one(tx).await.map_err(StoreError::during(operation))?.is_some())
    })
    .await
}

/// What an administrator changes of a user; `None` leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessChanges {
    /// False disables the user and ends his sessions.
    pub active: Option<bool>,
    /// What he may do.
    pub role: Option<Role>,
}

/// Disables, enables or promotes a user; ends his sessions if he is disabled. `None`: no such user.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn set_access(db: &Db, id: BuyerId, changes: AccessChanges, now_ms: i64) -> Result<Option<User>, StoreError> {
    let operation = "changing a user's access";
    let mut row = ActiveModel { updated_at_ms: Set(now_ms), ..Default::default() };
    if let Some(active) = changes.active {
        row.status = Set(if active { STATUS_ACTIVE } else { STATUS_DISABLED });
    }
    if let Some(role) = changes.role {
        row.role = Set(role.into());
    }
    let update = Entity::update_many()
        .set(row)
        .col_expr(Column::TokenEpoch, Expr::col(Column::TokenEpoch).add(1_i64))
        .filter(Column::Id.eq(id.0));
    db.write(operation, async |tx| {
        update.clone().exec(tx).await.map_err(StoreError::during(operation))?;
        if changes.active == Some(false) {
            sessions::revoke_all_in(tx, id, now_ms).await?;
        }
        Ok(())
    })
    .await?;
    find(db, id).await
}

/// True if the shop has an administrator, active or not.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn any_admin(db: &Db) -> Result<bool, StoreError> {
    let row = Entity::find().filter(Column::Role.eq(i16::from(Role::Admin))).one(db.reader()).await;
    Ok(row.map_err(StoreError::during("looking for an administrator"))?.is_some())
}

fn new_row(new: &NewUser, now_ms: i64) -> ActiveModel {
    ActiveModel {
        username: Set(new.username.clone()),
        email: Set(new.email.clone()),
        phone: Set(new.phone.clone()),
        nickname: Set(String::new()),
        avatar: Set(String::new()),
        password_hash: Set(new.password_hash.clone()),
        role: Set(new.role.into()),
        status: Set(STATUS_ACTIVE),
        token_epoch: Set(0),
        created_at_ms: Set(now_ms),
        updated_at_ms: Set(now_ms),
        ..Default::default()
    }
}

/// Which of the unique values another user than `own` has.
async fn taken_by_other(
    db: &Db,
    own: Option<BuyerId>,
    username: Option<&str>,
    email: Option<&str>,
    phone: Option<&str>,
) -> Result<Option<UserRejection>, StoreError> {
    let candidates = [
        (Column::Username, username, UserRejection::UsernameTaken),
        (Column::Email, email, UserRejection::EmailTaken),
        (Column::Phone, phone, UserRejection::PhoneTaken),
    ];
    for (column, value, rejection) in candidates {
        let Some(value) = value else { continue };
        let mut query = Entity::find().filter(column.eq(value));
        if let Some(own) = own {
            query = query.filter(Column::Id.ne(own.0));
        }
        let others = query.count(db.writer()).await.map_err(StoreError::during("finding whose name is taken"))?;
        if others > 0 {
            return Ok(Some(rejection));
        }
    }
    Ok(None)
}

/// A stored role.
pub(super) fn role(code: i16, user: i64) -> Result<Role, StoreError> {
    Role::try_from(code).map_err(|_| StoreError::Corrupt { what: format!("the role {code} of user {user}") })
}

fn read(row: Model) -> Result<User, StoreError> {
    let role = role(row.role, row.id)?;
    Ok(User {
        id: BuyerId(row.id),
        username: row.username,
        email: row.email,
        phone: row.phone,
        nickname: row.nickname,
        avatar: row.avatar,
        password_hash: row.password_hash,
        role,
        active: row.status == STATUS_ACTIVE,
        token_epoch: row.token_epoch,
        created_at_ms: row.created_at_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::Page;
    use crate::persistence::testing::{NOW_MS, database, named, user};

    #[actix_rt::test]
    async fn of_two_registrations_at_the_same_instant_one_wins() {
        let (db, _dir) = database().await;
        let new = named("li");
        let outcomes = futures::future::join_all((0..8).map(|_| insert(&db, &new, NOW_MS))).await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().map(Result::unwrap).partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 7));
        assert!(lost.into_iter().all(|outcome| outcome == Err(UserRejection::UsernameTaken)));
    }

    #[actix_rt::test]
    async fn a_taken_email_or_phone_is_named() {
        let (db, _dir) = database().await;
        let first = NewUser { email: Some("a@b.cn".to_owned()), phone: Some("13800138000".to_owned()), ..named("li") };
        let first = insert(&db, &first, NOW_MS).await.unwrap().unwrap();
        let by_email = NewUser { email: Some("a@b.cn".to_owned()), ..named("wang") };
        assert_eq!(insert(&db, &by_email, NOW_MS).await.unwrap(), Err(UserRejection::EmailTaken));
        let other = user(&db, "zhao").await;
        let changes = ProfileChanges { phone: Some(Some("13800138000".to_owned())), ..ProfileChanges::default() };
        assert_eq!(update_profile(&db, other.id, &changes, NOW_MS).await.unwrap(), Err(UserRejection::PhoneTaken));
        assert_eq!(update_profile(&db, first.id, &changes, NOW_MS).await.unwrap().unwrap().phone, first.phone);
    }

    #[actix_rt::test]
    async fn t25_the_first_user_is_no_administrator() {
        let (db, _dir) = database().await;
        assert_eq!(user(&db, "first").await.role, Role::User);
    }

    #[actix_rt::test]
    async fn a_user_is_found_by_each_of_his_logins() {
        let (db, _dir) = database().await;
        let new =
            NewUser { email: Some("a@b.cn".to_owned()), phone: Some("13800138000".to_owned()), ..named("小李") };
        let id = insert(&db, &new, NOW_MS).await.unwrap().unwrap().id;
        for login in ["小李", "A@b.cn", " 13800138000"] {
            assert_eq!(find_by_login(&db, &Login::read(login)).await.unwrap().unwrap().id, id, "{login}");
        }
        for login in ["小王", "c@b.cn", "13900139000", ""] {
            assert!(find_by_login(&db, &Login::read(login)).await.unwrap().is_none(), "{login}");
        }
    }

    #[actix_rt::test]
    async fn users_in_bulk_are_inserted_once() {
        let (db, _dir) = database().await;
        user(&db, "buyer5").await;
        let buyers: Vec<NewUser> = (0..1_200).map(|i| named(&format!("buyer{i}"))).collect();
        assert_eq!(bulk_insert(&db, &buyers, NOW_MS).await.unwrap(), 1_199);
        assert_eq!(bulk_insert(&db, &buyers, NOW_MS).await.unwrap(), 0);
        assert_eq!(
            list(&db, Page::default(), &UserFilter { keyword: "BUYER11".to_owned(), ..UserFilter::default() })
                .await
                .unwrap()
                .1,
            1 + 10 + 100
        );
    }

    #[actix_rt::test]
    async fn a_password_is_replaced_only_if_it_is_still_the_verified_one() {
        let (db, _dir) = database().await;
        let user = user(&db, "li").await;
        assert!(change_password(&db, user.id, "hash", "new", NOW_MS).await.unwrap());
        assert!(!change_password(&db, user.id, "hash", "newer", NOW_MS).await.unwrap());
        let after = find(&db, user.id).await.unwrap().unwrap();
        assert_eq!((after.password_hash.as_str(), after.token_epoch), ("new", user.token_epoch + 1));
    }
}
