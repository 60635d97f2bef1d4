//! Products: what is sold, at which price, how it looks. Units are not part of this row: they lie in `stock`, which
//! only the inventory moves, so an edit of a name in the middle of a sale cannot disturb a single unit.

use std::collections::{BTreeMap, HashMap};

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait as _, Query, SelectStatement};
use sea_orm::{QueryOrder as _, QuerySelect as _, Set};

use super::error::StoreError;
use super::{Db, categories};
use crate::domain::{Money, Pool, ProductId};

mod adding;

pub use adding::{FirstUnits, insert, insert_once};

pub(super) mod entity {
    //! Table `products`.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "products")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub name: String,
        #[sea_orm(column_type = "Text")]
        pub description: String,
        pub category_id: i64,
        pub price_fen: i64,
        pub image_url: String,
        #[sea_orm(column_type = "Text")]
        pub images: String,
        #[sea_orm(column_type = "Text")]
        pub attributes: String,
        pub sales: i64,
        pub rating_hundredths: i32,
        pub status: i16,
        pub version: i64,
        pub created_at_ms: i64,
        pub updated_at_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{ActiveModel, Column, Entity, Model};

/// Can be bought.
pub const STATUS_ON_SHELF: i16 = 1;
/// Cannot be bought; can come back.
pub const STATUS_OFF_SHELF: i16 = 0;
/// Gone from every list; the row stays for its orders.
pub const STATUS_DELETED: i16 = -1;

/// What an order needs to know of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductCard {
    /// Which product.
    pub id: ProductId,
    /// As shown now; orders keep it as it was when they were placed.
    pub name: String,
    /// May be empty.
    pub image_url: String,
    /// Price of one unit outside a sale.
    pub price: Money,
    /// False: no ordinary order and no claim.
    pub on_shelf: bool,
}

/// The card of a product; `None` if there is none or it was deleted.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn card(db: &Db, product: ProductId) -> Result<Option<ProductCard>, StoreError> {
    Ok(cards(db, &[product]).await?.pop())
}

/// The cards of several products, in no order; unknown and deleted ones are left out.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn cards(db: &Db, products: &[ProductId]) -> Result<Vec<ProductCard>, StoreError> {
    let rows: Vec<(i64, String, String, i64, i16)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Name, Column::ImageUrl, Column::PriceFen, Column::Status])
        .filter(Column::Id.is_in(products.iter().map(|id| id.0)))
        .filter(Column::Status.ne(STATUS_DELETED))
        .into_tuple()
        .all(db.reader())
        .await
        .map_err(StoreError::during("loading product cards"))?;
    let card = |(id, name, image_url, price_fen, status)| ProductCard {
        id: ProductId(id),
        name,
        image_url,
        price: Money::from_fen(price_fen),
        on_shelf: status == STATUS_ON_SHELF,
    };
    Ok(rows.into_iter().map(card).collect())
}

/// A product as the shop shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// Which product.
    pub id: ProductId,
    /// 1..=200 characters.
    pub name: String,
    /// Any length.
    pub description: String,
    /// 0: in no category.
    pub category_id: i64,
    /// Empty: in no category.
    pub category: String,
    /// Price of one unit outside a sale.
    pub price: Money,
    /// Units for sale in the free pool.
    pub stock: i64,
    /// Main picture; may be empty.
    pub image_url: String,
    /// More pictures.
    pub images: Vec<String>,
    /// Colour, size and the like, shown as they are.
    pub attributes: Attributes,
    /// Units paid for.
    pub sales: i64,
    /// Mean of the reviews in hundredths of a star, 0..=500.
    pub rating_hundredths: i32,
    /// [`STATUS_ON_SHELF`] or [`STATUS_OFF_SHELF`].
    pub status: i16,
    /// Grows with every edit.
    pub version: i64,
    /// When it was added.
    pub created_at_ms: i64,
    /// When it was edited last.
    pub updated_at_ms: i64,
}

/// Named properties of a product, in the order of their names.
pub type Attributes = BTreeMap<String, serde_json::Value>;

/// A product to add; it starts without units.
#[derive(Clone, Debug, PartialEq)]
pub struct NewProduct {
    /// 1..=200 characters.
    pub name: String,
    /// Any length.
    pub description: String,
    /// 0: in no category.
    pub category_id: i64,
    /// Above zero.
    pub price: Money,
    /// At most 255 characters.
    pub image_url: String,
    /// More pictures.
    pub images: Vec<String>,
    /// Colour, size and the like.
    pub attributes: Attributes,
    /// [`STATUS_ON_SHELF`] or [`STATUS_OFF_SHELF`].
    pub status: i16,
}

