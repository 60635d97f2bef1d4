//! The tree of categories; names are unique in the whole tree, so a list can be asked for by name.

use std::cell::Cell;
use std::collections::HashMap;

use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder as _, QuerySelect as _, Set};

use super::error::StoreError;
use super::{Db, products};

mod entity {
    //! Table `categories`.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "categories")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub parent_id: Option<i64>,
        pub name: String,
        pub position: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{ActiveModel, Column, Entity, Model};

/// Levels of the tree.
pub const CATEGORY_DEPTH_MAX: usize = 5;
/// Longest name, in characters.
pub const CATEGORY_NAME_CHARS_MAX: usize = 50;

/// A branch of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// Positive.
    pub id: i64,
    /// The branch it grows from; `None` at the top.
    pub parent_id: Option<i64>,
    /// Unique.
    pub name: String,
    /// Brothers are shown in this order, then by id.
    pub position: i32,
}

/// What an update changes; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CategoryChanges {
    /// 1..=[`CATEGORY_NAME_CHARS_MAX`] characters.
    pub name: Option<String>,
    /// `Some(None)` moves it to the top.
    pub parent_id: Option<Option<i64>>,
    /// Among its brothers.
    pub position: Option<i32>,
}

/// Why a category was not added, changed or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CategoryRejection {
    /// No such category.
    NotFound,
    /// The name is another one's.
    NameTaken,
    /// No such parent.
    ParentUnknown,
    /// It would hang below itself.
    Cycle,
    /// Deeper than [`CATEGORY_DEPTH_MAX`].
    TooDeep,
    /// Products are in it.
    HasProducts,
    /// Categories hang below it.
    HasChildren,
}

/// All categories by position, then id.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn list(db: &Db) -> Result<Vec<Category>, StoreError> {
    all(db.reader()).await
}

/// The same for public pages, which may lag behind a moment.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn list_for_public(db: &Db) -> Result<Vec<Category>, StoreError> {
    all(db.replica()).await
}

/// Adds a category. Two of the same name at the same instant: one wins by the unique key.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn insert(
    db: &Db,
    name: &str,
    parent_id: Option<i64>,
    position: i32,
) -> Result<Result<Category, CategoryRejection>, StoreError> {
    let operation = "adding a category";
    let earlier = Cell::new(None);
    let inserted = db
        .write(operation, async |tx| {
            let added = |id| Category { id, parent_id, name: name.to_owned(), position };
            if let Some(id) = earlier.get() {
                // The first try's commit may have come through without an answer.
                let stored = Entity::find_by_id(id).one(tx).await.map_err(StoreError::during(operation))?;
                if stored.map(read).is_some_and(|stored| stored == added(id)) {
                    return Ok(Ok(added(id)));
                }
            }
            if let Some(parent) = parent_id {
                let tree = locked(tx).await?;
                match depth_of(&tree, parent) {
                    None => return Ok(Err(CategoryRejection::ParentUnknown)),
                    Some(depth) if depth >= CATEGORY_DEPTH_MAX => return Ok(Err(CategoryRejection::TooDeep)),
                    Some(_) => {}
                }
            }
            let row = ActiveModel {
                parent_id: Set(parent_id),
                name: Set(name.to_owned()),
                position: Set(position),
                ..Default::default()
            };
            let id = Entity::insert(row).exec(tx).await.map_err(StoreError::during(operation))?.last_insert_id;
            earlier.set(Some(id));
            Ok(Ok(added(id)))
        })
        .await;
    taken_is_a_rejection(inserted)
}

/// Changes a category; the tree stays a tree.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn update(
    db: &Db,
    id: i64,
    changes: &CategoryChanges,
) -> Result<Result<Category, CategoryRejection>, StoreError> {
    let operation = "changing a category";
    let updated = db
        .write(operation, async |tx| {
            let tree = locked(tx).await?;
            let Some(before) = tree.iter().find(|category| category.id == id) else {
                return Ok(Err(CategoryRejection::NotFound));
            };
            if let Some(Some(parent)) = changes.parent_id
                && let Err(rejection) = may_hang_below(&tree, id, parent)
            {
                return Ok(Err(rejection));
            }
            let after = Category {
                id,
                parent_id: changes.parent_id.unwrap_or(before.parent_id),
                name: changes.name.clone().unwrap_or_else(|| before.name.clone()),
                position: changes.position.unwrap_or(before.position),
            };
            let row = ActiveModel {
                parent_id: Set(after.parent_id),
                name: Set(after.name.clone()),
                position: Set(after.position),
                ..Default::default()
            };
            let update = Entity::update_many().set(row).filter(Column::Id.eq(id));
            update.exec(tx).await.map_err(StoreError::during(operation))?;
            Ok(Ok(after))
        })
        .await;
    taken_is_a_rejection(updated)
}

/// Removes a category that is empty.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn delete(db: &Db, id: i64) -> Result<Result<(), CategoryRejection>, StoreError> {
    let operation = "removing a category";
    db.write(operation, async |tx| {
        let tree = locked(tx).await?;
        if !tree.iter().any(|category| category.id == id) {
            return Ok(Err(CategoryRejection::NotFound));
        }
        if tree.iter().any(|category| category.parent_id == Some(id)) {
            return Ok(Err(CategoryRejection::HasChildren));
        }
        if products::any_in_category(tx, id).await? {
            return Ok(Err(CategoryRejection::HasProducts));
        }
        Entity::delete_by_id(id).exec(tx).await.map_err(StoreError::during(operation))?;
        Ok(Ok(()))
    })
    .await
}

