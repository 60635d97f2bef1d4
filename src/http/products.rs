//! The catalogue: lists and details for everybody; administrators add, change and delete. Units are moved by the
//! inventory, never by an edit of the product's row.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Admin, MaybeCaller};
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Params, Query, from_path};
use super::pages::PageOf;
use super::product_forms::{AddProduct, ListProducts, UpdateProduct};
use super::state::AppState;
use super::times::Time;
use crate::domain::codes::Code;
use crate::domain::money::Yuan;
use crate::domain::{ProductId, Role};
use crate::persistence::product_list::{self, CategoryFilter, ProductFilter};
use crate::persistence::products::{
    self, Attributes, NewProduct, Product, ProductChanges, ProductRejection, STATUS_ON_SHELF,
};
use crate::persistence::{Page, categories};

/// A product as the shop shows it.
#[derive(Debug, Serialize, ToSchema)]
#[expect(missing_docs, reason = "named as in the contract")]
pub struct ProductView {
    pub id: i64,
    pub name: String,
    pub description: String,
    #[schema(value_type = f64)]
    pub price: Yuan,
    /// Units for sale outside of flash sales.
    pub stock: i64,
    /// Name; empty if in none.
    pub category: String,
    /// 0 if in none.
    pub category_id: i64,
    pub image_url: String,
    pub images: Vec<String>,
    #[schema(value_type = Object)]
    pub attributes: Attributes,
    /// Units paid for.
    pub sales: i64,
    /// 0..=5, two decimals.
    pub rating: f64,
    /// 1 on, 0 off the shelf.
    pub status: i16,
    pub created_at: Time,
}

impl From<Product> for ProductView {
    fn from(product: Product) -> Self {
        Self {
            id: product.id.0,
            name: product.name,
            description: product.description,
            price: Yuan(product.price),
            stock: product.stock,
            category: product.category,
            category_id: product.category_id,
            image_url: product.image_url,
            images: product.images,
            attributes: product.attributes,
            sales: product.sales,
            rating: f64::from(product.rating_hundredths) / 100.0,
            status: product.status,
            created_at: Time(product.created_at_ms),
        }
    }
}

/// Products on the shelf; administrators may also ask for those off it (`status=0`).
///
/// # Errors
/// `PRODUCT_PARAMETER`.
#[utoipa::path(get, path = "/api/product", tag = "product", params(ListProducts),
    responses((status = 200, body = EnvelopeOf<PageOf<ProductView>>)))]
pub async fn list_products(
    state: web::Data<AppState>,
    caller: MaybeCaller,
    Query(query): Query<ListProducts>,
) -> ApiResult<PageOf<ProductView>> {
    let is_admin = caller.0.is_some_and(|caller| caller.role == Role::Admin);
    let filter = ProductFilter {
        status: query.status.filter(|_| is_admin).or(Some(STATUS_ON_SHELF)),
        category: query.category,
        keyword: query.keyword,
        price_min: query.min_price,
        price_max: query.max_price,
    };
    let page = Page::new(query.page.page, query.page.page_size);
    let (found, total) = product_list::list(&state.db, &filter, query.sort, page).await?;
    ok(query.page.of(found.into_iter().map(ProductView::from).collect(), total))
}

/// One product, on the shelf or off.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`.
#[utoipa::path(get, path = "/api/product/{id}", tag = "product", responses((status = 200, body = EnvelopeOf<ProductView>)))]
pub async fn get_product(state: web::Data<AppState>, path: web::Path<String>) -> ApiResult<ProductView> {
    ok(found(&state, id_of(&path)?).await?.into())
}

/// Adds a product with its first units.
///
/// # Errors
/// `PRODUCT_PARAMETER`, `PRODUCT_CATEGORY`.
#[utoipa::path(post, path = "/api/product", tag = "product", request_body = AddProduct,
    responses((status = 200, body = EnvelopeOf<ProductView>)))]