/// What an edit changes; `None` leaves it as it is. Units are not among it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProductChanges {
    /// 1..=200 characters.
    pub name: Option<String>,
    /// Any length.
    pub description: Option<String>,
    /// 0: in no category.
    pub category_id: Option<i64>,
    /// Above zero.
    pub price: Option<Money>,
    /// At most 255 characters.
    pub image_url: Option<String>,
    /// More pictures.
    pub images: Option<Vec<String>>,
    /// Colour, size and the like.
    pub attributes: Option<Attributes>,
    /// [`STATUS_ON_SHELF`] or [`STATUS_OFF_SHELF`].
    pub status: Option<i16>,
}

/// Why a product was not added or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProductRejection {
    /// No such product, or it was deleted.
    NotFound,
    /// No such category.
    CategoryUnknown,
}

/// The product with its category and free units; `None` if there is none or it was deleted.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn find(db: &Db, product: ProductId) -> Result<Option<Product>, StoreError> {
    let row = Entity::find_by_id(product.0)
        .filter(Column::Status.ne(STATUS_DELETED))
        .one(db.reader())
        .await
        .map_err(StoreError::during("finding a product"))?;
    Ok(complete(db.reader(), row.into_iter().collect()).await?.pop())
}

/// The first `limit` products ever added, deleted ones included: id and name, oldest first.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn first_added(db: &Db, limit: u64) -> Result<Vec<(ProductId, String)>, StoreError> {
    let rows: Vec<(i64, String)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Name])
        .order_by_asc(Column::Id)
        .limit(limit)
        .into_tuple()
        .all(db.reader())
        .await
        .map_err(StoreError::during("listing the first products"))?;
    Ok(rows.into_iter().map(|(id, name)| (ProductId(id), name)).collect())
}

/// Changes a product and returns it as it is then.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn update(
    db: &Db,
    product: ProductId,
    changes: &ProductChanges,
    now_ms: i64,
) -> Result<Result<Product, ProductRejection>, StoreError> {
    let operation = "changing a product";
    let row = changed_row(changes, now_ms);
    let updated = db
        .write(operation, async |tx| {
            if let Some(category) = changes.category_id
                && category != 0
                && !categories::hold(tx, category).await?
            {
                return Ok(Err(ProductRejection::CategoryUnknown));
            }
            let update = Entity::update_many()
                .set(row.clone())
                .col_expr(Column::Version, Expr::col(Column::Version).add(1_i64))
                .filter(Column::Id.eq(product.0))
                .filter(Column::Status.ne(STATUS_DELETED));
            let rows = update.exec(tx).await.map_err(StoreError::during(operation))?.rows_affected;
            Ok(if rows == 1 { Ok(()) } else { Err(ProductRejection::NotFound) })
        })
        .await?;
    match updated {
        Ok(()) => Ok(find(db, product).await?.ok_or(ProductRejection::NotFound)),
        Err(rejection) => Ok(Err(rejection)),
    }
}

/// Takes a product out of the shop for good; its row stays for its orders. False: there was none.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn delete(db: &Db, product: ProductId, now_ms: i64) -> Result<bool, StoreError> {
    let operation = "deleting a product";
    db.write(operation, async |tx| {
        let update = Entity::update_many()
            .col_expr(Column::Status, Expr::value(STATUS_DELETED))
            .col_expr(Column::UpdatedAtMs, Expr::value(now_ms))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1_i64))
            .filter(Column::Id.eq(product.0))
            .filter(Column::Status.ne(STATUS_DELETED));
        Ok(update.exec(tx).await.map_err(StoreError::during(operation))?.rows_affected == 1)
    })
    .await
}

/// Units in the free pools of these products.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn free_units(db: &Db, products: &[i64]) -> Result<HashMap<i64, i64>, StoreError> {
    free_units_in(db.reader(), products).await
}

async fn free_units_in(conn: &impl ConnectionTrait, products: &[i64]) -> Result<HashMap<i64, i64>, StoreError> {
    if products.is_empty() {
        return Ok(HashMap::new());
    }
    let failed = StoreError::during("reading free units");
    let select = Query::select()
        .columns(["product_id", "free"])
        .from("stock")
        .and_where(Expr::col("pool").eq(i64::from(Pool::Free)))
        .and_where(Expr::col("product_id").is_in(products.iter().copied()))
        .to_owned();
    let rows = conn.query_all(&select).await.map_err(&failed)?;
    rows.iter()
        .map(|row| Ok((row.try_get("", "product_id").map_err(&failed)?, row.try_get("", "free").map_err(&failed)?)))
        .collect()
}

