//! Registering, signing in and the own profile; administrators change users' access.

use actix_web::CustomizeResponder;
use actix_web::{HttpRequest, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Admin, Caller};
use super::carts::Guest;
use super::envelope::{ApiResult, Envelope, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Body, from_path};
use super::fields::{Fields, FromFields, Problem};
use super::sessions::{SignedIn, sign_in};
use super::state::AppState;
use super::times::Time;
use crate::domain::codes::Code;
use crate::domain::user::{
    EMAIL_BYTES_MAX, Login, PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, USERNAME_CHARS_MAX, USERNAME_CHARS_MIN, is_email,
    is_mobile, is_reserved, is_username,
};
use crate::domain::{BuyerId, Role};
use crate::persistence::limits::{Limit, LimitClass};
use crate::persistence::users::{self, AccessChanges, NewUser, ProfileChanges, User, UserRejection};

/// Longest login or password that is looked at when signing in, in bytes.
const SIGN_IN_BYTES_MAX: usize = 1_024;
const NICKNAME_CHARS_MAX: usize = 50;
const URL_CHARS_MAX: usize = 255;

/// A user as he sees himself and administrators see him.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "named as in the contract")]
pub struct UserView {
    pub id: i64,
    pub username: String,
    /// Empty if not given.
    pub email: String,
    /// Empty if not given.
    pub phone: String,
    pub avatar: String,
    pub nickname: String,
    /// 1 user, 2 administrator.
    pub role: i16,
    /// 1 active, 0 disabled.
    pub status: i16,
    pub created_at: Time,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id.0,
            username: user.username,
            email: user.email.unwrap_or_default(),
            phone: user.phone.unwrap_or_default(),
            avatar: user.avatar,
            nickname: user.nickname,
            role: user.role.into(),
            status: if user.active { users::STATUS_ACTIVE } else { users::STATUS_DISABLED },
            created_at: Time(user.created_at_ms),
        }
    }
}

/// A registration: a username or a mobile number, and a password. It cannot ask for a role.
#[derive(ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a password")]
pub struct RegisterUser {
    /// 3..=50 letters, digits, `_`, `-`, `.`; the mobile number if absent.
    username: String,
    /// Also taken as `phone`: 11 digits.
    mobile: Option<String>,
    email: Option<String>,
    /// 6..=72 bytes.
    #[schema(min_length = 6, max_length = 72)]
    password: String,
}

impl FromFields for RegisterUser {
    const CODE: Code = Code::USER_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        let email = email_if(fields);
        let mut mobile = mobile_if(fields, "mobile").or(mobile_if(fields, "phone"));
        let length = USERNAME_CHARS_MIN..=USERNAME_CHARS_MAX;
        let username = match &mobile {
            Some(number) => fields.text_if("username", length).unwrap_or_else(|| number.clone()),
            None => fields.text("username", length),
        };
        if !username.is_empty() && !is_username(&username) {
            fields.refuse("username", Problem::Malformed);
        }
        if is_mobile(&username) && *mobile.get_or_insert_with(|| username.clone()) != username {
            fields.refuse("username", Problem::Malformed); // somebody else's number
        }
        let password = fields.secret("password", PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX);
        for name in ["confirm_password", "confirmPassword"] {
            let repeated = fields.text_if(name, 0..=PASSWORD_BYTES_MAX);
            if repeated.is_some_and(|repeated| repeated != password.trim()) {
                fields.refuse(name, Problem::Malformed);
            }
        }
        Self { username, mobile, email, password }
    }
}

/// Who signs in: a username, email or mobile number under any of these names.
#[derive(ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a password")]
pub struct LogIn {
    /// Also taken as `mobile`, `phone` or `email`.
    username: String,
    password: String,
}

impl FromFields for LogIn {
    const CODE: Code = Code::USER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let named = ["mobile", "phone", "email"].map(|name| fields.text_if(name, 1..=SIGN_IN_BYTES_MAX));
        let username = match fields.text_if("username", 1..=SIGN_IN_BYTES_MAX).or(named.into_iter().flatten().next()) {
            Some(login) => login,
            None => fields.text("username", 1..=SIGN_IN_BYTES_MAX),
        };
        Self { username, password: fields.secret("password", 1..=SIGN_IN_BYTES_MAX) }
    }
}

/// What changes in a profile; an absent or empty field stays as it is.
#[derive(ToSchema)]
#[expect(missing_debug_implementations, reason = "personal data")]
pub struct UpdateProfile {
    email: Option<String>,
    /// Also taken as `mobile`.
    phone: Option<String>,
    avatar: Option<String>,
    nickname: Option<String>,
}

