//! The product list: filters, orders and pages. Every order ends in the id, so that pages neither repeat nor skip a
//! product when prices, sales or timestamps are equal.

use std::collections::HashMap;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::ExprTrait as _;
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
    /// By name.
    Name,
    /// Fewest free units first.
    StockAscending,
    /// Most free units first.
    StockDescending,
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
    /// At most so many free units.
    pub stock_max: Option<i64>,
    /// A product whose id is the keyword is found too.
    pub by_id: bool,
}

/// How many products lie directly in each category; deleted ones are not counted.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn counts_by_category(db: &Db) -> Result<HashMap<i64, u64>, StoreError> {
    let rows: Vec<(i64, i64)> = Entity::find()
        .select_only()
        .column(Column::CategoryId)
        .column_as(Column::Id.count(), "products")
        .filter(Column::Status.ne(STATUS_DELETED))
        .group_by(Column::CategoryId)
        .into_tuple()
        .all(db.reader())
        .await
        .map_err(StoreError::during("counting products"))?;
    Ok(rows.into_iter().map(|(category, products)| (category, products.unsigned_abs())).collect())
}

/// Free units of the product of the row.
fn free_units() -> Expr {
    Expr::cust("COALESCE((SELECT free FROM stock WHERE stock.product_id = products.id AND stock.pool = 0), 0)")
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
    let total = query.clone().count(db.replica()).await.map_err(&failed)?;
    let (key, order) = match sort {
        ProductSort::Newest => (Column::CreatedAtMs.into_expr(), Order::Desc),
        ProductSort::PriceAscending => (Column::PriceFen.into_expr(), Order::Asc),
        ProductSort::PriceDescending => (Column::PriceFen.into_expr(), Order::Desc),
        ProductSort::Sales => (Column::Sales.into_expr(), Order::Desc),
        ProductSort::Rating => (Column::RatingHundredths.into_expr(), Order::Desc),
        ProductSort::Name => (Column::Name.into_expr(), Order::Asc),
        ProductSort::StockAscending => (free_units(), Order::Asc),
        ProductSort::StockDescending => (free_units(), Order::Desc),
    };
    let rows = query
        .order_by(key, order)
        .order_by_desc(Column::Id)
        .offset(page.offset())
        .limit(page.size())
        .all(db.replica())
        .await
        .map_err(&failed)?;
    Ok((complete(db.replica(), rows).await?, total))
}

