//! What follows a sign-in: tokens, their renewal, the devices signed in, and the end of it.

use actix_web::http::header::USER_AGENT;
use actix_web::{CustomizeResponder, HttpRequest, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Caller, Subject};
use super::carts::Guest;
use super::client_address::ClientAddress;
use super::envelope::{ApiResult, Envelope, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::Body;
use super::fields::{Fields, FromFields};
use super::state::AppState;
use super::times::Time;
use super::users::{UserView, account, let_try_password};
use crate::domain::codes::Code;
use crate::domain::user::{PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN};
use crate::persistence::sessions::{self, OpenSession, RefreshRejection, SignIn};
use crate::persistence::users::{self, User};

/// Longest refresh token that is looked at, in bytes (an access token sent by mistake fits, and is refused).
const TOKEN_BYTES_MAX: usize = 4_096;

/// Tokens of a session.
#[derive(Serialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds tokens")]
pub struct TokenPair {
    /// Access token for `Authorization: Bearer`.
    pub token: String,
    /// Usable once, for `POST /api/auth/refresh-token`.
    pub refresh_token: String,
    /// Life of the access token in seconds.
    pub expires_in: i64,
}

/// Tokens and whom they are for.
#[derive(Serialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds tokens")]
pub struct SignedIn {
    /// Of the new session.
    #[serde(flatten)]
    pub tokens: TokenPair,
    /// Who signed in.
    pub user: UserView,
}

/// Opens a session for a user who was verified, and moves the guest's cart into his.
pub(super) async fn sign_in(
    state: &AppState,
    request: &HttpRequest,
    guest: Guest,
    user: User,
) -> Result<CustomizeResponder<Envelope<SignedIn>>, ApiError> {
    let device = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let address = ClientAddress::text_of(request);
    let auth = &state.settings.auth;
    let sign_in = SignIn {
        user: user.id,
        token_epoch: user.token_epoch,
        device,
        address: &address,
        refresh_ms: auth.refresh_token_s.saturating_mul(1_000),
        sessions_max: auth.sessions_per_user_max,
    };
    let session = sessions::open(&state.db, sign_in, state.clock.now_ms()).await?;
    let session = session.ok_or(ApiError::from(Code::WRONG_CREDENTIALS))?; // the password changed meanwhile
    state.sessions_changed(user.id).await;
    let tokens = token_pair(state, session, &user)?;
    guest.moves_in(state, user.id).await;
    let envelope = ok(SignedIn { tokens, user: user.into() })?;
    Ok(guest.forgotten(request, envelope))
}

fn token_pair(state: &AppState, session: OpenSession, user: &User) -> Result<TokenPair, ApiError> {
    let subject = Subject { buyer: user.id, username: user.username.clone(), role: user.role, sid: session.sid };
    let token = state.tokens.mint(&subject, state.clock.now_ms())?;
    Ok(TokenPair { token, refresh_token: session.refresh_token, expires_in: state.tokens.life_s() })
}

/// A refresh token to trade in.
#[derive(ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a token")]
pub struct RefreshTokens {
    refresh_token: String,
}

impl FromFields for RefreshTokens {
    const CODE: Code = Code::USER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { refresh_token: fields.secret("refresh_token", 1..=TOKEN_BYTES_MAX) }
    }
}

/// Trades a refresh token for new tokens; one that was used before ends its session.
///
/// # Errors
/// `TOKEN_INVALID`, `TOKEN_EXPIRED`, `USER_DISABLED`.
#[utoipa::path(post, path = "/api/auth/refresh-token", tag = "auth", request_body = RefreshTokens,
    responses((status = 200, body = EnvelopeOf<TokenPair>)))]
pub async fn refresh_tokens(state: web::Data<AppState>, Body(form): Body<RefreshTokens>) -> ApiResult<TokenPair> {
    let refresh_ms = state.settings.auth.refresh_token_s.saturating_mul(1_000);
    let session = match sessions::rotate(&state.db, &form.refresh_token, refresh_ms, state.clock.now_ms()).await? {
        Ok(session) => session,
        Err(RefreshRejection::Invalid) => return Err(Code::TOKEN_INVALID.into()),
        Err(RefreshRejection::Expired) => return Err(Code::TOKEN_EXPIRED.into()),
        Err(RefreshRejection::Reused(user)) => {
            tracing::warn!(%user, "refresh token used twice, session revoked");
            state.sessions_changed(user).await;
            return Err(Code::TOKEN_INVALID.into());
        }
    };
    let user = users::find(&state.db, session.user).await?.ok_or(ApiError::from(Code::TOKEN_INVALID))?;
    if !user.active {
        return Err(Code::USER_DISABLED.into());
    }
    state.sessions_changed(user.id).await; // the session lives longer now
    ok(token_pair(&state, session, &user)?)
}

