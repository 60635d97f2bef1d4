//! The delivery addresses of the signed-in user.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Body, from_path};
use super::fields::{Fields, FromFields, Problem};
use super::state::AppState;
use super::times::Time;
use crate::domain::codes::Code;
use crate::persistence::addresses::{self, ADDRESSES_MAX, Address, AddressChanges, AddressRejection};

const RECEIVER_CHARS_MAX: usize = 50;
const PHONE_CHARS: std::ops::RangeInclusive<usize> = 5..=20;
const REGION_CHARS_MAX: usize = 100;
const DETAIL_CHARS_MAX: usize = 200;

/// A delivery address.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, missing_debug_implementations, reason = "named as in the contract; personal data")]
pub struct AddressView {
    pub id: i64,
    pub receiver: String,
    pub phone: String,
    pub region: String,
    pub detail: String,
    pub is_default: bool,
    pub created_at: Time,
}

impl From<Address> for AddressView {
    fn from(address: Address) -> Self {
        Self {
            id: address.id,
            receiver: address.receiver,
            phone: address.phone,
            region: address.region,
            detail: address.detail,
            is_default: address.is_default,
            created_at: Time(address.created_at_ms),
        }
    }
}

/// An address to add.
#[derive(ToSchema)]
#[expect(missing_debug_implementations, reason = "personal data")]
pub struct AddAddress {
    receiver: String,
    /// Digits, `+`, `-` and blanks.
    phone: String,
    region: Option<String>,
    detail: String,
    /// The first address is the default in any case.
    is_default: Option<bool>,
}

impl FromFields for AddAddress {
    const CODE: Code = Code::USER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let phone = fields.text("phone", PHONE_CHARS);
        check_phone(fields, Some(&phone));
        Self {
            receiver: fields.text("receiver", 1..=RECEIVER_CHARS_MAX),
            phone,
            region: fields.text_if("region", 0..=REGION_CHARS_MAX),
            detail: fields.text("detail", 1..=DETAIL_CHARS_MAX),
            is_default: fields.flag_if("is_default"),
        }
    }
}

/// What changes in an address; an absent field stays as it is.
#[derive(ToSchema)]
#[expect(missing_debug_implementations, reason = "personal data")]
pub struct UpdateAddress {
    receiver: Option<String>,
    /// Digits, `+`, `-` and blanks.
    phone: Option<String>,
    region: Option<String>,
    detail: Option<String>,
    /// True makes it the default; false changes nothing, since one must be.
    is_default: Option<bool>,
}

impl FromFields for UpdateAddress {
    const CODE: Code = Code::USER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let phone = fields.text_if("phone", PHONE_CHARS);
        check_phone(fields, phone.as_deref());
        Self {
            receiver: fields.text_if("receiver", 1..=RECEIVER_CHARS_MAX),
            phone,
            region: fields.text_if("region", 0..=REGION_CHARS_MAX),
            detail: fields.text_if("detail", 1..=DETAIL_CHARS_MAX),
            is_default: fields.flag_if("is_default"),
        }
    }
}

/// The own addresses, the default first.
///
/// # Errors
/// Only those of a request without a live session.
#[utoipa::path(get, path = "/api/user/address", tag = "user",
    responses((status = 200, body = EnvelopeOf<Vec<AddressView>>)), security(("bearer" = [])))]
pub async fn list_addresses(state: web::Data<AppState>, caller: Caller) -> ApiResult<Vec<AddressView>> {
    let own = addresses::list(&state.db, caller.buyer).await?;
    ok(own.into_iter().map(AddressView::from).collect())
}

/// One own address.
///
/// # Errors
/// `NOT_FOUND`, also for another user's.
#[utoipa::path(get, path = "/api/user/address/{id}", params(("id" = i64, Path)), tag = "user",
    responses((status = 200, body = EnvelopeOf<AddressView>)), security(("bearer" = [])))]
pub async fn get_address(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<AddressView> {
    let found = addresses::find(&state.db, caller.buyer, from_path(&path, Code::NOT_FOUND)?).await?;
    ok(found.ok_or(ApiError::from(Code::NOT_FOUND))?.into())
}

/// Adds an address.
///
/// # Errors
/// `USER_PARAMETER` if there are too many.
#[utoipa::path(post, path = "/api/user/address", tag = "user", request_body = AddAddress,
    responses((status = 200, body = EnvelopeOf<AddressView>)), security(("bearer" = [])))]