/// `None`: nothing can match.
async fn filtered(db: &Db, filter: &ProductFilter) -> Result<Option<Select<Entity>>, StoreError> {
    let mut query = Entity::find().filter(Column::Status.ne(STATUS_DELETED));
    if let Some(wanted) = &filter.category {
        let tree = categories::list_for_public(db).await?;
        let root = tree.iter().find(|category| match wanted {
            CategoryFilter::Id(id) => category.id == *id,
            CategoryFilter::Name(name) => category.name == *name,
        });
        let Some(root) = root else { return Ok(None) };
        query = query.filter(Column::CategoryId.is_in(categories::subtree(&tree, root.id)));
    }
    if !filter.keyword.is_empty() {
        let id = filter.keyword.parse::<i64>().ok().filter(|_| filter.by_id);
        let found = sea_orm::Condition::any()
            .add(contains(Column::Name, &filter.keyword))
            .add(contains(Column::Description, &filter.keyword))
            .add_option(id.map(|id| Column::Id.eq(id)));
        query = query.filter(found);
    }
    if let Some(price) = filter.price_min {
        query = query.filter(Column::PriceFen.gte(price.fen()));
    }
    if let Some(price) = filter.price_max {
        query = query.filter(Column::PriceFen.lte(price.fen()));
    }
    if let Some(units) = filter.stock_max {
        query = query.filter(free_units().lte(units));
    }
    if let Some(status) = filter.status {
        query = query.filter(Column::Status.eq(status));
    }
    Ok(Some(query))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::products::{self, NewProduct, ProductChanges};
    use crate::persistence::testing::{NOW_MS, database, item, product};

    async fn names(db: &Db, filter: &ProductFilter, sort: ProductSort) -> Vec<String> {
        let (found, total) = list(db, filter, sort, Page::new(1, 100)).await.unwrap();
        assert_eq!(found.len() as u64, total);
        found.into_iter().map(|product| product.name).collect()
    }

    fn keyword(text: &str) -> ProductFilter {
        ProductFilter { keyword: text.to_owned(), ..ProductFilter::default() }
    }

    #[actix_rt::test]
    async fn t31_pages_neither_repeat_nor_skip_when_all_is_equal() {
        let (db, _dir) = database().await;
        for number in 0..25 {
            product(&db, &item(&format!("p{number}"), 100), 0).await;
        }
        let sorts = [ProductSort::Newest, ProductSort::PriceAscending, ProductSort::PriceDescending];
        for sort in sorts.into_iter().chain([ProductSort::Sales, ProductSort::Rating]) {
            let mut seen = Vec::new();
            for number in 1..=4 {
                let (found, total) = list(&db, &ProductFilter::default(), sort, Page::new(number, 7)).await.unwrap();
                assert_eq!(total, 25);
                seen.extend(found.into_iter().map(|product| product.id));
            }
            assert_eq!(seen.len(), 25);
            assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{sort:?}");
        }
    }

    #[actix_rt::test]
    async fn keywords_are_taken_literally_in_any_case_and_language() {
        let (db, _dir) = database().await;
        for name in ["华为手机 Mate 60", "100% cotton", "a_b", "axb", "É1", "bang!"] {
            product(&db, &item(name, 100), 0).await;
        }
        for (text, expected) in [
            ("手机", vec!["华为手机 Mate 60"]),
            ("mATE", vec!["华为手机 Mate 60"]),
            ("100%", vec!["100% cotton"]),
            ("%", vec!["100% cotton"]),
            ("a_b", vec!["a_b"]),
            ("É", vec!["É1"]),
            ("g!", vec!["bang!"]),
            ("' OR 1=1 --", vec![]),
            ("\\", vec![]),
        ] {
            assert_eq!(names(&db, &keyword(text), ProductSort::Newest).await, expected, "{text}");
        }
    }

    #[actix_rt::test]
    async fn a_list_is_filtered_by_category_price_and_status_and_sorted() {
        let (db, _dir) = database().await;
        let top = categories::insert(&db, "数码", None, 0).await.unwrap().unwrap().id;
        let below = categories::insert(&db, "手机", Some(top), 0).await.unwrap().unwrap().id;
        let cheap = product(&db, &NewProduct { category_id: below, ..item("cheap", 1_000) }, 5).await;
        product(&db, &NewProduct { category_id: top, ..item("middle", 2_000) }, 0).await;
        product(&db, &item("dear", 3_000), 0).await;
        let of = |category| ProductFilter { category: Some(category), ..ProductFilter::default() };
        let ascending = ProductSort::PriceAscending;
        let by_name = of(CategoryFilter::Name("数码".to_owned()));
        assert_eq!(names(&db, &by_name, ascending).await, ["cheap", "middle"]);
        assert_eq!(names(&db, &of(CategoryFilter::Id(below)), ascending).await, ["cheap"]);
        assert!(names(&db, &of(CategoryFilter::Id(99)), ascending).await.is_empty());
        let (price_min, price_max) = (Some(Money::from_fen(1_001)), Some(Money::from_fen(3_000)));
        let priced = ProductFilter { price_min, price_max, ..ProductFilter::default() };
        assert_eq!(names(&db, &priced, ProductSort::PriceDescending).await, ["dear", "middle"]);
        let off = ProductChanges { status: Some(products::STATUS_OFF_SHELF), ..ProductChanges::default() };
        products::update(&db, cheap, &off, NOW_MS).await.unwrap().unwrap();
        let on_shelf = ProductFilter { status: Some(products::STATUS_ON_SHELF), ..ProductFilter::default() };
        assert_eq!(names(&db, &on_shelf, ascending).await, ["middle", "dear"]);
        products::delete(&db, cheap, NOW_MS).await.unwrap();
        assert_eq!(names(&db, &ProductFilter::default(), ascending).await, ["middle", "dear"]);
    }
}
