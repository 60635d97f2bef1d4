//! The product list: filters, orders and pages. Every order ends in the id, so that pages neither repeat nor skip a
//! product when prices, sales or timestamps are equal.

use sea_orm::entity::prelude::*;
use sea_orm::{Order, QueryOrder as _, QuerySelect as _};

use super::categories;
use super::error::StoreError;
use super::products::entity::{Column, Entity};
use super::products::{Product, STATUS_DELETED, complete};
use super::{Db, Page, contains};
use crate::domain::Money;

/// Which order a list has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProductSort {
    /// Newest first.
    #[default]
    Newest,
    /// Cheapest first.
    PriceAscending,
    /// Dearest first.
    PriceDescending,
    /// Most sold first.
    Sales,
    /// Best reviewed first.
    Rating,
}

/// A category with all below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CategoryFilter {
    /// By id.
    Id(i64),
    /// By name.
    Name(String),
}

/// Which products a list has; the default is all that were not deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductFilter {
    /// In this category or below; an unknown one has no products.
    pub category: Option<CategoryFilter>,
    /// Part of the name or description; empty for all.
    pub keyword: String,
    /// At least this price.
    pub price_min: Option<Money>,
    /// At most this price.
    pub price_max: Option<Money>,
    /// On or off the shelf.
    pub status: Option<i16>,
}

/// One page of products and how many there are in all.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn list(
    db: &Db,
    filter: &ProductFilter,
    sort: ProductSort,
    page: Page,
) -> Result<(Vec<Product>, u64), StoreError> {
    let failed = StoreError::during("listing products");
    let Some(query) = filtered(db, filter).await? else { return Ok((Vec::new(), 0)) };
    let total = query.clone().count(db.reader()).await.map_err(&failed)?;
    let (column, order) = match sort {
        ProductSort::Newest => (Column::CreatedAtMs, Order::Desc),
        ProductSort::PriceAscending => (Column::PriceFen, Order::Asc),
        ProductSort::PriceDescending => (Column::PriceFen, Order::Desc),
        ProductSort::Sales => (Column::Sales, Order::Desc),
        ProductSort::Rating => (Column::RatingHundredths, Order::Desc),
    };
    let rows = query
        .order_by(column, order)
        .order_by_desc(Column::Id)
        .offset(page.offset())
        .limit(page.size())
        .all(db.reader())
        .await
        .map_err(&failed)?;
    Ok((complete(db, rows).await?, total))
}

/// `None`: nothing can match.
async fn filtered(db: &Db, filter: &ProductFilter) -> Result<Option<Select<Entity>>, StoreError> {
    let mut query = Entity::find().filter(Column::Status.ne(STATUS_DELETED));
    if let Some(wanted) = &filter.category {
        let tree = categories::list(db).await?;
        let root = tree.iter().find(|category| match wanted {
            CategoryFilter::Id(id) => category.id == *id,
            CategoryFilter::Name(name) => category.name == *name,
        });
        let Some(root) = root else { return Ok(None) };
        query = query.filter(Column::CategoryId.is_in(categories::subtree(&tree, root.id)));
    }
    if !filter.keyword.is_empty() {
        let found = sea_orm::Condition::any()
            .add(contains(Column::Name, &filter.keyword))
            .add(contains(Column::Description, &filter.keyword));
        query = query.filter(found);
    }
    if let Some(price) = filter.price_min {
        query = query.filter(Column::PriceFen.gte(price.fen()));
    }
    if let Some(price) = filter.price_max {
        query = query.filter(Column::PriceFen.lte(price.fen()));
    }
    if let Some(status) = filter.status {
        query = query.filter(Column::Status.eq(status));
    }
    Ok(Some(query))
}
