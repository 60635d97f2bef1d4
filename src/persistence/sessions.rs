//! Sessions: one row per sign-in of a user on a device.
//!
//! A refresh token is `{sid}.{secret}`, usable once. Only the SHA-256 of the current secret is stored (a secret of 256
//! random bits needs no slow hash). A secret that is not the current one has been used before or was made up: the
//! session ends, so neither the thief nor the user can go on with it, and the user signs in again.

use std::cell::Cell;

use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QueryOrder as _, QuerySelect as _, Set};
use sha2::{Digest as _, Sha256};

use super::error::StoreError;
use super::{Db, users};
use crate::domain::BuyerId;

mod entity {
    //! Table `sessions`.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sessions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub sid: String,
        pub user_id: i64,
        pub refresh_hash: String,
        pub device: String,
        pub address: String,
        pub created_at_ms: i64,
        pub last_seen_ms: i64,
        pub expires_at_ms: i64,
        pub revoked_at_ms: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{ActiveModel, Column, Entity, Model};

const DEVICE_CHARS_MAX: usize = 200;
const ADDRESS_CHARS_MAX: usize = 45;
/// Ended sessions are kept this long, so that a late reuse is still recognised as one.
const ENDED_KEPT_MS: i64 = 24 * 3_600_000;

/// A sign-in that was verified.
#[derive(Clone, Copy, Debug)]
pub struct SignIn<'a> {
    /// Who signed in.
    pub user: BuyerId,
    /// The epoch that was read together with the password; if it moved since, the password is an old one.
    pub token_epoch: i64,
    /// The client's `User-Agent`; cut to 200 characters.
    pub device: &'a str,
    /// The client's address; cut to 45 characters.
    pub address: &'a str,
    /// Life of the refresh token, milliseconds.
    pub refresh_ms: i64,
    /// Sessions of one user at the same time; the oldest goes when one more comes.
    pub sessions_max: u64,
}

/// A session with the secret that only its client holds. No `Debug`: it is a credential.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_debug_implementations, reason = "a credential does not belong in a log")]
pub struct OpenSession {
    /// Names the session in access tokens.
    pub sid: String,
    /// Whose it is.
    pub user: BuyerId,
    /// `{sid}.{secret}`, usable once.
    pub refresh_token: String,
    /// When the refresh token expires.
    pub expires_at_ms: i64,
}

/// Opens a session. `None`: the user's password changed, or he was disabled, while he signed in.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn open(db: &Db, sign_in: SignIn<'_>, now_ms: i64) -> Result<Option<OpenSession>, StoreError> {
    let operation = "opening a session";
    let (sid, secret) = (new_sid(now_ms), crate::random::token());
    let expires_at_ms = now_ms.saturating_add(sign_in.refresh_ms);
    let row = ActiveModel {
        sid: Set(sid.clone()),
        user_id: Set(sign_in.user.0),
        refresh_hash: Set(hash_of(&secret)),
        device: Set(cut(sign_in.device, DEVICE_CHARS_MAX)),
        address: Set(cut(sign_in.address, ADDRESS_CHARS_MAX)),
        created_at_ms: Set(now_ms),
        last_seen_ms: Set(now_ms),
        expires_at_ms: Set(expires_at_ms),
        revoked_at_ms: Set(None),
    };
    let is_repeat = Cell::new(false);
    let opened = db
        .write(operation, async |tx| {
            if is_repeat.replace(true) && is_open(tx, &sid).await? {
                return Ok(true); // the first try's commit came through without an answer
            }
            let current = users::entity::Entity::find_by_id(sign_in.user.0)
                .filter(users::entity::Column::TokenEpoch.eq(sign_in.token_epoch))
                .filter(users::entity::Column::Status.eq(users::STATUS_ACTIVE))
                .lock_exclusive() // the next sign-in of this user counts our session
                .one(tx)
                .await
                .map_err(StoreError::during(operation))?;
            if current.is_none() {
                return Ok(false);
            }
            make_room(tx, sign_in, now_ms).await?;
            Entity::insert(row.clone()).exec_without_returning(tx).await.map_err(StoreError::during(operation))?;
            Ok(true)
        })
        .await?;
    let refresh_token = format!("{sid}.{secret}");
    Ok(opened.then_some(OpenSession { sid, user: sign_in.user, refresh_token, expires_at_ms }))
}

