//! What a change of a user or product must set off beyond its own row: sessions, stock, the audit log.

use serde_json::Value;

use super::auth::Caller;
use super::error::ApiError;
use super::state::AppState;
use crate::domain::codes::Code;
use crate::domain::{BuyerId, ProductId};
use crate::persistence::audit::{self, AuditEntry};
use crate::persistence::stock_moves::{self, StockPlan};
use crate::persistence::{SqlLedger, sessions};

impl AppState {
    /// Who may come in with this session right now, read from the database.
    ///
    /// # Errors
    /// `TOKEN_INVALID` after logout or a password change, `USER_DISABLED`.
    pub async fn admit(&self, user: BuyerId, sid: &str, epoch: i64) -> Result<Caller, ApiError> {
        let access = sessions::load_access(&self.db, user).await?.ok_or(ApiError::from(Code::TOKEN_INVALID))?;
        if !access.active {
            return Err(Code::USER_DISABLED.into());
        }
        let now_ms = self.clock.now_ms();
        let lives = access.live_sessions.iter().any(|(live, expires_at_ms)| live == sid && *expires_at_ms > now_ms);
        if !lives || access.token_epoch != epoch {
            return Err(Code::TOKEN_INVALID.into());
        }
        Ok(Caller { buyer: access.id, username: access.username, role: access.role, sid: sid.to_owned() })
    }

    /// The user's sessions, role or status changed: what is remembered about them must be read anew.
    #[expect(clippy::unused_async, reason = "tells the session actor")]
    pub async fn sessions_changed(&self, user: BuyerId) {
        tracing::debug!(%user, "sessions changed");
    }

    /// The product's name, price, picture or status changed: what is remembered about it must be read anew.
    #[expect(clippy::unused_async, reason = "tells the inventory actor")]
    pub async fn product_changed(&self, product: ProductId) {
        tracing::debug!(%product, "product changed");
    }

    /// Brings the free pool of a product to `units`, through the ledger and the authority.
    ///
    /// # Errors
    /// `PRODUCT_STOCK_SHORT` if the units cannot be moved.
    pub async fn set_free_stock(&self, product: ProductId, units: i64) -> Result<(), ApiError> {
        let ledger = SqlLedger::new(self.db.clone());
        let (move_id, now_ms) = (self.order_numbers.next().to_string(), self.clock.now_ms());
        let plan = StockPlan::SetFree { units };
        let moved = stock_moves::run(&self.db, &ledger, &move_id, product, plan, now_ms).await?;
        moved.map(|_| ()).map_err(|refusal| {
            tracing::info!(%product, units, ?refusal, "stock was not set");
            Code::PRODUCT_STOCK_SHORT.into()
        })
    }

    /// Writes into the audit log what an administrator did.
    ///
    /// # Errors
    /// `INTERNAL` or `UNAVAILABLE` if it cannot be written.
    pub async fn record(&self, admin: &Caller, action: &str, target: String, detail: Value) -> Result<(), ApiError> {
        let entry = AuditEntry {
            actor: Some(admin.buyer),
            actor_name: admin.username.clone(),
            action: action.to_owned(),
            target,
            detail,
            result: "ok".to_owned(),
        };
        Ok(audit::append(&self.db, &entry, self.clock.now_ms()).await?)
    }
}
