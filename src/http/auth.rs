//! Access tokens (HS256 JWT, api.md "Auth") and the extractors that ask for them.
//!
//! A token proves who signed in, not that he still may: [`Caller`] asks the session as well, so that logout, password
//! change and disabling hold at once. [`Token`] is for handlers whose own message to the session checks that anyway.

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use futures::future::{LocalBoxFuture, Ready, ready};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::order_reads::Viewer;
use super::state::AppState;
use crate::config::AuthSettings;
use crate::domain::codes::Code;
use crate::domain::{BuyerId, Role};

const ACCESS: &str = "access";

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user's id as text.
    pub sub: String,
    /// The user's id.
    pub user_id: i64,
    /// His name.
    pub username: String,
    /// What he may do.
    pub role: Role,
    /// His session (one a sign-in).
    pub sid: String,
    /// Always `access`.
    pub typ: String,
    /// Issuer.
    pub iss: String,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Expires at, seconds since 1970.
    pub exp: i64,
}

/// For whom a token is made.
#[derive(Clone, Debug)]
pub struct Subject {
    /// His id.
    pub buyer: BuyerId,
    /// His name.
    pub username: String,
    /// What he may do.
    pub role: Role,
    /// His session.
    pub sid: String,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRejection {
    /// Its time is over.
    #[error("token expired")]
    Expired,
    /// Not ours, not an access token, or changed.
    #[error("token invalid")]
    Invalid,
}

impl From<TokenRejection> for ApiError {
    fn from(rejection: TokenRejection) -> Self {
        match rejection {
            TokenRejection::Expired => Code::TOKEN_EXPIRED.into(),
            TokenRejection::Invalid => Code::TOKEN_INVALID.into(),
        }
    }
}

/// Makes and checks access tokens.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    issuer: String,
    life_s: i64,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("issuer", &self.issuer).field("life_s", &self.life_s).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens signed with `key` by the settings' issuer, living as long as they say.
    #[must_use]
    pub fn new(key: &[u8], settings: &AuthSettings) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false; // judged below by our own clock
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.set_issuer(&[&settings.issuer]);
        Self {
            encoding: EncodingKey::from_secret(key),
            decoding: DecodingKey::from_secret(key),
            validation,
            issuer: settings.issuer.clone(),
            life_s: settings.access_token_s,
        }
    }

    /// Life of a token in seconds (`expires_in`).
    #[must_use]
    pub const fn life_s(&self) -> i64 {
        self.life_s
    }

    /// `iss` of every token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Any claims, signed.
    ///
    /// # Errors
    /// `INTERNAL` if signing fails, which it does not for an HMAC key.
    pub fn sign<T: Serialize>(&self, claims: &T) -> Result<String, ApiError> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding).map_err(|error| {
            tracing::error!(%error, "token could not be signed");
            Code::INTERNAL.into()
        })
    }

    /// What a text says that [`Tokens::sign`] has made, of whatever type and time.
    ///
    /// # Errors
    /// [`TokenRejection::Invalid`].
    pub fn open<T: DeserializeOwned>(&self, token: &str) -> Result<T, TokenRejection> {
        let opened = jsonwebtoken::decode::<T>(token, &self.decoding, &self.validation);
        opened.map(|token| token.claims).map_err(|_| TokenRejection::Invalid)
    }

    /// A token for `subject`, valid from now.
    ///
    /// # Errors
    /// `INTERNAL` if signing fails, which it does not for an HMAC key.
    pub fn mint(&self, subject: &Subject, now_ms: i64) -> Result<String, ApiError> {
        let iat = now_ms.div_euclid(1_000);
        let claims = Claims {
            sub: subject.buyer.to_string(),
            user_id: subject.buyer.0,
            username: subject.username.clone(),
            role: subject.role,
            sid: subject.sid.clone(),
            typ: ACCESS.to_owned(),
            iss: self.issuer.clone(),
            iat,
            exp: iat + self.life_s,
        };
        self.sign(&claims)
    }

    /// What a token says, if we made it as an access token and its time is not over.
    ///
    /// # Errors
    /// [`TokenRejection`]; only a token that is valid otherwise is called expired.
    pub fn verify(&self, token: &str, now_ms: i64) -> Result<Claims, TokenRejection> {
        let claims: Claims = self.open(token)?;
        if claims.typ != ACCESS || claims.user_id <= 0 || claims.sub.parse() != Ok(claims.user_id) {
            return Err(TokenRejection::Invalid);
        }
        if now_ms.div_euclid(1_000) >= claims.exp {
            return Err(TokenRejection::Expired);
        }
        Ok(claims)
    }
}

/// A verified token whose session was not asked yet.
#[derive(Clone, Debug)]
pub struct Token(pub Claims);

/// A signed-in user whose session lives; what he may do is as the database has it now.
pub use crate::actors::session::Caller;

impl Caller {
    /// Which orders he may see: an administrator all.
    #[must_use]
    pub fn viewer(&self) -> Viewer {
        if self.role == Role::Admin { Viewer::Administrator } else { Viewer::Buyer(self.buyer) }
    }
}

