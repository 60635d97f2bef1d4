//! The tree of categories.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Body, from_path};
use super::fields::{Fields, FromFields};
use super::idempotent::{Turn, once};
use super::state::AppState;
use crate::domain::codes::Code;
use crate::persistence::categories::{self, CATEGORY_NAME_CHARS_MAX, Category, CategoryChanges, CategoryRejection};

const POSITION_MAX: i64 = 1_000_000;

/// A category with all below it.
#[derive(Debug, Serialize, ToSchema)]
#[expect(missing_docs, reason = "named as in the contract")]
pub struct CategoryView {
    pub id: i64,
    pub name: String,
    /// 0 at the top.
    pub parent_id: i64,
    pub position: i32,
    #[schema(no_recursion)]
    pub children: Vec<CategoryView>,
}

impl CategoryView {
    fn new(category: &Category, tree: &[Category]) -> Self {
        Self {
            id: category.id,
            name: category.name.clone(),
            parent_id: category.parent_id.unwrap_or(0),
            position: category.position,
            children: below(tree, Some(category.id)),
        }
    }
}

fn below(tree: &[Category], parent: Option<i64>) -> Vec<CategoryView> {
    tree.iter()
        .filter(|category| category.parent_id == parent)
        .map(|category| CategoryView::new(category, tree))
        .collect()
}

/// A category to add.
#[derive(Debug, ToSchema)]
pub struct AddCategory {
    name: String,
    /// Absent or 0: at the top.
    parent_id: Option<i64>,
    /// Order among its brothers.
    #[schema(value_type = Option<i32>)]
    position: i32,
}

impl FromFields for AddCategory {
    const CODE: Code = Code::PRODUCT_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            name: fields.text("name", 1..=CATEGORY_NAME_CHARS_MAX),
            parent_id: fields.whole_if("parent_id", 0..=i64::MAX).filter(|parent| *parent != 0),
            position: position_if(fields).unwrap_or(0),
        }
    }
}

/// What changes in a category; an absent field stays as it is.
#[derive(Debug, ToSchema)]
pub struct UpdateCategory {
    name: Option<String>,
    /// 0: to the top.
    parent_id: Option<i64>,
    position: Option<i32>,
}

impl FromFields for UpdateCategory {
    const CODE: Code = Code::PRODUCT_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            name: fields.text_if("name", 1..=CATEGORY_NAME_CHARS_MAX),
            parent_id: fields.whole_if("parent_id", 0..=i64::MAX),
            position: position_if(fields),
        }
    }
}

/// The whole tree.
///
/// # Errors
/// None of its own.
#[utoipa::path(get, path = "/api/category", tag = "category",
    responses((status = 200, body = EnvelopeOf<Vec<CategoryView>>)))]
pub async fn list_categories(state: web::Data<AppState>) -> ApiResult<Vec<CategoryView>> {
    ok(below(&categories::list_for_public(&state.db).await?, None))
}

/// Adds a category.
///
/// # Errors
/// `PRODUCT_CATEGORY` with `data.reason`.
#[utoipa::path(post, path = "/api/category", tag = "category", request_body = AddCategory,
    params(("Idempotency-Key" = Option<String>, Header, description = "1..=100 visible ASCII characters")),
    responses((status = 200, body = EnvelopeOf<CategoryView>)), security(("bearer" = [])))]
pub async fn add_category(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    request: HttpRequest,
    Body(form): Body<AddCategory>,
) -> Result<HttpResponse, ApiError> {
    once(&request, &state, admin.buyer, 0, async |turn: Turn| {
        let added = match categories::insert(&state.db, &form.name, form.parent_id, form.position).await? {
            Err(CategoryRejection::NameTaken) if turn.is_repeat => made_before(&state, &form).await?,
            outcome => outcome.map_err(refused)?,
        };
        let detail = serde_json::json!({"name": form.name, "parent_id": form.parent_id});
        state.record(&admin, "category.create", format!("category {}", added.id), detail).await?;
        Ok(CategoryView::new(&added, &[]))
    })
    .await
}