async fn is_open(tx: &impl ConnectionTrait, sid: &str) -> Result<bool, StoreError> {
    let row = Entity::find_by_id(sid).one(tx).await.map_err(StoreError::during("finding a session"))?;
    Ok(row.is_some())
}

/// Revokes the oldest sessions beyond `sessions_max - 1`.
async fn make_room(tx: &impl ConnectionTrait, sign_in: SignIn<'_>, now_ms: i64) -> Result<(), StoreError> {
    let failed = StoreError::during("revoking the oldest sessions");
    let live: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Sid)
        .filter(Column::UserId.eq(sign_in.user.0))
        .filter(Column::RevokedAtMs.is_null())
        .filter(Column::ExpiresAtMs.gt(now_ms))
        .order_by_desc(Column::CreatedAtMs)
        .order_by_desc(Column::Sid)
        .into_tuple()
        .all(tx)
        .await
        .map_err(&failed)?;
    let kept = usize::try_from(sign_in.sessions_max.saturating_sub(1)).unwrap_or(usize::MAX);
    let oldest: Vec<String> = live.into_iter().skip(kept).collect();
    if oldest.is_empty() {
        return Ok(());
    }
    Entity::update_many()
        .col_expr(Column::RevokedAtMs, Expr::value(now_ms))
        .filter(Column::Sid.is_in(oldest))
        .exec(tx)
        .await
        .map_err(&failed)?;
    Ok(())
}

/// Why a refresh token is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshRejection {
    /// Not a refresh token of this shop, or of a session that is over.
    Invalid,
    /// Its time is up.
    Expired,
    /// It was used before: its session of this user was revoked just now.
    Reused(BuyerId),
}

/// Trades a refresh token for the next one of the same session. Of two uses at the same instant one wins and the
/// other is a reuse.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn rotate(
    db: &Db,
    presented: &str,
    refresh_ms: i64,
    now_ms: i64,
) -> Result<Result<OpenSession, RefreshRejection>, StoreError> {
    let operation = "rotating a refresh token";
    let parts = presented.split_once('.').filter(|(sid, _)| ulid::Ulid::from_string(sid).is_ok());
    let Some((sid, old_secret)) = parts else { return Ok(Err(RefreshRejection::Invalid)) };
    let (old_hash, secret) = (hash_of(old_secret), crate::random::token());
    let expires_at_ms = now_ms.saturating_add(refresh_ms);
    db.write(operation, async |tx| {
        let failed = StoreError::during(operation);
        let rotated = Entity::update_many()
            .col_expr(Column::RefreshHash, Expr::value(hash_of(&secret)))
            .col_expr(Column::LastSeenMs, Expr::value(now_ms))
            .col_expr(Column::ExpiresAtMs, Expr::value(expires_at_ms))
            .filter(Column::Sid.eq(sid))
            .filter(Column::RefreshHash.eq(&old_hash))
            .filter(Column::RevokedAtMs.is_null())
            .filter(Column::ExpiresAtMs.gt(now_ms))
            .exec(tx)
            .await
            .map_err(&failed)?;
        let Some(row) = Entity::find_by_id(sid).one(tx).await.map_err(&failed)? else {
            return Ok(Err(RefreshRejection::Invalid));
        };
        let user = BuyerId(row.user_id);
        // Or by the first try, whose commit was not answered: nobody else knows the new secret.
        if rotated.rows_affected == 1 || (row.refresh_hash == hash_of(&secret) && row.revoked_at_ms.is_none()) {
            let refresh_token = format!("{sid}.{secret}");
            return Ok(Ok(OpenSession { sid: sid.to_owned(), user, refresh_token, expires_at_ms }));
        }
        if row.revoked_at_ms.is_some() {
            return Ok(Err(RefreshRejection::Invalid));
        }
        if row.expires_at_ms <= now_ms {
            return Ok(Err(RefreshRejection::Expired));
        }
        revoke_in(tx, user, sid, now_ms).await?;
        Ok(Err(RefreshRejection::Reused(user)))
    })
    .await
}

/// Ends one session of `user`. False if it is not his or over already.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn revoke(db: &Db, user: BuyerId, sid: &str, now_ms: i64) -> Result<bool, StoreError> {
    db.write("revoking a session", async |tx| revoke_in(tx, user, sid, now_ms).await).await
}

/// Ends all sessions of `user`.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn revoke_all(db: &Db, user: BuyerId, now_ms: i64) -> Result<(), StoreError> {
    db.write("revoking all sessions", async |tx| revoke_all_in(tx, user, now_ms).await).await
}