impl FromFields for UpdateProfile {
    const CODE: Code = Code::USER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            email: email_if(fields),
            phone: mobile_if(fields, "phone").or(mobile_if(fields, "mobile")),
            avatar: fields.text_if("avatar", 0..=URL_CHARS_MAX),
            nickname: fields.text_if("nickname", 0..=NICKNAME_CHARS_MAX),
        }
    }
}

/// Registers and signs in.
///
/// # Errors
/// `USER_EXISTS` with the field that is taken, `USER_PARAMETER`, `TOO_MANY_REQUESTS` for one name.
#[utoipa::path(post, path = "/api/user/register", tag = "user", request_body = RegisterUser,
    responses((status = 200, description = "signed in", body = EnvelopeOf<SignedIn>)))]
pub async fn register_user(
    state: web::Data<AppState>,
    request: HttpRequest,
    guest: Guest,
    Body(form): Body<RegisterUser>,
) -> Result<CustomizeResponder<Envelope<SignedIn>>, ApiError> {
    if is_reserved(&form.username) {
        return Err(taken(UserRejection::UsernameTaken));
    }
    let limit = Limit::per_minute(state.shop.limits.now().limits.registrations_per_minute);
    state.let_in(LimitClass::Registration, &form.username.to_lowercase(), limit).await?;
    let new = NewUser {
        username: form.username,
        email: form.email,
        phone: form.mobile,
        password_hash: state.passwords.hash(form.password).await?,
        role: Role::User,
    };
    let user = users::insert(&state.db, &new, state.clock.now_ms()).await?.map_err(taken)?;
    sign_in(&state, &request, guest, user).await
}

/// Signs in by username, email or mobile number.
///
/// # Errors
/// `WRONG_CREDENTIALS` for an unknown name as for a wrong password, `USER_DISABLED`, `TOO_MANY_REQUESTS` for one account.
#[utoipa::path(post, path = "/api/user/login", tag = "user", request_body = LogIn,
    responses((status = 200, description = "signed in", body = EnvelopeOf<SignedIn>)))]
pub async fn log_in(
    state: web::Data<AppState>,
    request: HttpRequest,
    guest: Guest,
    Body(form): Body<LogIn>,
) -> Result<CustomizeResponder<Envelope<SignedIn>>, ApiError> {
    let user = users::find_by_login(&state.db, &Login::read(&form.username)).await?;
    // one account has up to three names
    let nobody = || format!("?{}", form.username.trim().to_lowercase());
    let_try_password(&state, &user.as_ref().map_or_else(nobody, |user| account(user.id))).await?;
    let hash = user.as_ref().map(|user| user.password_hash.as_str());
    let fits = state.passwords.verify(form.password, hash).await?;
    let user = user.filter(|_| fits).ok_or(ApiError::from(Code::WRONG_CREDENTIALS))?;
    if !user.active {
        return Err(Code::USER_DISABLED.into());
    }
    sign_in(&state, &request, guest, user).await
}

/// The own profile.
///
/// # Errors
/// `USER_NOT_FOUND` if the user is gone.
#[utoipa::path(get, path = "/api/user/profile", tag = "user", responses((status = 200, body = EnvelopeOf<UserView>)),
    security(("bearer" = [])))]
pub async fn get_profile(state: web::Data<AppState>, caller: Caller) -> ApiResult<UserView> {
    let user = users::find(&state.db, caller.buyer).await?;
    ok(user.ok_or(ApiError::from(Code::USER_NOT_FOUND))?.into())
}

/// Changes the own profile.
///
/// # Errors
/// `USER_EXISTS` if email or phone is another user's.
#[utoipa::path(put, path = "/api/user/profile", tag = "user", request_body = UpdateProfile,
    responses((status = 200, body = EnvelopeOf<UserView>)), security(("bearer" = [])))]
pub async fn update_profile(
    state: web::Data<AppState>,
    caller: Caller,
    Body(form): Body<UpdateProfile>,
) -> ApiResult<UserView> {
    let changes = ProfileChanges {
        email: form.email.map(Some),
        phone: form.phone.map(Some),
        nickname: form.nickname,
        avatar: form.avatar,
    };
    let updated = users::update_profile(&state.db, caller.buyer, &changes, state.clock.now_ms()).await?;
    ok(updated.map_err(taken)?.into())
}

/// What an administrator changes of a user; an absent field stays as it is.
#[derive(Debug, ToSchema)]
pub struct ChangeUser {
    /// 1 active, 0 disabled.
    status: Option<i64>,
    /// 1 user, 2 administrator.
    role: Option<i64>,
}

