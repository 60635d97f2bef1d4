//! The catalogue as administrators look through it: products on the shelf and off it, with where their units are.

use std::collections::HashMap;

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::extract::Query;
use super::fields::{Fields, FromFields};
use super::pages::{PageOf, PageQuery};
use super::product_forms::{KEYWORD_CHARS_MAX, category_if};
use super::products::ProductView;
use super::state::AppState;
use super::times::Time;
use crate::domain::ProductId;
use crate::domain::codes::Code;
use crate::domain::stock::{POOL_UNITS_MAX, Pool};
use crate::persistence::categories::{self, Category};
use crate::persistence::product_list::{self, ProductFilter, ProductSort};
use crate::persistence::products::{STATUS_OFF_SHELF, STATUS_ON_SHELF};
use crate::persistence::{Page, stock};

const SORTS: [(&str, ProductSort); 8] = [
    ("newest", ProductSort::Newest),
    ("name", ProductSort::Name),
    ("price_asc", ProductSort::PriceAscending),
    ("price_desc", ProductSort::PriceDescending),
    ("stock_asc", ProductSort::StockAscending),
    ("stock_desc", ProductSort::StockDescending),
    ("sales", ProductSort::Sales),
    ("rating", ProductSort::Rating),
];
const SORT_WORDS: &str = "newest, name, price_asc, price_desc, stock_asc, stock_desc, sales, rating";
const SHELVES: [(&str, Option<i16>); 3] = [("all", None), ("1", Some(STATUS_ON_SHELF)), ("0", Some(STATUS_OFF_SHELF))];

/// Which products.
#[derive(Debug)]
pub struct WhichProducts {
    page: PageQuery,
    filter: ProductFilter,
    sort: ProductSort,
}

impl FromFields for WhichProducts {
    const CODE: Code = Code::PRODUCT_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let filter = ProductFilter {
            category: category_if(fields),
            keyword: fields.text_if("keyword", 0..=KEYWORD_CHARS_MAX).unwrap_or_default(),
            price_min: fields.money_if("min_price"),
            price_max: fields.money_if("max_price"),
            status: fields.one_of_if("status", &SHELVES, "all, 1, 0").flatten(),
            stock_max: fields.whole_if("stock_max", 0..=POOL_UNITS_MAX),
            by_id: true,
        };
        let sort = fields.one_of_if("sort", &SORTS, SORT_WORDS).unwrap_or_default();
        Self { page: PageQuery::read(fields), filter, sort }
    }
}

/// A product with where its units are.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminProductJson {
    /// As the shop shows it; `stock` are its free units.
    #[serde(flatten)]
    pub product: ProductView,
    /// Units set aside in sales and not claimed.
    pub in_sales: i64,
    /// Units under unpaid orders, in sales and outside.
    pub held: i64,
    /// Units under paid orders, in sales and outside.
    pub sold: i64,
    /// When it was edited last.
    pub updated_at: Time,
}

/// A category with how many products lie in it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CategoryRowJson {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// 0 at the top.
    pub parent_id: i64,
    /// Order among its brothers.
    pub position: i32,
    /// Products directly in it, on the shelf and off it.
    pub products: u64,
}

/// All categories by position, each with its products; `GET /api/category` is the tree that the shop shows.
#[utoipa::path(get, path = "/api/admin/categories", tag = "admin", security(("bearer" = [])),
    responses((status = 200, body = EnvelopeOf<Vec<CategoryRowJson>>)))]
pub async fn list_category_rows(state: web::Data<AppState>, _admin: Admin) -> ApiResult<Vec<CategoryRowJson>> {
    let counts = product_list::counts_by_category(&state.db).await?;
    let row = |category: Category| CategoryRowJson {
        id: category.id,
        parent_id: category.parent_id.unwrap_or(0),
        position: category.position,
        products: counts.get(&category.id).copied().unwrap_or(0),
        name: category.name,
    };
    ok(categories::list(&state.db).await?.into_iter().map(row).collect())
}

/// Products that were not deleted. `keyword` is a part of the name or description, or the id; `status` `all` (the default), `1` on
/// the shelf, `0` off it; `stock_max` finds what runs out; `sort` newest, name, price_asc, price_desc, stock_asc, stock_desc, sales
/// or rating.
#[utoipa::path(get, path = "/api/admin/products", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query), ("keyword" = Option<String>, Query),
        ("category" = Option<String>, Query), ("status" = Option<String>, Query), ("stock_max" = Option<i64>, Query),
        ("min_price" = Option<f64>, Query), ("max_price" = Option<f64>, Query), ("sort" = Option<String>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<AdminProductJson>>)))]
pub async fn list_all_products(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(wanted): Query<WhichProducts>,
) -> ApiResult<PageOf<AdminProductJson>> {
    let page = Page::new(wanted.page.page, wanted.page.page_size);
    let (found, total) = product_list::list(&state.db, &wanted.filter, wanted.sort, page).await?;
    let ids: Vec<ProductId> = found.iter().map(|product| product.id).collect();
    let mut units: HashMap<ProductId, (i64, i64, i64)> = HashMap::new();
    for row in stock::of_products(&state.db, &ids).await? {
        let sums = units.entry(row.product).or_default();
        sums.0 += if row.pool == Pool::Free { 0 } else { row.free };
        sums.1 += row.held;
        sums.2 += row.sold;
    }
    let shown = found.into_iter().map(|product| {
        let (in_sales, held, sold) = units.get(&product.id).copied().unwrap_or_default();
        let updated_at = Time(product.updated_at_ms);
        AdminProductJson { product: product.into(), in_sales, held, sold, updated_at }
    });
    ok(wanted.page.of(shown.collect(), total))
}
