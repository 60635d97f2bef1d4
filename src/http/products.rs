//! The catalogue: lists and details for everybody; administrators add, change and delete. Units are moved by the
//! inventory, never by an edit of the product's row.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Admin, Caller, MaybeCaller};
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Params, Query, from_path};
use super::idempotent::{Turn, once};
use super::pages::PageOf;
use super::product_forms::{AddProduct, ListProducts, UpdateProduct};
use super::state::AppState;
use super::times::Time;
use crate::domain::codes::Code;
use crate::domain::money::Yuan;
use crate::domain::{ProductId, Role};
use crate::persistence::product_list::{self, CategoryFilter, ProductFilter};
use crate::persistence::products::{
    self, Attributes, FirstUnits, NewProduct, Product, ProductChanges, ProductRejection, STATUS_ON_SHELF,
};
use crate::persistence::stock_moves::StockPlan;
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
#[utoipa::path(get, path = "/api/product", tag = "product",
    params(ListProducts, ("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query)),
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
        ..ProductFilter::default()
    };
    let page = Page::new(query.page.page, query.page.page_size);
    let (found, total) = product_list::list(&state.db, &filter, query.sort, page).await?;
    ok(query.page.of(found.into_iter().map(ProductView::from).collect(), total))
}

/// One product, on the shelf or off.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`.
#[utoipa::path(get, path = "/api/product/{id}", params(("id" = i64, Path)), tag = "product",
    responses((status = 200, body = EnvelopeOf<ProductView>)))]
pub async fn get_product(state: web::Data<AppState>, path: web::Path<String>) -> ApiResult<ProductView> {
    ok(found(&state, id_of(&path)?).await?.into())
}

/// Adds a product with its first units.
///
/// # Errors
/// `PRODUCT_PARAMETER`, `PRODUCT_CATEGORY`.
#[utoipa::path(post, path = "/api/product", tag = "product", request_body = AddProduct,
    params(("Idempotency-Key" = Option<String>, Header, description = "1..=100 visible ASCII characters")),
    responses((status = 200, body = EnvelopeOf<ProductView>)), security(("bearer" = [])))]
pub async fn add_product(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    request: HttpRequest,
    Params(form): Params<AddProduct>,
) -> Result<HttpResponse, ApiError> {
    once(&request, &state, admin.buyer, 1, async |turn: Turn| add(&state, &admin, &turn, form.clone()).await).await
}

/// The product is known by the move of its first units, whose id is the turn's number.
async fn add(state: &AppState, admin: &Caller, turn: &Turn, form: AddProduct) -> Result<ProductView, ApiError> {
    let new = NewProduct {
        category_id: category_id(state, form.category).await?.unwrap_or(0),
        name: form.name,
        description: form.description,
        price: form.price,
        image_url: form.image_url,
        images: form.images,
        attributes: form.attributes,
        status: form.status,
    };
    let (move_id, units) = (turn.order_no()?.to_string(), form.stock);
    let first = FirstUnits { move_id: &move_id, units };
    let id = products::insert_once(&state.db, &new, first, state.clock.now_ms()).await?.map_err(refused)?;
    state.end_move_by(admin, "", move_id, (id, StockPlan::SetFree { units })).await?;
    let detail = serde_json::json!({"name": new.name, "price_fen": new.price.fen(), "stock": units});
    state.record(admin, "product.create", format!("product {id}"), detail).await?;
    Ok(found(state, id).await?.into())
}

/// Changes a product; an absent field stays as it is, units too.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`, `PRODUCT_PARAMETER`, `PRODUCT_CATEGORY`, `PRODUCT_STOCK_SHORT`.
#[utoipa::path(put, path = "/api/product/{id}", params(("id" = i64, Path)), tag = "product",
    request_body = UpdateProduct, responses((status = 200, body = EnvelopeOf<ProductView>)),
    security(("bearer" = [])))]
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
        state.set_free_stock(&admin, id, units).await?;
    }
    state.product_changed(id).await;
    state.record(&admin, "product.update", format!("product {id}"), detail).await?;
    ok(found(&state, id).await?.into())
}