impl FromFields for ChangeUser {
    const CODE: Code = Code::USER_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { status: fields.whole_if("status", 0..=1), role: fields.whole_if("role", 1..=2) }
    }
}

/// Disables, enables or promotes a user; his tokens are worthless at once. Nobody does that to himself.
///
/// # Errors
/// `USER_NOT_FOUND`, `NO_PERMISSION` for oneself.
#[utoipa::path(put, path = "/api/admin/users/{id}", params(("id" = i64, Path)), tag = "admin",
    request_body = ChangeUser, responses((status = 200, body = EnvelopeOf<UserView>)), security(("bearer" = [])))]
pub async fn change_user(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    path: web::Path<String>,
    Body(form): Body<ChangeUser>,
) -> ApiResult<UserView> {
    let id = BuyerId(from_path(&path, Code::USER_NOT_FOUND)?);
    if id == admin.buyer {
        return Err(Code::NO_PERMISSION.into());
    }
    let changes = AccessChanges {
        active: form.status.map(|status| status == i64::from(users::STATUS_ACTIVE)),
        role: form.role.map(|role| if role == 2 { Role::Admin } else { Role::User }),
    };
    let user = users::set_access(&state.db, id, changes, state.clock.now_ms()).await?;
    let user = user.ok_or(ApiError::from(Code::USER_NOT_FOUND))?;
    state.sessions_changed(id).await;
    let detail = serde_json::json!({"status": form.status, "role": form.role});
    state.record(&admin, "user.update", format!("user {id}"), detail).await?;
    ok(user.into())
}

/// The key of an account among those whose passwords are tried.
pub(super) fn account(id: BuyerId) -> String {
    format!("#{id}")
}

/// Lets in one more try of a password.
///
/// # Errors
/// `TOO_MANY_REQUESTS`.
pub(super) async fn let_try_password(state: &AppState, account: &str) -> Result<(), ApiError> {
    let limit = Limit::per_minute(state.shop.limits.now().limits.sign_ins_per_minute);
    state.let_in(LimitClass::SignIn, account, limit).await
}

fn taken(rejection: UserRejection) -> ApiError {
    let field = match rejection {
        UserRejection::NotFound => return Code::USER_NOT_FOUND.into(),
        UserRejection::UsernameTaken => "username",
        UserRejection::EmailTaken => "email",
        UserRejection::PhoneTaken => "phone",
    };
    ApiError::from(Code::USER_EXISTS).with("field", field)
}

fn email_if(fields: &mut Fields) -> Option<String> {
    let email = fields.text_if("email", 0..=EMAIL_BYTES_MAX)?.to_lowercase();
    if !is_email(&email) {
        fields.refuse("email", Problem::Malformed);
    }
    Some(email)
}

