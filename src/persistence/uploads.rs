//! Pictures that users uploaded. A user's second upload of the same file is his first one, so a request may be repeated.
//!
//! Quotas hold in the transaction that adds: a user's rows are added one request after the other. That of everybody's
//! pictures may be passed by what requests on their way bring at the same moment.

use std::collections::HashSet;

use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, FromQueryResult};

use super::db::Db;
use super::error::StoreError;
use super::orders::Slice;
use super::query;
use crate::domain::BuyerId;

const OPERATION: &str = "keeping pictures";

/// A picture to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUpload {
    /// Random, with the end that tells how it is written; at most 40 characters.
    pub name: String,
    /// SHA-256 in hex of the file that came.
    pub source_hash: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// As it is served.
    pub content: Vec<u8>,
}

/// A picture that is kept.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Upload {
    /// Under which it is served.
    pub name: String,
    /// Whose.
    pub user_id: i64,
    /// Of the file as it is kept.
    pub bytes: i64,
    /// In pixels.
    pub width: i32,
    /// In pixels.
    pub height: i32,
    /// When it came.
    pub created_at_ms: i64,
}

const COLUMNS: [&str; 6] = ["name", "user_id", "bytes", "width", "height", "created_at_ms"];

/// How much may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Pictures of the user.
    pub user_files: u64,
    /// Bytes of the user's pictures.
    pub user_bytes: u64,
    /// Bytes of everybody's pictures.
    pub total_bytes: u64,
}

/// Why pictures are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadRefusal {
    /// The user has as many, or as large ones, as he may.
    #[error("the user's quota is used up")]
    UserQuota,
    /// The shop has.
    #[error("the shop's quota is used up")]
    TotalQuota,
}

#[derive(FromQueryResult)]
struct Used {
    files: i64,
    bytes: Option<i64>,
}

#[derive(FromQueryResult)]
struct Content {
    content: Vec<u8>,
}

#[derive(FromQueryResult)]
struct User {
    #[expect(dead_code, reason = "only its lock is wanted")]
    id: i64,
}

async fn used(conn: &impl ConnectionTrait, user: Option<BuyerId>) -> Result<(u64, u64), StoreError> {
    // A sum of BIGINT is a decimal to MySQL and PostgreSQL.
    let sum = match conn.get_database_backend() {
        DbBackend::MySql => "CAST(SUM(bytes) AS SIGNED)",
        _ => "CAST(SUM(bytes) AS BIGINT)",
    };
    let select = Query::select()
        .expr_as(Expr::cust("COUNT(*)"), "files")
        .expr_as(Expr::cust(sum), "bytes")
        .from("uploads")
        .and_where_option(user.map(|user| Expr::col("user_id").eq(user.0)))
        .to_owned();
    let used: Option<Used> = query::one(conn, &select, OPERATION).await?;
    Ok(used.map_or((0, 0), |used| (used.files.unsigned_abs(), used.bytes.unwrap_or(0).unsigned_abs())))
}

fn select() -> SelectStatement {
    Query::select().columns(COLUMNS).from("uploads").to_owned()
}

/// Keeps all of these pictures or none; one that the user has already is answered as it is. The answers stand in the order of
/// `new`.
///
/// # Errors
/// [`StoreError`].
pub async fn keep(
    db: &Db,
    user: BuyerId,
    new: &[NewUpload],
    quota: Quota,
    now_ms: i64,
) -> Result<Result<Vec<Upload>, UploadRefusal>, StoreError> {
    db.write(OPERATION, async |tx| keep_in(tx, user, new, quota, now_ms).await).await
}

