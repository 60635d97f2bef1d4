//! What every handler can reach.

use std::sync::Arc;

use super::auth::{Caller, Claims, Tokens};
use super::error::ApiError;
use super::passwords::Passwords;
use crate::clock::Clock;
use crate::config::Settings;
use crate::domain::BuyerId;
use crate::persistence::Db;
use crate::random::OrderNumbers;

/// Shared by all workers; handlers take `web::Data<AppState>`.
#[derive(Debug)]
pub struct AppState {
    /// The settings this server started with.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// The database.
    pub db: Db,
    /// Makes and checks access tokens.
    pub tokens: Tokens,
    /// Hashes and verifies passwords.
    pub passwords: Passwords,
    /// Makes order numbers.
    pub order_numbers: Arc<OrderNumbers>,
}

impl AppState {
    /// Who a verified token speaks for, if its session still lives.
    ///
    /// # Errors
    /// `TOKEN_INVALID` after logout or a password change, `USER_DISABLED`.
    pub async fn authorize(&self, claims: &Claims) -> Result<Caller, ApiError> {
        self.admit(BuyerId(claims.user_id), &claims.sid, claims.epoch).await
    }
}
