//! The cart of a user or of a guest. A guest's cart hangs on a token that only he has: a cookie for browsers, the
//! header `X-Cart-Token` for all others. At sign-in it moves into the user's cart.

use std::future::{Ready, ready};

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::dev::Payload;
use actix_web::http::header::SET_COOKIE;
use actix_web::{CustomizeResponder, FromRequest, HttpRequest, Responder as _, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::MaybeCaller;
use super::envelope::{ApiResult, Envelope, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::Params;
use super::fields::{Fields, FromFields};
use super::origins;
use super::state::AppState;
use crate::domain::codes::Code;
use crate::domain::money::Yuan;
use crate::domain::stock::QUANTITY_MAX;
use crate::domain::{BuyerId, ProductId, Quantity};
use crate::persistence::carts::{CART_LIFE_MS, Cart, CartChange, CartLine, CartOwner, CartRejection};

const COOKIE: &str = "cart";
const HEADER: &str = "X-Cart-Token";
/// Our tokens are 256 bits in base64url.
const TOKEN_CHARS: usize = 43;

/// One product in the cart.
#[derive(Debug, Serialize, ToSchema)]
#[expect(missing_docs, reason = "named as in the contract")]
pub struct CartItemView {
    /// The product's id: a cart has one line a product.
    pub id: i64,
    pub product_id: i64,
    pub product_name: String,
    pub product_image: String,
    #[schema(value_type = f64)]
    pub price: Yuan,
    pub quantity: i64,
    #[schema(value_type = f64)]
    pub sub_total: Yuan,
    /// Units for sale now.
    pub stock: i64,
    /// False: off the shelf; not part of the totals.
    pub available: bool,
}

impl From<CartLine> for CartItemView {
    fn from(line: CartLine) -> Self {
        Self {
            id: line.product.0,
            product_id: line.product.0,
            product_name: line.name,
            product_image: line.image_url,
            price: Yuan(line.price),
            quantity: line.quantity,
            sub_total: Yuan(line.sub_total),
            stock: line.stock,
            available: line.available,
        }
    }
}

/// A cart with its totals.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartView {
    /// Last added first.
    pub items: Vec<CartItemView>,
    /// Units.
    pub total_count: i64,
    /// Yuan.
    #[schema(value_type = f64)]
    pub total_price: Yuan,
}

impl From<Cart> for CartView {
    fn from(cart: Cart) -> Self {
        Self {
            items: cart.lines.into_iter().map(CartItemView::from).collect(),
            total_count: cart.total_count,
            total_price: Yuan(cart.total_price),
        }
    }
}

/// How many of which product.
#[derive(Debug, ToSchema)]
pub struct CartLineForm {
    #[schema(value_type = i64)]
    product_id: ProductId,
    /// 1..=999; 1 if absent.
    #[schema(value_type = Option<i64>)]
    quantity: Quantity,
}

impl FromFields for CartLineForm {
    const CODE: Code = Code::CART_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { product_id: fields.product("product_id"), quantity: fields.quantity("quantity", Some(Quantity::ONE)) }
    }
}

/// How many of a product there shall be.
#[derive(Debug, ToSchema)]
pub struct SetCartLine {
    #[schema(value_type = i64)]
    product_id: ProductId,
    /// 1..=999.
    #[schema(value_type = i64)]
    quantity: Quantity,
}

impl FromFields for SetCartLine {
    const CODE: Code = Code::CART_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { product_id: fields.product("product_id"), quantity: fields.quantity("quantity", None) }
    }
}

/// Which product leaves the cart.
#[derive(Debug, ToSchema)]
pub struct RemoveCartLine {
    #[schema(value_type = i64)]
    product_id: ProductId,
}

impl FromFields for RemoveCartLine {
    const CODE: Code = Code::CART_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { product_id: fields.product("product_id") }
    }
}

/// The token of a guest's cart that came with the request, if any.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "whoever has the token has the cart")]
pub struct Guest(Option<String>);

impl FromRequest for Guest {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let header = request.headers().get(HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let cookie = request.cookie(COOKIE).map(|cookie| cookie.value().to_owned()).filter(|_| header.is_none());
        // A browser sends the cookie whichever page asks; `SameSite` keeps out other sites, not other hosts of this one.
        if cookie.is_some()
            && let Some(state) = request.app_data::<web::Data<AppState>>()
            && let Err(refusal) = origins::check(request, state)
        {
            return ready(Err(refusal));
        }
        let token = header.or(cookie);
        let is_ours = |token: &String| {
            token.len() == TOKEN_CHARS && token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        ready(Ok(Self(token.filter(is_ours))))
    }
}

impl Guest {
    /// Moves this guest's cart into the user's. The sign-in does not fail because of a cart: the guest keeps it then.
    pub(super) async fn moves_in(&self, state: &AppState, user: BuyerId) {
        let Some(token) = &self.0 else { return };
        let lines_max = state.settings.orders.cart_lines_max;
        if let Err(error) = state.shop.carts.merge(token, user, lines_max, state.clock.now_ms()).await {
            tracing::warn!(%user, %error, "guest cart was not merged");
        }
    }

