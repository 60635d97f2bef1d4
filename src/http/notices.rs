//! What a change of a user or product must set off beyond its own row: sessions, stock, the audit log.

use serde_json::Value;

use super::auth::Caller;
use super::error::ApiError;
use super::state::AppState;
use crate::actors::inventory::MoveStock;
use crate::actors::peers::NodeMessage;
use crate::domain::{BuyerId, ProductId};
use crate::persistence::audit::{self, AuditEntry};
use crate::persistence::stock_moves::{MoveDone, StockPlan};

impl AppState {
    /// The user's sessions, role or status changed: his session actors on all nodes read them anew and close revoked sockets.
    pub async fn sessions_changed(&self, user: BuyerId) {
        self.shop.announce(NodeMessage::SessionsChanged { user }).await;
    }

    /// The product's name, price, picture or status changed: its inventory actors on all nodes read it anew.
    pub async fn product_changed(&self, product: ProductId) {
        self.product_cards.forget(product).await;
        self.shop.announce(NodeMessage::InventoryChanged { product }).await;
    }

    /// Moves units of a product, durably.
    ///
    /// # Errors
    /// `PRODUCT_STOCK_SHORT` with `units_left`, `SECKILL_NOT_FOUND`, `SECKILL_ENDED`.
    pub async fn move_stock(&self, product: ProductId, plan: StockPlan) -> Result<MoveDone, ApiError> {
        self.end_move(self.shop.numbers.next().to_string(), product, plan).await
    }

    /// As [`AppState::move_stock`], for a move whose id is known: it may have begun.
    ///
    /// # Errors
    /// As [`AppState::move_stock`].
    pub async fn end_move(&self, move_id: String, product: ProductId, plan: StockPlan) -> Result<MoveDone, ApiError> {
        let message = MoveStock { move_id, plan };
        Ok(self.shop.inventory.ask(&product, message, self.ask_timeout()).await??)
    }

    /// Brings the free pool of a product to `units`, through the ledger and the authority.
    ///
    /// # Errors
    /// As [`AppState::move_stock`].
    pub async fn set_free_stock(&self, product: ProductId, units: i64) -> Result<(), ApiError> {
        self.move_stock(product, StockPlan::SetFree { units }).await.map(|_| ())
    }

    /// Writes into the audit log what an administrator did and nothing undoes: a record that cannot be written is
    /// logged instead, because an error would tell him that it was not done.
    pub async fn record_done(&self, admin: &Caller, action: &str, target: String, detail: Value) {
        if self.record(admin, action, target.clone(), detail).await.is_err() {
            tracing::error!(admin = %admin.buyer, action, target, "done but not in the audit log");
        }
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