fn mobile_if(fields: &mut Fields, name: &'static str) -> Option<String> {
    let number = fields.text_if(name, 0..=20)?;
    if !is_mobile(&number) {
        fields.refuse(name, Problem::Malformed);
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::testing::shop;

    #[actix_rt::test]
    async fn a_user_registers_and_signs_in_by_each_of_his_names() {
        let shop = shop().await;
        let form = json!({"username": "小李子", "email": "Li@Shop.cn", "phone": "13800138000", "password": "secret1"});
        let registered = shop.ask("", "POST", "/api/user/register", form).await;
        let data = registered.data();
        assert_eq!((&data["user"]["role"], &data["user"]["status"]), (&json!(1), &json!(1)));
        assert_eq!((&data["user"]["email"], &data["expires_in"]), (&json!("li@shop.cn"), &json!(900)));
        for (name, login) in [
            ("username", "小李子"),
            ("username", "li@shop.cn"),
            ("mobile", "13800138000"),
            ("phone", "13800138000"),
            ("email", "LI@shop.cn"),
        ] {
            let answer = shop.ask("", "POST", "/api/user/login", json!({name: login, "password": "secret1"})).await;
            let token = answer.data()["token"].as_str().unwrap().to_owned();
            let profile = shop.ask(&token, "GET", "/api/user/profile", json!(null)).await;
            assert_eq!(profile.data()["username"], "小李子", "{login}");
        }
    }

    #[actix_rt::test]
    async fn a_mobile_number_is_enough_to_register() {
        let shop = shop().await;
        let form = json!({"mobile": "13800138000", "password": "secret1", "confirm_password": "secret1"});
        let registered = shop.ask("", "POST", "/api/user/register", form.clone()).await;
        assert_eq!(registered.data()["user"]["username"], "13800138000");
        assert_eq!(shop.ask("", "POST", "/api/user/register", form).await.code(), 10002);
        let as_name = json!({"username": "13900139000", "password": "secret1"});
        let registered = shop.ask("", "POST", "/api/user/register", as_name).await;
        assert_eq!(registered.data()["user"]["phone"], "13900139000");
    }

    #[actix_rt::test]
    async fn names_of_administrators_cannot_be_registered() {
        let shop = shop().await;
        for name in ["admin", "Admin", "admin-2", "admin-"] {
            let form = json!({"username": name, "password": "secret1"});
            let answer = shop.ask("", "POST", "/api/user/register", form).await;
            assert_eq!((answer.code(), &answer.json["data"]["field"]), (10002, &json!("username")), "{name}");
        }
        shop.register("admin-of-cats").await;
    }

    #[actix_rt::test]
    async fn bad_registrations_name_the_field() {
        let shop = shop().await;
        for (form, field) in [
            (json!({"username": "ab", "password": "secret1"}), "username"),
            (json!({"username": "a b c", "password": "secret1"}), "username"),
            (json!({"username": "abc", "password": "12345"}), "password"),
            (json!({"username": "abc", "password": "x".repeat(73)}), "password"),
            (json!({"username": "abc", "password": "secret1", "email": "nope"}), "email"),
            (json!({"username": "abc", "password": "secret1", "phone": "12345"}), "phone"),
            (json!({"username": "13900139000", "password": "secret1", "phone": "13800138000"}), "username"),
            (json!({"username": "abc", "password": "secret1", "confirm_password": "secret2"}), "confirm_password"),
            (json!({"username": "abc", "password": "secret1", "role": 2}), "role"),
            (json!({"password": "secret1"}), "username"),
        ] {
            let answer = shop.ask("", "POST", "/api/user/register", form.clone()).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (400, 10009), "{form}");
            assert_eq!(answer.json["data"]["errors"][0]["field"], field, "{form}");
        }
    }

    #[actix_rt::test]
    async fn an_unknown_name_and_a_wrong_password_get_one_answer() {
        let shop = shop().await;
        shop.register("li1").await;
        for form in
            [json!({"username": "li1", "password": "secret2"}), json!({"username": "nobody", "password": "secret1"})]
        {
            let answer = shop.ask("", "POST", "/api/user/login", form).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (200, 10004));
        }
    }

    #[actix_rt::test]
    async fn a_profile_keeps_what_an_update_does_not_name() {
        let shop = shop().await;
        let token = shop.user("li1").await;
        let first = json!({"email": "li@shop.cn", "nickname": "李"});
        shop.ask(&token, "PUT", "/api/user/profile", first).await.data();
        let second = shop.ask(&token, "PUT", "/api/user/profile", json!({"avatar": "/a.png", "email": ""})).await;
        let data = second.data();
        let fields = (&data["email"], &data["nickname"], &data["avatar"]);
        assert_eq!(fields, (&json!("li@shop.cn"), &json!("李"), &json!("/a.png")));
        let other = shop.user("wang").await;
        let taken = shop.ask(&other, "PUT", "/api/user/profile", json!({"email": "li@shop.cn"})).await;
        assert_eq!((taken.code(), &taken.json["data"]["field"]), (10002, &json!("email")));
    }

    #[actix_rt::test]
    async fn t25_only_administrators_change_access_and_it_holds_at_once() {
        let shop = shop().await;
        let first = shop.register("first").await;
        let (token, id) = (first["token"].as_str().unwrap(), first["user"]["id"].as_i64().unwrap());
        assert_eq!(shop.ask(token, "GET", "/api/admin/users", json!(null)).await.code(), 10010);
        let admin = shop.admin().await;
        let users = shop.ask(&admin, "GET", "/api/admin/users?keyword=FIR", json!(null)).await;
        assert_eq!((&users.data()["total"], &users.data()["list"][0]["id"]), (&json!(1), &json!(id)));
        let uri = format!("/api/admin/users/{id}");
        shop.ask(&admin, "PUT", &uri, json!({"status": 0})).await.data();
        assert_eq!(shop.ask(token, "GET", "/api/user/profile", json!(null)).await.code(), 10003);
        let login = json!({"username": "first", "password": "secret1"});
        assert_eq!(shop.ask("", "POST", "/api/user/login", login).await.code(), 10003);
        assert_eq!(shop.ask(&admin, "PUT", "/api/admin/users/99", json!({"role": 2})).await.code(), 10001);
        let own = shop.ask(&admin, "GET", "/api/user/profile", json!(null)).await.data()["id"].as_i64().unwrap();
        let uri = format!("/api/admin/users/{own}");
        assert_eq!(shop.ask(&admin, "PUT", &uri, json!({"status": 0})).await.code(), 10007);
    }
}