    /// The answer, with which the browser forgets the token.
    pub(super) fn forgotten<T: Serialize>(
        &self,
        request: &HttpRequest,
        envelope: Envelope<T>,
    ) -> CustomizeResponder<Envelope<T>> {
        let answer = envelope.customize();
        if self.0.is_none() {
            return answer;
        }
        let mut cookie = cookie(request, "");
        cookie.make_removal();
        answer.insert_header((SET_COOKIE, cookie.to_string()))
    }

    /// The owner and, if it is a guest who has none yet, the token that he gets.
    fn owner(self, caller: MaybeCaller) -> (CartOwner, Option<String>) {
        match (caller.0, self.0) {
            (Some(caller), _) => (CartOwner::User(caller.buyer), None),
            (None, Some(token)) => (CartOwner::Guest(token), None),
            (None, None) => {
                let token = crate::random::token();
                (CartOwner::Guest(token.clone()), Some(token))
            }
        }
    }
}

fn cookie<'a>(request: &HttpRequest, token: &'a str) -> Cookie<'a> {
    Cookie::build(COOKIE, token)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(request.connection_info().scheme() == "https")
        .max_age(Duration::milliseconds(CART_LIFE_MS))
        .finish()
}

/// Puts units of a product into the cart. A guest gets his token in the cookie `cart` and the header `X-Cart-Token`.
///
/// # Errors
/// `CART_PRODUCT_MISSING`, `CART_OFF_SHELF`, `CART_STOCK_SHORT`, `CART_ADD`, `CART_PARAMETER`.
#[utoipa::path(post, path = "/api/cart", tag = "cart", request_body = CartLineForm,
    responses((status = 200, body = EnvelopeOf<CartItemView>)))]
pub async fn add_to_cart(
    state: web::Data<AppState>,
    request: HttpRequest,
    caller: MaybeCaller,
    guest: Guest,
    Params(form): Params<CartLineForm>,
) -> Result<CustomizeResponder<Envelope<CartItemView>>, ApiError> {
    let (owner, new_token) = guest.owner(caller);
    let change = change(&state, &owner, form.product_id, form.quantity);
    state.shop.carts.add(&change, state.clock.now_ms()).await?.map_err(|rejection| refused(&state, rejection))?;
    let cart = state.shop.carts.load(&owner, state.clock.now_ms()).await?;
    let line = cart.lines.into_iter().find(|line| line.product == form.product_id);
    let answer = ok(line.ok_or(ApiError::from(Code::CART_ITEM_MISSING))?.into())?.customize();
    let Some(token) = new_token else { return Ok(answer) };
    let cookie = cookie(&request, &token).to_string();
    Ok(answer.insert_header((SET_COOKIE, cookie)).insert_header((HEADER, token)))
}

/// The cart with the prices of now.
///
/// # Errors
/// None of its own.
#[utoipa::path(get, path = "/api/cart", tag = "cart", responses((status = 200, body = EnvelopeOf<CartView>)))]
pub async fn get_cart(state: web::Data<AppState>, caller: MaybeCaller, guest: Guest) -> ApiResult<CartView> {
    let (owner, _) = guest.owner(caller);
    ok(state.shop.carts.load(&owner, state.clock.now_ms()).await?.into())
}

/// Sets how many of a product are in the cart.
///
/// # Errors
/// `CART_ITEM_MISSING`, `CART_PRODUCT_MISSING`, `CART_OFF_SHELF`, `CART_STOCK_SHORT`.
#[utoipa::path(put, path = "/api/cart", tag = "cart", request_body = SetCartLine,
    responses((status = 200, description = "set")))]
pub async fn update_cart(
    state: web::Data<AppState>,
    caller: MaybeCaller,
    guest: Guest,
    Params(form): Params<SetCartLine>,
) -> ApiResult<()> {
    let (owner, _) = guest.owner(caller);
    let change = change(&state, &owner, form.product_id, form.quantity);
    state.shop.carts.set(&change, state.clock.now_ms()).await?.map_err(|rejection| refused(&state, rejection))?;
    ok(())
}

/// Takes a product out of the cart.
///
/// # Errors
/// `CART_ITEM_MISSING`.
#[utoipa::path(delete, path = "/api/cart", tag = "cart", request_body = RemoveCartLine,
    responses((status = 200, description = "removed")))]
pub async fn remove_from_cart(
    state: web::Data<AppState>,
    caller: MaybeCaller,
    guest: Guest,
    Params(form): Params<RemoveCartLine>,
) -> ApiResult<()> {
    let (owner, _) = guest.owner(caller);
    let is_removed = state.shop.carts.remove(&owner, form.product_id, state.clock.now_ms()).await?;
    if is_removed { ok(()) } else { Err(Code::CART_ITEM_MISSING.into()) }
}

/// Empties the cart.
///
/// # Errors
/// None of its own.
#[utoipa::path(delete, path = "/api/cart/clear", tag = "cart", responses((status = 200, description = "empty")))]
pub async fn clear_cart(state: web::Data<AppState>, caller: MaybeCaller, guest: Guest) -> ApiResult<()> {
    let (owner, _) = guest.owner(caller);
    state.shop.carts.clear(&owner).await?;
    ok(())
}

