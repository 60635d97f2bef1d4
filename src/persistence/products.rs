//! Products: what is sold, at which price, how it looks. Units are not part of this row: they lie in `stock`, which
//! only the inventory moves, so an edit of a name in the middle of a sale cannot disturb a single unit.

use sea_orm::QuerySelect as _;
use sea_orm::entity::prelude::*;

use super::Db;
use super::error::StoreError;
use crate::domain::{Money, ProductId};

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

use entity::{Column, Entity};

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