/// The old password and the one that replaces it.
#[derive(ToSchema)]
#[expect(missing_debug_implementations, reason = "holds passwords")]
pub struct ChangePassword {
    old_password: String,
    /// 6..=72 bytes.
    #[schema(min_length = 6, max_length = 72)]
    new_password: String,
}

impl FromFields for ChangePassword {
    const CODE: Code = Code::USER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            old_password: fields.secret("old_password", 1..=1_024),
            new_password: fields.secret("new_password", PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX),
        }
    }
}

/// Changes the password and ends all sessions, this one too.
///
/// # Errors
/// `WRONG_CREDENTIALS` if the old password is not it, `TOO_MANY_REQUESTS`.
#[utoipa::path(post, path = "/api/auth/change-password", tag = "auth", request_body = ChangePassword,
    responses((status = 200, description = "all sessions are over")), security(("bearer" = [])))]
pub async fn change_password(
    state: web::Data<AppState>,
    caller: Caller,
    Body(form): Body<ChangePassword>,
) -> ApiResult<()> {
    let user = users::find(&state.db, caller.buyer).await?.ok_or(ApiError::from(Code::USER_NOT_FOUND))?;
    let_try_password(&state, &account(user.id)).await?;
    if !state.passwords.verify(form.old_password, Some(&user.password_hash)).await? {
        return Err(Code::WRONG_CREDENTIALS.into());
    }
    let new_hash = state.passwords.hash(form.new_password).await?;
    let now_ms = state.clock.now_ms();
    if !users::change_password(&state.db, user.id, &user.password_hash, &new_hash, now_ms).await? {
        return Err(Code::WRONG_CREDENTIALS.into()); // changed from elsewhere meanwhile
    }
    state.sessions_changed(user.id).await;
    ok(())
}

/// Which sessions end.
#[derive(Debug, ToSchema)]
pub struct LogOut {
    /// True: all of the user, not only this one.
    #[schema(value_type = Option<bool>)]
    all: bool,
}

impl FromFields for LogOut {
    const CODE: Code = Code::USER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { all: fields.flag_if("all").unwrap_or(false) }
    }
}

/// Ends this session, or all.
///
/// # Errors
/// Only those of a request without a live session.
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth", request_body = LogOut,
    responses((status = 200, description = "the tokens are worthless now")), security(("bearer" = [])))]
pub async fn log_out(state: web::Data<AppState>, caller: Caller, Body(form): Body<LogOut>) -> ApiResult<()> {
    let now_ms = state.clock.now_ms();
    if form.all {
        sessions::revoke_all(&state.db, caller.buyer, now_ms).await?;
    } else {
        sessions::revoke(&state.db, caller.buyer, &caller.sid, now_ms).await?;
    }
    state.sessions_changed(caller.buyer).await;
    ok(())
}

/// A device signed in.
#[derive(Debug, Serialize, ToSchema)]
#[expect(missing_docs, reason = "named as in the contract")]
pub struct SessionView {
    pub sid: String,
    pub device: String,
    pub address: String,
    /// The session of this request.
    pub current: bool,
    pub created_at: Time,
    pub last_seen_at: Time,
    pub expires_at: Time,
}

impl SessionView {
    /// A live session as the holder of `own_sid` sees it.
    #[must_use]
    pub fn of(session: sessions::Session, own_sid: &str) -> Self {
        Self {
            current: session.sid == own_sid,
            sid: session.sid,
            device: session.device,
            address: session.address,
            created_at: Time(session.created_at_ms),
            last_seen_at: Time(session.last_seen_ms),
            expires_at: Time(session.expires_at_ms),
        }
    }
}

/// The devices signed in.
///
/// # Errors
/// Only those of a request without a live session.
#[utoipa::path(get, path = "/api/auth/sessions", tag = "auth",
    responses((status = 200, body = EnvelopeOf<Vec<SessionView>>)), security(("bearer" = [])))]
pub async fn list_sessions(state: web::Data<AppState>, caller: Caller) -> ApiResult<Vec<SessionView>> {
    let live = sessions::list(&state.db, caller.buyer, state.clock.now_ms()).await?;
    ok(live.into_iter().map(|session| SessionView::of(session, &caller.sid)).collect())
}

/// Signs a device out.
///
/// # Errors
/// `NOT_FOUND` if it is not a live session of the caller.
#[utoipa::path(delete, path = "/api/auth/sessions/{sid}", params(("sid" = String, Path)), tag = "auth",
    responses((status = 200, description = "signed out")), security(("bearer" = [])))]