/// A signed-in administrator.
#[derive(Clone, Debug)]
pub struct Admin(pub Caller);

/// A guest, or a signed-in user; a token that is there must be good.
#[derive(Clone, Debug)]
pub struct MaybeCaller(pub Option<Caller>);

fn app_state(request: &HttpRequest) -> Result<web::Data<AppState>, ApiError> {
    request.app_data::<web::Data<AppState>>().cloned().ok_or_else(|| Code::INTERNAL.into())
}

/// Claims that were verified for this request already, as are those of the door's look at it.
#[derive(Clone)]
struct Verified(Claims);

/// The token's claims; `None` without an Authorization header. Verified once a request.
pub(super) fn claims(request: &HttpRequest) -> Result<Option<Claims>, ApiError> {
    let Some(header) = request.headers().get(AUTHORIZATION) else { return Ok(None) };
    if let Some(Verified(claims)) = request.extensions().get::<Verified>() {
        return Ok(Some(claims.clone()));
    }
    let (scheme, token) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(TokenRejection::Invalid)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(TokenRejection::Invalid.into());
    }
    let state = app_state(request)?;
    let claims = state.tokens.verify(token.trim(), state.clock.now_ms())?;
    request.extensions_mut().insert(Verified(claims.clone()));
    Ok(Some(claims))
}

fn required_claims(request: &HttpRequest) -> Result<Claims, ApiError> {
    claims(request)?.ok_or_else(|| Code::SIGN_IN_NEEDED.into())
}

impl FromRequest for Token {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(required_claims(request).map(Self))
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let claims = required_claims(&request)?;
            app_state(&request)?.authorize(&claims).await
        })
    }
}

impl FromRequest for Admin {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let claims = required_claims(&request)?;
            let state = app_state(&request)?;
            state.authorize_admin(BuyerId(claims.user_id), &claims.sid).await.map(Self)
        })
    }
}

/// A guest, or a signed-in administrator; a token that is there must be an administrator's.
#[derive(Clone, Debug)]
pub struct MaybeAdmin(pub Option<Caller>);

impl FromRequest for MaybeAdmin {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let Some(claims) = claims(&request)? else { return Ok(Self(None)) };
            let state = app_state(&request)?;
            state.authorize_admin(BuyerId(claims.user_id), &claims.sid).await.map(|admin| Self(Some(admin)))
        })
    }
}

impl FromRequest for MaybeCaller {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            match claims(&request)? {
                None => Ok(Self(None)),
                Some(claims) => app_state(&request)?.authorize(&claims).await.map(|caller| Self(Some(caller))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NOW_MS: i64 = 1_795_000_000_000;

    fn subject() -> Subject {
        Subject { buyer: BuyerId(7), username: "li".to_owned(), role: Role::User, sid: "s1".to_owned() }
    }

    fn tokens() -> Tokens {
        Tokens::new(KEY, &AuthSettings::default())
    }

    #[test]
    fn a_token_says_who_signed_in_until_it_expires() {
        let token = tokens().mint(&subject(), NOW_MS).unwrap();
        let claims = tokens().verify(&token, NOW_MS + 899_000).unwrap();
        assert_eq!((claims.user_id, claims.role, claims.sid.as_str()), (7, Role::User, "s1"));
        assert_eq!(tokens().verify(&token, NOW_MS + 900_000), Err(TokenRejection::Expired));
    }

    fn signed(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let token = tokens().mint(&subject(), NOW_MS).unwrap();
        let mut claims = serde_json::to_value(tokens().verify(&token, NOW_MS).unwrap()).unwrap();
        change(&mut claims);
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(KEY)).unwrap()
    }

    #[test]
    fn foreign_changed_and_unsigned_tokens_are_invalid() {
        use base64::Engine as _;
        let good = tokens().mint(&subject(), NOW_MS).unwrap();
        let (head, signature) = good.rsplit_once('.').unwrap();
        let payload = head.split_once('.').unwrap().1;
        let none = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
        let foreign_key = Tokens::new(b"another key of thirty-two bytes!", &AuthSettings::default());
        for token in [
            String::new(),
            "x".to_owned(),
            "a.b.c".to_owned(),
            format!("{none}.{payload}."),
            format!("{none}.{payload}.{signature}"),
            format!("{head}."),
            format!("{head}.{flipped}{}", &signature[1..]),
            foreign_key.mint(&subject(), NOW_MS).unwrap(),
            signed(|claims| claims["iss"] = "elsewhere".into()),
            signed(|claims| claims["typ"] = "refresh".into()),
            signed(|claims| claims["sub"] = "8".into()),
            signed(|claims| claims["role"] = 3.into()),
            signed(|claims| drop(claims.as_object_mut().unwrap().remove("exp"))),
        ] {
            assert_eq!(tokens().verify(&token, NOW_MS), Err(TokenRejection::Invalid), "{token}");
        }
    }
}