/// True if a product that was not deleted is in the category.
pub(super) async fn any_in_category(tx: &impl ConnectionTrait, category: i64) -> Result<bool, StoreError> {
    let products = Entity::find().filter(Column::CategoryId.eq(category)).filter(Column::Status.ne(STATUS_DELETED));
    Ok(products.one(tx).await.map_err(StoreError::during("looking for products of a category"))?.is_some())
}

/// The ids of products whose name contains `keyword`, as a subquery.
pub(super) fn ids_named(keyword: &str) -> SelectStatement {
    Query::select().column("id").from("products").and_where(super::contains(Column::Name, keyword)).to_owned()
}

/// Rows with what other tables know of them, in the same order.
pub(super) async fn complete(conn: &impl ConnectionTrait, rows: Vec<Model>) -> Result<Vec<Product>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let (stock, names) = (free_units_in(conn, &ids).await?, categories::names(conn).await?);
    let product = |row: Model| Product {
        stock: stock.get(&row.id).copied().unwrap_or(0),
        category: names.get(&row.category_id).cloned().unwrap_or_default(),
        id: ProductId(row.id),
        name: row.name,
        description: row.description,
        category_id: row.category_id,
        price: Money::from_fen(row.price_fen),
        image_url: row.image_url,
        images: serde_json::from_str(&row.images).unwrap_or_default(),
        attributes: serde_json::from_str(&row.attributes).unwrap_or_default(),
        sales: row.sales,
        rating_hundredths: row.rating_hundredths,
        status: row.status,
        version: row.version,
        created_at_ms: row.created_at_ms,
        updated_at_ms: row.updated_at_ms,
    };
    Ok(rows.into_iter().map(product).collect())
}

fn changed_row(changes: &ProductChanges, now_ms: i64) -> ActiveModel {
    let mut row = ActiveModel { updated_at_ms: Set(now_ms), ..Default::default() };
    if let Some(name) = &changes.name {
        row.name = Set(name.clone());
    }
    if let Some(description) = &changes.description {
        row.description = Set(description.clone());
    }
    if let Some(category) = changes.category_id {
        row.category_id = Set(category);
    }
    if let Some(price) = changes.price {
        row.price_fen = Set(price.fen());
    }
    if let Some(image_url) = &changes.image_url {
        row.image_url = Set(image_url.clone());
    }
    if let Some(images) = &changes.images {
        row.images = Set(json(images));
    }
    if let Some(attributes) = &changes.attributes {
        row.attributes = Set(json(attributes));
    }
    if let Some(status) = changes.status {
        row.status = Set(status);
    }
    row
}

/// Lists of texts and maps of JSON values always have a JSON form.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::testing::{NOW_MS, database, item, product};

    #[actix_rt::test]
    async fn t9_an_edit_leaves_what_it_does_not_name_and_all_units() {
        let (db, _dir) = database().await;
        let new = NewProduct {
            images: vec!["/a.png".to_owned()],
            attributes: Attributes::from([("色".to_owned(), serde_json::json!("红"))]),
            ..item("Mate 60", 599_900)
        };
        let id = product(&db, &new, 7).await;
        let changes =
            ProductChanges { price: Some(Money::from_fen(1)), status: Some(STATUS_OFF_SHELF), ..Default::default() };
        let after = update(&db, id, &changes, NOW_MS + 1).await.unwrap().unwrap();
        assert_eq!((after.name.as_str(), after.price.fen(), after.stock, after.status), ("Mate 60", 1, 7, 0));
        assert_eq!((after.images, after.attributes, after.version), (new.images, new.attributes, 2));
        assert!(!card(&db, id).await.unwrap().unwrap().on_shelf);
    }

    #[actix_rt::test]
    async fn a_deleted_product_is_gone_for_readers_and_editors() {
        let (db, _dir) = database().await;
        let id = product(&db, &item("x", 100), 0).await;
        assert!(delete(&db, id, NOW_MS).await.unwrap());
        assert!(!delete(&db, id, NOW_MS).await.unwrap());
        assert!(find(&db, id).await.unwrap().is_none() && card(&db, id).await.unwrap().is_none());
        let outcome = update(&db, id, &ProductChanges::default(), NOW_MS).await.unwrap();
        assert_eq!(outcome, Err(ProductRejection::NotFound));
    }

    #[actix_rt::test]
    async fn an_unknown_category_is_refused() {
        let (db, _dir) = database().await;
        let new = NewProduct { category_id: 5, ..item("x", 100) };
        assert_eq!(insert(&db, &new, NOW_MS).await.unwrap(), Err(ProductRejection::CategoryUnknown));
        let id = product(&db, &item("x", 100), 0).await;
        let changes = ProductChanges { category_id: Some(5), ..ProductChanges::default() };
        assert_eq!(update(&db, id, &changes, NOW_MS).await.unwrap(), Err(ProductRejection::CategoryUnknown));
    }
}