/// `root` and all below it, out of `tree`.
#[must_use]
pub fn subtree(tree: &[Category], root: i64) -> Vec<i64> {
    let mut ids = vec![root];
    let mut next = 0;
    while let Some(&parent) = ids.get(next) {
        let children = tree.iter().filter(|category| category.parent_id == Some(parent)).map(|category| category.id);
        let new: Vec<i64> = children.filter(|child| !ids.contains(child)).collect();
        ids.extend(new);
        next += 1;
    }
    ids
}

/// Names by id, for products.
pub(super) async fn names(conn: &impl ConnectionTrait) -> Result<HashMap<i64, String>, StoreError> {
    Ok(all(conn).await?.into_iter().map(|category| (category.id, category.name)).collect())
}

/// True if the category exists; it cannot be removed before `tx` ends.
pub(super) async fn hold(tx: &impl ConnectionTrait, id: i64) -> Result<bool, StoreError> {
    let row = Entity::find_by_id(id).lock_exclusive().one(tx).await;
    Ok(row.map_err(StoreError::during("holding a category"))?.is_some())
}

async fn all(db: &impl ConnectionTrait) -> Result<Vec<Category>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::Position).order_by_asc(Column::Id).all(db).await;
    Ok(rows.map_err(StoreError::during("listing categories"))?.into_iter().map(read).collect())
}

/// The whole tree, which nobody else changes before `tx` ends.
async fn locked(tx: &impl ConnectionTrait) -> Result<Vec<Category>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::Id).lock_exclusive().all(tx).await;
    Ok(rows.map_err(StoreError::during("locking the categories"))?.into_iter().map(read).collect())
}

/// 1 at the top; `None` if there is no such category.
fn depth_of(tree: &[Category], id: i64) -> Option<usize> {
    let mut depth = 0;
    let mut at = Some(id);
    while let Some(id) = at {
        at = tree.iter().find(|category| category.id == id)?.parent_id;
        depth += 1;
        if depth > tree.len() {
            return None;
        }
    }
    Some(depth)
}

fn may_hang_below(tree: &[Category], id: i64, parent: i64) -> Result<(), CategoryRejection> {
    let own = subtree(tree, id);
    if own.contains(&parent) {
        return Err(CategoryRejection::Cycle);
    }
    let above = depth_of(tree, parent).ok_or(CategoryRejection::ParentUnknown)?;
    let top = depth_of(tree, id).unwrap_or(1);
    let deepest = own.iter().filter_map(|below| depth_of(tree, *below)).max().unwrap_or(top);
    if above + (deepest - top + 1) > CATEGORY_DEPTH_MAX { Err(CategoryRejection::TooDeep) } else { Ok(()) }
}

fn taken_is_a_rejection<T>(
    outcome: Result<Result<T, CategoryRejection>, StoreError>,
) -> Result<Result<T, CategoryRejection>, StoreError> {
    match outcome {
        Err(error) if error.is_duplicate() => Ok(Err(CategoryRejection::NameTaken)),
        outcome => outcome,
    }
}

fn read(row: Model) -> Category {
    Category { id: row.id, parent_id: row.parent_id, name: row.name, position: row.position }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::products::NewProduct;
    use crate::persistence::testing::{NOW_MS, database, item, product};

    async fn add(db: &Db, name: &str, parent: Option<i64>) -> i64 {
        insert(db, name, parent, 0).await.unwrap().unwrap().id
    }

    #[actix_rt::test]
    async fn a_category_in_use_is_not_removed() {
        let (db, _dir) = database().await;
        let top = add(&db, "手机数码", None).await;
        let below = add(&db, "手机", Some(top)).await;
        let id = product(&db, &NewProduct { category_id: below, ..item("Mate", 100) }, 0).await;
        assert_eq!(delete(&db, top).await.unwrap(), Err(CategoryRejection::HasChildren));
        assert_eq!(delete(&db, below).await.unwrap(), Err(CategoryRejection::HasProducts));
        assert!(products::delete(&db, id, NOW_MS).await.unwrap());
        assert_eq!(delete(&db, below).await.unwrap(), Ok(()));
        assert_eq!(delete(&db, below).await.unwrap(), Err(CategoryRejection::NotFound));
    }

    #[actix_rt::test]
    async fn the_tree_stays_a_tree() {
        let (db, _dir) = database().await;
        let mut chain = vec![add(&db, "1", None).await];
        for depth in 2..=CATEGORY_DEPTH_MAX {
            chain.push(add(&db, &depth.to_string(), chain.last().copied()).await);
        }
        let deepest = chain[CATEGORY_DEPTH_MAX - 1];
        assert_eq!(insert(&db, "6", Some(deepest), 0).await.unwrap(), Err(CategoryRejection::TooDeep));
        assert_eq!(insert(&db, "x", Some(999), 0).await.unwrap(), Err(CategoryRejection::ParentUnknown));
        assert_eq!(insert(&db, "1", None, 0).await.unwrap(), Err(CategoryRejection::NameTaken));
        let below = |parent| CategoryChanges { parent_id: Some(Some(parent)), ..CategoryChanges::default() };
        assert_eq!(update(&db, chain[0], &below(deepest)).await.unwrap(), Err(CategoryRejection::Cycle));
        assert_eq!(update(&db, chain[0], &below(chain[0])).await.unwrap(), Err(CategoryRejection::Cycle));
        let other = add(&db, "other", None).await;
        assert_eq!(update(&db, chain[0], &below(other)).await.unwrap(), Err(CategoryRejection::TooDeep));
        let to_top = CategoryChanges { parent_id: Some(None), ..CategoryChanges::default() };
        assert_eq!(update(&db, chain[1], &to_top).await.unwrap().unwrap().parent_id, None);
        assert_eq!(subtree(&list(&db).await.unwrap(), chain[1]), chain[1..]);
    }
}