async fn revoke_in(tx: &impl ConnectionTrait, user: BuyerId, sid: &str, now_ms: i64) -> Result<bool, StoreError> {
    let updated = Entity::update_many()
        .col_expr(Column::RevokedAtMs, Expr::value(now_ms))
        .filter(Column::Sid.eq(sid))
        .filter(Column::UserId.eq(user.0))
        .filter(Column::RevokedAtMs.is_null())
        .exec(tx)
        .await
        .map_err(StoreError::during("revoking a session"))?;
    Ok(updated.rows_affected == 1)
}

pub(super) async fn revoke_all_in(tx: &impl ConnectionTrait, user: BuyerId, now_ms: i64) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::RevokedAtMs, Expr::value(now_ms))
        .filter(Column::UserId.eq(user.0))
        .filter(Column::RevokedAtMs.is_null())
        .exec(tx)
        .await
        .map_err(StoreError::during("revoking all sessions"))?;
    Ok(())
}

/// A device on which a user is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Names the session.
    pub sid: String,
    /// `User-Agent` at sign-in.
    pub device: String,
    /// Address at sign-in.
    pub address: String,
    /// When he signed in.
    pub created_at_ms: i64,
    /// Last use of its refresh token.
    pub last_seen_ms: i64,
    /// When it ends unless it is refreshed.
    pub expires_at_ms: i64,
}

/// The live sessions of a user, last used first.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn list(db: &Db, user: BuyerId, now_ms: i64) -> Result<Vec<Session>, StoreError> {
    let rows = Entity::find()
        .filter(Column::UserId.eq(user.0))
        .filter(Column::RevokedAtMs.is_null())
        .filter(Column::ExpiresAtMs.gt(now_ms))
        .order_by_desc(Column::LastSeenMs)
        .order_by_desc(Column::Sid)
        .all(db.reader())
        .await
        .map_err(StoreError::during("listing sessions"))?;
    Ok(rows.into_iter().map(read).collect())
}

/// Deletes sessions that ended a day ago or earlier; returns how many.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn purge(db: &Db, now_ms: i64) -> Result<u64, StoreError> {
    let operation = "purging sessions";
    let ended_before_ms = now_ms - ENDED_KEPT_MS;
    db.write(operation, async |tx| {
        let ended =
            Condition::any().add(Column::ExpiresAtMs.lt(ended_before_ms)).add(Column::RevokedAtMs.lt(ended_before_ms));
        let deleted = Entity::delete_many().filter(ended).exec(tx).await.map_err(StoreError::during(operation))?;
        Ok(deleted.rows_affected)
    })
    .await
}

fn read(row: Model) -> Session {
    Session {
        sid: row.sid,
        device: row.device,
        address: row.address,
        created_at_ms: row.created_at_ms,
        last_seen_ms: row.last_seen_ms,
        expires_at_ms: row.expires_at_ms,
    }
}

fn new_sid(now_ms: i64) -> String {
    let at_ms = u64::try_from(now_ms).unwrap_or(0);
    ulid::Ulid::from_parts(at_ms, u128::from_le_bytes(crate::random::bytes())).to_string()
}