pub async fn add_product(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    Params(form): Params<AddProduct>,
) -> ApiResult<ProductView> {
    let new = NewProduct {
        category_id: category_id(&state, form.category).await?.unwrap_or(0),
        name: form.name,
        description: form.description,
        price: form.price,
        image_url: form.image_url,
        images: form.images,
        attributes: form.attributes,
        status: form.status,
    };
    let id = products::insert(&state.db, &new, state.clock.now_ms()).await?.map_err(refused)?;
    if form.stock > 0 {
        state.set_free_stock(id, form.stock).await?;
    }
    let detail = serde_json::json!({"name": new.name, "price_fen": new.price.fen(), "stock": form.stock});
    state.record(&admin, "product.create", format!("product {id}"), detail).await?;
    ok(found(&state, id).await?.into())
}

/// Changes a product; an absent field stays as it is, units too.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`, `PRODUCT_PARAMETER`, `PRODUCT_CATEGORY`, `PRODUCT_STOCK_SHORT`.
#[utoipa::path(put, path = "/api/product/{id}", tag = "product", request_body = UpdateProduct,
    responses((status = 200, body = EnvelopeOf<ProductView>)))]
pub async fn update_product(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    path: web::Path<String>,
    Params(form): Params<UpdateProduct>,
) -> ApiResult<ProductView> {
    let id = id_of(&path)?;
    let detail = form.audited();
    let changes = ProductChanges {
        category_id: category_id(&state, form.category).await?,
        name: form.name,
        description: form.description,
        price: form.price,
        image_url: form.image_url,
        images: form.images,
        attributes: form.attributes,
        status: form.status,
    };
    products::update(&state.db, id, &changes, state.clock.now_ms()).await?.map_err(refused)?;
    if let Some(units) = form.stock {
        state.set_free_stock(id, units).await?;
    }
    state.product_changed(id).await;
    state.record(&admin, "product.update", format!("product {id}"), detail).await?;
    ok(found(&state, id).await?.into())
}

/// Takes a product out of the shop for good; its orders keep it.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`.
#[utoipa::path(delete, path = "/api/product/{id}", tag = "product", responses((status = 200, description = "deleted")))]
pub async fn delete_product(state: web::Data<AppState>, Admin(admin): Admin, path: web::Path<String>) -> ApiResult<()> {
    let id = id_of(&path)?;
    if !products::delete(&state.db, id, state.clock.now_ms()).await? {
        return Err(Code::PRODUCT_NOT_FOUND.into());
    }
    state.product_changed(id).await;
    state.record(&admin, "product.delete", format!("product {id}"), serde_json::Value::Null).await?;
    ok(())
}

fn id_of(path: &str) -> Result<ProductId, ApiError> {
    from_path(path, Code::PRODUCT_NOT_FOUND).map(ProductId)
}

async fn found(state: &AppState, id: ProductId) -> Result<Product, ApiError> {
    products::find(&state.db, id).await?.ok_or_else(|| Code::PRODUCT_NOT_FOUND.into())
}

/// The id of a category given by name or id; 0 is "in none".
async fn category_id(state: &AppState, wanted: Option<CategoryFilter>) -> Result<Option<i64>, ApiError> {
    match wanted {
        None => Ok(None),
        Some(CategoryFilter::Id(id)) => Ok(Some(id)),
        Some(CategoryFilter::Name(name)) => {
            let tree = categories::list(&state.db).await?;
            let category = tree.iter().find(|category| category.name == name);
            category.map(|category| Some(category.id)).ok_or_else(|| Code::PRODUCT_CATEGORY.into())
        }
    }
}

fn refused(rejection: ProductRejection) -> ApiError {
    match rejection {
        ProductRejection::NotFound => Code::PRODUCT_NOT_FOUND.into(),
        ProductRejection::CategoryUnknown => Code::PRODUCT_CATEGORY.into(),
    }
}