pub async fn add_address(
    state: web::Data<AppState>,
    caller: Caller,
    Body(form): Body<AddAddress>,
) -> ApiResult<AddressView> {
    let new = AddressChanges {
        receiver: Some(form.receiver),
        phone: Some(form.phone),
        region: form.region,
        detail: Some(form.detail),
        is_default: form.is_default,
    };
    let added = addresses::insert(&state.db, caller.buyer, &new, state.clock.now_ms()).await?;
    ok(added.map_err(refused)?.into())
}

/// Changes an own address.
///
/// # Errors
/// `NOT_FOUND`, also for another user's.
#[utoipa::path(put, path = "/api/user/address/{id}", params(("id" = i64, Path)), tag = "user",
    request_body = UpdateAddress, responses((status = 200, body = EnvelopeOf<AddressView>)),
    security(("bearer" = [])))]
pub async fn update_address(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<String>,
    Body(form): Body<UpdateAddress>,
) -> ApiResult<AddressView> {
    let id = from_path(&path, Code::NOT_FOUND)?;
    let changes = AddressChanges {
        receiver: form.receiver,
        phone: form.phone,
        region: form.region,
        detail: form.detail,
        is_default: form.is_default,
    };
    let updated = addresses::update(&state.db, caller.buyer, id, &changes, state.clock.now_ms()).await?;
    ok(updated.map_err(refused)?.into())
}

/// Removes an own address.
///
/// # Errors
/// `NOT_FOUND`, also for another user's.
#[utoipa::path(delete, path = "/api/user/address/{id}", params(("id" = i64, Path)), tag = "user",
    responses((status = 200, description = "removed")), security(("bearer" = [])))]
pub async fn remove_address(state: web::Data<AppState>, caller: Caller, path: web::Path<String>) -> ApiResult<()> {
    let id = from_path(&path, Code::NOT_FOUND)?;
    if addresses::delete(&state.db, caller.buyer, id).await? { ok(()) } else { Err(Code::NOT_FOUND.into()) }
}

fn refused(rejection: AddressRejection) -> ApiError {
    match rejection {
        AddressRejection::NotFound => Code::NOT_FOUND.into(),
        AddressRejection::TooMany => ApiError::from(Code::USER_PARAMETER).with("addresses_max", ADDRESSES_MAX),
    }
}

fn check_phone(fields: &mut Fields, phone: Option<&str>) {
    let fits = |phone: &str| phone.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ' '));
    if phone.is_some_and(|phone| !fits(phone)) {
        fields.refuse("phone", Problem::Malformed);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::testing::shop;

    #[actix_rt::test]
    async fn t16_addresses_belong_to_their_user() {
        let shop = shop().await;
        let (li, wang) = (shop.user("li1").await, shop.user("wang").await);
        let form = json!({"receiver": "李", "phone": "13800138000", "region": "北京", "detail": "长安街 1"});
        let added = shop.ask(&li, "POST", "/api/user/address", form).await;
        assert_eq!(added.data()["is_default"], true);
        let uri = format!("/api/user/address/{}", added.data()["id"]);
        for (method, body) in [("GET", json!(null)), ("PUT", json!({"detail": "x"})), ("DELETE", json!(null))] {
            let answer = shop.ask(&wang, method, &uri, body).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (404, 404), "{method}");
        }
        let changed = shop.ask(&li, "PUT", &uri, json!({"detail": "长安街 2"})).await;
        assert_eq!((&changed.data()["detail"], &changed.data()["region"]), (&json!("长安街 2"), &json!("北京")));
        assert_eq!(shop.ask(&li, "GET", "/api/user/address", json!(null)).await.data().as_array().unwrap().len(), 1);
        shop.ask(&li, "DELETE", &uri, json!(null)).await.data();
        assert_eq!(shop.ask(&li, "GET", &uri, json!(null)).await.code(), 404);
        assert_eq!(shop.ask("", "GET", "/api/user/address", json!(null)).await.code(), 10008);
    }

    #[actix_rt::test]
    async fn an_address_needs_somebody_and_somewhere() {
        let shop = shop().await;
        let li = shop.user("li1").await;
        for (form, field) in [
            (json!({"phone": "13800138000", "detail": "x"}), "receiver"),
            (json!({"receiver": "李", "phone": "call me", "detail": "x"}), "phone"),
            (json!({"receiver": "李", "phone": "13800138000"}), "detail"),
        ] {
            let answer = shop.ask(&li, "POST", "/api/user/address", form).await;
            assert_eq!((answer.code(), &answer.json["data"]["errors"][0]["field"]), (10009, &json!(field)));
        }
    }
}