/// What an earlier request with the key has made: names are unique, and one of that name stands where it shall stand.
async fn made_before(state: &AppState, form: &AddCategory) -> Result<Category, ApiError> {
    let tree = categories::list(&state.db).await?;
    let is_it = |known: &Category| {
        known.name == form.name && known.parent_id == form.parent_id && known.position == form.position
    };
    tree.into_iter().find(is_it).ok_or_else(|| refused(CategoryRejection::NameTaken))
}

/// Changes a category.
///
/// # Errors
/// `NOT_FOUND`, `PRODUCT_CATEGORY` with `data.reason`.
#[utoipa::path(put, path = "/api/category/{id}", params(("id" = i64, Path)), tag = "category",
    request_body = UpdateCategory, responses((status = 200, body = EnvelopeOf<CategoryView>)),
    security(("bearer" = [])))]
pub async fn update_category(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    path: web::Path<String>,
    Body(form): Body<UpdateCategory>,
) -> ApiResult<CategoryView> {
    let id = from_path(&path, Code::NOT_FOUND)?;
    let detail = serde_json::json!({"name": form.name, "parent_id": form.parent_id, "position": form.position});
    let changes = CategoryChanges {
        name: form.name,
        parent_id: form.parent_id.map(|parent| (parent != 0).then_some(parent)),
        position: form.position,
    };
    let updated = categories::update(&state.db, id, &changes).await?.map_err(refused)?;
    state.record(&admin, "category.update", format!("category {id}"), detail).await?;
    ok(CategoryView::new(&updated, &categories::list(&state.db).await?))
}

/// Removes a category that has neither products nor children.
///
/// # Errors
/// `NOT_FOUND`, `PRODUCT_CATEGORY` with `data.reason`.
#[utoipa::path(delete, path = "/api/category/{id}", params(("id" = i64, Path)), tag = "category",
    responses((status = 200, description = "removed")), security(("bearer" = [])))]
pub async fn remove_category(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    path: web::Path<String>,
) -> ApiResult<()> {
    let id: i64 = from_path(&path, Code::NOT_FOUND)?;
    categories::delete(&state.db, id).await?.map_err(refused)?;
    state.record(&admin, "category.delete", format!("category {id}"), serde_json::Value::Null).await?;
    ok(())
}

fn position_if(fields: &mut Fields) -> Option<i32> {
    fields.whole_if("position", -POSITION_MAX..=POSITION_MAX).and_then(|position| i32::try_from(position).ok())
}

fn refused(rejection: CategoryRejection) -> ApiError {
    let reason = match rejection {
        CategoryRejection::NotFound => return Code::NOT_FOUND.into(),
        CategoryRejection::NameTaken => "name_taken",
        CategoryRejection::ParentUnknown => "parent_unknown",
        CategoryRejection::Cycle => "cycle",
        CategoryRejection::TooDeep => "too_deep",
        CategoryRejection::HasProducts => "has_products",
        CategoryRejection::HasChildren => "has_children",
    };
    ApiError::from(Code::PRODUCT_CATEGORY).with("reason", reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::testing::shop;

    #[actix_rt::test]
    async fn the_tree_is_shown_and_used_branches_stay() {
        let shop = shop().await;
        let admin = shop.admin().await;
        let top = shop.ask(&admin, "POST", "/api/category", json!({"name": "手机数码"})).await;
        let top = top.data()["id"].as_i64().unwrap();
        shop.ask(&admin, "POST", "/api/category", json!({"name": "手机", "parent_id": top})).await.data();
        let tree = shop.ask("", "GET", "/api/category", json!(null)).await;
        assert_eq!(tree.data()[0]["children"][0]["name"], "手机");
        let uri = format!("/api/category/{top}");
        let refused = shop.ask(&admin, "DELETE", &uri, json!(null)).await;
        assert_eq!((refused.code(), &refused.json["data"]["reason"]), (20005, &json!("has_children")));
        let taken = shop.ask(&admin, "POST", "/api/category", json!({"name": "手机"})).await;
        assert_eq!(taken.json["data"]["reason"], "name_taken");
        assert_eq!(shop.ask(&admin, "PUT", &uri, json!({"name": "数码"})).await.data()["name"], "数码");
        assert_eq!(shop.ask(&admin, "DELETE", "/api/category/99", json!(null)).await.code(), 404);
        let user = shop.user("li1").await;
        assert_eq!(shop.ask(&user, "DELETE", &uri, json!(null)).await.code(), 10010);
    }
}