async fn keep_in(
    tx: &DatabaseTransaction,
    user: BuyerId,
    new: &[NewUpload],
    quota: Quota,
    now_ms: i64,
) -> Result<Result<Vec<Upload>, UploadRefusal>, StoreError> {
    // Two requests of one user follow each other.
    let his = Query::select().column("id").from("users").and_where(Expr::col("id").eq(user.0)).to_owned();
    let _locked: Option<User> = query::one(tx, &query::locked(his, tx), OPERATION).await?;
    let (mut files, mut bytes) = used(tx, Some(user)).await?;
    let (_, mut total) = used(tx, None).await?;
    let mut known = Vec::with_capacity(new.len());
    let mut fresh = HashSet::new();
    // All is counted before anything is written: a refusal commits what was done.
    for upload in new {
        let had = of_source(tx, user, upload).await?;
        if had.is_none() && fresh.insert(upload.source_hash.as_str()) {
            let size = upload.content.len() as u64;
            (files, bytes, total) = (files + 1, bytes + size, total + size);
        }
        known.push(had);
    }
    if files > quota.user_files || bytes > quota.user_bytes {
        return Ok(Err(UploadRefusal::UserQuota));
    }
    if total > quota.total_bytes {
        return Ok(Err(UploadRefusal::TotalQuota));
    }
    let mut kept = Vec::with_capacity(new.len());
    for (upload, had) in new.iter().zip(known) {
        // The same file may stand twice in one request.
        let had = if had.is_some() { had } else { of_source(tx, user, upload).await? };
        kept.push(match had {
            Some(had) => had,
            None => insert(tx, user, upload, now_ms).await?,
        });
    }
    Ok(Ok(kept))
}

/// What the user has of the same file.
async fn of_source(tx: &DatabaseTransaction, user: BuyerId, upload: &NewUpload) -> Result<Option<Upload>, StoreError> {
    let same = select()
        .and_where(Expr::col("user_id").eq(user.0))
        .and_where(Expr::col("source_hash").eq(upload.source_hash.as_str()))
        .limit(1)
        .to_owned();
    query::one(tx, &same, OPERATION).await
}

async fn insert(
    tx: &DatabaseTransaction,
    user: BuyerId,
    upload: &NewUpload,
    now_ms: i64,
) -> Result<Upload, StoreError> {
    let small = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let kept = Upload {
        name: upload.name.clone(),
        user_id: user.0,
        bytes: i64::try_from(upload.content.len()).unwrap_or(i64::MAX),
        width: small(upload.width),
        height: small(upload.height),
        created_at_ms: now_ms,
    };
    let row = vec![
        kept.name.as_str().into(),
        kept.user_id.into(),
        kept.bytes.into(),
        kept.width.into(),
        kept.height.into(),
        kept.created_at_ms.into(),
        upload.source_hash.as_str().into(),
        upload.content.clone().into(),
    ];
    let columns: Vec<&str> = COLUMNS.into_iter().chain(["source_hash", "content"]).collect();
    query::insert_rows(tx, "uploads", &columns, vec![row], None).await?;
    Ok(kept)
}

/// The file of that name.
///
/// # Errors
/// [`StoreError`].
pub async fn content(db: &Db, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let select = Query::select().column("content").from("uploads").and_where(Expr::col("name").eq(name)).to_owned();
    let found: Option<Content> = query::one(db.reader(), &select, "reading a picture").await?;
    Ok(found.map(|found| found.content))
}

/// The user's pictures, newest first, and how many there are.
///
/// # Errors
/// [`StoreError`].
pub async fn of_user(db: &Db, user: BuyerId, slice: Slice) -> Result<(Vec<Upload>, u64), StoreError> {
    let filtered = Query::select().from("uploads").and_where(Expr::col("user_id").eq(user.0)).to_owned();
    let total = query::count(db.reader(), filtered.clone(), "counting pictures").await?;
    let select = filtered
        .clone()
        .columns(COLUMNS)
        .order_by("created_at_ms", Sort::Desc)
        .order_by("name", Sort::Desc)
        .offset(slice.offset)
        .limit(slice.limit)
        .to_owned();
    Ok((query::all(db.reader(), &select, "listing pictures").await?, total))
}