fn hash_of(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::access;
    use crate::persistence::testing::{NOW_MS, database, user};
    use crate::persistence::users::{AccessChanges, User};

    const DAY_MS: i64 = 24 * 3_600_000;

    fn sign_in(user: &User) -> SignIn<'static> {
        SignIn {
            user: user.id,
            token_epoch: user.token_epoch,
            device: "test",
            address: "::1",
            refresh_ms: 30 * DAY_MS,
            sessions_max: 3,
        }
    }

    async fn live(db: &Db, user: &User) -> Vec<String> {
        let access = access::read(db, vec![user.id]).await.unwrap().remove(&user.id).unwrap();
        access.live_sessions.into_iter().map(|(sid, _)| sid).collect()
    }

    #[actix_rt::test]
    async fn a_refresh_token_is_used_once_and_its_reuse_ends_the_session() {
        let (db, _dir) = database().await;
        let user = user(&db, "li").await;
        let first = open(&db, sign_in(&user), NOW_MS).await.unwrap().unwrap();
        let other = open(&db, sign_in(&user), NOW_MS).await.unwrap().unwrap();
        let second = rotate(&db, &first.refresh_token, DAY_MS, NOW_MS + 1).await.unwrap().ok().unwrap();
        assert_eq!((&second.sid, second.expires_at_ms), (&first.sid, NOW_MS + 1 + DAY_MS));
        let reuse = rotate(&db, &first.refresh_token, DAY_MS, NOW_MS + 2).await.unwrap().err();
        assert_eq!(reuse, Some(RefreshRejection::Reused(user.id)));
        let after = rotate(&db, &second.refresh_token, DAY_MS, NOW_MS + 3).await.unwrap().err();
        assert_eq!(after, Some(RefreshRejection::Invalid));
        assert_eq!(live(&db, &user).await, [other.sid]);
    }

    #[actix_rt::test]
    async fn of_two_uses_at_the_same_instant_one_wins_and_the_session_ends() {
        let (db, _dir) = database().await;
        let user = user(&db, "li").await;
        let session = open(&db, sign_in(&user), NOW_MS).await.unwrap().unwrap();
        let uses = (0..4).map(|_| rotate(&db, &session.refresh_token, DAY_MS, NOW_MS));
        let outcomes = futures::future::join_all(uses).await;
        assert_eq!(outcomes.into_iter().filter(|outcome| matches!(outcome, Ok(Ok(_)))).count(), 1);
        assert!(live(&db, &user).await.is_empty());
    }

    #[actix_rt::test]
    async fn made_up_and_expired_refresh_tokens_are_refused() {
        let (db, _dir) = database().await;
        let user = user(&db, "li").await;
        let session = open(&db, sign_in(&user), NOW_MS).await.unwrap().unwrap();
        for made_up in ["", ".", "x.y", "eyJhbGciOiJIUzI1NiJ9.e30.x", "01ARZ3NDEKTSV4RRFFQ69G5FAV.x"] {
            let outcome = rotate(&db, made_up, DAY_MS, NOW_MS).await.unwrap().err();
            assert_eq!(outcome, Some(RefreshRejection::Invalid), "{made_up}");
        }
        let late = rotate(&db, &session.refresh_token, DAY_MS, session.expires_at_ms).await.unwrap().err();
        assert_eq!(late, Some(RefreshRejection::Expired));
        assert_eq!(purge(&db, session.expires_at_ms + ENDED_KEPT_MS + 1).await.unwrap(), 1);
    }

    #[actix_rt::test]
    async fn the_oldest_session_goes_when_there_are_too_many() {
        let (db, _dir) = database().await;
        let user = user(&db, "li").await;
        let mut sids = Vec::new();
        for second in 0..5 {
            sids.push(open(&db, sign_in(&user), NOW_MS + second * 1_000).await.unwrap().unwrap().sid);
        }
        assert_eq!(live(&db, &user).await, sids[2..]);
        assert_eq!(list(&db, user.id, NOW_MS).await.unwrap()[0].sid, sids[4]);
    }

    #[actix_rt::test]
    async fn a_password_change_ends_all_sessions_and_those_just_being_opened() {
        let (db, _dir) = database().await;
        let user = user(&db, "li").await;
        open(&db, sign_in(&user), NOW_MS).await.unwrap().unwrap();
        assert!(users::change_password(&db, user.id, "hash", "new", NOW_MS).await.unwrap());
        assert!(live(&db, &user).await.is_empty());
        assert!(open(&db, sign_in(&user), NOW_MS).await.unwrap().is_none());
    }

    #[actix_rt::test]
    async fn a_disabled_user_has_no_sessions_and_opens_none() {
        let (db, _dir) = database().await;
        let user = user(&db, "li").await;
        open(&db, sign_in(&user), NOW_MS).await.unwrap().unwrap();
        let changes = AccessChanges { active: Some(false), role: None };
        let disabled = users::set_access(&db, user.id, changes, NOW_MS).await.unwrap().unwrap();
        assert!(live(&db, &user).await.is_empty());
        assert!(open(&db, sign_in(&disabled), NOW_MS).await.unwrap().is_none());
    }

    #[actix_rt::test]
    async fn nobody_ends_the_session_of_another_user() {
        let (db, _dir) = database().await;
        let (li, wang) = (user(&db, "li").await, user(&db, "wang").await);
        let session = open(&db, sign_in(&li), NOW_MS).await.unwrap().unwrap();
        assert!(!revoke(&db, wang.id, &session.sid, NOW_MS).await.unwrap());
        assert!(revoke(&db, li.id, &session.sid, NOW_MS).await.unwrap());
        assert!(!revoke(&db, li.id, &session.sid, NOW_MS).await.unwrap());
    }
}