fn change<'a>(state: &AppState, owner: &'a CartOwner, product: ProductId, quantity: Quantity) -> CartChange<'a> {
    CartChange { owner, product, quantity, lines_max: state.settings.orders.cart_lines_max }
}

fn refused(state: &AppState, rejection: CartRejection) -> ApiError {
    match rejection {
        CartRejection::ProductMissing => Code::CART_PRODUCT_MISSING.into(),
        CartRejection::OffShelf => Code::CART_OFF_SHELF.into(),
        CartRejection::StockShort { units_left } => {
            ApiError::from(Code::CART_STOCK_SHORT).with("units_left", units_left)
        }
        CartRejection::TooManyUnits => ApiError::from(Code::CART_PARAMETER).with("quantity_max", QUANTITY_MAX),
        CartRejection::TooManyLines => {
            ApiError::from(Code::CART_ADD).with("lines_max", state.settings.orders.cart_lines_max)
        }
        CartRejection::LineMissing => Code::CART_ITEM_MISSING.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::testing::shop;
    use crate::persistence::testing::{item, product};

    #[actix_rt::test]
    async fn a_guests_cart_follows_him_into_his_account() {
        let shop = shop().await;
        let id = product(&shop.state.db, &item("Mate 60", 1_999), 10).await.0;
        let added = shop.ask("", "POST", "/api/cart", json!({"product_id": id, "quantity": 2})).await;
        assert_eq!((&added.data()["sub_total"], &added.data()["id"]), (&json!(39.98), &json!(id)));
        let cookie = added.headers.get("set-cookie").unwrap().to_str().unwrap().to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        let pair = cookie.split(';').next().unwrap();
        let token = added.headers.get("x-cart-token").unwrap().to_str().unwrap().to_owned();
        for header in [("cookie", pair), ("x-cart-token", token.as_str())] {
            let cart = shop.send("GET", "/api/cart", &[header], json!(null)).await;
            assert_eq!(cart.data()["total_count"], 2, "{header:?}");
        }
        let form = json!({"username": "li1", "password": "secret1"});
        let registered = shop.send("POST", "/api/user/register", &[("cookie", pair)], form).await;
        let forgotten = registered.headers.get("set-cookie").unwrap().to_str().unwrap();
        assert!(forgotten.contains("Max-Age=0"), "{forgotten}");
        let user = registered.data()["token"].as_str().unwrap();
        let cart = shop.ask(user, "GET", "/api/cart", json!(null)).await;
        assert_eq!((&cart.data()["total_price"], &cart.data()["total_count"]), (&json!(39.98), &json!(2)));
        let left = shop.send("GET", "/api/cart", &[("cookie", pair)], json!(null)).await;
        assert_eq!(left.data()["items"], json!([]));
    }

    #[actix_rt::test]
    async fn a_cart_is_changed_by_query_or_body() {
        let shop = shop().await;
        let li = shop.user("li1").await;
        let id = product(&shop.state.db, &item("x", 10), 2_000).await.0;
        shop.ask(&li, "POST", &format!("/api/cart?product_id={id}&quantity=3"), json!(null)).await.data();
        shop.ask(&li, "PUT", "/api/cart", json!({"product_id": id, "quantity": 5})).await.data();
        let cart = shop.ask(&li, "GET", "/api/cart", json!(null)).await;
        assert_eq!((&cart.data()["items"][0]["quantity"], &cart.data()["total_price"]), (&json!(5), &json!(0.5)));
        shop.ask(&li, "DELETE", &format!("/api/cart?product_id={id}"), json!(null)).await.data();
        let gone = shop.ask(&li, "DELETE", "/api/cart", json!({"product_id": id})).await;
        assert_eq!(gone.code(), 50002);
        shop.ask(&li, "POST", "/api/cart", json!({"product_id": id})).await.data();
        shop.ask(&li, "DELETE", "/api/cart/clear", json!(null)).await.data();
        assert_eq!(shop.ask(&li, "GET", "/api/cart", json!(null)).await.data()["items"], json!([]));
    }

    #[actix_rt::test]
    async fn what_cannot_be_bought_is_refused_with_its_reason() {
        let shop = shop().await;
        let li = shop.user("li1").await;
        let id = product(&shop.state.db, &item("x", 10), 3).await.0;
        for (form, code) in [
            (json!({"product_id": id, "quantity": 4}), 50007),
            (json!({"product_id": 99}), 50010),
            (json!({"product_id": id, "quantity": 0}), 50008),
            (json!({"product_id": id, "quantity": 1000}), 50008),
            (json!({"quantity": 1}), 50008),
        ] {
            assert_eq!(shop.ask(&li, "POST", "/api/cart", form.clone()).await.code(), code, "{form}");
        }
        let not_in_it = shop.ask(&li, "PUT", "/api/cart", json!({"product_id": id, "quantity": 1})).await;
        assert_eq!(not_in_it.code(), 50002);
    }
}