/// Takes a product out of the shop for good; its orders keep it.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`.
#[utoipa::path(delete, path = "/api/product/{id}", params(("id" = i64, Path)), tag = "product",
    responses((status = 200, description = "deleted")), security(("bearer" = [])))]
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::domain::ProductId;
    use crate::http::testing::shop;
    use crate::persistence::testing::put_units;

    #[actix_rt::test]
    async fn t9_an_edit_changes_what_it_names_and_no_unit() {
        let shop = shop().await;
        let admin = shop.admin().await;
        let form = json!({"name": "Mate 60", "price": 5999.9, "images": ["/a.png"], "attributes": {"色": "红"}});
        let added = shop.ask(&admin, "POST", "/api/product", form).await;
        let id = added.data()["id"].as_i64().unwrap();
        put_units(&shop.state.db, ProductId(id), 7).await;
        let uri = format!("/api/product/{id}");
        let edited = shop.ask(&admin, "PUT", &uri, json!({"price": "19.99", "status": 0})).await;
        let shown = (&edited.data()["name"], &edited.data()["price"], &edited.data()["stock"]);
        assert_eq!(shown, (&json!("Mate 60"), &json!(19.99), &json!(7)));
        assert_eq!((&edited.data()["status"], &edited.data()["attributes"]["色"]), (&json!(0), &json!("红")));
        assert_eq!(shop.ask("", "GET", "/api/product", json!(null)).await.data()["total"], 0);
        assert_eq!(shop.ask("", "GET", "/api/product?status=0", json!(null)).await.data()["total"], 0);
        assert_eq!(shop.ask(&admin, "GET", "/api/product?status=0", json!(null)).await.data()["total"], 1);
        shop.ask(&admin, "DELETE", &uri, json!(null)).await.data();
        assert_eq!(shop.ask("", "GET", &uri, json!(null)).await.code(), 20001);
        assert_eq!(shop.ask(&admin, "PUT", &uri, json!({"status": 1})).await.code(), 20001);
    }

    #[actix_rt::test]
    async fn t9_units_are_set_only_when_they_are_named() {
        let shop = shop().await;
        let admin = shop.admin().await;
        let added = shop.ask(&admin, "POST", "/api/product", json!({"name": "x", "price": 1, "stock": 5})).await;
        assert_eq!(added.data()["stock"], 5);
        let uri = format!("/api/product/{}", added.data()["id"]);
        for (form, stock) in [(json!({"stock": 9}), 9), (json!({"name": "y"}), 9), (json!({"stock": 0}), 0)] {
            assert_eq!(shop.ask(&admin, "PUT", &uri, form.clone()).await.data()["stock"], stock, "{form}");
        }
        assert_eq!(shop.ask("", "GET", &uri, json!(null)).await.data()["stock"], 0);
    }

    #[actix_rt::test]
    async fn bad_products_and_guests_are_refused() {
        let shop = shop().await;
        let admin = shop.admin().await;
        for (form, field) in [
            (json!({"price": 1}), "name"),
            (json!({"name": "x"}), "price"),
            (json!({"name": "x", "price": 0}), "price"),
            (json!({"name": "x", "price": 1.005}), "price"),
            (json!({"name": "x", "price": 1, "stock": -1}), "stock"),
            (json!({"name": "x", "price": 1, "status": 2}), "status"),
            (json!({"name": "x", "price": 1, "attributes": [1]}), "attributes"),
        ] {
            let answer = shop.ask(&admin, "POST", "/api/product", form.clone()).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (400, 20006), "{form}");
            assert_eq!(answer.json["data"]["errors"][0]["field"], field, "{form}");
        }
        let form = json!({"name": "x", "price": 1});
        assert_eq!(shop.ask("", "POST", "/api/product", form.clone()).await.code(), 10008);
        let user = shop.user("li1").await;
        assert_eq!(shop.ask(&user, "POST", "/api/product", form).await.code(), 10010);
        let unknown = json!({"name": "x", "price": 1, "category": "nowhere"});
        assert_eq!(shop.ask(&admin, "POST", "/api/product", unknown).await.code(), 20005);
    }

    #[actix_rt::test]
    async fn a_list_takes_the_empty_parameters_of_old_clients() {
        let shop = shop().await;
        let admin = shop.admin().await;
        shop.ask(&admin, "POST", "/api/category", json!({"name": "手机数码"})).await.data();
        for (name, price) in [("手机 A", "10.00"), ("手机 B", "20.00")] {
            let form = json!({"name": name, "price": price, "category": "手机数码"});
            shop.ask(&admin, "POST", "/api/product", form).await.data();
        }
        for (query, names) in [
            ("page=1&page_size=10&category=&keyword=&min_price=&max_price=&sort=", vec!["手机 B", "手机 A"]),
            ("category=%E6%89%8B%E6%9C%BA%E6%95%B0%E7%A0%81&sort=price_asc", vec!["手机 A", "手机 B"]),
            ("category=1&min_price=10.01", vec!["手机 B"]),
            ("keyword=%E6%9C%BA%20A", vec!["手机 A"]),
            ("category=9", vec![]),
        ] {
            let answer = shop.ask("", "GET", &format!("/api/product?{query}"), json!(null)).await;
            let list = answer.data()["list"].as_array().unwrap();
            assert_eq!(list.iter().map(|product| product["name"].as_str().unwrap()).collect::<Vec<_>>(), names);
        }
        assert_eq!(shop.ask("", "GET", "/api/product?sort=cheap", json!(null)).await.code(), 20006);
        assert_eq!(shop.ask("", "GET", "/api/product/x", json!(null)).await.code(), 20001);
    }
}