pub async fn revoke_session(state: web::Data<AppState>, caller: Caller, path: web::Path<String>) -> ApiResult<()> {
    if !sessions::revoke(&state.db, caller.buyer, &path, state.clock.now_ms()).await? {
        return Err(Code::NOT_FOUND.into());
    }
    state.sessions_changed(caller.buyer).await;
    ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::http::testing::shop;

    fn text<'a>(data: &'a Value, name: &str) -> &'a str {
        data[name].as_str().unwrap()
    }

    #[actix_rt::test]
    async fn t23_a_refresh_token_is_no_access_token_and_the_other_way_round() {
        let shop = shop().await;
        let signed_in = shop.register("li1").await;
        let (access, refresh) = (text(&signed_in, "token"), text(&signed_in, "refresh_token"));
        let answer = shop.ask(refresh, "GET", "/api/user/profile", json!(null)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (401, 10006));
        let answer = shop.ask("", "POST", "/api/auth/refresh-token", json!({"refresh_token": access})).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (401, 10006));
    }

    #[actix_rt::test]
    async fn a_refresh_token_used_twice_ends_the_session() {
        let shop = shop().await;
        let signed_in = shop.register("li1").await;
        let old = json!({"refresh_token": signed_in["refresh_token"]});
        let renewed = shop.ask("", "POST", "/api/auth/refresh-token", old.clone()).await;
        let renewed = renewed.data();
        shop.ask(text(renewed, "token"), "GET", "/api/user/profile", json!(null)).await.data();
        assert_eq!(shop.ask("", "POST", "/api/auth/refresh-token", old).await.code(), 10006);
        let newest = json!({"refresh_token": renewed["refresh_token"]});
        assert_eq!(shop.ask("", "POST", "/api/auth/refresh-token", newest).await.code(), 10006);
        assert_eq!(shop.ask(text(renewed, "token"), "GET", "/api/user/profile", json!(null)).await.code(), 10006);
    }

    #[actix_rt::test]
    async fn tokens_expire() {
        let shop = shop().await;
        let signed_in = shop.register("li1").await;
        shop.state.clock.travel(900_000);
        let answer = shop.ask(text(&signed_in, "token"), "GET", "/api/user/profile", json!(null)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (401, 10005));
        shop.state.clock.travel(31 * 24 * 3_600_000);
        let late = json!({"refresh_token": signed_in["refresh_token"]});
        assert_eq!(shop.ask("", "POST", "/api/auth/refresh-token", late).await.code(), 10005);
    }

    #[actix_rt::test]
    async fn t23_a_password_change_ends_every_session() {
        let shop = shop().await;
        let token = shop.user("li1").await;
        let login = |password: &str| json!({"username": "li1", "password": password});
        let elsewhere = shop.ask("", "POST", "/api/user/login", login("secret1")).await;
        let wrong = json!({"old_password": "secret9", "new_password": "secret2"});
        assert_eq!(shop.ask(&token, "POST", "/api/auth/change-password", wrong).await.code(), 10004);
        let right = json!({"old_password": "secret1", "new_password": "secret2"});
        shop.ask(&token, "POST", "/api/auth/change-password", right).await.data();
        for token in [token.as_str(), text(elsewhere.data(), "token")] {
            assert_eq!(shop.ask(token, "GET", "/api/user/profile", json!(null)).await.code(), 10006);
        }
        let refresh = json!({"refresh_token": elsewhere.data()["refresh_token"]});
        assert_eq!(shop.ask("", "POST", "/api/auth/refresh-token", refresh).await.code(), 10006);
        assert_eq!(shop.ask("", "POST", "/api/user/login", login("secret1")).await.code(), 10004);
        shop.ask("", "POST", "/api/user/login", login("secret2")).await.data();
    }

    #[actix_rt::test]
    async fn t23_a_device_is_signed_out_from_itself_or_another() {
        let shop = shop().await;
        let here = shop.user("li1").await;
        let login = json!({"username": "li1", "password": "secret1"});
        let there = shop.ask("", "POST", "/api/user/login", login.clone()).await;
        let there = text(there.data(), "token");
        let devices = shop.ask(&here, "GET", "/api/auth/sessions", json!(null)).await;
        let other = devices.data().as_array().unwrap().iter().find(|device| device["current"] == false).unwrap();
        let uri = format!("/api/auth/sessions/{}", text(other, "sid"));
        let stranger = shop.user("wang").await;
        assert_eq!(shop.ask(&stranger, "DELETE", &uri, json!(null)).await.code(), 404);
        shop.ask(&here, "DELETE", &uri, json!(null)).await.data();
        assert_eq!(shop.ask(there, "GET", "/api/user/profile", json!(null)).await.code(), 10006);
        shop.ask(&here, "POST", "/api/auth/logout", json!(null)).await.data();
        assert_eq!(shop.ask(&here, "GET", "/api/user/profile", json!(null)).await.code(), 10006);
        let one = shop.ask("", "POST", "/api/user/login", login.clone()).await;
        let two = shop.ask("", "POST", "/api/user/login", login).await;
        shop.ask(text(one.data(), "token"), "POST", "/api/auth/logout", json!({"all": true})).await.data();
        assert_eq!(shop.ask(text(two.data(), "token"), "GET", "/api/user/profile", json!(null)).await.code(), 10006);
    }
}
