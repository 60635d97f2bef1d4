//! What a change of a user or product must set off beyond its own row: sessions, stock, the audit log.

use serde_json::Value;

use super::auth::Caller;
use super::error::ApiError;
use super::i18n::Lang;
use super::state::AppState;
use crate::actors::inventory::MoveStock;
use crate::actors::peers::NodeMessage;
use crate::domain::{BuyerId, ProductId};
use crate::persistence::audit::{self, AuditEntry};
use crate::persistence::stock_history;
use crate::persistence::stock_moves::{MoveDone, StockPlan};
use crate::trace_context;

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

    /// Moves units of a product, durably, as this administrator asked.
    ///
    /// # Errors
    /// `PRODUCT_STOCK_SHORT` with `units_left`, `SECKILL_NOT_FOUND`, `SECKILL_ENDED`.
    pub async fn move_stock(&self, admin: &Caller, product: ProductId, plan: StockPlan) -> Result<MoveDone, ApiError> {
        self.end_move_by(admin, "", self.shop.numbers.next().to_string(), (product, plan)).await
    }

    /// As [`AppState::move_stock`], for a move whose id is known: it may have begun.
    ///
    /// # Errors
    /// As [`AppState::move_stock`].
    async fn end_move(&self, move_id: String, product: ProductId, plan: StockPlan) -> Result<MoveDone, ApiError> {
        let message = MoveStock { move_id, plan };
        Ok(self.shop.inventory.ask(&product, message, self.ask_timeout()).await??)
    }

    /// As [`AppState::move_stock`] for a move whose id is known, signed with its reason in the history of the product's stock.
    ///
    /// # Errors
    /// As [`AppState::move_stock`].
    pub async fn end_move_by(
        &self,
        admin: &Caller,
        why: &str,
        move_id: String,
        (product, plan): (ProductId, StockPlan),
    ) -> Result<MoveDone, ApiError> {
        let done = self.end_move(move_id.clone(), product, plan).await?;
        let signed = stock_history::sign(&self.db, &move_id, admin.buyer, &admin.username, why).await;
        if let Err(error) = signed {
            tracing::error!(admin = %admin.buyer, move_id, %product, %error, "units moved but not signed in the history");
        }
        Ok(done)
    }

    /// Brings the free pool of a product to `units`, through the ledger and the authority.
    ///
    /// # Errors
    /// As [`AppState::move_stock`].
    pub async fn set_free_stock(&self, admin: &Caller, product: ProductId, units: i64) -> Result<(), ApiError> {
        self.move_stock(admin, product, StockPlan::SetFree { units }).await.map(|_| ())
    }

    /// Writes into the audit log what an administrator did and nothing undoes: a record that cannot be written is
    /// logged instead, because an error would tell him that it was not done.
    pub async fn record_done(&self, admin: &Caller, action: &str, target: String, detail: Value) {
        self.record_outcome(admin, &Act { action, target, detail, result: "ok".to_owned() }).await;
    }

    /// The same for what was perhaps refused.
    pub async fn record_outcome(&self, admin: &Caller, act: &Act<'_>) {
        if let Err(error) = audit::append(&self.db, &self.entry(admin, act), self.clock.now_ms()).await {
            let (admin, action, target) = (admin.buyer, act.action, &act.target);
            tracing::error!(%admin, action, target, %error, "done but not in the audit log");
        }
    }

    /// Writes into the audit log what an administrator did.
    ///
    /// # Errors
    /// `INTERNAL` or `UNAVAILABLE` if it cannot be written.
    pub async fn record(&self, admin: &Caller, action: &str, target: String, detail: Value) -> Result<(), ApiError> {
        let entry = self.entry(admin, &Act { action, target, detail, result: "ok".to_owned() });
        Ok(audit::append(&self.db, &entry, self.clock.now_ms()).await?)
    }

    fn entry(&self, admin: &Caller, act: &Act<'_>) -> AuditEntry {
        // `00-<trace id>-<span id>-<flags>`
        let trace_id = trace_context::current().and_then(|parent| parent.split('-').nth(1).map(str::to_owned));
        AuditEntry {
            actor: Some(admin.buyer),
            actor_name: admin.username.clone(),
            action: act.action.to_owned(),
            target: act.target.clone(),
            detail: act.detail.clone(),
            result: act.result.clone(),
            node: self.settings.node.name.clone(),
            trace_id: trace_id.unwrap_or_default(),
        }
    }
}

/// What came of a command, for the audit log: `ok`, or the code and words of the refusal.
pub fn result_of<T>(outcome: &Result<T, ApiError>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{}: {}", error.code().0, error.message(Lang::En)),
    }
}

/// What an administrator did, for the audit log.
#[derive(Clone, Debug)]
pub struct Act<'a> {
    /// Verb and noun.
    pub action: &'a str,
    /// What was acted upon.
    pub target: String,
    /// What was asked for, and what came of it; no secrets.
    pub detail: Value,
    /// `ok` or why not.
    pub result: String,
}