/// Deletes a picture, of this user or (`None`) whoever's it is; false if there is none.
///
/// # Errors
/// [`StoreError`].
pub async fn remove(db: &Db, name: &str, user: Option<BuyerId>) -> Result<bool, StoreError> {
    let operation = "deleting a picture";
    let delete = Query::delete()
        .from_table("uploads")
        .and_where(Expr::col("name").eq(name))
        .and_where_option(user.map(|user| Expr::col("user_id").eq(user.0)))
        .to_owned();
    Ok(db.write(operation, async |tx| query::execute(tx, &delete, operation).await).await? == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::testing::{NOW_MS, database, user};

    fn picture(name: &str, source: &str, bytes: usize) -> NewUpload {
        let (name, source_hash) = (name.to_owned(), source.to_owned());
        NewUpload { name, source_hash, width: 3, height: 2, content: vec![7; bytes] }
    }

    const QUOTA: Quota = Quota { user_files: 3, user_bytes: 100_000, total_bytes: 150_000 };

    #[actix_rt::test]
    async fn a_picture_is_kept_served_listed_and_deleted_by_its_owner() {
        let (db, _dir) = database().await;
        let (li, wang) = (user(&db, "li").await.id, user(&db, "wang").await.id);
        let large = picture("a.jpg", "1", 90_000); // beyond the small blobs of MySQL
        let kept = keep(&db, li, std::slice::from_ref(&large), QUOTA, NOW_MS).await.unwrap().unwrap();
        assert_eq!((kept[0].bytes, kept[0].width, kept[0].height), (90_000, 3, 2));
        assert_eq!(content(&db, "a.jpg").await.unwrap(), Some(large.content.clone()));
        assert_eq!(content(&db, "b.jpg").await.unwrap(), None);
        let slice = Slice { offset: 0, limit: 10 };
        assert_eq!(of_user(&db, li, slice).await.unwrap(), (kept, 1));
        assert_eq!(of_user(&db, wang, slice).await.unwrap(), (vec![], 0));
        assert!(!remove(&db, "a.jpg", Some(wang)).await.unwrap());
        assert!(remove(&db, "a.jpg", Some(li)).await.unwrap());
        assert_eq!(content(&db, "a.jpg").await.unwrap(), None);
    }

    #[actix_rt::test]
    async fn the_same_file_of_one_user_is_kept_once_and_counted_once() {
        let (db, _dir) = database().await;
        let (li, wang) = (user(&db, "li").await.id, user(&db, "wang").await.id);
        let first = keep(&db, li, &[picture("a.jpg", "1", 9)], QUOTA, NOW_MS).await.unwrap().unwrap();
        let again = [picture("b.jpg", "1", 9), picture("c.jpg", "2", 9)];
        let again = keep(&db, li, &again, QUOTA, NOW_MS + 1).await.unwrap().unwrap();
        assert_eq!((&again[0], again[1].name.as_str()), (&first[0], "c.jpg"));
        let others = keep(&db, wang, &[picture("d.jpg", "1", 9)], QUOTA, NOW_MS).await.unwrap().unwrap();
        assert_eq!(others[0].name, "d.jpg");
    }

    #[actix_rt::test]
    async fn beyond_a_quota_none_of_the_request_is_kept() {
        let (db, _dir) = database().await;
        let (li, wang) = (user(&db, "li").await.id, user(&db, "wang").await.id);
        let many: Vec<NewUpload> = (0..4).map(|i| picture(&format!("{i}.jpg"), &i.to_string(), 1)).collect();
        assert_eq!(keep(&db, li, &many, QUOTA, NOW_MS).await.unwrap(), Err(UploadRefusal::UserQuota));
        assert_eq!(of_user(&db, li, Slice { offset: 0, limit: 9 }).await.unwrap().1, 0);
        keep(&db, li, &[picture("a.jpg", "a", 100_000)], QUOTA, NOW_MS).await.unwrap().unwrap();
        let more = [picture("b.jpg", "b", 1)];
        assert_eq!(keep(&db, li, &more, QUOTA, NOW_MS).await.unwrap(), Err(UploadRefusal::UserQuota));
        let too_much = [picture("c.jpg", "c", 50_001)];
        assert_eq!(keep(&db, wang, &too_much, QUOTA, NOW_MS).await.unwrap(), Err(UploadRefusal::TotalQuota));
        keep(&db, wang, &[picture("c.jpg", "c", 50_000)], QUOTA, NOW_MS).await.unwrap().unwrap();
    }
}
